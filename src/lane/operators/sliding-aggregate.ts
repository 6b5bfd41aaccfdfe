// The aggregate of sliding windows: a record goes into the point of its key and time, and windows are merged from points. Runs on
// a lane. Hot.
// Keeps SPEC: WIN-10, R3 (judged at its own place), R4 (one final row), R6 (late, refused), EMIT-1, EMIT-2.

/*
 *   size 5      10       13             18    20       points of a key; the watermark is 17, no grace
 *     5 ├────────┤       |              |     |        ends with 10
 *            8 ├─────────┤              |     |        ends with 13
 *                  11 ├──|──────┤ 16    |     |        begins right after 10, which is of no window from now on and goes
 *     ───────────────────|──────────────|─────|──────  above: closed, below: open
 *                     13 ├──────────────┤     |        ends with 18
 *                         14 ├──────────|──┤ 19        begins right after 13
 *                               15 ├────|─────┤        ends with 20
 *                                           19 ├|────  begins right after 18
 *
 *   A record of time 14 is taken by [13, 18] and [14, 19] and refused by [9, 14], which would end with it. One of time 12 is late: all
 *   that hold it are closed, and the window that begins right after it, [13, 18], is there without it.
 */
import { STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import { type Accumulators, SLOT_EVERY } from './accumulators.ts'
import { MergeFailure } from './merge-rows.ts'
import type { ResultRow, RowBounds } from './result-row.ts'
import type { ResultSinks } from './result-sinks.ts'
import { SlidingMerge } from './sliding-merge.ts'
import { RING_MS, SlidingPoints } from './sliding-points.ts'
import type { AggregateParts, StatefulStep } from './stateful-step.ts'

/*
 * A window that a row of was sent, or may be at the next tick: rows sent to sinks with `updates` | unused | as an aggregate has it.
 * Only sinks that want rows before the close make these rows.
 */
const SLOT_SENT = 0
export const SENT_WINDOW_SLOTS = SLOT_EVERY + 1

/** `[start, end]`, both in the window. */
export const slidingBounds: RowBounds = { lastMomentMs: (endMs) => endMs }

export interface SlidingAggregateOptions extends AggregateParts {
  sizeMs: number
  graceMs: number
}

/** What the operator knows of one task. */
interface SlidingTask {
  table: SlabTable
  points: SlidingPoints
  /** Windows of which rows were sent, by end. */
  sent: SlabTable
  /** Windows at their close, of every key by end. */
  closes: SlidingMerge
  /** Windows before their close: of a record or of a tick. */
  early: SlidingMerge
  /** Every window that ends by this is closed, and its rows are out. */
  closedMs: number
}

export class SlidingAggregate implements StatefulStep {
  readonly #options: SlidingAggregateOptions
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #rows: Int32Array
  readonly #tasks = new WeakMap<ChainState, SlidingTask>()
  /** From a point to the end of the window that begins right after it. */
  readonly #reachMs: number
  /** Records of the chunk from here on are in `#rows` and not added yet. */
  #addedTo = 0
  readonly #result = { row: 0, sentEvery: 0 } as ResultRow

  constructor(options: SlidingAggregateOptions) {
    this.#options = options
    this.#accumulators = options.accumulators
    this.#sinks = options.sinks
    this.#rows = new Int32Array(options.capacity)
    this.#reachMs = options.sizeMs + 1
  }

  open(task: ChainState): void {
    const [table, sent] = task.tables as [SlabTable, SlabTable]
    const points = new SlidingPoints(table)
    const closes = new SlidingMerge(points, this.#accumulators)
    const early = new SlidingMerge(points, this.#accumulators)
    this.#tasks.set(task, { table, points, sent, closes, early, closedMs: this.#closedUpTo(task) })
  }

  /** The greatest end of a window that the watermark of a task has closed; in whole ms, as records have their places. */
  #closedUpTo({ watermarkMs }: ChainState): number {
    return Math.floor(watermarkMs) - this.#options.graceMs - 1
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.#accumulators.validate(chunk)
    const own = this.#tasks.get(run.task)!
    this.#addedTo = 0
    for (let i = 0; i < chunk.count; i++) {
      this.#move(chunk, i, run, own)
      this.#rows[i] = -1
      if (chunk.status[i] === STATUS_OK) this.#take(chunk, i, run, own)
    }
    this.#add(chunk, own, chunk.count)
  }

  /** The clock. For eager sinks, what it makes due comes before the record. */
  #move(chunk: Chunk, i: number, run: FrameRun, own: SlidingTask): void {
    const { task } = run
    const timeMs = chunk.timesMs[i]!
    const { isEager } = this.#sinks
    if (timeMs > task.eventTimeMsMax) {
      if (isEager) this.#tick(run, own, timeMs)
      task.eventTimeMsMax = timeMs
    }
    const watermarkMs = chunk.carried?.watermarksMs[i] ?? timeMs - this.#options.outOfOrderMs
    if (watermarkMs <= task.watermarkMs) return
    task.watermarkMs = watermarkMs
    if (isEager) this.advance(run)
  }

  #take(chunk: Chunk, i: number, run: FrameRun, own: SlidingTask): void {
    const { task, view } = run
    const { table, points } = own
    const timeMs = Math.floor(chunk.timesMs[i]!)
    const at = chunk.at[i]!
    const closedMs = this.#closedUpTo(task)
    const keyId = table.internKey(view.bytes, view.keyStart(at), view.keyBytes(at))
    let refused = 0
    if (timeMs <= closedMs) {
      // It may change a point of a window that is closed: the row of that has to be out before.
      this.#add(chunk, own, i)
      this.advance(run)
      refused = this.#judge(points, keyId, timeMs, closedMs)
      if (refused < 0) {
        const { sizeMs, graceMs } = this.#options
        chunk.status[i] = STATUS_LATE
        this.#options.late?.write(chunk, i, run, timeMs - sizeMs, timeMs, graceMs, task.watermarkMs)
        return
      }
      own.closes.forget(keyId)
    }
    const row = table.rowFor(keyId, timeMs)
    const isNew = table.wasCreated
    if (isNew) this.#accumulators.init(table, row)
    table.touch(row)
    this.#rows[i] = row
    // A record that an accumulator throws on leaves no point.
    if (this.#accumulators.hasCustoms && !this.#add(chunk, own, i + 1)) return
    if (isNew) points.link(keyId, timeMs)
    task.tally.counts.refused += refused
    if (!this.#sinks.isEager) return
    this.#add(chunk, own, i + 1)
    this.#tell(run, own, keyId, timeMs, isNew)
  }

  /**
   * A record whose own window is closed, the one that ends with it: how many closed windows refuse it, which are that one and those
   * that end with a later record. -1: no open window would hold it, and it makes none.
   */
  #judge(points: SlidingPoints, keyId: number, timeMs: number, closedMs: number): number {
    const lastMs = timeMs + this.#options.sizeMs
    let refused = 1
    let at = points.firstBehind(keyId, timeMs)
    for (; at <= Math.min(lastMs, closedMs); at = points.behind(keyId, at)) refused++
    // The window that ends with that point, or the one that begins right after a point before: points are kept as long as it is open.
    if (at <= lastMs || points.lastBefore(keyId, timeMs) !== RING_MS) return refused
    const isNext = refused > 1 && at !== lastMs + 1 && lastMs + 1 > closedMs
    return isNext && !points.has(keyId, timeMs) ? refused : -1
  }

  /** Eager sinks get a row of each open window that a record has changed or made. */
  #tell(run: FrameRun, own: SlidingTask, keyId: number, timeMs: number, isNew: boolean): void {
    const { sent, early } = own
    for (const endMs of this.#changedEnds(own, keyId, timeMs, isNew)) {
      const row = this.#sentRow(own, keyId, endMs)
      sent.touch(row)
      sent.slots[row * sent.width + SLOT_SENT]! += 1
      this.#options.changed.mark(run.task, sent, row)
      if (!this.#sinks.hasUpdates) continue
      const result = this.#merged(run, own, early, keyId, endMs)
      if (result === undefined) continue
      result.updateRev = sent.slots[row * sent.width + SLOT_SENT]!
      this.#sinks.emitUpdate(run, result)
    }
    early.forgetAll()
  }

  /** The ends of open windows that hold a time, and of the one that begins right after it, if it is new; ascending. */
  #changedEnds({ points, closedMs }: SlidingTask, keyId: number, timeMs: number, isNew: boolean): number[] {
    const reachMs = this.#reachMs
    const ends: number[] = []
    const lastMs = timeMs + this.#options.sizeMs
    let at = points.firstBehind(keyId, timeMs - reachMs - 1)
    for (; at <= lastMs; at = points.behind(keyId, at)) {
      if (at < timeMs) ends.push(at + reachMs)
      else ends.push(at)
    }
    const isNext = isNew && at !== lastMs + 1 && points.behind(keyId, timeMs) <= lastMs
    if (isNext) ends.push(lastMs + 1)
    return [...new Set(ends)].filter((endMs) => endMs > closedMs).sort((a, b) => a - b)
  }

  #tick(run: FrameRun, own: SlidingTask, timeMs: number): void {
    this.#options.changed.tickOf(run, timeMs, own.sent, (row, n) => this.#tickOne(run, own, row, n))
    own.early.forgetAll()
  }

  #tickOne(run: FrameRun, own: SlidingTask, row: number, n: number): void {
    const { sent, table } = own
    const at = row * sent.width + SLOT_EVERY
    if ((sent.slots[at]! & (1 << n)) === 0) return
    sent.touch(row)
    const key = sent.keyOf(row)
    const keyId = table.internKey(sent.keyArena, sent.keyStart(key), sent.keyBytes(key))
    const result = this.#merged(run, own, own.early, keyId, sent.windowEndOf(row))
    if (result === undefined) {
      sent.slots[at]! -= 1 << n
      return
    }
    const { slots } = own.early.rows
    slots[SLOT_EVERY] = sent.slots[at]!
    this.#sinks.emitEvery(run, result, n)
    sent.slots[at] = slots[SLOT_EVERY]!
  }

  /** Adds the records that wait, up to `to`. False when an accumulator threw on one. */
  #add(chunk: Chunk, own: SlidingTask, to: number): boolean {
    const from = this.#addedTo
    this.#addedTo = to
    return this.#accumulators.add(own.table, chunk, this.#rows, from, to)
  }

  advance(run: FrameRun): void {
    const own = this.#tasks.get(run.task)!
    const { sent, closes, table } = own
    const toMs = this.#closedUpTo(run.task)
    if (toMs <= own.closedMs) return
    for (const endMs of this.#endsUpTo(own, toMs)) this.#close(run, own, endMs)
    for (const endMs of sent.windowEndsUpTo(toMs)) sent.closeWindow(endMs, () => {})
    own.closedMs = toMs
    table.besideBytes = closes.bytes
  }

  /** Ends that are due, ascending: each is the time of a point, or behind a point by the reach. */
  #endsUpTo({ table, closedMs }: SlidingTask, toMs: number): number[] {
    const reachMs = this.#reachMs
    const ofPoints = table.windowEndsIn(closedMs, Math.min(toMs, RING_MS - 1))
    const behind = table.windowEndsIn(closedMs - reachMs, Math.min(toMs - reachMs, RING_MS - 1))
    if (behind.length === 0) return ofPoints
    return [...new Set([...ofPoints, ...behind.map((timeMs) => timeMs + reachMs)])].sort((a, b) => a - b)
  }

  /** Gives out the windows of an end, by key, and forgets the points that are of none from then on. */
  #close(run: FrameRun, own: SlidingTask, endMs: number): void {
    const { table, points, closes } = own
    const goneMs = endMs - this.#reachMs
    const gone = new Set(points.keysAt(goneMs))
    const keyIds = [...new Set([...points.keysAt(endMs), ...gone])].sort((a, b) => table.compareKeys(a, b))
    for (const keyId of keyIds) {
      this.#sendFinal(run, own, keyId, endMs)
      if (gone.has(keyId) && points.remove(keyId, goneMs)) closes.forget(keyId)
    }
  }

  #sendFinal(run: FrameRun, own: SlidingTask, keyId: number, endMs: number): void {
    const { sent, closes } = own
    const result = this.#merged(run, own, closes, keyId, endMs)
    if (result === undefined) return
    if (this.#sinks.isEager) {
      const at = this.#sentRow(own, keyId, endMs) * sent.width
      result.updateRev = sent.slots[at + SLOT_SENT]!
      closes.rows.slots[SLOT_EVERY] = sent.slots[at + SLOT_EVERY]!
    }
    this.#sinks.emitFinal(run, result)
  }

  #sentRow({ table, sent }: SlidingTask, keyId: number, endMs: number): number {
    return sent.rowFor(sent.internKey(table.keyArena, table.keyStart(keyId), table.keyBytes(keyId)), endMs)
  }

  /** The result of a window, valid until the next one. Undefined: it holds no record, or its merge has thrown and it is dead. */
  #merged(run: FrameRun, own: SlidingTask, merge: SlidingMerge, keyId: number, endMs: number): ResultRow | undefined {
    const result = this.#result
    result.rows = merge.rows
    result.keys = own.table
    result.keyId = keyId
    result.startMs = endMs - this.#options.sizeMs
    result.idMs = result.startMs
    result.endMs = endMs
    try {
      return merge.merge(keyId, result.startMs, endMs) ? result : undefined
    } catch (error) {
      if (!(error instanceof MergeFailure)) throw error
      this.#sinks.bury(run, result, error.cause)
      return undefined
    }
  }
}
