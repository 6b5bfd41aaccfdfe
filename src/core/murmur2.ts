// Kafka's default partitioner: murmur2 of the key, as the Java client and librdkafka's `murmur2_random` compute it.
// Pure; any thread. Hot path: no object a call.
// Keeps SPEC: KAFKA-3 (a key goes to the partition where every other client puts it).

const SEED = 0x9747b28c | 0
const MULTIPLIER = 0x5bd1e995
const ROTATE = 24

/**
 * The murmur2 hash of `bytes[start, start + length)`, as a signed 32-bit integer (the one that Java returns).
 *
 * @example
 * murmur2(new TextEncoder().encode('foobar')) // -790332482
 */
export function murmur2(bytes: Uint8Array, start = 0, length = bytes.length - start): number {
  const wholeEnd = start + (length & ~3)
  let hash = SEED ^ length
  for (let at = start; at < wholeEnd; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> ROTATE
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER)
  }
  const left = length & 3
  if (left === 3) hash ^= bytes[wholeEnd + 2]! << 16
  if (left >= 2) hash ^= bytes[wholeEnd + 1]! << 8
  if (left >= 1) hash = Math.imul(hash ^ bytes[wholeEnd]!, MULTIPLIER)
  hash ^= hash >>> 13
  hash = Math.imul(hash, MULTIPLIER)
  return hash ^ (hash >>> 15)
}

/** The partition of a key among `partitionCount`: the sign bit is dropped, not negated, as in Java. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}
