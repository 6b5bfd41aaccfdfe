// A key with its hash, for those who look for it in many places. Runs on a lane. Hot.
// Keeps SPEC: JOIN-1 (a record is found by its key).
import { hashBytes } from '../../state/byte-hash.ts'
import type { ByteRange } from './derived.ts'

const NO_BYTES = new Uint8Array(0)

/** A key that entries are looked for with. */
export interface HashedKey extends ByteRange {
  /** A number of 32 bits, not negative. */
  hash: number
}

/** No key yet: whoever looks for entries fills it again and again. */
export function noKey(): HashedKey {
  return { bytes: NO_BYTES, start: 0, length: -1, hash: 0 }
}

/** Sets a key to the bytes source[start .. start + length). */
export function toHashedKey(key: HashedKey, source: Uint8Array, start: number, length: number): void {
  key.bytes = source
  key.start = start
  key.length = length
  key.hash = hashBytes(source, start, length) >>> 0
}
