// The aggregate of session windows: records of a key that are no further apart than the gap. A record may begin a session, be added
// to one, or join two. Runs on a lane. Hot.
// Keeps SPEC: WIN-4, R2 (closed by the watermark alone), R3 (judged at its own place), R4 (one final row), R6, R10 (retractions).

/*
 *   gap 5      10    15        25    28              event time
 *              ●─────●         ●─────●               two sessions: [10, 15] and [25, 28]
 *                        ● 20                        within 5 of both: they are one, [10, 28]
 *
 *   A session is closed when the watermark is past its last record + gap + grace. It may still have its row until the end of the
 *   frame; no record gets into it.
 */
import { DEAD_FUNCTION, STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import { Deadlines } from './deadlines.ts'
import type { ResultSinks } from './result-sinks.ts'
import { SessionRows } from './session-rows.ts'
import type { AggregateParts, StatefulStep } from './stateful-step.ts'

/** With more sessions of a key than this, those that are due go out before its next record. */
const SESSIONS_LOOKED_AT = 16
/** Each time something of a bucket is due, its keys are looked at: there are so many buckets in the time of a gap. */
const BUCKETS_A_GAP = 4096

export interface SessionAggregateOptions extends AggregateParts {
  gapMs: number
  graceMs: number
}

/** What the operator knows of one task. */
interface SessionTask {
  table: SlabTable
  rows: SessionRows
  deadlines: Deadlines
  /** No session has a deadline before this: nothing is due up to there. */
  quietUntilMs: number
}

/** A session whose deadline has passed. */
interface Due {
  keyId: number
  row: number
  lastMs: number
  /** All of the key that are due, whose rows may move when one is removed. */
  others: Due[]
}

export class SessionAggregate implements StatefulStep {
  readonly #options: SessionAggregateOptions
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #rows: Int32Array
  readonly #tasks = new WeakMap<ChainState, SessionTask>()
  /** Records of the chunk from here on are in `#rows` and not added yet. */
  #addedTo = 0

  constructor(options: SessionAggregateOptions) {
    this.#options = options
    this.#accumulators = options.accumulators
    this.#sinks = options.sinks
    this.#rows = new Int32Array(options.capacity)
  }

  open(task: ChainState): void {
    const { gapMs, graceMs } = this.#options
    const [table, index] = task.tables as [SlabTable, SlabTable]
    const deadlines = new Deadlines(index, table, Math.max(1, Math.floor(gapMs / BUCKETS_A_GAP)))
    const rows = new SessionRows(table, this.#accumulators, deadlines, gapMs + graceMs)
    this.#tasks.set(task, { table, rows, deadlines, quietUntilMs: Number.NEGATIVE_INFINITY })
  }

  run(chunk: Chunk, run: FrameRun): void {
    this.#accumulators.validate(chunk)
    const own = this.#tasks.get(run.task)!
    this.#addedTo = 0
    for (let i = 0; i < chunk.count; i++) {
      this.#move(chunk, i, run)
      this.#rows[i] = -1
      if (chunk.status[i] === STATUS_OK) this.#take(chunk, i, run, own)
    }
    this.#add(chunk, own, chunk.count)
  }

  /** The clock. For eager sinks, what it makes due comes before the record. */
  #move(chunk: Chunk, i: number, run: FrameRun): void {
    const { task } = run
    const timeMs = chunk.timesMs[i]!
    const { isEager } = this.#sinks
    if (timeMs > task.eventTimeMsMax) {
      if (isEager) this.#options.changed.tick(run, timeMs)
      task.eventTimeMsMax = timeMs
    }
    const watermarkMs = chunk.carried?.watermarksMs[i] ?? timeMs - this.#options.outOfOrderMs
    if (watermarkMs <= task.watermarkMs) return
    task.watermarkMs = watermarkMs
    if (isEager) this.advance(run)
  }

  /** Finds the sessions that a record is near to: none, one, or the two that it joins. */
  #take(chunk: Chunk, i: number, run: FrameRun, own: SessionTask): void {
    const { task, view } = run
    const { gapMs, graceMs } = this.#options
    const { table, rows } = own
    const timeMs = chunk.timesMs[i]!
    const at = chunk.at[i]!
    const keyId = table.internKey(view.bytes, view.keyStart(at), view.keyBytes(at))
    let count = rows.countOf(keyId)
    if (count > SESSIONS_LOOKED_AT && task.watermarkMs > own.quietUntilMs) {
      // Closed ones wait for the end of the frame, but are not to be looked at by each record until then.
      this.#add(chunk, own, i)
      this.advance(run)
      count = rows.countOf(keyId)
    }
    let row = -1
    let other = -1
    for (let n = count - 1; n >= 0; n--) {
      const one = rows.rowAt(keyId, n)
      if (rows.deadlineMs(one) < task.watermarkMs) continue
      if (timeMs < rows.firstMs(one) - gapMs || timeMs > rows.lastMs(one) + gapMs) continue
      if (row < 0) row = one
      else other = one
    }
    if (row >= 0) {
      table.touch(row)
      this.#addTo(chunk, i, run, own, row, other)
      return
    }
    if (task.watermarkMs > timeMs + gapMs + graceMs) {
      chunk.status[i] = STATUS_LATE
      this.#options.late?.write(chunk, i, run, timeMs, timeMs, gapMs + graceMs, task.watermarkMs)
      return
    }
    const fresh = rows.newRow(keyId, count)
    const states = this.#statesAfter(chunk, i, own, fresh, -1, false)
    if (states === undefined) {
      table.deleteRow(fresh)
      return
    }
    if (states.length > 0) this.#accumulators.setStates(table, fresh, states)
    rows.opened(fresh, timeMs)
    own.quietUntilMs = Math.min(own.quietUntilMs, rows.deadlineMs(fresh))
    this.#rows[i] = fresh
    this.#tell(chunk, i, run, own, fresh)
  }

  #addTo(chunk: Chunk, i: number, run: FrameRun, own: SessionTask, one: number, other: number): void {
    const { rows } = own
    const timeMs = chunk.timesMs[i]!
    const isOrdered = other < 0 || rows.firstMs(one) < rows.firstMs(other)
    const [row, later] = isOrdered ? [one, other] : [other, one]
    // What is taken back is the row as it was.
    const isRetracted = later >= 0 || timeMs < rows.firstMs(row)
    const states = this.#statesAfter(chunk, i, own, row, later, isRetracted && this.#sinks.isEager)
    if (states === undefined) return
    if (later >= 0) this.#retract(run, own, later)
    if (isRetracted) this.#retract(run, own, row)
    const joined = later < 0 ? row : this.#join(chunk, i, run, own, row, later)
    rows.extend(joined, timeMs)
    if (states.length > 0) this.#accumulators.setStates(own.table, joined, states)
    this.#rows[i] = joined
    this.#tell(chunk, i, run, own, joined)
  }

  /** Two sessions are one from here on, that of the earlier one. Gives its row. */
  #join(chunk: Chunk, i: number, run: FrameRun, own: SessionTask, row: number, later: number): number {
    const { rows } = own
    this.#add(chunk, own, i)
    rows.join(row, later)
    const moved = rows.remove(later)
    if (moved === undefined) return row
    this.#options.changed.moved(run.task, own.table, moved.to)
    return moved.from === row ? moved.to : row
  }

  /** What custom accumulators make of the record, before anything is changed; undefined: one threw, and the record is dead. */
  #statesAfter(
    chunk: Chunk,
    i: number,
    own: SessionTask,
    row: number,
    later: number,
    isCopied: boolean,
  ): unknown[] | undefined {
    if (!this.#accumulators.hasCustoms) return []
    try {
      return this.#accumulators.statesAfter(own.table, row, later, chunk, i, isCopied)
    } catch (error) {
      chunk.failThrown(i, DEAD_FUNCTION, error)
      return undefined
    }
  }

  #retract(run: FrameRun, own: SessionTask, row: number): void {
    if (!this.#sinks.isEager) return
    this.#sinks.emitRetracted(run, this.#sinks.resultOf(own.table, row))
    own.rows.setSent(row, own.rows.sent(row) + 1)
  }

  /** Eager sinks get the row of each record. */
  #tell(chunk: Chunk, i: number, run: FrameRun, own: SessionTask, row: number): void {
    if (!this.#sinks.isEager) return
    this.#add(chunk, own, i + 1)
    own.rows.setSent(row, own.rows.sent(row) + 1)
    this.#options.changed.mark(run.task, own.table, row)
    this.#sinks.emitUpdate(run, this.#sinks.resultOf(own.table, row))
  }

  /** Adds the records that wait, up to `to`. Custom accumulators have them already. */
  #add(chunk: Chunk, own: SessionTask, to: number): void {
    const from = this.#addedTo
    this.#addedTo = to
    this.#accumulators.addBuiltIns(own.table, chunk, this.#rows, from, to)
  }

  advance(run: FrameRun): void {
    const { watermarkMs } = run.task
    const own = this.#tasks.get(run.task)!
    if (watermarkMs <= own.quietUntilMs) return
    for (;;) {
      const bucketMs = own.deadlines.firstBucketMs
      own.quietUntilMs = own.deadlines.startOf(bucketMs)
      if (watermarkMs <= own.quietUntilMs) return
      const leastMs = this.#closeBucket(run, own, bucketMs)
      if (leastMs === Number.POSITIVE_INFINITY) continue
      own.quietUntilMs = leastMs
      return
    }
  }

  /** Closes what is due of a bucket, by deadline and key. Gives the first deadline that is left in it, +Infinity: none. */
  #closeBucket(run: FrameRun, own: SessionTask, bucketMs: number): number {
    const { rows, deadlines } = own
    const keyIds = deadlines.keysOf(bucketMs)
    const due = keyIds.flatMap((keyId) => this.#dueOf(own, keyId, Math.min(bucketMs, run.task.watermarkMs)))
    due.sort((a, b) => a.lastMs - b.lastMs || own.table.compareKeys(a.keyId, b.keyId))
    for (const one of due) this.#close(run, own, one)
    let leastMs = Number.POSITIVE_INFINITY
    for (const keyId of keyIds) {
      if (rows.countOf(keyId) === 0) continue
      const deadlineMs = rows.indexAgain(keyId)
      if (deadlines.bucketOf(deadlineMs) === bucketMs) leastMs = Math.min(leastMs, deadlineMs)
    }
    return leastMs
  }

  /** The sessions of a key whose deadline is before `untilMs`. */
  #dueOf({ rows }: SessionTask, keyId: number, untilMs: number): Due[] {
    const due: Due[] = []
    for (let n = rows.countOf(keyId) - 1; n >= 0; n--) {
      const row = rows.rowAt(keyId, n)
      if (rows.deadlineMs(row) < untilMs) due.push({ keyId, row, lastMs: rows.lastMs(row), others: due })
    }
    return due
  }

  #close(run: FrameRun, own: SessionTask, { row, others }: Due): void {
    this.#sinks.emitFinal(run, this.#sinks.resultOf(own.table, row))
    const moved = own.rows.remove(row)
    if (moved === undefined) return
    this.#options.changed.moved(run.task, own.table, moved.to)
    for (const other of others) if (other.row === moved.from) other.row = moved.to
  }
}
