// The blocks of the rows of a table that are in memory, and where each lies. Runs on a lane, owned by one side of a join. Hot.
// Keeps SPEC: STATE-9 (read back, a row is what it was), STATE-4 (a row that is gone leaves nothing behind).

import { grownInts } from '../../state/byte-hash.ts'
import type { SlabTable } from '../../state/contract.ts'
import { BlockArena } from './block-arena.ts'
import type { ByteRange } from './derived.ts'
import { EntryBlock, type NewEntry } from './entry-block.ts'

export class RowBlocks {
  readonly arena = new BlockArena()
  readonly #table: SlabTable
  /** By row: where its block lies in the arena, -1: it is not known to be there. Reading it spares the way over the row's cells. */
  #places = new Int32Array(0)

  constructor(table: SlabTable) {
    this.#table = table
  }

  /** Bytes beside those of the rows. */
  get bytes(): number {
    return this.#places.byteLength
  }

  /** Where the block of a row lies in the arena. */
  placeOf(row: number): number {
    const place = row < this.#places.length ? this.#places[row]! : -1
    return place >= 0 ? place : this.#blockOf(row).place
  }

  /** Bytes of a row's block. */
  lengthOf(row: number): number {
    return this.#blockOf(row).length
  }

  /** A new row has an empty block. */
  begin(row: number): void {
    this.#table.cells[row] = [new EntryBlock()]
  }

  /** Gives the offset of the new entry. */
  append(row: number, key: ByteRange, value: ByteRange, entry: NewEntry): number {
    const block = this.#blockOf(row)
    const offset = block.append(key, value, entry, this.arena)
    this.#setPlace(row, block.place)
    return offset
  }

  /** A row leaves memory. */
  forget(row: number): void {
    const cell = this.#table.cells[row]?.[0]
    if (cell instanceof EntryBlock) cell.release(this.arena)
    if (row < this.#places.length) this.#places[row] = -1
  }

  /** One that was read back from the store becomes one when it is asked for. */
  #blockOf(row: number): EntryBlock {
    const cells = this.#table.cells[row]!
    const cell = cells[0]
    if (cell instanceof EntryBlock) return cell
    const block = new EntryBlock()
    block.fill(cell as Uint8Array, this.arena)
    cells[0] = block
    this.#setPlace(row, block.place)
    return block
  }

  #setPlace(row: number, place: number): void {
    const known = this.#places.length
    if (row >= known) {
      this.#places = grownInts(this.#places, row + 1)
      this.#places.fill(-1, known)
    }
    this.#places[row] = place
  }
}
