// The rows of a table by key, as they were read last. Runs on a lane, owned by one task of a join. Hot.
// Keeps SPEC: TABLE-1 (the newest record of a key is its row), TABLE-4 (a row that is no more occupies nothing).

import { encodeValue } from '../../codec/encode.ts'
import { MsgpackDecoder } from '../../codec/msgpack-decode.ts'
import { DEAD_FUNCTION } from '../../core/record-status.ts'
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource } from '../frame-run.ts'
import { type ByteRange, noBytes, TOMBSTONE } from './derived.ts'
import { rowOf } from './table-function.ts'

/** The time of the row. */
export const TABLE_SLOTS = 1

/** A stream of records that are rows, or that are joined with rows. */
export interface RowStream {
  objects: ObjectSource
  outOfOrderMs: number
  /** Bytes of a record that no function has changed are kept as they are. */
  isMsgpack: boolean
}

/** Sets a range to the bytes of a record as state keeps them. False: it deletes its row, or is dead, since it cannot be encoded. */
export function toKeptBytes(
  range: ByteRange,
  stream: RowStream,
  chunk: Chunk,
  row: number,
  { view }: FrameRun,
): boolean {
  if (stream.isMsgpack && !chunk.isChanged) {
    range.bytes = view.bytes
    range.start = chunk.starts[row]!
    range.length = chunk.ends[row]! - range.start
    return range.length >= 0
  }
  const object = rowOf(chunk, row, stream.objects)
  if (object === TOMBSTONE) return false
  try {
    range.bytes = encodeValue('msgpack', object)
  } catch (error) {
    chunk.failThrown(row, DEAD_FUNCTION, error)
    return false
  }
  range.start = 0
  range.length = range.bytes.length
  return true
}

const kept = noBytes()

/** The bytes of a record as state keeps them, of their own; undefined: as `toKeptBytes`. */
export function keptBytes(stream: RowStream, chunk: Chunk, row: number, run: FrameRun): Uint8Array | undefined {
  if (!toKeptBytes(kept, stream, chunk, row, run)) return undefined
  const { bytes, start, length } = kept
  return bytes === run.view.bytes ? bytes.slice(start, start + length) : bytes
}

const decoder = new MsgpackDecoder()

/** A record that was kept, decoded anew: whoever gets it may change it. */
export function keptObject(bytes: Uint8Array, start = 0): unknown {
  decoder.begin(bytes)
  return decoder.value(start, bytes.length - start)
}

export class TableRows {
  readonly #table: SlabTable

  /** `table`: one without windows, of TABLE_SLOTS. */
  constructor(table: SlabTable) {
    this.#table = table
  }

  /** The row of the key at source[start .. start + length), -1: there is none. */
  find(source: Uint8Array, start: number, length: number): number {
    return this.#table.rowIfAny(this.#table.internKey(source, start, length), NO_WINDOW)
  }
  timeMs(row: number): number {
    return this.#table.slots[row * this.#table.width]!
  }
  objectOf(row: number): unknown {
    return keptObject(this.#table.cells[row]![0] as Uint8Array)
  }

  /** Sets the row of a key; undefined: there is none any more. */
  set(source: Uint8Array, start: number, length: number, timeMs: number, bytes: Uint8Array | undefined): void {
    const table = this.#table
    const keyId = table.internKey(source, start, length)
    if (bytes === undefined) {
      const known = table.rowIfAny(keyId, NO_WINDOW)
      if (known >= 0) table.deleteRow(known)
      return
    }
    const row = table.rowFor(keyId, NO_WINDOW)
    table.slots[row * table.width] = timeMs
    table.cells[row] = [bytes]
    table.touch(row)
  }
}
