// Writes result rows straight into a frame: field names are laid out once, a row only adds its key and its numbers. Hot.
// Runs on a lane. The msgpack and the JSON writer are twins: the same row, field by field.
// Keeps SPEC: ROW-1 ({key, windowStart, windowEnd, aggregates} in this order), R9 (what a row carries).

import { encodeValue, type ValueFormat } from './encode.ts'
import { Label, writeLabel } from './label.ts'
import { writeDigits, writeNumberMsgpack, writeNumberText } from './numbers.ts'

/** Bytes that one number takes at most, in either format. */
const NUMBER_BYTES_MAX = 32
const textEncoder = new TextEncoder()
const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** What a row is made of; one object, filled anew for each row. */
export interface RowParts {
  keySource: Uint8Array
  keyStart: number
  keyBytes: number
  windowStartMs: number
  windowEndMs: number
  /** The time in the row's id; no field of it. */
  idMs: number
  /** Results by aggregate; NaN: see `others`, and without one there the result is null. */
  readonly numbers: Float64Array
  /** Results that are no numbers, by aggregate. */
  readonly others: unknown[]
}

/** One layout of rows. */
export interface RowEncoder {
  /** No row of these parts is longer. Encodes the parts that are no numbers, which `write` then copies. */
  prepare(parts: RowParts): number
  /** Writes the row prepared last into target[at ..) and returns its end. */
  write(target: Uint8Array, at: number, parts: RowParts): number
}

/**
 * The encoder of an operator's rows. `names`: the aggregates, in order.
 *
 * @example
 * const encoder = createRowEncoder('msgpack', 'sym', true, ['open', 'n'])
 * const bytesMax = encoder.prepare(parts)
 * const end = encoder.write(bytes, at, parts)
 */
export function createRowEncoder(
  format: ValueFormat,
  keyField: string,
  isWindowed: boolean,
  names: readonly string[],
): RowEncoder {
  const windowNames = isWindowed ? ['windowStart', 'windowEnd'] : []
  return format === 'msgpack'
    ? new MsgpackRowEncoder(keyField, windowNames, names)
    : new JsonRowEncoder(keyField, windowNames, names)
}

/** Results that are no numbers, encoded ahead so that a row's size is known before it is written. */
class OtherParts {
  readonly #format: ValueFormat
  readonly encoded: (Uint8Array | undefined)[] = []

  constructor(format: ValueFormat) {
    this.#format = format
  }

  /** Encodes them; the sum of their bytes. */
  prepare(parts: RowParts): number {
    let bytes = 0
    for (let i = 0; i < parts.numbers.length; i++) {
      const other = !Number.isNaN(parts.numbers[i]) ? undefined : parts.others[i]
      // A NaN that a record brought is no number either, and its bits are whatever the engine makes of them.
      const isNone = other === undefined || other === null || Number.isNaN(other)
      const encoded = isNone ? undefined : encodeValue(this.#format, other)
      this.encoded[i] = encoded
      if (encoded !== undefined) bytes += encoded.length
    }
    return bytes
  }
}

class MsgpackRowEncoder implements RowEncoder {
  readonly #head: Label
  readonly #windowNames: Label[]
  readonly #names: Label[]
  readonly #fixedBytes: number
  readonly #others = new OtherParts('msgpack')

  constructor(keyField: string, windowNames: readonly string[], names: readonly string[]) {
    const size = 1 + windowNames.length + names.length
    const header = size < 16 ? [0x80 | size] : [0xde, size >> 8, size & 0xff]
    this.#head = new Label([...header, ...encodeValue('msgpack', keyField)])
    this.#windowNames = windowNames.map((name) => new Label(encodeValue('msgpack', name)))
    this.#names = names.map((name) => new Label(encodeValue('msgpack', name)))
    this.#fixedBytes = fixedBytes([this.#head, ...this.#windowNames, ...this.#names], size)
  }

  prepare(parts: RowParts): number {
    return this.#fixedBytes + 5 + parts.keyBytes + this.#others.prepare(parts)
  }

  write(target: Uint8Array, at: number, parts: RowParts): number {
    at = writeLabel(target, at, this.#head)
    at = writeTextMsgpack(target, at, parts.keySource, parts.keyStart, parts.keyBytes)
    if (this.#windowNames.length > 0) {
      at = writeLabel(target, at, this.#windowNames[0]!)
      at = writeNumberMsgpack(target, at, parts.windowStartMs)
      at = writeLabel(target, at, this.#windowNames[1]!)
      at = writeNumberMsgpack(target, at, parts.windowEndMs)
    }
    for (let i = 0; i < this.#names.length; i++) {
      at = writeLabel(target, at, this.#names[i]!)
      const other = this.#others.encoded[i]
      at = other === undefined ? writeNumberMsgpack(target, at, parts.numbers[i]!) : copy(target, at, other)
    }
    return at
  }
}

class JsonRowEncoder implements RowEncoder {
  readonly #head: Label
  readonly #windowNames: Label[]
  readonly #names: Label[]
  readonly #fixedBytes: number
  readonly #others = new OtherParts('json')

  constructor(keyField: string, windowNames: readonly string[], names: readonly string[]) {
    const label = (name: string): Label => new Label(textEncoder.encode(`,${JSON.stringify(name)}:`))
    this.#head = new Label(textEncoder.encode(`{${JSON.stringify(keyField)}:`))
    this.#windowNames = windowNames.map(label)
    this.#names = names.map(label)
    this.#fixedBytes = fixedBytes([this.#head, ...this.#windowNames, ...this.#names], 1 + names.length + 2) + 2
  }

  prepare(parts: RowParts): number {
    // A byte of the key may become an escape of six.
    return this.#fixedBytes + 2 + parts.keyBytes * 6 + this.#others.prepare(parts)
  }

  write(target: Uint8Array, at: number, parts: RowParts): number {
    at = writeLabel(target, at, this.#head)
    at = writeTextJson(target, at, parts.keySource, parts.keyStart, parts.keyBytes)
    if (this.#windowNames.length > 0) {
      at = writeDigits(target, writeLabel(target, at, this.#windowNames[0]!), parts.windowStartMs)
      at = writeDigits(target, writeLabel(target, at, this.#windowNames[1]!), parts.windowEndMs)
    }
    for (let i = 0; i < this.#names.length; i++) {
      at = writeLabel(target, at, this.#names[i]!)
      const other = this.#others.encoded[i]
      at = other === undefined ? writeNumberText(target, at, parts.numbers[i]!) : copy(target, at, other)
    }
    target[at] = 0x7d
    return at + 1
  }
}

function fixedBytes(labels: readonly Label[], numberCount: number): number {
  return labels.reduce((sum, label) => sum + label.roomBytes, 0) + numberCount * NUMBER_BYTES_MAX
}

function copy(target: Uint8Array, at: number, source: Uint8Array): number {
  for (let i = 0; i < source.length; i++) target[at + i] = source[i]!
  return at + source.length
}

function writeTextMsgpack(target: Uint8Array, at: number, source: Uint8Array, start: number, length: number): number {
  if (length < 32) target[at++] = 0xa0 | length
  else if (length < 256) {
    target[at++] = 0xd9
    target[at++] = length
  } else {
    target[at++] = 0xda
    target[at++] = length >> 8
    target[at++] = length & 0xff
  }
  for (let i = 0; i < length; i++) target[at + i] = source[start + i]!
  return at + length
}

function writeTextJson(target: Uint8Array, at: number, source: Uint8Array, start: number, length: number): number {
  target[at] = 0x22
  for (let i = 0; i < length; i++) {
    const byte = source[start + i]!
    if (byte < 0x20 || byte > 0x7e || byte === 0x22 || byte === 0x5c) {
      const text = textDecoder.decode(source.subarray(start, start + length))
      return copy(target, at, textEncoder.encode(JSON.stringify(text)))
    }
    target[at + 1 + i] = byte
  }
  target[at + 1 + length] = 0x22
  return at + length + 2
}
