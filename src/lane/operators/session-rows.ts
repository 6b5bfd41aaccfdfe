// The sessions of one task: a row each, the sessions of a key numbered from 0. Runs on a lane. Hot.
// Keeps SPEC: WIN-4 (what a session is), WIN-5 (when it is due), STATE-4 (a key without a session occupies nothing).

/*
 *   key a   0: [10, 25]   1: [60, 60]          a third one gets number 2; when one goes, the last takes its number
 *   row     slots of the aggregates | first, last event time | time that it was opened at, its id | rows sent |
 *           intervals of `every` that had a row (a bit each) | sessions of the key, its bucket (number 0 alone)
 */
import type { SlabTable } from '../../state/contract.ts'
import type { Accumulators } from './accumulators.ts'
import type { Deadlines } from './deadlines.ts'
import type { RowBounds } from './result-row.ts'

/** Slots behind those of the aggregates. */
const FIRST = 0
const LAST = 1
/** No later session of the key can be opened at this time: the record that did it would be late. */
const OPENED = 2
const SENT = 3
const SENT_EVERY = 4
const COUNT = 5
const BUCKET = 6
export const SESSION_SLOTS = 7
/** Slots that belong to a session; the others belong to its key. */
const OWN_SLOTS = 5

/** Where the session of a row is: `[first, last]`, both of them times of records. */
export const sessionBounds: RowBounds = {
  fill(result) {
    const { slots, width } = result.keys
    const at = (result.row + 1) * width - SESSION_SLOTS
    result.startMs = slots[at + FIRST]!
    result.endMs = slots[at + LAST]!
    result.idMs = slots[at + OPENED]!
    result.updateRev = slots[at + SENT]!
    result.sentEvery = slots[at + SENT_EVERY]!
  },
  sentEvery({ keys, row }, bits) {
    keys.slots[(row + 1) * keys.width - SESSION_SLOTS + SENT_EVERY] = bits
  },
  lastMomentMs: (endMs) => endMs,
}

export class SessionRows {
  readonly #table: SlabTable
  readonly #accumulators: Accumulators
  readonly #deadlines: Deadlines
  readonly #at: number
  /** From the last record of a session to its deadline: it is closed when the watermark is past that. */
  readonly #delayMs: number

  constructor(table: SlabTable, accumulators: Accumulators, deadlines: Deadlines, delayMs: number) {
    this.#table = table
    this.#accumulators = accumulators
    this.#deadlines = deadlines
    this.#at = accumulators.width
    this.#delayMs = delayMs
  }

  firstMs(row: number): number {
    return this.#get(row, FIRST)
  }
  lastMs(row: number): number {
    return this.#get(row, LAST)
  }
  deadlineMs(row: number): number {
    return this.#get(row, LAST) + this.#delayMs
  }
  /** Rows of its id that were sent to sinks with `updates`. */
  sent(row: number): number {
    return this.#get(row, SENT)
  }
  setSent(row: number, count: number): void {
    this.#set(row, SENT, count)
  }

  /** How many sessions a key has. Rows of a key that has none are gone again after the call. */
  countOf(keyId: number): number {
    const row = this.#table.rowFor(keyId, 0)
    if (!this.#table.wasCreated) return this.#get(row, COUNT)
    this.#table.deleteRow(row)
    return 0
  }

  rowAt(keyId: number, number: number): number {
    return this.#table.rowFor(keyId, number)
  }

  /** A row for a new session of a key that has `count`. It is none of the key's sessions before `opened`. */
  newRow(keyId: number, count: number): number {
    const row = this.#table.rowFor(keyId, count)
    this.#accumulators.init(this.#table, row)
    return row
  }

  /** The row of `newRow` is a session of one record now. */
  opened(row: number, timeMs: number): void {
    const keyId = this.#table.keyOf(row)
    const count = this.#table.windowEndOf(row)
    this.#set(row, FIRST, timeMs)
    this.#set(row, LAST, timeMs)
    this.#set(row, OPENED, timeMs)
    this.#set(row, SENT, 0)
    this.#set(row, SENT_EVERY, 0)
    this.#setCount(keyId, count + 1)
    this.index(keyId, this.deadlineMs(row))
  }

  /** A session has a record of this time. */
  extend(row: number, timeMs: number): void {
    if (timeMs > this.#get(row, LAST)) this.#set(row, LAST, timeMs)
    if (timeMs < this.#get(row, FIRST)) this.#set(row, FIRST, timeMs)
  }

  /** The sessions of both rows are one from now on, in `row`, but for custom states; `other` is still to be removed. */
  join(row: number, other: number): void {
    this.#accumulators.mergeBuiltIns(this.#table, row, this.#table, other)
    this.#set(row, FIRST, Math.min(this.#get(row, FIRST), this.#get(other, FIRST)))
    this.#set(row, LAST, Math.max(this.#get(row, LAST), this.#get(other, LAST)))
    this.#table.touch(row)
  }

  /** Forgets a session; the last one of the key takes its number. Gives where that one was and is: rows that the caller holds. */
  remove(row: number): { from: number; to: number } | undefined {
    const table = this.#table
    const keyId = table.keyOf(row)
    const lastNumber = this.#get(table.rowFor(keyId, 0), COUNT) - 1
    const moved = table.rowFor(keyId, lastNumber)
    if (lastNumber === 0) {
      const bucketMs = this.#get(row, BUCKET)
      if (!Number.isNaN(bucketMs)) this.#deadlines.remove(keyId, bucketMs)
      table.deleteRow(row)
      return undefined
    }
    if (moved !== row) this.#copy(moved, row)
    table.deleteRow(moved)
    this.#setCount(keyId, lastNumber)
    return { from: moved, to: row }
  }

  /** Sees to it that the key is looked at when this deadline has passed. */
  index(keyId: number, deadlineMs: number): void {
    const row = this.#table.rowFor(keyId, 0)
    const bucketMs = this.#deadlines.bucketOf(deadlineMs)
    const known = this.#get(row, BUCKET)
    if (known <= bucketMs) return
    if (!Number.isNaN(known)) this.#deadlines.remove(keyId, known)
    this.#deadlines.add(keyId, bucketMs)
    this.#set(row, BUCKET, bucketMs)
    this.#table.touch(row)
  }

  /** Puts a key with sessions into the bucket of its first deadline, which is that one or a later one. Gives the deadline. */
  indexAgain(keyId: number): number {
    const row = this.#table.rowFor(keyId, 0)
    let leastMs = Number.POSITIVE_INFINITY
    for (let n = this.#get(row, COUNT) - 1; n >= 0; n--) {
      leastMs = Math.min(leastMs, this.deadlineMs(this.#table.rowFor(keyId, n)))
    }
    if (this.#deadlines.bucketOf(leastMs) > this.#get(row, BUCKET)) {
      this.#deadlines.remove(keyId, this.#get(row, BUCKET))
      this.#set(row, BUCKET, Number.NaN)
      this.index(keyId, leastMs)
    }
    return leastMs
  }

  #copy(from: number, to: number): void {
    const { slots, width, cells } = this.#table
    const own = this.#at + OWN_SLOTS
    slots.copyWithin(to * width, from * width, from * width + own)
    cells[to] = cells[from]
    cells[from] = undefined
    this.#table.touch(to)
  }

  #setCount(keyId: number, count: number): void {
    const row = this.#table.rowFor(keyId, 0)
    if (count === 1 && this.#get(row, COUNT) === 0) this.#set(row, BUCKET, Number.NaN)
    this.#set(row, COUNT, count)
    this.#table.touch(row)
  }

  #get(row: number, slot: number): number {
    return this.#table.slots[row * this.#table.width + this.#at + slot]!
  }
  #set(row: number, slot: number, value: number): void {
    this.#table.slots[row * this.#table.width + this.#at + slot] = value
  }
}
