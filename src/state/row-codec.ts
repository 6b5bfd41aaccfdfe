// Hot path: a row's slots and cells to bytes and back. Little-endian float64, then the msgpack of the cells if there are any.
// Runs on a lane; pure.
// Keeps SPEC: STATE-9 (a row that is written and read back is the same row, NaN, -0 and infinities included).

import { Packr } from 'msgpackr'

/** Cells may hold any value of a record: no shared structures, so that every row stands for itself. */
const packr = new Packr({ useRecords: false, moreTypes: true })

/** The msgpack of a row's cells; undefined for a row without cells. */
export function packCells(cells: readonly unknown[] | undefined): Uint8Array | undefined {
  return cells === undefined ? undefined : packr.pack(cells)
}

/** The cells in value[start ..), undefined when nothing is there. */
export function unpackCells(value: Uint8Array, start: number): unknown[] | undefined {
  if (start >= value.length) return undefined
  // A copy, which slice of a Buffer would not be: cells must not hold on to pages of the store, and bytes in them change.
  return packr.unpack(Uint8Array.prototype.slice.call(value, start)) as unknown[]
}

/** Writes slots[from .. from + width) as little-endian float64; returns where they end. */
export function writeSlots(target: DataView, at: number, slots: Float64Array, from: number, width: number): number {
  for (let i = 0; i < width; i++) target.setFloat64(at + i * 8, slots[from + i]!, true)
  return at + width * 8
}

/** Reads the slots of a stored value. */
export function readSlots(value: Uint8Array, slots: Float64Array, from: number, width: number): void {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  for (let i = 0; i < width; i++) slots[from + i] = view.getFloat64(i * 8, true)
}
