// The windowed aggregate: judges each record at its own place, adds it to the row of its window, or of each of its windows where
// they overlap, closes windows that the watermark passed. Hot: two passes over typed arrays. Runs on a lane.
// Keeps SPEC: R2, R3 (judged at its own place, whatever the frames), R4 (one final row a key and window), R6 (late), EMIT-2.

/*
 *   watermark passes      a record is judged, then    an eager sink (updates, every) sees
 *   end + grace at        its row is found            each record at once; a final one waits
 *   ──────────────┬───────────────────────────────┬──── for the end of the frame
 *                 late from here on               rows closed: ends ascending, keys in byte order
 */
import { STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import { type AlignedWindows, isWindowClosed } from '../../core/window.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import type { ChangedRows } from './changed-rows.ts'
import type { GapFill } from './gap-fill.ts'
import type { LateRecords } from './late.ts'
import type { ResultSinks } from './result-sinks.ts'
import type { AggregateParts, StatefulStep } from './stateful-step.ts'

/** What an operator of aligned windows is made of. */
export interface WindowedOptions extends AggregateParts {
  windows: AlignedWindows
  graceMs: number
}

export interface WindowAggregateOptions extends WindowedOptions {
  /** A time may lie in several windows; each has a row of its own. */
  isOverlapping: boolean
  /** Windows without records give rows too. */
  gapFill: GapFill | undefined
}

export class WindowAggregate implements StatefulStep {
  readonly #windows: AlignedWindows
  readonly #graceMs: number
  readonly #outOfOrderMs: number
  readonly #isOverlapping: boolean
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #changed: ChangedRows
  readonly #late: LateRecords | undefined
  readonly #gapFill: GapFill | undefined
  /** Of tasks whose gaps are filled: the watermark up to which windows are closed. */
  readonly #closedMs = new WeakMap<ChainState, number>()
  readonly #rows: Int32Array
  /** The rows of the record at hand, where windows overlap. */
  readonly #places: number[] = []
  #run: FrameRun | undefined
  /** Bound once: a closure a closed window would be garbage. */
  readonly #emitFinal = (row: number): void => {
    const { table, tables } = this.#run!.task
    const result = this.#sinks.resultOf(table!, row)
    const isRead = this.#sinks.emitFinal(this.#run!, result)
    this.#gapFill?.remember(tables[1]!, result, isRead)
  }

  constructor(options: WindowAggregateOptions) {
    this.#windows = options.windows
    this.#graceMs = options.graceMs
    this.#outOfOrderMs = options.outOfOrderMs
    this.#isOverlapping = options.isOverlapping
    this.#accumulators = options.accumulators
    this.#sinks = options.sinks
    this.#changed = options.changed
    this.#late = options.late
    this.#gapFill = options.gapFill
    this.#rows = new Int32Array(options.capacity)
  }

  open(task: ChainState): void {
    this.#closedMs.set(task, task.watermarkMs)
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.#accumulators.validate(chunk)
    if (this.#sinks.isEager || this.#isOverlapping) {
      for (let i = 0; i < chunk.count; i++) this.#takeOne(chunk, i, run)
      return
    }
    this.#place(chunk, run, 0, chunk.count)
    this.#accumulators.add(run.task.table!, chunk, this.#rows, 0, chunk.count)
  }

  /** Pass 1, in record order: watermark, judgement, row. Hot. */
  #place(chunk: Chunk, run: FrameRun, from: number, to: number): void {
    const { task, view } = run
    const table = task.table!
    const windows = this.#windows
    const graceMs = this.#graceMs
    const outOfOrderMs = this.#outOfOrderMs
    const { status, timesMs, at } = chunk
    const carriedMs = chunk.carried?.watermarksMs
    const rows = this.#rows
    const { bytes, words } = view
    let { watermarkMs, eventTimeMsMax } = task
    // The window of the record before: most records fall into it.
    let startMs = 0
    let endMs = 0
    for (let i = from; i < to; i++) {
      const timeMs = timesMs[i]!
      if (timeMs > eventTimeMsMax) {
        eventTimeMsMax = timeMs
        if (carriedMs === undefined && timeMs - outOfOrderMs > watermarkMs) watermarkMs = timeMs - outOfOrderMs
      }
      if (carriedMs !== undefined && carriedMs[i]! > watermarkMs) watermarkMs = carriedMs[i]!
      if (status[i] !== STATUS_OK) {
        rows[i] = -1
        continue
      }
      if (timeMs < startMs || timeMs >= endMs) {
        endMs = windows.lastEnd(timeMs)
        startMs = windows.startOf(endMs)
      }
      if (endMs + graceMs <= watermarkMs) {
        rows[i] = -1
        status[i] = STATUS_LATE
        this.#late?.write(chunk, i, run, startMs, endMs, graceMs, watermarkMs)
        continue
      }
      const record = at[i]!
      const keyId = table.internKey(bytes, record + 32, words[(record >> 2) + 1]!)
      const row = table.rowFor(keyId, endMs)
      if (table.wasCreated) this.#accumulators.init(table, row)
      table.touch(row)
      rows[i] = row
    }
    task.watermarkMs = watermarkMs
    task.eventTimeMsMax = eventTimeMsMax
  }

  /** Update mode: what a record's time makes due comes first, then the record, then its row goes out. */
  #takeOne(chunk: Chunk, i: number, run: FrameRun): void {
    const { task } = run
    const timeMs = chunk.timesMs[i]!
    if (timeMs > task.eventTimeMsMax) {
      this.#changed.tick(run, timeMs)
      task.eventTimeMsMax = timeMs
    }
    const watermarkMs = chunk.carried?.watermarksMs[i] ?? timeMs - this.#outOfOrderMs
    if (watermarkMs > task.watermarkMs) {
      task.watermarkMs = watermarkMs
      this.advance(run)
    }
    if (this.#isOverlapping) {
      this.#takeInEach(chunk, i, run)
      return
    }
    this.#place(chunk, run, i, i + 1)
    const table = task.table!
    const row = this.#rows[i]!
    if (row < 0 || !this.#accumulators.add(table, chunk, this.#rows, i, i + 1)) return
    this.#changed.mark(task, table, row)
    this.#sinks.emitUpdate(run, this.#sinks.resultOf(table, row))
  }

  /** The record goes into each of its windows that is open. When all are closed, it is late for the last of them. */
  #takeInEach(chunk: Chunk, i: number, run: FrameRun): void {
    if (chunk.status[i] !== STATUS_OK) return
    const { task, view } = run
    const { watermarkMs } = task
    const windows = this.#windows
    const timeMs = chunk.timesMs[i]!
    const lastMs = windows.lastEnd(timeMs)
    if (isWindowClosed(lastMs, this.#graceMs, watermarkMs)) {
      chunk.status[i] = STATUS_LATE
      this.#late?.write(chunk, i, run, windows.startOf(lastMs), lastMs, this.#graceMs, watermarkMs)
      return
    }
    const table = task.table!
    const at = chunk.at[i]!
    const keyId = table.internKey(view.bytes, view.keyStart(at), view.keyBytes(at))
    const places = this.#places
    places.length = 0
    let refused = 0
    for (let endMs = windows.firstEnd(timeMs); endMs <= lastMs; endMs = windows.nextEnd(endMs)) {
      if (isWindowClosed(endMs, this.#graceMs, watermarkMs)) {
        refused++
        continue
      }
      const row = table.rowFor(keyId, endMs)
      if (table.wasCreated) this.#accumulators.init(table, row)
      table.touch(row)
      places.push(row)
    }
    if (!this.#accumulators.addToEach(table, chunk, places, i)) return
    task.tally.counts.refused += refused
    for (const row of places) {
      this.#changed.mark(task, table, row)
      this.#sinks.emitUpdate(run, this.#sinks.resultOf(table, row))
    }
  }

  advance(run: FrameRun): void {
    const { task } = run
    const table = task.table!
    const graceMs = this.#graceMs
    if (this.#gapFill !== undefined) {
      this.#advanceFilling(run, this.#gapFill)
      return
    }
    if (!isWindowClosed(table.windowEndMin, graceMs, task.watermarkMs)) return
    this.#run = run
    for (const endMs of table.windowEndsUpTo(task.watermarkMs - graceMs)) {
      table.closeWindow(endMs, this.#emitFinal)
    }
  }

  /** The same, window after window as long as a key is known; at the end of the input up to the last event time. */
  #advanceFilling(run: FrameRun, gapFill: GapFill): void {
    const { task } = run
    const [table, known] = task.tables as [SlabTable, SlabTable]
    const { watermarkMs } = task
    const graceMs = this.#graceMs
    const isEnded = task.isEnded || watermarkMs === Number.POSITIVE_INFINITY
    const lastMs = isEnded ? this.#windows.lastEnd(task.eventTimeMsMax) : Number.POSITIVE_INFINITY
    this.#run = run
    for (;;) {
      const isAnyKnown = known.windowEndMin !== Number.POSITIVE_INFINITY
      const nextMs = isAnyKnown ? this.#windows.firstEnd(this.#closedMs.get(task)! - graceMs) : table.windowEndMin
      const endMs = Math.min(nextMs, table.windowEndMin)
      if (!isWindowClosed(endMs, graceMs, watermarkMs) || endMs > lastMs) break
      table.closeWindow(endMs, this.#emitFinal)
      gapFill.fill(run, known, this.#windows.startOf(endMs), endMs)
      this.#closedMs.set(task, endMs + graceMs)
    }
    if (isEnded) gapFill.clear(known)
    this.#closedMs.set(task, Math.max(this.#closedMs.get(task)!, watermarkMs))
  }
}
