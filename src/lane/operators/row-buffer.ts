// Rows of an aggregate that live in memory alone: what is merged from rows of the table. Runs on a lane. Hot.
// Keeps SPEC: AGG-5 (merged rows share nothing with those they were merged from).

import { grownDoubles } from '../../state/byte-hash.ts'
import type { Accumulators, AggregateRows } from './accumulators.ts'

/** Rows laid out as those of a slab table; a row is emptied before its use. */
export class RowBuffer implements AggregateRows {
  readonly width: number
  slots: Float64Array
  readonly cells: (unknown[] | undefined)[] = []

  constructor(width: number, rows = 1) {
    this.width = width
    this.slots = new Float64Array(rows * width)
  }

  /** Without what its cells hold. */
  get bytes(): number {
    return this.slots.byteLength + this.cells.length * 8
  }

  /** Makes row `row` one that holds nothing. */
  clear(accumulators: Accumulators, row: number): void {
    if ((row + 1) * this.width > this.slots.length) this.slots = grownDoubles(this.slots, (row + 1) * this.width)
    if (this.cells[row] !== undefined) this.cells[row] = undefined
    accumulators.init(this, row)
  }
}
