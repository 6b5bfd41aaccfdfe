// Reads the wanted fields of msgpack maps straight from a frame into columns. Hot: no object, closure or string a record.
// Runs on a lane. A record that cannot be read gives a status (core/record-status.ts), never an exception.
// Keeps SPEC: PATH-1 (same fields as decoding the record), CODEC-1 (hostile bytes end as a status).

import type { Columns } from '../core/columns.ts'
import { TAG_BIG, TAG_MISSING, TAG_NUMBER, TAG_OTHER, TAG_TEXT } from '../core/columns.ts'
import { DEAD_NOT_MAP, DEAD_TOO_DEEP, DEAD_TRAILING, DEAD_TRUNCATED, STATUS_OK } from '../core/record-status.ts'
import { FIXED_BYTES, isMap, type MsgpackGuard, readSize, VARIABLE } from './msgpack-guard.ts'

/** Places of a map whose key is predicted from the record before; later places are looked up. */
const PREDICTED_PLACES = 32
const UNWANTED = -1
const TWO_32 = 4294967296
const TWO_53 = 9007199254740992

const textEncoder = new TextEncoder()

/**
 * A scanner for one list of fields. It expects at each place of a map the key that the record before had there, and
 * compares it eight bytes at a time:
 *
 *   place p:  a6 70 72 69 63 65 ?? ??   key `price` with its fixstr byte
 *             & masks[2p], masks[2p+1]  === wants[2p], wants[2p+1]   then the column is places[p]
 *
 * A key that occurs twice counts with its last value, as in a decoded object.
 *
 * @example
 * const scanner = new MsgpackScanner(columns, new MsgpackGuard(64, 100_000))
 * scanner.begin(frame.bytes)
 * const status = scanner.scan(row, frame.valueStart(at), frame.valueStart(at) + frame.valueBytes(at))
 */
export class MsgpackScanner {
  readonly #columns: Columns
  readonly #guard: MsgpackGuard
  readonly #names: Uint8Array[]
  readonly #fieldCount: number
  #bytes: Uint8Array = new Uint8Array(0)
  #view: DataView = new DataView(new ArrayBuffer(0))
  /** The last byte from where eight can be read. */
  #wideMax = -8
  readonly #masks = new Int32Array(PREDICTED_PLACES * 2)
  readonly #wants = new Int32Array(PREDICTED_PLACES * 2).fill(1)
  readonly #keyBytes = new Int32Array(PREDICTED_PLACES)
  readonly #places = new Int32Array(PREDICTED_PLACES).fill(UNWANTED)
  /** Where reading goes on after an outlined step. */
  #at = 0

  constructor(columns: Columns, guard: MsgpackGuard) {
    this.#columns = columns
    this.#guard = guard
    this.#names = columns.fields.map((field) => textEncoder.encode(field))
    this.#fieldCount = columns.fields.length
  }

  /** The bytes that the following records lie in. They must start at byte 0 of their buffer. */
  begin(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#wideMax = bytes.length - 8
  }

  /** Reads one record at bytes[at .. end) into row `row` of the columns, which must be clear there. */
  scan(row: number, at: number, end: number): number {
    if (at >= end) return DEAD_TRUNCATED
    const bytes = this.#bytes
    const view = this.#view
    const wideMax = this.#wideMax
    const masks = this.#masks
    const wants = this.#wants
    const columns = this.#columns
    const { tags, values, capacity } = columns
    const guard = this.#guard
    const type = bytes[at]!
    let entries = type & 0x0f
    at++
    if ((type & 0xf0) !== 0x80) {
      entries = this.#openMap(type, at, end)
      if (entries < 0) return -entries
      at = this.#at
    }
    if (entries >= guard.nodesMax) return DEAD_TOO_DEEP
    guard.nodeCount = 1 + entries
    let found = 0
    for (let place = 0; place < entries; place++) {
      let field: number
      if (
        place < PREDICTED_PLACES &&
        at <= wideMax &&
        (view.getInt32(at, true) & masks[place * 2]!) === wants[place * 2] &&
        (view.getInt32(at + 4, true) & masks[place * 2 + 1]!) === wants[place * 2 + 1]
      ) {
        at += this.#keyBytes[place]!
        field = this.#places[place]!
      } else {
        field = this.#readKey(place, at, end)
        if (field < UNWANTED) return -field
        at = this.#at
      }
      if (at >= end) return DEAD_TRUNCATED
      const kind = bytes[at]!
      if (field === UNWANTED) {
        const fixed = FIXED_BYTES[kind]!
        if (fixed !== VARIABLE) at += 1 + fixed
        else {
          const status = guard.walk(bytes, at, end, 2)
          if (status !== STATUS_OK) return status
          at = guard.end
        }
        continue
      }
      const cell = field * capacity + row
      if (tags[cell] === TAG_MISSING) found++
      if (kind === 0xcb) {
        if (at + 9 > end) return DEAD_TRUNCATED
        tags[cell] = TAG_NUMBER
        values[cell] = view.getFloat64(at + 1, false)
        at += 9
      } else if (kind < 0x80) {
        tags[cell] = TAG_NUMBER
        values[cell] = kind
        at++
      } else if ((kind & 0xe0) === 0xa0) {
        tags[cell] = TAG_TEXT
        values[cell] = Number.NaN
        columns.starts[cell] = at + 1
        columns.lengths[cell] = kind & 0x1f
        at += 1 + (kind & 0x1f)
      } else {
        const status = this.#readRare(cell, kind, at, end)
        if (status !== STATUS_OK) return status
        at = this.#at
      }
    }
    if (at !== end) return at > end ? DEAD_TRUNCATED : DEAD_TRAILING
    if (found < this.#fieldCount) this.#missing(row)
    return STATUS_OK
  }

  #missing(row: number): void {
    const { tags, values, capacity } = this.#columns
    for (let field = 0; field < this.#fieldCount; field++) {
      const cell = field * capacity + row
      if (tags[cell] === TAG_MISSING) values[cell] = Number.NaN
    }
  }

  /** The entry count of a map of 16 or 32 bits size, or minus a dead status. What is no map is walked: is it whole? */
  #openMap(type: number, at: number, end: number): number {
    if (!isMap(type)) {
      const guard = this.#guard
      guard.nodeCount = 1
      const status = guard.walk(this.#bytes, at - 1, end, 1)
      if (status !== STATUS_OK) return -status
      return guard.end === end ? -DEAD_NOT_MAP : -DEAD_TRAILING
    }
    const sizeBytes = type === 0xde ? 2 : 4
    if (at + sizeBytes > end) return -DEAD_TRUNCATED
    const entries = readSize(this.#bytes, at, sizeBytes)
    this.#at = at + sizeBytes
    return entries * 2 > end - this.#at ? -DEAD_TRUNCATED : entries
  }

  /** Reads a key that was not the predicted one and predicts it for the next record. Gives its field, or minus a status. */
  #readKey(place: number, at: number, end: number): number {
    if (at >= end) return -DEAD_TRUNCATED
    const bytes = this.#bytes
    const type = bytes[at]!
    let start = at + 1
    let length = type & 0x1f
    if ((type & 0xe0) !== 0xa0) {
      if (type < 0xd9 || type > 0xdb) return this.#readOddKey(type, at, end)
      const sizeBytes = 1 << (type - 0xd9)
      if (start + sizeBytes > end) return -DEAD_TRUNCATED
      length = readSize(bytes, start, sizeBytes)
      start += sizeBytes
    }
    if (start + length > end) return -DEAD_TRUNCATED
    this.#at = start + length
    const field = this.#lookUp(start, length)
    if (place < PREDICTED_PLACES && this.#at - at <= 8) this.#predict(place, at, this.#at - at, field)
    return field
  }

  /** A key that is no text: an integer counts as its decimal text, anything else is no field. */
  #readOddKey(type: number, at: number, end: number): number {
    const guard = this.#guard
    const status = guard.walk(this.#bytes, at, end, 2)
    if (status !== STATUS_OK) return -status
    this.#at = guard.end
    if (type >= 0x80 && type < 0xe0 && (type < 0xcc || type > 0xd3)) return UNWANTED
    const number = this.#columns.bytes?.value(at, guard.end - at)
    return number === undefined ? UNWANTED : this.#columns.fields.indexOf(String(number))
  }

  #lookUp(start: number, length: number): number {
    const bytes = this.#bytes
    const names = this.#names
    next: for (let field = 0; field < names.length; field++) {
      const name = names[field]!
      if (name.length !== length) continue
      for (let i = 0; i < length; i++) if (name[i] !== bytes[start + i]) continue next
      return field
    }
    return UNWANTED
  }

  #predict(place: number, at: number, keyBytes: number, field: number): void {
    for (let half = 0; half < 2; half++) {
      let mask = 0
      let want = 0
      for (let i = 0; i < 4; i++) {
        const index = half * 4 + i
        if (index >= keyBytes) break
        mask |= 0xff << (8 * i)
        want |= this.#bytes[at + index]! << (8 * i)
      }
      this.#masks[place * 2 + half] = mask
      this.#wants[place * 2 + half] = want
    }
    this.#keyBytes[place] = keyBytes
    this.#places[place] = field
  }

  /** A wanted value that is neither a double, a small integer nor a short text. */
  #readRare(cell: number, kind: number, at: number, end: number): number {
    const columns = this.#columns
    const fixed = FIXED_BYTES[kind]!
    if (fixed !== VARIABLE) {
      if (at + 1 + fixed > end) return DEAD_TRUNCATED
      this.#at = at + 1 + fixed
    } else {
      const status = this.#guard.walk(this.#bytes, at, end, 2)
      if (status !== STATUS_OK) return status
      this.#at = this.#guard.end
    }
    if (kind >= 0xe0 || (kind >= 0xca && kind <= 0xd3)) {
      const number = this.#number(kind, at + 1)
      const isBig = Number.isNaN(number) && kind !== 0xca
      columns.tags[cell] = isBig ? TAG_BIG : TAG_NUMBER
      columns.values[cell] = number
      columns.starts[cell] = at
      columns.lengths[cell] = this.#at - at
      return STATUS_OK
    }
    const isText = kind >= 0xd9 && kind <= 0xdb
    const start = isText ? at + 1 + (1 << (kind - 0xd9)) : at
    columns.tags[cell] = isText ? TAG_TEXT : TAG_OTHER
    columns.values[cell] = Number.NaN
    columns.starts[cell] = start
    columns.lengths[cell] = this.#at - start
    return STATUS_OK
  }

  /** A number by its type byte; NaN for an integer outside ±2^53. */
  #number(kind: number, at: number): number {
    const view = this.#view
    switch (kind) {
      case 0xca:
        return view.getFloat32(at)
      case 0xcc:
        return view.getUint8(at)
      case 0xcd:
        return view.getUint16(at)
      case 0xce:
        return view.getUint32(at)
      case 0xcf:
        return safeInteger(view.getUint32(at), view.getUint32(at + 4))
      case 0xd0:
        return view.getInt8(at)
      case 0xd1:
        return view.getInt16(at)
      case 0xd2:
        return view.getInt32(at)
      case 0xd3:
        return safeInteger(view.getInt32(at), view.getUint32(at + 4))
      default:
        return kind - 256
    }
  }
}

/** high * 2^32 + low, or NaN when it is outside ±2^53. */
export function safeInteger(high: number, low: number): number {
  const number = high * TWO_32 + low
  if (number > -TWO_53 && number < TWO_53) return number
  // At 2^53 and beyond the sum is rounded: only the bound itself is exact, and only with its low half 0.
  return (number === TWO_53 || number === -TWO_53) && low === 0 ? number : Number.NaN
}
