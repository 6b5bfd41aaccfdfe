// The windowed aggregate: judges each record at its own place, adds it to its window's row, closes windows that the
// watermark passed. Hot: two passes over typed arrays. Runs on a lane.
// Keeps SPEC: R2, R3 (judged at its own place, whatever the frames), R4 (one final row a key and window), R6 (late), EMIT-2.

/*
 *   watermark passes      a record is judged, then    an eager sink (updates, every) sees
 *   end + grace at        its row is found            each record at once; a final one waits
 *   ──────────────┬───────────────────────────────┬──── for the end of the frame
 *                 late from here on               rows closed: ends ascending, keys in byte order
 */
import { STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import { isTickBetween } from '../../core/watermark.ts'
import { isWindowClosed, windowStart } from '../../core/window.ts'
import type { WindowPlan } from '../../job/plan.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, Step } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import type { ChangedRows } from './changed-rows.ts'
import type { LateRecords } from './late.ts'
import type { ResultSinks } from './result-sinks.ts'

/** What both aggregate operators offer beside being a step. */
export interface StatefulStep extends Step {
  /** Closes what the task's watermark has passed; at the end of a frame, when idle, at the end of input. */
  advance(run: FrameRun): void
}

export class WindowAggregate implements StatefulStep {
  readonly #window: WindowPlan
  readonly #outOfOrderMs: number
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #changed: ChangedRows
  readonly #late: LateRecords | undefined
  readonly #rows: Int32Array
  #run: FrameRun | undefined
  /** Bound once: a closure a closed window would be garbage. */
  readonly #emitFinal = (row: number): void => this.#sinks.emitFinal(this.#run!, this.#run!.task.table!, row)

  constructor(
    window: WindowPlan,
    outOfOrderMs: number,
    accumulators: Accumulators,
    sinks: ResultSinks,
    changed: ChangedRows,
    late: LateRecords | undefined,
    capacity: number,
  ) {
    this.#window = window
    this.#outOfOrderMs = outOfOrderMs
    this.#accumulators = accumulators
    this.#sinks = sinks
    this.#changed = changed
    this.#late = late
    this.#rows = new Int32Array(capacity)
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.#accumulators.validate(chunk)
    if (this.#sinks.isEager) {
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
    const { sizeMs, offsetMs, graceMs } = this.#window
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
        startMs = windowStart(timeMs, sizeMs, offsetMs)
        endMs = startMs + sizeMs
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
      this.#tick(run, timeMs)
      task.eventTimeMsMax = timeMs
    }
    const watermarkMs = chunk.carried?.watermarksMs[i] ?? timeMs - this.#outOfOrderMs
    if (watermarkMs > task.watermarkMs) {
      task.watermarkMs = watermarkMs
      this.advance(run)
    }
    this.#place(chunk, run, i, i + 1)
    const table = task.table!
    const row = this.#rows[i]!
    if (row < 0 || !this.#accumulators.add(table, chunk, this.#rows, i, i + 1)) return
    this.#changed.mark(task, table, row)
    this.#sinks.emitUpdate(run, table, row)
  }

  #tick(run: FrameRun, timeMs: number): void {
    const intervals = this.#sinks.everyMs
    for (let n = 0; n < intervals.length; n++) {
      if (isTickBetween(run.task.eventTimeMsMax, timeMs, intervals[n]!)) this.#changed.emit(run, n)
    }
  }

  advance(run: FrameRun): void {
    const { task } = run
    const table = task.table!
    const { graceMs } = this.#window
    if (!isWindowClosed(table.windowEndMin, graceMs, task.watermarkMs)) return
    this.#run = run
    for (const endMs of table.windowEndsUpTo(task.watermarkMs - graceMs)) {
      table.closeWindow(endMs, this.#emitFinal)
    }
  }
}
