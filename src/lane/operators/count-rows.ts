// The rows of windows that are counted: as many for each key as it can have windows at once, used in turn. Runs on a lane. Hot.
// Keeps SPEC: WIN-8 (which records a window holds, and what its row says), STATE-4 (nothing is left after the end of the input).

/*
 *   size 4, hop 2     record    0  1  2  3  4  5  6  7  8  9        of a key, in the order of the partition
 *                     place 0   ├── #0 ──┤  ├── #2 ──┤  ├──
 *                     place 1         ├── #1 ──┤  ├── #3 ──┤
 *
 *   row   slots of the aggregates | least event time | number of the window | records of the key (place 0 alone)
 *
 *   The row of place 0 is the head of its key: it is there from the first record on, as it knows how many there were.
 *   Where windows share panes, read pane for window: pane 0 is the records 0 and 1, and each window is two of them.
 */
import type { SlabTable } from '../../state/contract.ts'
import { type Accumulators, SLOT_COUNT, SLOT_EVENT_TIME_MAX } from './accumulators.ts'
import type { RowBounds } from './result-row.ts'

/** Slots behind those of the aggregates. */
const FIRST = 0
const NUMBER = 1
const RECORDS = 2
export const COUNT_SLOTS = 3

/** Where the window of a row is: `[first, last]` by event time, both of them times of records; and which one of its key it is. */
export const countBounds: RowBounds = {
  fill(result) {
    const { slots, width } = result.keys
    const base = result.row * width
    const own = base + width - COUNT_SLOTS
    result.startMs = slots[own + FIRST]!
    result.endMs = slots[base + SLOT_EVENT_TIME_MAX]!
    result.idMs = slots[own + NUMBER]!
    result.updateRev = slots[base + SLOT_COUNT]!
  },
  lastMomentMs: (endMs) => endMs,
}

export class CountRows {
  readonly places: number
  readonly #table: SlabTable
  readonly #accumulators: Accumulators

  constructor(table: SlabTable, accumulators: Accumulators, places: number) {
    this.#table = table
    this.#accumulators = accumulators
    this.places = places
  }

  /** The head of a key, made if need be. */
  headOf(keyId: number): number {
    return this.#rowAt(keyId, 0)
  }

  /** How many records the key of a head has had. */
  recordsOf(head: number): number {
    return this.#get(head, RECORDS)
  }

  setRecords(head: number, count: number): void {
    this.#set(head, RECORDS, count)
    this.#table.touch(head)
  }

  /** The row of a window that a record is added to. */
  rowOf(keyId: number, number: number): number {
    const row = this.at(keyId, number)
    this.#set(row, NUMBER, number)
    this.#table.touch(row)
    return row
  }

  /** The row at the place of a window, as it is. */
  at(keyId: number, number: number): number {
    return this.#rowAt(keyId, number % this.places)
  }

  /** A window has a record of this time. */
  took(row: number, timeMs: number): void {
    if (timeMs < this.#get(row, FIRST)) this.#set(row, FIRST, timeMs)
  }

  firstMs(row: number): number {
    return this.#get(row, FIRST)
  }

  /** The row holds nothing: its place is free for the next window. */
  clear(row: number): void {
    this.#accumulators.init(this.#table, row)
    this.#table.cells[row] = undefined
    this.#set(row, FIRST, Number.POSITIVE_INFINITY)
    this.#table.touch(row)
  }

  /**
   * The rows of one key after another, by key bytes: at each place its row, -1: none. One array, filled anew. No row may be made
   * meanwhile.
   */
  *byKey(): Generator<Int32Array> {
    const table = this.#table
    const rows = new Int32Array(this.places)
    const walks = Array.from(rows, (_, place) => table.walk(place)[Symbol.iterator]())
    const [heads, ...others] = walks
    const fronts = others.map((walk) => walk.next())
    // Every key has a head, so the others never get ahead of it.
    for (let head = heads!.next(); !head.done; head = heads!.next()) {
      const keyId = table.keyOf(head.value)
      rows[0] = head.value
      for (const [n, { done, value }] of fronts.entries()) {
        rows[n + 1] = !done && table.keyOf(value) === keyId ? value : -1
      }
      yield rows
      for (let n = 0; n < others.length; n++) if (rows[n + 1]! >= 0) fronts[n] = others[n]!.next()
    }
  }

  /** Forgets all keys. */
  drop(): void {
    for (const place of this.#table.windowEndsUpTo(this.places)) this.#table.closeWindow(place, () => {})
  }

  #rowAt(keyId: number, place: number): number {
    const row = this.#table.rowFor(keyId, place)
    if (this.#table.wasCreated) this.clear(row)
    return row
  }

  #get(row: number, slot: number): number {
    return this.#table.slots[(row + 1) * this.#table.width - COUNT_SLOTS + slot]!
  }
  #set(row: number, slot: number, value: number): void {
    this.#table.slots[(row + 1) * this.#table.width - COUNT_SLOTS + slot] = value
  }
}
