// The rows of a table by key, as they were read last. Runs on a lane, owned by one task of a join. Hot.
// Keeps SPEC: TABLE-1 (the newest record of a key is its row), TABLE-4 (a row that is no more occupies nothing).

import { encodeValue } from '../../codec/encode.ts'
import { MsgpackDecoder } from '../../codec/msgpack-decode.ts'
import { DEAD_FUNCTION } from '../../core/record-status.ts'
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, ObjectSource } from '../frame-run.ts'
import type { BytePool } from './byte-pool.ts'
import { TOMBSTONE } from './derived.ts'
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

/**
 * The bytes of a record as state keeps them, in memory of `pool` where it lives as long as its neighbours; undefined: it deletes its
 * row, or is dead, since it cannot be encoded.
 */
export function keptBytes(
  stream: RowStream,
  chunk: Chunk,
  row: number,
  { view }: FrameRun,
  pool?: BytePool,
): Uint8Array | undefined {
  if (stream.isMsgpack && !chunk.isChanged) {
    const [start, end] = [chunk.starts[row]!, chunk.ends[row]!]
    if (end < start) return undefined
    return pool === undefined ? view.bytes.slice(start, end) : pool.copy(view.bytes, start, end)
  }
  const object = rowOf(chunk, row, stream.objects)
  if (object === TOMBSTONE) return undefined
  try {
    return encodeValue('msgpack', object)
  } catch (error) {
    chunk.failThrown(row, DEAD_FUNCTION, error)
    return undefined
  }
}

const decoder = new MsgpackDecoder()

/** A record that was kept, decoded anew: whoever gets it may change it. */
export function keptObject(bytes: Uint8Array): unknown {
  decoder.begin(bytes)
  return decoder.value(0, bytes.length)
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
