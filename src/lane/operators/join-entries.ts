// The records of one side of a join that wait for others, and those of an outer side that none has met yet. Runs on a lane, owned by
// one task of a join. Hot.
// Keeps SPEC: JOIN-4 (a record that none can meet any more occupies nothing; what waits is found in memory and in the store).

/*
 *   deadline     0         100        200        300
 *                ├─────────┼──────────┼──────────┼──> buckets
 *   key a                  0, 1, 2               0        number of a row: bucket * room + its number among those of the key
 *   key b                  0          0
 *
 * A record is looked for in the few buckets that its bounds touch. A bucket goes as a whole when the watermark is at its end, so the
 * rows of a key in it have no gaps: the first number that is not there ends them.
 */
import type { SlabTable } from '../../state/contract.ts'
import { keptObject } from './table-rows.ts'

/** Event time of the record, its deadline, the first time that it meets. */
export const ENTRY_SLOTS = 3
const TIME = 0
const DEADLINE = 1
const FROM = 2
/** A row needs one; what it holds are the numbers of records. */
export const WAITING_SLOTS = 1

/** Bucket numbers of the times up to here are exact, with room for rows: the year 2248. */
const TIME_MS_LIMIT = 2 ** 43
const BUCKET_MS_MIN = 16
/** In the time that its records wait. */
const BUCKETS_MAX = 256
/** That a record looks through. */
const BUCKETS_SEEN_MAX = 16

export interface JoinBuckets {
  bucketMs: number
  /** Rows of a key in a bucket, at most. */
  limit: number
}

/**
 * Buckets of deadlines of one side. `waitMs`: how long its records wait, as they come in; `spanMs`: the deadlines that one of the other
 * side looks through. Short where records wait for a short time: they stay until the end of their bucket.
 *
 * @example
 * joinBuckets(60_000, 65_000) // { bucketMs: 30000, limit: 16777216 }
 * joinBuckets(60_000, 4_000) // { bucketMs: 3750, limit: 2097152 }
 */
export function joinBuckets(spanMs: number, waitMs: number): JoinBuckets {
  const bucketMs = Math.max(
    BUCKET_MS_MIN,
    Math.ceil(Math.min(spanMs, waitMs) / 2),
    Math.ceil(spanMs / BUCKETS_SEEN_MAX),
    Math.ceil(waitMs / BUCKETS_MAX),
  )
  return { bucketMs, limit: 2 ** Math.floor(Math.log2((2 ** 53 / TIME_MS_LIMIT) * bucketMs)) }
}

/** Why a record was not taken. */
export type Refused = 'crowded' | 'time'

export class JoinEntries {
  readonly table: SlabTable
  readonly buckets: JoinBuckets

  constructor(table: SlabTable, buckets: JoinBuckets) {
    this.table = table
    this.buckets = buckets
  }

  bucketOf(deadlineMs: number): number {
    return Math.floor(deadlineMs / this.buckets.bucketMs)
  }
  numberOf(bucket: number, n: number): number {
    return bucket * this.buckets.limit + n
  }
  /** The end of the bucket that a deadline is in. */
  bucketEndOf(deadlineMs: number): number {
    return (this.bucketOf(deadlineMs) + 1) * this.buckets.bucketMs
  }
  /** The end of the first bucket that has rows, +Infinity: none has. */
  get firstBucketEndMs(): number {
    return (Math.floor(this.table.windowEndMin / this.buckets.limit) + 1) * this.buckets.bucketMs
  }

  /** The last bucket with rows of a key, -Infinity: it has none; +Infinity: not known. */
  lastBucketOf(keyId: number): number {
    const newest = this.table.newestEndOf(keyId)
    return Number.isNaN(newest) ? Number.POSITIVE_INFINITY : Math.floor(newest / this.buckets.limit)
  }

  /** The n-th row of a key in a bucket, -1: there are less. */
  rowAt(keyId: number, bucket: number, n: number): number {
    return this.table.rowIfAny(keyId, bucket * this.buckets.limit + n)
  }
  timeMs(row: number): number {
    return this.#get(row, TIME)
  }
  deadlineMs(row: number): number {
    return this.#get(row, DEADLINE)
  }
  /** The first time of a record of the other side that it meets. */
  fromMs(row: number): number {
    return this.#get(row, FROM)
  }
  /** The record, decoded anew: whoever gets it may change it. */
  objectOf(row: number): unknown {
    return keptObject(this.table.cells[row]![0] as Uint8Array)
  }

  /** Lets a record wait. Gives its number, or why it cannot. */
  add(keyId: number, timeMs: number, deadlineMs: number, fromMs: number, bytes: Uint8Array): number | Refused {
    if (Math.abs(deadlineMs) >= TIME_MS_LIMIT) return 'time'
    const bucket = this.bucketOf(deadlineMs)
    const n = this.#countOf(keyId, bucket)
    if (n >= this.buckets.limit) return 'crowded'
    const { table } = this
    const number = this.numberOf(bucket, n)
    const row = table.rowFor(keyId, number)
    const at = row * table.width
    table.slots[at + TIME] = timeMs
    table.slots[at + DEADLINE] = deadlineMs
    table.slots[at + FROM] = fromMs
    table.cells[row] = [bytes]
    table.touch(row)
    return number
  }

  /** Rows of a key in a bucket: by the last one, or by doubling, then halving, since they have no gaps. */
  #countOf(keyId: number, bucket: number): number {
    const newest = this.table.newestEndOf(keyId)
    const first = this.numberOf(bucket, 0)
    if (newest < first) return 0
    if (newest < first + this.buckets.limit) return newest - first + 1
    if (this.rowAt(keyId, bucket, 0) < 0) return 0
    let there = 0
    let beyond = 1
    while (beyond < this.buckets.limit && this.rowAt(keyId, bucket, beyond) >= 0) {
      there = beyond
      beyond *= 2
    }
    while (beyond - there > 1) {
      const middle = Math.floor((there + beyond) / 2)
      if (middle < this.buckets.limit && this.rowAt(keyId, bucket, middle) >= 0) there = middle
      else beyond = middle
    }
    return beyond
  }

  /** Forgets the buckets that end at or before the watermark. */
  dropBefore(watermarkMs: number): void {
    const { table } = this
    if (this.firstBucketEndMs > watermarkMs) return
    const { bucketMs, limit } = this.buckets
    const upTo = watermarkMs === Number.POSITIVE_INFINITY ? watermarkMs : Math.floor(watermarkMs / bucketMs) * limit - 1
    for (const number of table.windowEndsUpTo(upTo)) table.dropWindow(number)
  }

  #get(row: number, slot: number): number {
    return this.table.slots[row * this.table.width + slot]!
  }
}

/** Records of a side that none has met, by deadline and key. */
export class UnmatchedEntries {
  readonly #table: SlabTable
  readonly #entries: JoinEntries

  /** `table`: a windowed one, by deadline. A row lists the numbers of the records in its cells. */
  constructor(table: SlabTable, entries: JoinEntries) {
    this.#table = table
    this.#entries = entries
  }

  /** The first deadline, +Infinity: none waits. */
  get firstMs(): number {
    return this.#table.windowEndMin
  }

  /** `keyId`: of the table of the records. */
  add(keyId: number, deadlineMs: number, number: number): void {
    const table = this.#table
    const row = table.rowFor(this.#ownKey(keyId), deadlineMs)
    const numbers = table.cells[row] ?? []
    numbers.push(number)
    table.cells[row] = numbers
    table.touch(row)
  }

  /** A record has been met. */
  remove(keyId: number, deadlineMs: number, number: number): void {
    const table = this.#table
    const row = table.rowIfAny(this.#ownKey(keyId), deadlineMs)
    if (row < 0) return
    const numbers = table.cells[row]!
    const at = numbers.indexOf(number)
    if (at < 0) return
    if (numbers.length === 1) {
      table.deleteRow(row)
      return
    }
    numbers.splice(at, 1)
    table.touch(row)
  }

  /** Those of a deadline, by key and in the order they came; they are waited for no more. */
  close(deadlineMs: number, visit: (keyId: number, entry: number) => void): void {
    const table = this.#table
    const { table: records } = this.#entries
    table.closeWindow(deadlineMs, (row) => {
      const key = table.keyOf(row)
      const keyId = records.internKey(table.keyArena, table.keyStart(key), table.keyBytes(key))
      for (const number of table.cells[row]!) visit(keyId, records.rowIfAny(keyId, number as number))
    })
  }

  #ownKey(keyId: number): number {
    const { table } = this.#entries
    return this.#table.internKey(table.keyArena, table.keyStart(keyId), table.keyBytes(keyId))
  }
}
