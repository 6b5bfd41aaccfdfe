// Decodes msgpack that the guard has walked: plain objects, `__proto__` an ordinary field, the last of equal keys wins.
// Runs on a lane, for the free path. Decoding never throws on guarded bytes.
// Keeps SPEC: CODEC-1 (hostile bytes end as a status), CODEC-3 (`__proto__` is data), PATH-1 (same fields as the scanner).

import type { ColumnBytes } from '../core/columns.ts'
import { isArray, isMap, readSize } from './msgpack-guard.ts'
import { safeInteger } from './msgpack-scan.ts'
import { TextCache } from './text-cache.ts'

const TWO_32 = 2 ** 32
// A view of the bytes costs more than to copy the few of a number.
const scratch = new DataView(new ArrayBuffer(8))
const scratchBytes = new Uint8Array(scratch.buffer)

/** An extension type that has no JavaScript value of its own (all but timestamps). */
export class MsgpackExtension {
  readonly type: number
  readonly data: Uint8Array
  constructor(type: number, data: Uint8Array) {
    this.type = type
    this.data = data
  }
}

/**
 * The decoder. Integers outside ±2^53 become bigint, timestamps (extension -1) Date, bin a copied Uint8Array. Keys of
 * maps become text.
 *
 * @example
 * decoder.begin(frame.bytes)
 * const record = decoder.value(start, length)
 */
export class MsgpackDecoder implements ColumnBytes {
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  readonly #texts = new TextCache()
  /** Of fields: texts come and go, names stay. */
  readonly #names = new TextCache()

  begin(bytes: Uint8Array): void {
    this.#bytes = bytes
  }

  text(start: number, length: number): string {
    return this.#texts.text(this.#bytes, start, length)
  }

  /** The value at start; the guard must have walked it. */
  value(start: number, _length: number): unknown {
    this.#at = start
    return this.#read()
  }

  #read(): unknown {
    const type = this.#bytes[this.#at++]!
    if (type < 0x80) return type
    if (type >= 0xe0) return type - 256
    if (type < 0x90) return this.#map(type & 0x0f)
    if (type < 0xa0) return this.#array(type & 0x0f)
    if (type < 0xc0) return this.#text(type & 0x1f)
    if (type === 0xcb) {
      this.#at += 8
      return readFloat64(this.#bytes, this.#at - 8)
    }
    if (type >= 0xca && type <= 0xd3) return this.#number(type)
    return this.#variable(type)
  }

  #number(type: number): number | bigint {
    const bytes = this.#bytes
    const at = this.#at
    if (type === 0xca) {
      this.#at += 4
      return readFloat32(bytes, at)
    }
    const isSigned = type >= 0xd0
    const size = 1 << (type - (isSigned ? 0xd0 : 0xcc))
    this.#at += size
    const first = readSize(bytes, at, Math.min(size, 4))
    const unusedBits = size < 4 ? 32 - size * 8 : 0
    const high = isSigned ? (first << unusedBits) >> unusedBits : first
    if (size < 8) return high
    const low = readSize(bytes, at + 4, 4)
    const number = safeInteger(high, low)
    return Number.isNaN(number) ? (BigInt(high) << 32n) | BigInt(low) : number
  }

  #variable(type: number): unknown {
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#copy(this.#size(1 << (type - 0xc4)))
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#size(1 << (type - 0xc7)))
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#size(1 << (type - 0xd9)))
    }
    if (isArray(type)) return this.#array(this.#size(type === 0xdc ? 2 : 4))
    if (isMap(type)) return this.#map(this.#size(type === 0xde ? 2 : 4))
    return this.#extension(1 << (type - 0xd4))
  }

  #size(sizeBytes: number): number {
    this.#at += sizeBytes
    return readSize(this.#bytes, this.#at - sizeBytes, sizeBytes)
  }

  #text(length: number): string {
    this.#at += length
    return this.#texts.text(this.#bytes, this.#at - length, length)
  }

  #copy(length: number): Uint8Array {
    this.#at += length
    return this.#bytes.slice(this.#at - length, this.#at)
  }

  #array(size: number): unknown[] {
    const items: unknown[] = []
    for (let i = 0; i < size; i++) items.push(this.#read())
    return items
  }

  #map(size: number): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    for (let i = 0; i < size; i++) {
      const key = this.#key()
      if (key === '__proto__') setOwn(object, key, this.#read())
      else object[key] = this.#read()
    }
    return object
  }

  #key(): string {
    const type = this.#bytes[this.#at]!
    if ((type & 0xe0) === 0xa0) {
      const length = type & 0x1f
      this.#at += 1 + length
      return this.#names.text(this.#bytes, this.#at - length, length)
    }
    const key = this.#read()
    return typeof key === 'object' ? '' : String(key)
  }

  /** Timestamps are 32 bits of seconds, 30 + 34 bits of nanoseconds and seconds, or 32 + 64 bits of them. */
  #extension(length: number): unknown {
    const bytes = this.#bytes
    const type = (bytes[this.#at++]! << 24) >> 24
    const at = this.#at
    if (type === -1 && length === 4) {
      this.#at += 4
      return new Date(readSize(bytes, at, 4) * 1000)
    }
    if (type === -1 && length === 8) {
      this.#at += 8
      const high = readSize(bytes, at, 4)
      const seconds = (high & 3) * TWO_32 + readSize(bytes, at + 4, 4)
      return new Date(seconds * 1000 + Math.floor((high >>> 2) / 1e6))
    }
    if (type === -1 && length === 12) {
      this.#at += 12
      const seconds = (readSize(bytes, at + 4, 4) | 0) * TWO_32 + readSize(bytes, at + 8, 4)
      return new Date(seconds * 1000 + Math.floor(readSize(bytes, at, 4) / 1e6))
    }
    return new MsgpackExtension(type, this.#copy(length))
  }
}

function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

function readFloat64(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 8; i++) scratchBytes[i] = bytes[at + i]!
  return scratch.getFloat64(0)
}

function readFloat32(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 4; i++) scratchBytes[i] = bytes[at + i]!
  return scratch.getFloat32(0)
}
