// Each record of a stream with the row of a table as it was at the time of the record. A record waits until both clocks have passed
// its time and the grace, so that it is joined once, and rightly. Runs on a lane.
// Keeps SPEC: TABLE-2 (the row as it was at the record's time, whatever the order in which topics are read), R6 (late).

/*
 *   table    10: x         20: y                    clock of both
 *   stream          15 ●          25 ●
 *                                     ╎ 15 + grace < clock: the record at 15 goes out with x
 */
import { STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, Step } from '../frame-run.ts'
import { operatorIdOf } from '../operator-id.ts'
import { toTableKey } from './derived.ts'
import { JoinRows } from './join-rows.ts'
import type { LateRecords } from './late.ts'
import { type Meeting, moveSide } from './meeting.ts'
import type { TableJoinOptions } from './table-join.ts'
import { keptBytes, keptObject } from './table-rows.ts'
import { VERSION_SLOTS, VersionRows } from './version-rows.ts'

export interface AsOfJoinOptions extends TableJoinOptions {
  graceMs: number
  /** Of the stream, of the table. */
  late: readonly [LateRecords | undefined, LateRecords | undefined]
}

interface AsOfTask {
  versions: VersionRows
  /** Records by time and key; the cells of a row are their bytes. */
  waiting: SlabTable
  /** Nothing is due before this. */
  quietUntilMs: number
}

export class AsOfJoin implements Meeting {
  readonly sides: readonly [Step, Step]
  readonly delayMs: number
  readonly tables: readonly TableLayout[]
  readonly #options: AsOfJoinOptions
  readonly #out: JoinRows
  readonly #tasks = new WeakMap<ChainState, AsOfTask>()

  constructor(options: AsOfJoinOptions) {
    const { name } = options
    this.#options = options
    this.#out = new JoinRows(options)
    this.delayMs = options.graceMs
    this.tables = [
      { operator: name, operatorId: operatorIdOf(name), width: VERSION_SLOTS, isWindowed: false },
      { operator: name, operatorId: operatorIdOf(`${name}~deadlines`), width: 1, isWindowed: true },
      { operator: name, operatorId: operatorIdOf(`${name}~waiting`), width: 1, isWindowed: true },
    ]
    this.sides = [{ run: (chunk, run) => this.#run(0, chunk, run) }, { run: (chunk, run) => this.#run(1, chunk, run) }]
  }

  open(state: ChainState, tables: readonly SlabTable[]): void {
    const [rows, index, waiting] = tables as [SlabTable, SlabTable, SlabTable]
    this.#tasks.set(state, {
      versions: new VersionRows(rows, index),
      waiting,
      quietUntilMs: Number.NEGATIVE_INFINITY,
    })
  }

  #run(side: 0 | 1, chunk: Chunk, run: FrameRun): void {
    const { stream, table } = this.#options
    const { outOfOrderMs } = side === 0 ? stream : table
    const state = this.#out.stateOf(run)
    const own = this.#tasks.get(state)!
    const { status, timesMs, carried } = chunk
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = timesMs[row]!
      const ownMs = carried?.watermarksMs[row] ?? timeMs - outOfOrderMs
      const watermarkMs = moveSide(run.task, state, side, timeMs, ownMs)
      if (watermarkMs > own.quietUntilMs) this.#close(run, state, own, watermarkMs)
      if (status[row] !== STATUS_OK) continue
      const isTaken =
        side === 0 ? this.#wait(chunk, row, run, own, watermarkMs) : this.#update(chunk, row, run, own, watermarkMs)
      if (isTaken || status[row] !== STATUS_OK) continue
      status[row] = STATUS_LATE
      this.#options.late[side]?.write(chunk, row, run, timeMs, timeMs, this.#options.graceMs, watermarkMs)
    }
    this.#out.flush(run, state)
  }

  /** False: the record is too late to be joined, or dead. */
  #wait(chunk: Chunk, row: number, run: FrameRun, own: AsOfTask, watermarkMs: number): boolean {
    const timeMs = chunk.timesMs[row]!
    const dueMs = timeMs + this.#options.graceMs
    if (watermarkMs > dueMs) return false
    const bytes = keptBytes(this.#options.stream, chunk, row, run)
    if (bytes === undefined) return false
    const { waiting } = own
    const { view } = run
    const at = chunk.at[row]!
    const keyId = waiting.internKey(view.bytes, view.keyStart(at), view.keyBytes(at))
    const entry = waiting.rowFor(keyId, timeMs)
    const records = waiting.cells[entry] ?? []
    records.push(bytes)
    waiting.cells[entry] = records
    waiting.touch(entry)
    if (dueMs < own.quietUntilMs) own.quietUntilMs = dueMs
    return true
  }

  /** False: no record can be joined with this version any more, or it is dead. */
  #update(chunk: Chunk, row: number, run: FrameRun, own: AsOfTask, watermarkMs: number): boolean {
    const { graceMs, table } = this.#options
    const { view } = run
    const at = chunk.at[row]!
    const bytes = keptBytes(table, chunk, row, run)
    if (chunk.status[row] !== STATUS_OK) return false
    const horizonMs = watermarkMs - graceMs
    const isTaken = own.versions.set(
      view.bytes,
      view.keyStart(at),
      view.keyBytes(at),
      chunk.timesMs[row]!,
      bytes,
      horizonMs,
    )
    own.quietUntilMs = Math.min(own.quietUntilMs, own.versions.firstBucketMs + graceMs)
    return isTaken
  }

  advance(run: FrameRun, state: ChainState, watermarkMs: number): void {
    const own = this.#tasks.get(state)!
    if (watermarkMs > own.quietUntilMs) this.#close(run, state, own, watermarkMs)
  }

  /** Joins the records whose time and grace are past, by time and key, then forgets versions. */
  #close(run: FrameRun, state: ChainState, own: AsOfTask, watermarkMs: number): void {
    const { graceMs } = this.#options
    const { waiting, versions } = own
    for (const timeMs of waiting.windowEndsUpTo(watermarkMs - graceMs)) {
      if (timeMs + graceMs >= watermarkMs) break
      waiting.closeWindow(timeMs, (entry) => this.#join(run, state, own, entry, timeMs))
    }
    versions.advance(watermarkMs - graceMs)
    own.quietUntilMs = Math.min(waiting.windowEndMin + graceMs, versions.firstBucketMs + graceMs)
  }

  #join(run: FrameRun, state: ChainState, { waiting, versions }: AsOfTask, entry: number, timeMs: number): void {
    const out = this.#out
    const { key } = out
    toTableKey(key, waiting, waiting.keyOf(entry))
    const version = versions.at(key.bytes, key.start, key.length, timeMs)
    if (version === undefined && !this.#options.isLeft) return
    // Rows come in the order of their times: each is a clock of its own.
    const watermarkMs = Math.max(state.watermarkMs, timeMs)
    for (const bytes of waiting.cells[entry] as Uint8Array[]) {
      out.give(
        run,
        state,
        keptObject(bytes),
        version === undefined ? undefined : keptObject(version),
        timeMs,
        watermarkMs,
      )
    }
  }
}
