// The running aggregate: one row a key, without a window and without an end. Hot.
// Runs on a lane.
// Keeps SPEC: R4 (records after the end of input are late), R6, EMIT-1, EMIT-2 (a row a changing record, or a tick).

import { STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import { watermarkAfter } from '../../core/watermark.ts'
import { NO_WINDOW } from '../../state/contract.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import type { ChangedRows } from './changed-rows.ts'
import type { ResultSinks } from './result-sinks.ts'
import type { AggregateParts, StatefulStep } from './stateful-step.ts'

export class RunningAggregate implements StatefulStep {
  readonly #outOfOrderMs: number
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #changed: ChangedRows
  readonly #rows: Int32Array

  constructor(options: AggregateParts) {
    this.#outOfOrderMs = options.outOfOrderMs
    this.#accumulators = options.accumulators
    this.#sinks = options.sinks
    this.#changed = options.changed
    this.#rows = new Int32Array(options.capacity)
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.#accumulators.validate(chunk)
    for (let i = 0; i < chunk.count; i++) this.#takeOne(chunk, i, run)
  }

  #takeOne(chunk: Chunk, i: number, run: FrameRun): void {
    const { task, view } = run
    const timeMs = chunk.timesMs[i]!
    if (timeMs > task.eventTimeMsMax) {
      this.#changed.tick(run, timeMs)
      task.eventTimeMsMax = timeMs
      if (chunk.carried === undefined) {
        task.watermarkMs = watermarkAfter(task.watermarkMs, timeMs, this.#outOfOrderMs)
      }
    }
    const carriedMs = chunk.carried?.watermarksMs[i]
    if (carriedMs !== undefined && carriedMs > task.watermarkMs) task.watermarkMs = carriedMs
    if (chunk.status[i] !== STATUS_OK) return
    if (task.isEnded || carriedMs === Number.POSITIVE_INFINITY) {
      chunk.status[i] = STATUS_LATE
      return
    }
    const table = task.table!
    const at = chunk.at[i]!
    const row = table.rowFor(table.internKey(view.bytes, view.keyStart(at), view.keyBytes(at)), NO_WINDOW)
    if (table.wasCreated) this.#accumulators.init(table, row)
    table.touch(row)
    this.#rows[i] = row
    if (!this.#accumulators.add(table, chunk, this.#rows, i, i + 1)) return
    this.#changed.mark(task, table, row)
    this.#sinks.emitUpdate(run, this.#sinks.resultOf(table, row))
  }

  /** At the end of input every row is final, once; the rows stay, as they are the totals. */
  advance(run: FrameRun): void {
    const { task } = run
    const table = task.table!
    if (!task.isEnded || task.hasEmittedEnd) return
    task.hasEmittedEnd = true
    table.forEachRow((row) => this.#sinks.emitFinal(run, this.#sinks.resultOf(table, row)))
  }
}
