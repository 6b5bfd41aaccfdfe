// Packs headers into one reused array, in the layout of core/frame.ts: for records that are not written in place.
// Runs on a lane.
// Keeps SPEC: FRAME-1 (headers as frames carry them).

import { writeDigits } from '../../codec/numbers.ts'
import type { RecordHeader } from '../../core/frame.ts'

const textEncoder = new TextEncoder()

/** A header's name, encoded once. */
export function headerName(name: string): Uint8Array {
  return textEncoder.encode(name)
}

/**
 * Headers being packed: { u16 nameBytes, i32 valueBytes, name, value } each, little endian, back to back.
 *
 * @example
 * const headers = new HeaderBytes()
 * headers.clear()
 * headers.addNumber(REV, 3)
 * writer.append(topicIndex, -1, timestampMs, key, value, headers.packed())
 */
export class HeaderBytes {
  bytes = new Uint8Array(1024)
  length = 0

  clear(): void {
    this.length = 0
  }

  /** What is packed so far, as a view. */
  packed(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** Opens a header whose value of at most `valueBytesMax` bytes the caller writes from the returned place on. */
  open(name: Uint8Array, valueBytesMax: number): number {
    const at = this.length
    this.reserve(at + 6 + name.length + valueBytesMax)
    const { bytes } = this
    bytes[at] = name.length & 0xff
    bytes[at + 1] = name.length >> 8
    for (let i = 0; i < name.length; i++) bytes[at + 6 + i] = name[i]!
    return at + 6 + name.length
  }

  /** Closes the header opened with `name`: its value began at `start` and ends at `end`. */
  close(start: number, end: number, name: Uint8Array): void {
    const at = start - name.length - 4
    const size = end - start
    const { bytes } = this
    bytes[at] = size & 0xff
    bytes[at + 1] = (size >> 8) & 0xff
    bytes[at + 2] = (size >> 16) & 0xff
    bytes[at + 3] = (size >> 24) & 0xff
    this.length = end
  }

  addBytes(name: Uint8Array, value: Uint8Array): void {
    const start = this.open(name, value.length)
    for (let i = 0; i < value.length; i++) this.bytes[start + i] = value[i]!
    this.close(start, start + value.length, name)
  }

  addText(name: Uint8Array, text: string): void {
    this.addBytes(name, textEncoder.encode(text))
  }

  /** A number in decimal; infinities as their JavaScript text. */
  addNumber(name: Uint8Array, value: number): void {
    if (!Number.isSafeInteger(value)) {
      this.addText(name, String(value))
      return
    }
    const start = this.open(name, 20)
    this.close(start, writeDigits(this.bytes, start, value), name)
  }

  /** Headers that are packed already: those a record came with. */
  addPacked(source: Uint8Array, start: number, length: number): void {
    this.reserve(this.length + length)
    for (let i = 0; i < length; i++) this.bytes[this.length + i] = source[start + i]!
    this.length += length
  }

  addAll(headers: readonly RecordHeader[]): void {
    for (const { name, value } of headers) this.addBytes(headerName(name), value ?? new Uint8Array(0))
  }

  /** Makes room for `bytes` in all. */
  reserve(bytes: number): void {
    if (bytes <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(bytes, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }
}
