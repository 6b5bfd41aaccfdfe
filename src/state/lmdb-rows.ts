// Rows as LMDB holds them: each value behind the CRC32C of its key and value. Runs on a lane.
// Keeps SPEC: STATE-6 (damage is never read as state).

import { setImmediate } from 'node:timers/promises'
import { crc32c } from './crc32c.ts'
import type { RowHash } from './row-hash.ts'

/** u32, little endian, before each value. */
export const ROW_CRC_BYTES = 4
/** Rows encoded between two looks at the clock. */
const ROWS_A_LOOK = 64
/** Time between two turns of the event loop, at least. */
const TURN_MS_MIN = 0.5

/** Keys and, by the same index, values as stored; undefined deletes. Values are views that stay as they are. */
export interface EncodedRows {
  keys: Uint8Array[]
  values: (Uint8Array | undefined)[]
}

/** The CRC of a stored value. */
export function storedCrc(stored: Uint8Array): number {
  return (stored[0]! | (stored[1]! << 8) | (stored[2]! << 16) | (stored[3]! << 24)) >>> 0
}

/**
 * Encodes rows for one write and brings `hash` to the state after it. The event loop turns in between, so that a large
 * write does not hold up the lane; rows must not change until it resolves, and one write runs at a time. It takes as long
 * at a time as what the loop did before took: a busy lane would change rows faster than a few of them a turn are written.
 *
 * @param storedCrcOf the CRC on disk of a key's row, -1 when there is none
 */
export async function encodeRows(
  rows: Iterable<[key: Uint8Array, value: Uint8Array | undefined]>,
  hash: RowHash,
  storedCrcOf: (key: Uint8Array) => number,
): Promise<EncodedRows> {
  const encoded: EncodedRows = { keys: [], values: [] }
  const arena = new ValueArena()
  let left = ROWS_A_LOOK
  let turn = { startMs: performance.now(), ms: TURN_MS_MIN }
  for (const [key, value] of rows) {
    const oldCrc = storedCrcOf(key)
    if (oldCrc >= 0) hash.remove(oldCrc)
    if (value !== undefined || oldCrc >= 0) {
      encoded.keys.push(key)
      encoded.values.push(value === undefined ? undefined : arena.append(key, value, hash))
    }
    if (--left > 0) continue
    left = ROWS_A_LOOK
    const nowMs = performance.now()
    if (nowMs - turn.startMs < turn.ms) continue
    await setImmediate()
    const startMs = performance.now()
    turn = { startMs, ms: Math.max(TURN_MS_MIN, startMs - nowMs) }
  }
  return encoded
}

/** Chunks of memory for values: a view that was handed out never moves, since lmdb reads it from its own thread. */
class ValueArena {
  #chunk = new Uint8Array(1 << 16)
  #used = 0

  append(key: Uint8Array, value: Uint8Array, hash: RowHash): Uint8Array {
    const bytes = ROW_CRC_BYTES + value.length
    if (this.#used + bytes > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.max(bytes, 1 << 18))
      this.#used = 0
    }
    const chunk = this.#chunk
    const at = this.#used
    const crc = crc32c(value, 0, value.length, crc32c(key, 0, key.length))
    hash.add(crc)
    chunk[at] = crc
    chunk[at + 1] = crc >>> 8
    chunk[at + 2] = crc >>> 16
    chunk[at + 3] = crc >>> 24
    chunk.set(value, at + ROW_CRC_BYTES)
    this.#used = at + bytes
    return chunk.subarray(at, at + bytes)
  }
}
