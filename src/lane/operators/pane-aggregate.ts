// The aggregate of overlapping windows whose rows go out at the close alone: a record goes into one pane, and windows are merged
// from panes. So the work grows with records and rows, not with how many windows overlap. Runs on a lane. Hot.
// Keeps SPEC: R2, R3 (a close comes before the next record), R4 (one final row a key and window), R6 (late, refused), WIN-2.

/*
 *   hopping 6 by 2, panes of 2       0   2   4   6   8   10
 *                                    ├─a─┼─b─┼─c─┼─d─┼─e─┤
 *                          closes    └─────────┘ at 6 + grace: a b c        then pane a is of no window and goes
 *                                        └─────────┘ at 8 + grace: b c d
 *
 *   A record of pane b that comes when [0, 6) is closed is refused there and taken by [2, 8) and [4, 10). It must not get
 *   into a window that its watermark has closed, so windows close between two records and not at the end of a frame.
 */
import { STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import { type AlignedWindows, isWindowClosed, windowStart } from '../../core/window.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import type { LateRecords } from './late.ts'
import { PaneMerge, type PaneShape } from './pane-merge.ts'
import type { ResultSinks } from './result-sinks.ts'
import type { StatefulStep } from './stateful-step.ts'
import type { WindowedOptions } from './window-aggregate.ts'

export interface PaneAggregateOptions extends WindowedOptions {
  shape: PaneShape
}

/** What the operator knows of one task. */
class PaneTask {
  readonly merge: PaneMerge
  /** Every window that this watermark closes is closed, and its rows are out. */
  closedMs: number
  /** The watermark at which the next window with rows closes. */
  closeAtMs = Number.NEGATIVE_INFINITY

  constructor(merge: PaneMerge, watermarkMs: number) {
    this.merge = merge
    this.closedMs = watermarkMs
  }
}

export class PaneAggregate implements StatefulStep {
  readonly #windows: AlignedWindows
  readonly #shape: PaneShape
  readonly #graceMs: number
  readonly #outOfOrderMs: number
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #late: LateRecords | undefined
  readonly #rows: Int32Array
  readonly #tasks = new WeakMap<ChainState, PaneTask>()
  /** Records that some of their windows refused, and how many did. */
  readonly #refusing: number[] = []
  readonly #refusals: number[] = []

  constructor(options: PaneAggregateOptions) {
    this.#windows = options.windows
    this.#shape = options.shape
    this.#graceMs = options.graceMs
    this.#outOfOrderMs = options.outOfOrderMs
    this.#accumulators = options.accumulators
    this.#sinks = options.sinks
    this.#late = options.late
    this.#rows = new Int32Array(options.capacity)
  }

  open(task: ChainState): void {
    const merge = new PaneMerge(task.table!, this.#windows, this.#shape, this.#accumulators, this.#sinks)
    this.#tasks.set(task, new PaneTask(merge, task.watermarkMs))
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.#accumulators.validate(chunk)
    const own = this.#tasks.get(run.task)!
    // Up to the record whose time closes a window; then the rest.
    for (let from = 0; from < chunk.count; ) {
      const to = this.#place(chunk, run, own, from)
      this.#accumulators.add(run.task.table!, chunk, this.#rows, from, to)
      if (this.#accumulators.hasDeleted) own.merge.forget()
      this.#countRefused(run.task)
      from = to
      if (to === chunk.count) break
      run.task.watermarkMs = watermarkAt(chunk, to, run.task, this.#outOfOrderMs)
      this.#closeUpTo(run, own, run.task.watermarkMs)
    }
  }

  /** A record that an accumulator threw on was taken by no window. */
  #countRefused(task: ChainState): void {
    for (const [n, i] of this.#refusing.entries())
      if (this.#rows[i]! >= 0) task.tally.counts.refused += this.#refusals[n]!
    this.#refusing.length = 0
    this.#refusals.length = 0
  }

  /** In record order: watermark, judgement, row. Gives the first record before which windows have to close. Hot. */
  #place(chunk: Chunk, run: FrameRun, own: PaneTask, from: number): number {
    const { task, view } = run
    const table = task.table!
    const windows = this.#windows
    const graceMs = this.#graceMs
    const outOfOrderMs = this.#outOfOrderMs
    const { paneMs, offsetMs } = this.#shape
    const { status, timesMs, at, count } = chunk
    const carriedMs = chunk.carried?.watermarksMs
    const rows = this.#rows
    const { bytes, words } = view
    let { watermarkMs, eventTimeMsMax } = task
    // The pane of the record before, and the ends of the windows that hold it: most records fall into it.
    let paneStartMs = 0
    let paneEndMs = 0
    let firstEndMs = 0
    let lastEndMs = 0
    let i = from
    for (; i < count; i++) {
      const timeMs = timesMs[i]!
      const movedMs = carriedMs === undefined ? timeMs - outOfOrderMs : carriedMs[i]!
      if (movedMs > watermarkMs) {
        if (movedMs > own.closedMs) {
          if (movedMs >= own.closeAtMs) break
          own.closedMs = movedMs
        }
        watermarkMs = movedMs
      }
      if (timeMs > eventTimeMsMax) eventTimeMsMax = timeMs
      if (status[i] !== STATUS_OK) {
        rows[i] = -1
        continue
      }
      if (timeMs < paneStartMs || timeMs >= paneEndMs) {
        paneStartMs = windowStart(timeMs, paneMs, offsetMs)
        paneEndMs = paneStartMs + paneMs
        firstEndMs = windows.firstEnd(timeMs)
        lastEndMs = windows.lastEnd(timeMs)
      }
      if (lastEndMs + graceMs <= watermarkMs) {
        rows[i] = -1
        status[i] = STATUS_LATE
        this.#late?.write(chunk, i, run, windows.startOf(lastEndMs), lastEndMs, graceMs, watermarkMs)
        continue
      }
      const record = at[i]!
      const keyId = table.internKey(bytes, record + 32, words[(record >> 2) + 1]!)
      const row = table.rowFor(keyId, paneEndMs)
      if (table.wasCreated) this.#created(table, own, row, firstEndMs)
      if (firstEndMs + graceMs <= watermarkMs) {
        own.merge.changed(keyId)
        this.#refusing.push(i)
        this.#refusals.push(closedCount(windows, firstEndMs, watermarkMs - graceMs))
      }
      table.touch(row)
      rows[i] = row
    }
    task.watermarkMs = watermarkMs
    task.eventTimeMsMax = eventTimeMsMax
    return i
  }

  /** Outlined: a row that is new may be what the next window to close needs. */
  #created(table: SlabTable, own: PaneTask, row: number, firstEndMs: number): void {
    this.#accumulators.init(table, row)
    own.merge.added(table.keyOf(row))
    own.closeAtMs = Math.min(own.closeAtMs, this.#nextEnd(own, firstEndMs) + this.#graceMs)
  }

  /** The end of the next window to close that holds a pane of which `firstEndMs` is the first. */
  #nextEnd({ closedMs }: PaneTask, firstEndMs: number): number {
    return Math.max(firstEndMs, this.#windows.firstEnd(closedMs - this.#graceMs))
  }

  advance(run: FrameRun): void {
    this.#closeUpTo(run, this.#tasks.get(run.task)!, run.task.watermarkMs)
  }

  /** Gives out all windows that `watermarkMs` closes, by their ends, and drops the panes that are of no window any more. */
  #closeUpTo(run: FrameRun, own: PaneTask, watermarkMs: number): void {
    const table = run.task.table!
    for (;;) {
      const oldestMs = table.windowEndMin
      const endMs = this.#nextEnd(own, this.#windows.firstEnd(oldestMs - 1))
      own.closeAtMs = endMs + this.#graceMs
      if (oldestMs === Number.POSITIVE_INFINITY || !isWindowClosed(endMs, this.#graceMs, watermarkMs)) break
      own.merge.emit(run, endMs)
      own.closedMs = endMs + this.#graceMs
      this.#dropUpTo(table, own, endMs)
    }
    own.closedMs = Math.max(own.closedMs, watermarkMs)
  }

  #dropUpTo(table: SlabTable, own: PaneTask, endMs: number): void {
    let isDropped = false
    while (this.#windows.lastEnd(table.windowEndMin - 1) <= endMs) {
      table.closeWindow(table.windowEndMin, () => {})
      isDropped = true
    }
    if (isDropped) own.merge.dropped()
  }
}

/** The watermark of a task after a record. */
function watermarkAt(chunk: Chunk, i: number, task: ChainState, outOfOrderMs: number): number {
  return Math.max(task.watermarkMs, chunk.carried?.watermarksMs[i] ?? chunk.timesMs[i]! - outOfOrderMs)
}

/** How many windows from the one that ends at `endMs` on end by `upToMs`. */
function closedCount(windows: AlignedWindows, endMs: number, upToMs: number): number {
  let count = 0
  for (let end = endMs; end <= upToMs; end = windows.nextEnd(end)) count++
  return count
}
