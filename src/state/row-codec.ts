// Hot path: a row's slots and cells to bytes and back. Little-endian float64, then the msgpack of the cells if there are any.
// Runs on a lane; pure.
// Keeps SPEC: STATE-9 (a row that is written and read back is the same row, NaN, -0 and infinities included).

import { ByteCell } from './byte-cell.ts'
import { copyBytes } from './byte-hash.ts'
import { packValue, unpackValue } from './value-codec.ts'

const ARRAY_OF_ONE = 0x91
const BIN_32 = 0xc6
/** What stands before the bytes of a cell that is alone. */
const BYTES_PREFIX = 6
let scratch = new Uint8Array(1 << 12)

/** The msgpack of a row's cells, valid until the next call; undefined for a row without cells. */
export function packCells(cells: readonly unknown[] | undefined): Uint8Array | undefined {
  if (cells === undefined) return undefined
  if (cells.length === 1) {
    const cell = cells[0]
    if (cell instanceof ByteCell) return packBytes(cell.bytes, cell.start, cell.length)
    if (cell instanceof Uint8Array) return packBytes(cell, 0, cell.length)
  }
  return packValue(cells)
}

/** An array of one binary, written without a detour. Hot. */
function packBytes(bytes: Uint8Array, start: number, length: number): Uint8Array {
  if (length + BYTES_PREFIX > scratch.length) scratch = new Uint8Array((length + BYTES_PREFIX) * 2)
  const target = scratch
  target[0] = ARRAY_OF_ONE
  target[1] = BIN_32
  target[2] = length >>> 24
  target[3] = length >>> 16
  target[4] = length >>> 8
  target[5] = length
  copyBytes(target, BYTES_PREFIX, bytes, start, length)
  return target.subarray(0, BYTES_PREFIX + length)
}

/** The cells in value[start ..), undefined when nothing is there. */
export function unpackCells(value: Uint8Array, start: number): unknown[] | undefined {
  if (start >= value.length) return undefined
  if (value[start] === ARRAY_OF_ONE && value[start + 1] === BIN_32) {
    return [Uint8Array.prototype.slice.call(value, start + BYTES_PREFIX)]
  }
  return unpackValue(Uint8Array.prototype.subarray.call(value, start)) as unknown[]
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
