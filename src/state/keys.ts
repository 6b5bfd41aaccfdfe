// State keys: how operator, window end and key bytes become one sortable byte string. Hot path: no object a record.
// Runs on a lane; pure.
// Keeps SPEC: STATE-3 (windows sort by their end, negative ends too, then by key bytes).

/*
 *   aligned windows   0 u16 operator id (BE) | 2 i64 window end in ms (BE, sign bit flipped) | 10 key bytes
 *   plain keyed       0 u16 operator id (BE) | 2 key bytes
 *   marker            0 u16 0xffff           (changelog only)
 *
 * Flipping the sign bit makes two's complement sort as unsigned bytes: negative ends (before 1970) come first.
 */
export const WINDOW_PREFIX_BYTES = 10
export const PLAIN_PREFIX_BYTES = 2
/** Operator ids are below this; it is the prefix of what is no operator's: markers in the changelog, meta in LMDB. */
export const RESERVED_OPERATOR_ID = 0xffff
const TWO_POW_32 = 0x1_0000_0000

/** Rows with from <= key < to. */
export interface KeyRange {
  from: Uint8Array
  to: Uint8Array
}

/** The key of an epoch marker in the changelog. */
export const MARKER_KEY: Uint8Array = Uint8Array.of(0xff, 0xff)

/** True for the key of an epoch marker. */
export function isMarkerKey(key: Uint8Array): boolean {
  return key.length === 2 && key[0] === 0xff && key[1] === 0xff
}

/** Writes the operator id; the key bytes follow at the returned place. */
export function writeOperatorId(target: Uint8Array, at: number, operatorId: number): number {
  target[at] = operatorId >>> 8
  target[at + 1] = operatorId & 0xff
  return at + 2
}

/** Writes operator id and window end (ms, an integer within ±2^53); the key bytes follow at the returned place. */
export function writeWindowPrefix(target: Uint8Array, at: number, operatorId: number, windowEndMs: number): number {
  target[at] = operatorId >>> 8
  target[at + 1] = operatorId & 0xff
  const highSigned = Math.floor(windowEndMs / TWO_POW_32)
  writeUint32(target, at + 2, highSigned ^ 0x80000000)
  writeUint32(target, at + 6, windowEndMs - highSigned * TWO_POW_32)
  return at + WINDOW_PREFIX_BYTES
}

function writeUint32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24
  target[at + 1] = value >>> 16
  target[at + 2] = value >>> 8
  target[at + 3] = value
}

function readUint32(source: Uint8Array, at: number): number {
  return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0
}

export function readOperatorId(key: Uint8Array): number {
  return (key[0]! << 8) | key[1]!
}

/** The window end (ms) of a key of an aligned window. */
export function readWindowEndMs(key: Uint8Array): number {
  const highSigned = readUint32(key, 2) ^ 0x80000000
  return highSigned * TWO_POW_32 + readUint32(key, 6)
}

/**
 * The key of a row of an aligned window.
 *
 * @param windowEndMs end of the window, ms since the epoch, an integer within ±2^53
 * @example
 * windowKey(1, 60_000, new TextEncoder().encode('BTC'))
 */
export function windowKey(operatorId: number, windowEndMs: number, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(WINDOW_PREFIX_BYTES + key.length)
  bytes.set(key, writeWindowPrefix(bytes, 0, operatorId, windowEndMs))
  return bytes
}

/** The key of a row without a window. */
export function plainKey(operatorId: number, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PLAIN_PREFIX_BYTES + key.length)
  bytes.set(key, writeOperatorId(bytes, 0, operatorId))
  return bytes
}

/** The key of a row, written into memory that the next one uses again. */
export class KeyScratch {
  bytes = new Uint8Array(2048)

  /** Writes the key of a row of `operatorId`; gives its length. `windowEndMs` undefined: it has no window. */
  write(
    operatorId: number,
    windowEndMs: number | undefined,
    source: Uint8Array,
    start: number,
    length: number,
  ): number {
    if (WINDOW_PREFIX_BYTES + length > this.bytes.length) this.bytes = new Uint8Array((length + 16) * 2)
    const { bytes } = this
    const at =
      windowEndMs === undefined
        ? writeOperatorId(bytes, 0, operatorId)
        : writeWindowPrefix(bytes, 0, operatorId, windowEndMs)
    for (let i = 0; i < length; i++) bytes[at + i] = source[start + i]!
    return at + length
  }
}

/** All rows of an operator. */
export function operatorRange(operatorId: number): KeyRange {
  const from = plainKey(operatorId, new Uint8Array(0))
  return { from, to: prefixEnd(from) }
}

/** All rows of one window of an operator. */
export function windowRange(operatorId: number, windowEndMs: number): KeyRange {
  const from = windowKey(operatorId, windowEndMs, new Uint8Array(0))
  return { from, to: prefixEnd(from) }
}

/** The smallest key above every key with this prefix. The prefix must not be all 0xff. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  let last = prefix.length - 1
  while (last >= 0 && prefix[last] === 0xff) last--
  if (last < 0) throw new RangeError('no key lies above a prefix of nothing but 0xff')
  const end = prefix.slice(0, last + 1)
  end[last] = end[last]! + 1
  return end
}

/** Byte order; a prefix comes before what it is a prefix of. Negative, 0 or positive. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
