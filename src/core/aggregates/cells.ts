// The cells of rows: where an aggregate keeps what no slot can hold, and how large that may become.
// Runs on a lane; pure.
// Keeps SPEC: AGG-6 (what an aggregate keeps of a row is bounded).

import type { AggregateInput, MergedCells } from './aggregate.ts'

/** What the values that an aggregate keeps of one row may take, by `valueBytes`: a fraction of what a changelog record may be. */
export const CELL_BYTES_MAX = 256 << 10

/** What an aggregate has in its cell of a row; undefined: nothing yet. */
export function cellOf(input: AggregateInput, row: number): unknown {
  return input.cells[row]?.[input.cell] ?? undefined
}

/** Puts a value into an aggregate's cell of a row. */
export function setCell(input: AggregateInput, row: number, value: unknown): void {
  let cells = input.cells[row]
  if (cells === undefined) {
    cells = []
    input.cells[row] = cells
  }
  put(cells, input.cell, value)
}

/** The same for a row that takes another one. */
export function setMergedCell(cells: MergedCells, cell: number, value: unknown): void {
  put(cells.to, cell, value)
}

function put(cells: unknown[], at: number, value: unknown): void {
  while (cells.length <= at) cells.push(null)
  cells[at] = value
}

/** What a value of a record counts towards a limit in bytes; a character of text counts as one. */
export function valueBytes(value: unknown): number {
  if (typeof value === 'string') return 3 + value.length
  if (typeof value !== 'object' || value === null) return 9
  if (value instanceof Uint8Array) return 5 + value.length
  let bytes = 5
  for (const [name, item] of Object.entries(value)) bytes += name.length + valueBytes(item)
  return bytes
}
