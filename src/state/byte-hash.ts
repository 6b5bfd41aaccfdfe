// Hot path: hashing and comparing byte ranges for the open-addressed tables of state. Runs on a lane; pure.
// Joins store the hash with what waits: it must not change, and a test holds it.
// Keeps SPEC: STATE-2 (reads merge all layers).

/** A 32-bit hash of source[start .. start + length). Not for hostile input beyond what the table sizes bear. */
export function hashBytes(source: Uint8Array, start: number, length: number): number {
  let hash = length ^ 0x9e3779b9
  const end = start + length
  let at = start
  for (; at + 4 <= end; at += 4) {
    const word = source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)
    hash = Math.imul(hash ^ word, 0x85ebca6b)
    hash ^= hash >>> 15
  }
  let tail = 0
  for (; at < end; at++) tail = (tail << 8) | source[at]!
  hash = Math.imul(hash ^ tail, 0xc2b2ae35)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0x85ebca6b)
  return hash ^ (hash >>> 16)
}

/** Copies of fewer bytes cost less without a call. */
const LOOP_BYTES_MAX = 96

/** target[at .. at + length) = source[start .. start + length). Hot. */
export function copyBytes(target: Uint8Array, at: number, source: Uint8Array, start: number, length: number): void {
  if (length > LOOP_BYTES_MAX) target.set(source.subarray(start, start + length), at)
  else for (let i = 0; i < length; i++) target[at + i] = source[start + i]!
}

/** True when the two ranges of `length` bytes are equal. */
export function equalBytes(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (a[aStart + i] !== b[bStart + i]) return false
  }
  return true
}

/** Byte order of two ranges: negative, 0 or positive. */
export function compareBytes(
  a: Uint8Array,
  aStart: number,
  aBytes: number,
  b: Uint8Array,
  bStart: number,
  bBytes: number,
): number {
  const shared = Math.min(aBytes, bBytes)
  for (let i = 0; i < shared; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!
    if (difference !== 0) return difference
  }
  return aBytes - bBytes
}

/** A copy of `source` with room for at least `length` numbers, at least doubled. */
export function grownBytes(source: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.max(length, source.length * 2))
  grown.set(source)
  return grown
}

export function grownInts(source: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(Math.max(length, source.length * 2))
  grown.set(source)
  return grown
}

export function grownDoubles(source: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const grown = new Float64Array(Math.max(length, source.length * 2))
  grown.set(source)
  return grown
}

/** The 32-bit integer that begins at `at`, big-endian. */
export function readInt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}
