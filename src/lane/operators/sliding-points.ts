// The points of one task: a row for each key and time that has records, those of a key linked in time. Runs on a lane. Hot.
// Keeps SPEC: WIN-10 (what windows are made of), STATE-4 (a key without a point occupies nothing).

/*
 *   key a     ┌──> 10 <──> 13 <──> 20 <──┐      a ring, so that the neighbours of a time are found without a scan,
 *             └───────── RING <──────────┘      in memory and on disk; RING is before the first and behind the last
 *
 *   row       slots of the aggregates, of the records of that time | times of the point before and the one behind
 */
import type { SlabTable } from '../../state/contract.ts'

/** Slots behind those of the aggregates. */
const BEFORE = 0
const BEHIND = 1
export const POINT_SLOTS = 2

/** The time of the row that closes the ring of a key: behind the end of every window, as dates end at 8.64e15 and durations at 100 years. */
export const RING_MS = 9e15

export class SlidingPoints {
  readonly table: SlabTable
  /** Where the links of a row begin. */
  readonly #at: number

  constructor(table: SlabTable) {
    this.table = table
    this.#at = table.width - POINT_SLOTS
  }

  /** True when the key has a point of this time. */
  has(keyId: number, timeMs: number): boolean {
    const { table } = this
    if (table.find(keyId, timeMs) >= 0) return true
    if (table.isLoaded(timeMs)) return false
    const row = table.rowFor(keyId, timeMs)
    if (!table.wasCreated) return true
    table.deleteRow(row)
    return false
  }

  /** The time before a point, of RING_MS the last one; RING_MS: there is none. */
  before(keyId: number, timeMs: number): number {
    return this.#link(keyId, timeMs, BEFORE)
  }
  /** The time behind a point, of RING_MS the first one; RING_MS: there is none. */
  behind(keyId: number, timeMs: number): number {
    return this.#link(keyId, timeMs, BEHIND)
  }

  /** The last point of a key that is before a time, RING_MS: there is none. A step for each point from there on. */
  lastBefore(keyId: number, timeMs: number): number {
    if (!this.has(keyId, RING_MS)) return RING_MS
    let at = this.before(keyId, RING_MS)
    while (at !== RING_MS && at >= timeMs) at = this.before(keyId, at)
    return at
  }

  /** The first point of a key that is behind a time, RING_MS: there is none. */
  firstBehind(keyId: number, timeMs: number): number {
    if (!this.has(keyId, RING_MS)) return RING_MS
    return this.behind(keyId, this.lastBefore(keyId, timeMs + 1))
  }

  /** The row of this time is a point from now on. */
  link(keyId: number, timeMs: number): void {
    const { table } = this
    table.rowFor(keyId, RING_MS)
    if (table.wasCreated) this.#join(keyId, RING_MS, RING_MS)
    const before = this.lastBefore(keyId, timeMs)
    const behind = this.behind(keyId, before)
    this.#join(keyId, before, timeMs)
    this.#join(keyId, timeMs, behind)
  }

  /** Forgets a point. True when the key has none left. */
  remove(keyId: number, timeMs: number): boolean {
    const { table } = this
    this.#join(keyId, this.before(keyId, timeMs), this.behind(keyId, timeMs))
    table.deleteRow(table.rowFor(keyId, timeMs))
    if (this.behind(keyId, RING_MS) !== RING_MS) return false
    table.deleteRow(table.rowFor(keyId, RING_MS))
    return true
  }

  /**
   * The times of a window's points, ascending. The window has a point at its end or one right before its start, which is how it came
   * to be: the walk begins there.
   */
  timesIn(keyId: number, startMs: number, endMs: number): number[] {
    const times: number[] = []
    if (this.has(keyId, endMs)) {
      for (let at = endMs; at !== RING_MS && at >= startMs; at = this.before(keyId, at)) times.push(at)
      return times.reverse()
    }
    for (let at = this.behind(keyId, startMs - 1); at <= endMs; at = this.behind(keyId, at)) times.push(at)
    return times
  }

  /** The keys with a point of a time. Their ids are valid until the next seal. */
  keysAt(timeMs: number): number[] {
    const { table } = this
    if (table.isLoaded(timeMs)) return Array.from(table.rowsInMemory(timeMs), (row) => table.keyOf(row))
    const keys: Uint8Array[] = []
    for (const row of table.walk(timeMs)) {
      const keyId = table.keyOf(row)
      keys.push(table.keyArena.slice(table.keyStart(keyId), table.keyStart(keyId) + table.keyBytes(keyId)))
    }
    return keys.map((key) => table.internKey(key, 0, key.length))
  }

  /** Nothing is between two times of a key. */
  #join(keyId: number, before: number, behind: number): void {
    this.#setLink(keyId, before, BEHIND, behind)
    this.#setLink(keyId, behind, BEFORE, before)
  }

  #link(keyId: number, timeMs: number, slot: number): number {
    const { table } = this
    const row = table.rowFor(keyId, timeMs)
    return table.slots[row * table.width + this.#at + slot]!
  }

  #setLink(keyId: number, timeMs: number, slot: number, linkMs: number): void {
    const { table } = this
    const row = table.rowFor(keyId, timeMs)
    table.slots[row * table.width + this.#at + slot] = linkMs
    table.touch(row)
  }
}
