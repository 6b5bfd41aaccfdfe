// Walks one msgpack value without decoding it: is it whole, not too deep, not too many nodes. Hot: no object a value.
// Runs on a lane. The layout of msgpack types is drawn once, in FIXED_BYTES.
// Keeps SPEC: CODEC-1 (hostile bytes end as a status, never as an exception or a large allocation).

import { DEAD_FORMAT, DEAD_TOO_DEEP, DEAD_TRUNCATED, STATUS_OK } from '../core/record-status.ts'

/** Payload bytes by first byte, for types of a fixed size; VARIABLE for the others. */
export const FIXED_BYTES = new Uint8Array(256)
export const VARIABLE = 255

/*
 * 00-7f fixint · 80-8f fixmap · 90-9f fixarray · a0-bf fixstr · c0 nil · c1 never used · c2 c3 booleans
 * c4-c6 bin 8/16/32 · c7-c9 ext 8/16/32 · ca f32 · cb f64 · cc-cf u8..u64 · d0-d3 i8..i64 · d4-d8 fixext 1..16
 * d9-db str 8/16/32 · dc dd array 16/32 · de df map 16/32 · e0-ff negative fixint
 */
for (let type = 0x80; type <= 0x9f; type++) FIXED_BYTES[type] = VARIABLE
for (let type = 0xa0; type <= 0xbf; type++) FIXED_BYTES[type] = type & 0x1f
for (const type of [0xc1, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf]) {
  FIXED_BYTES[type] = VARIABLE
}
FIXED_BYTES[0xca] = 4
FIXED_BYTES[0xcb] = 8
for (let power = 0; power < 4; power++) {
  FIXED_BYTES[0xcc + power] = 1 << power
  FIXED_BYTES[0xd0 + power] = 1 << power
}
for (let power = 0; power < 5; power++) FIXED_BYTES[0xd4 + power] = 1 + (1 << power)

/**
 * The walker. After `walk` the end of the value is in `end` and the count of nodes inside it (values; keys are not
 * counted, nor is the value itself) has been added to `nodeCount`.
 *
 * @example
 * const guard = new MsgpackGuard(64, 100_000)
 * guard.nodeCount = 1
 * if (guard.walk(bytes, start, end, 1) === STATUS_OK) use(guard.end)
 */
export class MsgpackGuard {
  readonly depthMax: number
  readonly nodesMax: number
  /** Where the value ended, after a walk that was OK. */
  end = 0
  nodeCount = 0
  /** Items left by level of nesting. */
  readonly #left: Float64Array

  constructor(depthMax: number, nodesMax: number) {
    this.depthMax = depthMax
    this.nodesMax = nodesMax
    this.#left = new Float64Array(depthMax + 2)
  }

  /**
   * Walks the value that starts at `at` and must end by `limit`; a container here would be at level `depth` (a record's
   * outermost value is level 1). Returns a record status.
   */
  walk(bytes: Uint8Array, at: number, limit: number, depth: number): number {
    const left = this.#left
    let level = depth - 1
    const floor = level
    left[level] = 1
    // `left` counts the keys of maps too; a node is what is no key, so nodes are added with the header of a container.
    for (;;) {
      while (left[level] === 0) {
        if (level === floor) {
          this.end = at
          return STATUS_OK
        }
        level--
      }
      if (at >= limit) return DEAD_TRUNCATED
      left[level]!--
      const type = bytes[at]!
      const fixed = FIXED_BYTES[type]!
      if (fixed !== VARIABLE) {
        at += 1 + fixed
      } else {
        const items = this.#open(bytes, at, limit, type)
        if (items < 0) return -items
        at = this.end
        if (items > 0) {
          if (level + 1 > this.depthMax || this.nodeCount > this.nodesMax) return DEAD_TOO_DEEP
          level++
          left[level] = items
        }
      }
      if (at > limit) return DEAD_TRUNCATED
      if (this.nodeCount > this.nodesMax) return DEAD_TOO_DEEP
    }
  }

  /** Steps over a variable value or a container's header: the count of items inside, or minus a dead status. */
  #open(bytes: Uint8Array, at: number, limit: number, type: number): number {
    const sizeBytes = sizeBytesOf(type)
    if (sizeBytes < 0) return -DEAD_FORMAT
    if (at + 1 + sizeBytes > limit) return -DEAD_TRUNCATED
    const size = sizeBytes === 0 ? type & 0x0f : readSize(bytes, at + 1, sizeBytes)
    const start = at + 1 + sizeBytes
    if (isMap(type) || isArray(type)) {
      const items = isMap(type) ? size * 2 : size
      this.end = start
      if (items > limit - start) return -DEAD_TRUNCATED
      this.nodeCount += size
      return items
    }
    const end = start + size + (isExtension(type) ? 1 : 0)
    if (end > limit) return -DEAD_TRUNCATED
    this.end = end
    return 0
  }
}

/** Bytes of the length field that follows the first byte; 0 for fixmap and fixarray, -1 for the byte that is no type. */
function sizeBytesOf(type: number): number {
  if (type < 0xa0) return 0
  switch (type) {
    case 0xc4:
    case 0xc7:
    case 0xd9:
      return 1
    case 0xc5:
    case 0xc8:
    case 0xda:
    case 0xdc:
    case 0xde:
      return 2
    case 0xc6:
    case 0xc9:
    case 0xdb:
    case 0xdd:
    case 0xdf:
      return 4
    default:
      return -1
  }
}

/** A big-endian unsigned integer of 1, 2 or 4 bytes. */
export function readSize(bytes: Uint8Array, at: number, sizeBytes: number): number {
  if (sizeBytes === 1) return bytes[at]!
  if (sizeBytes === 2) return (bytes[at]! << 8) | bytes[at + 1]!
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

export function isMap(type: number): boolean {
  return (type & 0xf0) === 0x80 || type === 0xde || type === 0xdf
}

export function isArray(type: number): boolean {
  return (type & 0xf0) === 0x90 || type === 0xdc || type === 0xdd
}

function isExtension(type: number): boolean {
  return type >= 0xc7 && type <= 0xc9
}
