// Records of many keys, one frame after another: what churns keys and grows state. A record costs little to make. Pure.
import { FrameWriter } from '../../src/core/frame.ts'

/** What a record holds: `key` is also its Kafka key, as text. */
export interface KeyedRecord {
  key: string
  /** Event time, ms. */
  ts: number
  value: number
}

/** A record by its numbers. The caller fills the same object again and again. */
export interface RecordNumbers {
  /** 0 to 2^32 - 1. */
  key: number
  ts: number
  value: number
}

/*
 * A value is a msgpack map of 45 bytes:
 *
 *    0 83        map of 3
 *    1 a3 'key'   5 ac and 12 letters: `key-` and 8 hexadecimal digits
 *   18 a2 'ts'   21 cb float64
 *   30 a5 'value' 36 cb float64
 */
const VALUE_BYTES = 45
const KEY_AT = 6
const KEY_BYTES = 12
const DIGITS_AT = KEY_AT + 4
const TS_AT = 22
const VALUE_AT = 37
const FRAME_BYTES = 1 << 20

const HEX = new TextEncoder().encode('0123456789abcdef')
const textDecoder = new TextDecoder()

export class KeyedRecords {
  readonly #writer = new FrameWriter(FRAME_BYTES)
  readonly #value = new Uint8Array(VALUE_BYTES)
  readonly #view = new DataView(this.#value.buffer)
  readonly #key = this.#value.subarray(KEY_AT, KEY_AT + KEY_BYTES)
  readonly #record: RecordNumbers = { key: 0, ts: 0, value: 0 }

  constructor() {
    const put = (at: number, first: number, text: string): void => {
      this.#value[at] = first
      new TextEncoder().encodeInto(text, this.#value.subarray(at + 1))
    }
    this.#value[0] = 0x83
    put(1, 0xa3, 'key')
    put(5, 0xac, 'key-')
    put(18, 0xa2, 'ts')
    this.#value[21] = 0xcb
    put(30, 0xa5, 'value')
    this.#value[36] = 0xcb
  }

  /** The frame of the records `from` to `to`, which are their offsets; `fill` tells what each holds. */
  frame(from: number, to: number, fill: (n: number, record: RecordNumbers) => void): ArrayBuffer {
    const record = this.#record
    for (let n = from; n < to; n++) {
      fill(n, record)
      this.#writeKey(record.key)
      this.#view.setFloat64(TS_AT, record.ts)
      this.#view.setFloat64(VALUE_AT, record.value)
      this.#writer.appendSource(n, record.ts, this.#key, this.#value)
    }
    return this.#writer.take(0, to)!
  }

  /** Keys that follow each other are far apart in byte order, as hashes are; an odd factor visits every number once. */
  #writeKey(number: number): void {
    const mixed = Math.imul(number, SPREAD)
    for (let i = 0; i < 8; i++) this.#value[DIGITS_AT + i] = HEX[(mixed >>> (28 - i * 4)) & 15]!
  }
}

const SPREAD = 0x9e3779b1

/** The inverse of SPREAD modulo 2^32: by Newton's method, each step doubles the bits that are right. */
const UNSPREAD = [0, 1, 2, 3, 4].reduce((inverse) => Math.imul(inverse, 2 - Math.imul(SPREAD, inverse)), SPREAD)

/** The number of a key, as `RecordNumbers` has it. */
export function keyNumber(key: Uint8Array): number {
  const digits = textDecoder.decode(key.subarray(KEY_BYTES - 8))
  return Math.imul(Number.parseInt(digits, 16), UNSPREAD) >>> 0
}
