// The contract of an aggregate: a small record of functions over slots of a row. It knows no time, window or key.
// Runs on a lane; pure. Hot: called once a chunk (or once a record when every change is emitted).
// Keeps SPEC: AGG-2 (the result is the same however records were cut into chunks), AGG-5 (or into panes).

import type { Columns } from '../columns.ts'

/** What an aggregate reads. One object an aggregate, made once; its arrays are filled anew for each chunk. */
export interface AggregateInput {
  /** The field's numbers by record; NaN where it is no number. */
  readonly values: Float64Array
  /** The numbers of the second field by record, where there are two (a weight, `by`, y). */
  readonly second: Float64Array
  /** Event times by record, ms. */
  readonly timesMs: Float64Array
  readonly columns: Columns
  /** Index of the field in the columns, for values that are no numbers. */
  readonly field: number
  /** The variable cells of the table's rows, and which of a row's cells is this aggregate's. */
  cells: (unknown[] | undefined)[]
  readonly cell: number
}

/** Where the variable cells of two rows are that are merged: `to` gets what `from` holds. One object, filled anew. */
export interface MergedCells {
  to: unknown[]
  from: readonly unknown[] | undefined
}

/**
 * An aggregate over `slotCount` slots from `base = row * width + at` on. Records with rows[i] < 0 are left out.
 *
 * @example
 * sum.init(slots, row * width + at)
 * sum.update(slots, width, at, rows, input, 0, rows.length)
 * sum.result(slots, row * width + at)
 */
export interface Aggregate {
  readonly slotCount: number
  /** It has a cell of the row. A cell goes through msgpack, and is packed whenever its row is sealed: keep it small. */
  readonly hasCell: boolean
  /** Its cell grows with the records, up to its limit. */
  readonly isGrowing?: boolean
  init(slots: Float64Array, base: number): void
  update(
    slots: Float64Array,
    width: number,
    at: number,
    rows: Int32Array,
    input: AggregateInput,
    from: number,
    to: number,
  ): void
  /**
   * Adds what the row at `from[fromBase ..)` holds to the one at `to[toBase ..)`. Of records at one time, those of `to` come
   * first. Nothing of `from` may be shared afterwards: both rows go on by themselves.
   */
  merge(to: Float64Array, toBase: number, from: Float64Array, fromBase: number, cells: MergedCells, cell: number): void
  /** The result as a number; NaN when it is none, or when there is none. */
  result(slots: Float64Array, base: number, cell: unknown): number
  /** The result where it is no number, as a value that shares nothing that changes; without it there is none: null. */
  other?(slots: Float64Array, base: number, cell: unknown): unknown
}
