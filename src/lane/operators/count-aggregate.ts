// The aggregate of windows that are counted: so many records of a key each, in the order of the partition. Runs on a lane. Hot.
// Keeps SPEC: WIN-8, R3 (in the order of the partition), R4 (one final row), R6 (late after the end of the input), EMIT-2.

/*
 *   size 3, hop 2     record      0   1   2   3   4   5   6       of a key
 *                     #0          ├───────┤                       final after record 2, before the next one
 *                     #1                  ├───────┤               final after record 4
 *                     #2                          ├───────┤
 */
import { STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import { ENDLESS_MS } from '../../core/window.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import { CountPanes } from './count-panes.ts'
import { CountRows } from './count-rows.ts'
import type { ResultSinks } from './result-sinks.ts'
import type { AggregateParts, StatefulStep } from './stateful-step.ts'

export interface CountAggregateOptions extends AggregateParts {
  sizeRecords: number
  hopRecords: number
  /** Windows share panes of `hopRecords`, of which each is so many. */
  hasPanes: boolean
}

export class CountAggregate implements StatefulStep {
  readonly #options: CountAggregateOptions
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #panes: CountPanes | undefined
  readonly #places: number
  /** Records are added many at a time: none can be refused, and nobody looks at a row before its window is full. */
  readonly #isBatched: boolean
  readonly #rows: Int32Array
  readonly #tasks = new WeakMap<ChainState, CountRows>()
  /** Rows of the record at hand. */
  readonly #ofRecord: number[] = []
  /** Records of the chunk from here on are in `#rows` and not added yet. */
  #addedTo = 0

  constructor(options: CountAggregateOptions) {
    const { accumulators, sinks, hasPanes, sizeRecords, hopRecords } = options
    this.#options = options
    this.#accumulators = accumulators
    this.#sinks = sinks
    this.#panes = hasPanes ? new CountPanes(accumulators, sinks) : undefined
    this.#places = Math.ceil(sizeRecords / hopRecords)
    this.#isBatched = this.#isInOneRow && !sinks.isEager && !accumulators.hasCustoms
    this.#rows = new Int32Array(options.capacity)
  }

  get #isInOneRow(): boolean {
    return this.#panes !== undefined || this.#places === 1
  }

  open(task: ChainState): void {
    this.#tasks.set(task, new CountRows(task.table!, this.#accumulators, this.#places))
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.#accumulators.validate(chunk)
    const counted = this.#tasks.get(run.task)!
    this.#addedTo = 0
    for (let i = 0; i < chunk.count; i++) {
      this.#rows[i] = -1
      this.#move(chunk, i, run)
      if (chunk.status[i] === STATUS_OK) this.#take(chunk, i, run, counted)
    }
    this.#addUpTo(chunk.count, chunk, run.task.table!)
  }

  /** The clock. What it makes due comes before the record. */
  #move(chunk: Chunk, i: number, run: FrameRun): void {
    const { task } = run
    const timeMs = chunk.timesMs[i]!
    if (timeMs > task.eventTimeMsMax) {
      this.#options.changed.tick(run, timeMs)
      task.eventTimeMsMax = timeMs
    }
    const watermarkMs = chunk.carried?.watermarksMs[i] ?? timeMs - this.#options.outOfOrderMs
    if (watermarkMs <= task.watermarkMs) return
    task.watermarkMs = watermarkMs
    if (watermarkMs < Number.POSITIVE_INFINITY) return
    this.#addUpTo(i, chunk, task.table!)
    this.advance(run)
  }

  #take(chunk: Chunk, i: number, run: FrameRun, counted: CountRows): void {
    const { task, view } = run
    const { sizeRecords, hopRecords, late } = this.#options
    if (task.watermarkMs === Number.POSITIVE_INFINITY) {
      chunk.status[i] = STATUS_LATE
      late?.write(chunk, i, run, -ENDLESS_MS, ENDLESS_MS, 0, task.watermarkMs)
      return
    }
    const table = task.table!
    const at = chunk.at[i]!
    const keyId = table.internKey(view.bytes, view.keyStart(at), view.keyBytes(at))
    const head = counted.headOf(keyId)
    const record = counted.recordsOf(head)
    const isTaken = this.#isInOneRow
      ? this.#addToOne(chunk, i, counted, table, counted.rowOf(keyId, Math.floor(record / hopRecords)))
      : this.#addToEach(chunk, i, counted, table, keyId, record)
    if (!isTaken) {
      // A head that held nothing is gone with it.
      if (record > 0) counted.setRecords(counted.headOf(keyId), record)
      return
    }
    counted.setRecords(head, record + 1)
    this.#tell(run, table)
    const full = (record + 1 - sizeRecords) / hopRecords
    if (full < 0 || !Number.isInteger(full)) return
    this.#addUpTo(i + 1, chunk, table)
    this.#close(run, table, counted, keyId, full)
  }

  #addToOne(chunk: Chunk, i: number, counted: CountRows, table: SlabTable, row: number): boolean {
    this.#rows[i] = row
    if (!this.#isBatched && !this.#addUpTo(i + 1, chunk, table)) return false
    counted.took(row, chunk.timesMs[i]!)
    this.#ofRecord[0] = row
    return true
  }

  /** To every window that holds the record, the oldest first. */
  #addToEach(chunk: Chunk, i: number, counted: CountRows, table: SlabTable, keyId: number, record: number): boolean {
    const { sizeRecords, hopRecords } = this.#options
    const places = this.#ofRecord
    places.length = 0
    for (let number = firstOpen(record, sizeRecords, hopRecords); number * hopRecords <= record; number++) {
      places.push(counted.rowOf(keyId, number))
    }
    if (!this.#accumulators.addToEach(table, chunk, places, i)) return false
    for (const row of places) counted.took(row, chunk.timesMs[i]!)
    return true
  }

  /** Eager sinks get the rows of the record. */
  #tell(run: FrameRun, table: SlabTable): void {
    if (!this.#sinks.isEager) return
    for (const row of this.#ofRecord) {
      this.#options.changed.mark(run.task, table, row)
      this.#sinks.emitUpdate(run, this.#sinks.resultOf(table, row))
    }
  }

  /** Adds the records that wait, up to `to`. False when an accumulator threw on one. */
  #addUpTo(to: number, chunk: Chunk, table: SlabTable): boolean {
    const from = this.#addedTo
    this.#addedTo = to
    return !this.#isInOneRow || this.#accumulators.add(table, chunk, this.#rows, from, to)
  }

  /** The window is full: its row goes out, and what no other window holds is forgotten. */
  #close(run: FrameRun, table: SlabTable, counted: CountRows, keyId: number, number: number): void {
    const row = counted.at(keyId, number)
    if (this.#panes === undefined) this.#sinks.emitFinal(run, this.#sinks.resultOf(table, row))
    else {
      const panes = Array.from({ length: this.#places }, (_, n) => counted.at(keyId, number + n))
      this.#panes.emit(run, table, counted, number, panes)
    }
    counted.clear(row)
  }

  /** At the end of the input the windows that are not full go out as they are, by key and then the oldest first. */
  advance(run: FrameRun): void {
    const { task } = run
    const table = task.table!
    if (task.watermarkMs < Number.POSITIVE_INFINITY || table.windowEndMin === Number.POSITIVE_INFINITY) return
    const counted = this.#tasks.get(task)!
    for (const rows of counted.byKey()) this.#end(run, table, counted, rows)
    counted.drop()
  }

  #end(run: FrameRun, table: SlabTable, counted: CountRows, rows: Int32Array): void {
    const { sizeRecords, hopRecords } = this.#options
    const records = counted.recordsOf(rows[0]!)
    for (let number = firstOpen(records, sizeRecords, hopRecords); number * hopRecords < records; number++) {
      const panes: number[] = []
      for (let pane = number; pane * hopRecords < records; pane++) panes.push(rows[pane % this.#places]!)
      if (this.#panes !== undefined) this.#panes.emit(run, table, counted, number, panes)
      else this.#sinks.emitFinal(run, this.#sinks.resultOf(table, panes[0]!))
    }
  }
}

/** The oldest window that holds the record of this number, or would. */
function firstOpen(record: number, sizeRecords: number, hopRecords: number): number {
  return Math.max(0, Math.floor((record - sizeRecords) / hopRecords) + 1)
}
