// Hot path: the rows of a slab table as columns of typed arrays, with a free list and a list of rows per window.
// Runs on a lane, owned by one slab table.
// Keeps SPEC: STATE-4 (a deleted row leaves nothing behind).

import { grownBytes, grownDoubles, grownInts } from './byte-hash.ts'
import type { WindowRows } from './window-list.ts'

/** Bits of `flags`. */
export const LIVE = 1
/** Changed since the last seal; the row is in the dirty list. */
export const DIRTY = 2
/** A layer below knows the key: deleting it needs a tombstone. */
export const STORED = 4
/** Used since the eviction hand last passed. */
export const RECENT = 8

const ROWS_MIN = 64
/** What a row costs besides its slots: its columns, its cell reference and its place in the index at half load. */
const ROW_BYTES = 4 * 4 + 8 * 2 + 1 + 8 + 8

export class RowColumns {
  readonly width: number
  slots: Float64Array
  readonly cells: (unknown[] | undefined)[] = []
  keys = new Int32Array(ROWS_MIN)
  ends = new Float64Array(ROWS_MIN)
  flags = new Uint8Array(ROWS_MIN)
  sealEpochs = new Float64Array(ROWS_MIN)
  /** Estimated bytes of a row's cells, as of its last seal or load. */
  cellBytes = new Int32Array(ROWS_MIN)
  rowCount = 0
  cellBytesTotal = 0
  /** Rows from here on were never used. */
  usedRows = 0
  readonly #rowBytes: number
  #nextRows = new Int32Array(ROWS_MIN)
  #previousRows = new Int32Array(ROWS_MIN)
  #freeRows = new Int32Array(ROWS_MIN)
  #freeCount = 0

  constructor(width: number) {
    this.width = width
    this.slots = new Float64Array(ROWS_MIN * width)
    this.#rowBytes = ROW_BYTES + width * 8
  }

  get bytes(): number {
    return this.rowCount * this.#rowBytes + this.cellBytesTotal
  }
  /** What freeing the row would give back. */
  bytesOf(row: number): number {
    return this.#rowBytes + this.cellBytes[row]!
  }

  /** A row with zero slots, linked into its window. */
  take(keyId: number, window: WindowRows, flags: number): number {
    const row = this.#freeCount > 0 ? this.#freeRows[--this.#freeCount]! : this.#newRow()
    this.keys[row] = keyId
    this.ends[row] = window.endMs
    this.flags[row] = flags
    this.sealEpochs[row] = -1
    this.#link(row, window)
    this.rowCount++
    return row
  }

  /** Unlinks the row and clears it for its next use. */
  free(row: number, window: WindowRows): void {
    this.#unlink(row, window)
    const from = row * this.width
    for (let i = 0; i < this.width; i++) this.slots[from + i] = 0
    this.cells[row] = undefined
    this.flags[row] = 0
    this.setCellBytes(row, 0)
    this.rowCount--
    if (this.#freeCount === this.#freeRows.length) this.#freeRows = grownInts(this.#freeRows, this.#freeCount + 1)
    this.#freeRows[this.#freeCount++] = row
  }

  setCellBytes(row: number, bytes: number): void {
    this.cellBytesTotal += bytes - this.cellBytes[row]!
    this.cellBytes[row] = bytes
  }

  /** The rows of a window in memory, in no order. */
  rowsOf(window: WindowRows): Int32Array {
    const rows = new Int32Array(window.rowCount)
    let count = 0
    for (let row = window.firstRow; row >= 0; row = this.#nextRows[row]!) rows[count++] = row
    return rows
  }

  #link(row: number, window: WindowRows): void {
    const next = window.firstRow
    this.#nextRows[row] = next
    this.#previousRows[row] = -1
    if (next >= 0) this.#previousRows[next] = row
    window.firstRow = row
    window.rowCount++
  }

  #unlink(row: number, window: WindowRows): void {
    const next = this.#nextRows[row]!
    const previous = this.#previousRows[row]!
    if (previous >= 0) this.#nextRows[previous] = next
    else window.firstRow = next
    if (next >= 0) this.#previousRows[next] = previous
    window.rowCount--
  }

  #newRow(): number {
    const row = this.usedRows++
    this.cells.push(undefined)
    if (row === this.keys.length) this.#grow(row + 1)
    return row
  }

  #grow(rows: number): void {
    this.keys = grownInts(this.keys, rows)
    this.ends = grownDoubles(this.ends, rows)
    this.flags = grownBytes(this.flags, rows)
    this.sealEpochs = grownDoubles(this.sealEpochs, rows)
    this.cellBytes = grownInts(this.cellBytes, rows)
    this.#nextRows = grownInts(this.#nextRows, rows)
    this.#previousRows = grownInts(this.#previousRows, rows)
    this.slots = grownDoubles(this.slots, this.keys.length * this.width)
  }
}
