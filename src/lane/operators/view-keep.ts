// How long the rows of a view stay: when the watermark has passed the time of a row by so much and its key has no other row, it is
// removed. Runs on a lane, on the path of the rows.
// Keeps SPEC: VIEW-1 (when a row is removed), VIEW-2 (what is removed, or was taken back, occupies nothing), R3.

/*
 *   keep 20      row a of time 10           row a of time 25                   a is removed
 *   ────────────────●──────────────────────────●──────────────┬───────────────────┬──────> watermark
 *                   due at 30, its bucket                     30: looked at, its  45
 *                                                             row is due at 45
 *
 *   row of a key   slots   time of the row that the view has | the bucket of deadlines that the key is in
 */
import { encodeHeaders } from '../../core/frame.ts'
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { FrameRun } from '../frame-run.ts'
import { operatorIdOf } from '../operator-id.ts'
import { Deadlines } from './deadlines.ts'
import type { HistoryRows } from './history-rows.ts'
import type { StatefulPart } from './stateful-step.ts'

const SLOTS = 2
const TIME = 0
const BUCKET = 1
/** Rows are removed by the bucket: there are so many in the time that they stay. */
const BUCKETS_IN_KEEP = 4096
const HEADERS = encodeHeaders([{ name: 'millrace-phase', value: new TextEncoder().encode('expired') }])

export interface ViewKeepOptions {
  keepMs: number
  /** Of the view's topic. */
  topicIndex: number
  /** Of a view with history: where its rows are. */
  history: HistoryRows | undefined
  /** Its tables in a task. */
  tables: (task: ChainState) => SlabTable[]
}

/** The tables of a view with `keep`: the keys that have a row, and when each is due. */
export function viewKeepTables(name: string): TableLayout[] {
  return [
    { operator: name, operatorId: operatorIdOf(name), width: SLOTS, isWindowed: false },
    { operator: name, operatorId: operatorIdOf(`${name}~deadlines`), width: 1, isWindowed: true },
  ]
}

interface KeepTask {
  keys: SlabTable
  deadlines: Deadlines
  /** The greatest event time that it was told of. */
  timeMsMax: number
}

export class ViewKeep implements StatefulPart {
  readonly #options: ViewKeepOptions
  readonly #tasks = new WeakMap<ChainState, KeepTask>()

  constructor(options: ViewKeepOptions) {
    this.#options = options
  }

  open(task: ChainState): void {
    const { tables, keepMs } = this.#options
    const [keys, index] = tables(task) as [SlabTable, SlabTable]
    const deadlines = new Deadlines(index, keys, Math.max(1, Math.floor(keepMs / BUCKETS_IN_KEEP)))
    this.#tasks.set(task, { keys, deadlines, timeMsMax: task.eventTimeMsMax })
  }

  /** A record of this time comes next, with this clock: what is due goes before what is made of it. */
  before(run: FrameRun, timeMs: number, clockMs: number): void {
    const own = this.#tasks.get(run.task)!
    if (timeMs > own.timeMsMax) own.timeMsMax = timeMs
    this.#removeDue(run, own, clockMs)
  }

  /** The view has a row of this time for the key at source[start .. start + length). */
  wrote({ task }: FrameRun, source: Uint8Array, start: number, length: number, timeMs: number): void {
    const { keys, deadlines } = this.#tasks.get(task)!
    const keyId = keys.internKey(source, start, length)
    const row = keys.rowFor(keyId, NO_WINDOW)
    const isNew = keys.wasCreated
    const at = row * SLOTS
    if (!isNew && keys.slots[at + TIME] === timeMs) return
    const bucketMs = this.#bucketOf(deadlines, timeMs)
    const knownMs = keys.slots[at + BUCKET]!
    keys.touch(row)
    keys.slots[at + TIME] = timeMs
    // Later deadlines are seen when the key is looked at.
    if (!isNew && knownMs <= bucketMs) return
    if (!isNew) deadlines.remove(keyId, knownMs)
    keys.slots[at + BUCKET] = bucketMs
    deadlines.add(keyId, bucketMs)
  }

  /** The view has no row of the key any more. */
  removed({ task }: FrameRun, source: Uint8Array, start: number, length: number): void {
    const { keys, deadlines } = this.#tasks.get(task)!
    const keyId = keys.internKey(source, start, length)
    const row = keys.rowIfAny(keyId, NO_WINDOW)
    if (row < 0) return
    deadlines.remove(keyId, keys.slots[row * SLOTS + BUCKET]!)
    keys.deleteRow(row)
  }

  /** At the end of the input time stands still at the last event: what is not due by then stays for good. */
  advance(run: FrameRun): void {
    const { task } = run
    const own = this.#tasks.get(task)!
    own.timeMsMax = Math.max(own.timeMsMax, task.eventTimeMsMax)
    task.eventTimeMsMax = own.timeMsMax
    this.#removeDue(run, own, task.watermarkMs)
    if (task.watermarkMs < Number.POSITIVE_INFINITY) return
    const { keys, deadlines } = own
    for (let bucketMs = deadlines.firstBucketMs; Number.isFinite(bucketMs); bucketMs = deadlines.firstBucketMs) {
      for (const keyId of deadlines.keysOf(bucketMs)) {
        deadlines.remove(keyId, bucketMs)
        keys.deleteRow(keys.rowFor(keyId, NO_WINDOW))
      }
    }
  }

  /** By the bucket, then by key bytes. */
  #removeDue(run: FrameRun, own: KeepTask, clockMs: number): void {
    const { deadlines, timeMsMax } = own
    const nowMs = clockMs === Number.POSITIVE_INFINITY ? timeMsMax : clockMs
    for (let bucketMs = deadlines.firstBucketMs; nowMs >= bucketMs; bucketMs = deadlines.firstBucketMs) {
      for (const keyId of deadlines.keysOf(bucketMs)) this.#visit(run, own, keyId, bucketMs)
    }
  }

  #visit(run: FrameRun, { keys, deadlines }: KeepTask, keyId: number, bucketMs: number): void {
    const row = keys.rowFor(keyId, NO_WINDOW)
    const timeMs = keys.slots[row * SLOTS + TIME]!
    const dueMs = this.#bucketOf(deadlines, timeMs)
    deadlines.remove(keyId, bucketMs)
    if (dueMs > bucketMs) {
      keys.touch(row)
      keys.slots[row * SLOTS + BUCKET] = dueMs
      deadlines.add(keyId, dueMs)
      return
    }
    this.#remove(run, keys, keyId, timeMs + this.#options.keepMs)
    keys.deleteRow(row)
  }

  #bucketOf(deadlines: Deadlines, timeMs: number): number {
    return deadlines.bucketOf(timeMs + this.#options.keepMs)
  }

  #remove({ out, task }: FrameRun, keys: SlabTable, keyId: number, dueMs: number): void {
    const start = keys.keyStart(keyId)
    const key = keys.keyArena.subarray(start, start + keys.keyBytes(keyId))
    const { topicIndex, history } = this.#options
    out.append(topicIndex, history?.partitionOf(key) ?? -1, Math.floor(dueMs), key, undefined, HEADERS)
    task.tally.counts.results++
  }
}
