// The interval join: records of two streams with one key, as far apart in event time as its bounds say. A row for each pair, when its
// second record comes; in an outer join one for a record that met none, when none can come any more. Runs on a lane. Hot.
// Keeps SPEC: JOIN-1 (which pairs are rows), JOIN-2 (unmatched rows: once, at the deadline), JOIN-3 (late), JOIN-4 (state).

/*
 *   left at 100, before 10, after 20, grace 5
 *
 *             90      100              120   125      event time
 *             ├────────●────────────────┤     ╎
 *             └ right records in here meet it ┘ its deadline: when the watermark is past it, none meets it any more, though it
 *                                               may still have its row until the end of the frame
 *
 * Both records of a pair are judged by the one that waits: the second has a row with it as long as the first one's deadline has not
 * passed. A record whose own deadline has passed, and that nobody has waited for, is late.
 */
import { DEAD_FUNCTION, STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, Step } from '../frame-run.ts'
import { operatorIdOf } from '../operator-id.ts'
import { bucketMsOf } from './bucket-width.ts'
import { noBytes } from './derived.ts'
import type { NewEntry } from './entry-block.ts'
import { noKey, toHashedKey } from './hashed-key.ts'
import { BLOCK_SLOTS, JoinEntries, unpackEntries } from './join-entries.ts'
import { JoinRows, type JoinRowsOptions } from './join-rows.ts'
import type { LateRecords } from './late.ts'
import { type Meeting, moveSide } from './meeting.ts'
import { keptObject, type RowStream, toKeptBytes } from './table-rows.ts'
import { UnmatchedEntries, WAITING_SLOTS } from './unmatched-entries.ts'

/** What a side of a join is told of its stream. */
export interface JoinStream extends RowStream {
  late: LateRecords | undefined
  /** The left stream: columns of the fields that are its bounds, -1: none. */
  beforeField: number
  afterField: number
}

export interface IntervalJoinOptions extends JoinRowsOptions {
  beforeMs: number
  afterMs: number
  graceMs: number
  /** Names of fields of the left record that are bounds. */
  beforeName: string | undefined
  afterName: string | undefined
  /** Records of this side have a row of their own when they met none. */
  isOuter: readonly [boolean, boolean]
  streams: readonly [JoinStream, JoinStream]
}

/** What the operator knows of one task: of each side. */
interface JoinTask {
  entries: readonly [JoinEntries, JoinEntries]
  waiting: readonly [UnmatchedEntries | undefined, UnmatchedEntries | undefined]
  /** Nothing is due before this. */
  quietUntilMs: number
}

export class IntervalJoin implements Meeting {
  readonly sides: readonly [Step, Step]
  readonly delayMs: number
  readonly tables: readonly TableLayout[]
  readonly #options: IntervalJoinOptions
  readonly #tasks = new WeakMap<ChainState, JoinTask>()
  readonly #out: JoinRows
  /** The record at hand: its key, its bytes before any function got it, its bounds. */
  readonly #key = noKey()
  readonly #value = noBytes()
  readonly #entry: NewEntry = { timeMs: 0, fromMs: 0, deadlineMs: 0 }

  constructor(options: IntervalJoinOptions) {
    this.#options = options
    this.#out = new JoinRows(options)
    const { name, beforeMs, afterMs, graceMs, isOuter } = options
    this.delayMs = Math.max(beforeMs, afterMs) + graceMs
    this.sides = [
      { run: (chunk, run) => this.#runSide(0, chunk, run) },
      { run: (chunk, run) => this.#runSide(1, chunk, run) },
    ]
    const numbered = { width: BLOCK_SLOTS, isWindowed: true, isNumbered: true, unpack: unpackEntries }
    const names = [`${name}~left`, `${name}~right`] as const
    this.tables = [
      ...names.map((one) => ({ operator: name, operatorId: operatorIdOf(one), ...numbered })),
      ...names.flatMap((one, side) =>
        isOuter[side]
          ? [{ operator: name, operatorId: operatorIdOf(`${one}~waiting`), width: WAITING_SLOTS, isWindowed: true }]
          : [],
      ),
    ]
  }

  open(state: ChainState, tables: readonly SlabTable[]): void {
    const { beforeMs, afterMs, graceMs, streams, isOuter } = this.#options
    const outOfOrderMs = Math.max(streams[0].outOfOrderMs, streams[1].outOfOrderMs)
    const entriesOf = (table: SlabTable, waitMs: number): JoinEntries =>
      new JoinEntries(table, bucketMsOf(beforeMs + afterMs, waitMs + graceMs + outOfOrderMs))
    const [left, right, ...others] = tables as [SlabTable, SlabTable, ...SlabTable[]]
    const entries = [entriesOf(left, afterMs), entriesOf(right, beforeMs)] as const
    const waitingOf = (side: 0 | 1): UnmatchedEntries | undefined =>
      isOuter[side] ? new UnmatchedEntries(others.shift()!, entries[side]) : undefined
    const waiting = [waitingOf(0), waitingOf(1)] as const
    this.#tasks.set(state, { entries, waiting, quietUntilMs: Number.NEGATIVE_INFINITY })
  }

  /** Records of one side, in order. */
  #runSide(side: 0 | 1, chunk: Chunk, run: FrameRun): void {
    const { outOfOrderMs } = this.#options.streams[side]
    const state = this.#out.stateOf(run)
    const own = this.#tasks.get(state)!
    const { status, timesMs, carried } = chunk
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = timesMs[row]!
      const ownMs = carried?.watermarksMs[row] ?? timeMs - outOfOrderMs
      const watermarkMs = moveSide(run.task, state, side, timeMs, ownMs)
      if (watermarkMs > own.quietUntilMs) this.#close(run, state, own, watermarkMs)
      if (status[row] === STATUS_OK) this.#take(side, chunk, row, run, state, own, watermarkMs)
    }
    this.#out.flush(run, state)
  }

  advance(run: FrameRun, state: ChainState, watermarkMs: number): void {
    const own = this.#tasks.get(state)!
    if (watermarkMs > own.quietUntilMs) this.#close(run, state, own, watermarkMs)
  }

  #take(
    side: 0 | 1,
    chunk: Chunk,
    row: number,
    run: FrameRun,
    state: ChainState,
    own: JoinTask,
    watermarkMs: number,
  ): void {
    const { beforeMs, afterMs, graceMs, streams } = this.#options
    const timeMs = chunk.timesMs[row]!
    let fromMs = timeMs - (side === 0 ? beforeMs : afterMs)
    let toMs = timeMs + (side === 0 ? afterMs : beforeMs)
    if (side === 0) {
      const { beforeField, afterField } = streams[0]
      const { beforeName, afterName } = this.#options
      if (beforeName !== undefined) fromMs = this.#bound(chunk, row, beforeField, beforeName, beforeMs, timeMs)
      if (afterName !== undefined) toMs = this.#bound(chunk, row, afterField, afterName, afterMs, timeMs)
      if (chunk.status[row] !== STATUS_OK) return
    }
    // What waits is what came: functions may change what they get.
    if (!toKeptBytes(this.#value, streams[side], chunk, row, run)) return
    const { view } = run
    const at = chunk.at[row]!
    const key = this.#key
    toHashedKey(key, view.bytes, view.keyStart(at), view.keyBytes(at))
    const deadlineMs = toMs + graceMs
    const entry = this.#entry
    entry.timeMs = timeMs
    entry.fromMs = fromMs
    entry.deadlineMs = deadlineMs
    const isMet = this.#meet(side, chunk, row, run, state, own, toMs, watermarkMs)
    if (watermarkMs > deadlineMs) {
      if (isMet) return
      chunk.status[row] = STATUS_LATE
      streams[side].late?.write(chunk, row, run, fromMs, toMs, graceMs, watermarkMs)
      return
    }
    const entries = own.entries[side]
    entries.seek(key)
    const place = entries.add(this.#value, entry)
    let dueMs = entries.bucketEndOf(deadlineMs)
    if (!isMet && own.waiting[side] !== undefined) {
      own.waiting[side].add(key, deadlineMs, place)
      dueMs = deadlineMs
    }
    if (dueMs < own.quietUntilMs) own.quietUntilMs = dueMs
  }

  /** A bound that the left record says. It is dead when it says none, or one too far away. */
  #bound(chunk: Chunk, row: number, column: number, name: string, maxMs: number, timeMs: number): number {
    const { isChanged, columns, objects } = chunk
    const value =
      isChanged || column < 0
        ? (objects[row] as Record<string, unknown> | null | undefined)?.[name]
        : columns.valueAt(column, row)
    const boundMs = typeof value === 'number' ? Math.floor(value) : Number.NaN
    if (Math.abs(boundMs - timeMs) <= maxMs) return boundMs
    chunk.failThrown(
      row,
      DEAD_FUNCTION,
      `the join ${this.#options.name} needs a time in ${name}, at most ${maxMs} ms from that of the record`,
    )
    return timeMs
  }

  /** Rows with those of the other side that wait. True when there was one. */
  #meet(
    side: 0 | 1,
    chunk: Chunk,
    row: number,
    run: FrameRun,
    state: ChainState,
    own: JoinTask,
    toMs: number,
    watermarkMs: number,
  ): boolean {
    const { beforeMs, afterMs, graceMs } = this.#options
    const { timeMs, fromMs } = this.#entry
    const other = side === 0 ? 1 : 0
    const entries = own.entries[other]
    const key = this.#key
    entries.seek(key)
    // Deadlines of those that may meet it.
    const firstMs = side === 0 ? fromMs + beforeMs + graceMs : timeMs + graceMs
    const lastMs = side === 0 ? toMs + beforeMs + graceMs : timeMs + beforeMs + afterMs + graceMs
    const lastBucket = entries.bucketOf(lastMs)
    let isMet = false
    for (let bucket = entries.bucketOf(Math.max(firstMs, watermarkMs)); bucket <= lastBucket; bucket++) {
      if (!entries.find(bucket)) continue
      while (entries.next()) {
        const { deadlineMs } = entries
        if (deadlineMs < watermarkMs) continue
        const entryMs = entries.timeMs
        const isNear =
          side === 0 ? entryMs >= fromMs && entryMs <= toMs : entries.fromMs <= timeMs && timeMs <= deadlineMs - graceMs
        if (!isNear) continue
        // The function may change what it gets: each pair has records of its own.
        const object = isMet ? keptObject(this.#value.bytes, this.#value.start) : this.#objectOf(side, chunk, row)
        isMet = true
        own.waiting[other]?.remove(key, deadlineMs, entries.place)
        const met = entries.object()
        const pairMs = Math.max(timeMs, entryMs)
        this.#out.keyOf(chunk, row, run)
        this.#give(side === 0 ? object : met, side === 0 ? met : object, run, state, pairMs, watermarkMs)
      }
    }
    return isMet
  }

  /** The row of a pair, or of one without the other. */
  #give(left: unknown, right: unknown, run: FrameRun, state: ChainState, timeMs: number, watermarkMs: number): void {
    const clockMs = watermarkMs - this.delayMs
    const rowClockMs = Number.isFinite(clockMs) ? Math.max(state.watermarkMs, clockMs) : state.watermarkMs
    this.#out.give(run, state, left, right, timeMs, rowClockMs)
  }

  /** Rows of those that nobody has met by their deadline, and an end of what is past it. */
  #close(run: FrameRun, state: ChainState, own: JoinTask, watermarkMs: number): void {
    let quietUntilMs = Number.POSITIVE_INFINITY
    // By deadline, of both sides at once: the order is that of event time, whatever the frames.
    for (;;) {
      const firstMs = Math.min(own.waiting[0]?.firstMs ?? Infinity, own.waiting[1]?.firstMs ?? Infinity)
      if (firstMs >= watermarkMs) {
        quietUntilMs = firstMs
        break
      }
      for (const side of [0, 1] as const) {
        if (own.waiting[side]?.firstMs === firstMs) this.#closeWaiting(side, run, state, own, firstMs)
      }
    }
    for (const entries of own.entries) {
      entries.dropBefore(watermarkMs)
      quietUntilMs = Math.min(quietUntilMs, entries.firstBucketEndMs)
    }
    own.quietUntilMs = quietUntilMs
  }

  #closeWaiting(side: 0 | 1, run: FrameRun, state: ChainState, own: JoinTask, deadlineMs: number): void {
    const out = this.#out.key
    const entries = own.entries[side]
    own.waiting[side]!.close(deadlineMs, (key) => {
      out.bytes = key.bytes
      out.start = key.start
      out.length = key.length
      const object = entries.object()
      // It is due as soon as its deadline has passed.
      const pair = side === 0 ? ([object, undefined] as const) : ([undefined, object] as const)
      this.#give(pair[0], pair[1], run, state, entries.timeMs, deadlineMs)
    })
  }

  #objectOf(side: 0 | 1, chunk: Chunk, row: number): unknown {
    return chunk.isChanged ? chunk.objects[row] : this.#options.streams[side].objects.objectAt(row)
  }
}
