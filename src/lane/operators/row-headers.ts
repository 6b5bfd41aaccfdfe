// The headers of a result row: id, rev and phase. Hot: written straight behind the row's value, no object a row.
// Runs on a lane.
// Keeps SPEC: R9 (a row has id, rev and phase).

import type { RowParts } from '../../codec/encode-row.ts'
import { Label, writeLabel } from '../../codec/label.ts'
import { writeDigits } from '../../codec/numbers.ts'
import { encodeHeaders } from '../../core/frame.ts'
import type { HeaderBytes } from './header-bytes.ts'

/*
 *   { "millrace-phase", early|final|retracted } { "millrace-id", <operator>:<key>[:<windowStart>[:<windowEnd>]|:#<number>] } { "millrace-rev", digits }
 *   └────── one block a phase, laid out once ─────────────────┘
 */
/** Digits of a number, sign included, at most. */
const DIGITS_MAX = 20
const COLON = 0x3a
const NUMBER_SIGN = 0x23

const textEncoder = new TextEncoder()

/**
 * What a row is to those before it of its id: one before the close, the one of the close, or none any more; `filled`: the one
 * of the close of a window without records, which is final and says so.
 */
export type Phase = 'early' | 'final' | 'retracted' | 'filled'

/**
 * What of a window is in the id of its rows: nothing without one, its end too where several have one start, its number where
 * windows are counted.
 */
export type IdBounds = 'none' | 'start' | 'both' | 'number'

/** Writes the headers of the rows of one operator. */
export class RowHeaders {
  readonly #bounds: IdBounds
  readonly #phases: Readonly<Record<Phase, Label>>
  readonly #rev: Label
  /** Bytes of the id before the key. */
  readonly #idPrefixBytes: number

  constructor(operator: string, bounds: IdBounds) {
    const idPrefix = textEncoder.encode(`${operator}:`)
    const block = (phase: Phase): Label =>
      new Label(
        encodeHeaders([
          { name: 'millrace-phase', value: textEncoder.encode(phase === 'filled' ? 'final' : phase) },
          ...(phase === 'filled' ? [{ name: 'millrace-filled', value: textEncoder.encode('true') }] : []),
          { name: 'millrace-id', value: idPrefix },
        ]),
      )
    this.#bounds = bounds
    this.#idPrefixBytes = idPrefix.length
    const [early, final, retracted, filled] = [block('early'), block('final'), block('retracted'), block('filled')]
    this.#phases = { early, final, retracted, filled }
    this.#rev = new Label(encodeHeaders([{ name: 'millrace-rev', value: new Uint8Array(0) }]))
  }

  /** No row with such a key has more bytes of headers. */
  bytesMax(keyBytes: number): number {
    return this.#phases.filled.roomBytes + keyBytes + 2 * (1 + DIGITS_MAX) + this.#rev.roomBytes + DIGITS_MAX
  }

  /** Writes the headers into target[at ..) and returns their end. */
  write(target: Uint8Array, at: number, parts: RowParts, rev: number, phase: Phase): number {
    let end = writeLabel(target, at, this.#phases[phase])
    const idStart = end - this.#idPrefixBytes
    const { keySource, keyStart, keyBytes } = parts
    for (let i = 0; i < keyBytes; i++) target[end + i] = keySource[keyStart + i]!
    end += keyBytes
    if (this.#bounds !== 'none') {
      target[end++] = COLON
      if (this.#bounds === 'number') target[end++] = NUMBER_SIGN
      end = writeDigits(target, end, parts.idMs)
    }
    if (this.#bounds === 'both') {
      target[end] = COLON
      end = writeDigits(target, end + 1, parts.windowEndMs)
    }
    writeValueBytes(target, idStart - ID_NAME_BYTES - 4, end - idStart)
    const rev0 = end
    const revStart = writeLabel(target, rev0, this.#rev)
    end = writeDigits(target, revStart, rev)
    writeValueBytes(target, rev0 + 2, end - revStart)
    return end
  }

  /** The same into packed headers, for rows that are not written in place. */
  pack(headers: HeaderBytes, parts: RowParts, rev: number, phase: Phase): void {
    headers.clear()
    headers.reserve(this.bytesMax(parts.keyBytes))
    headers.length = this.write(headers.bytes, 0, parts, rev, phase)
  }
}

const ID_NAME_BYTES = 'millrace-id'.length

/** The length field of a header's value, little endian. */
function writeValueBytes(target: Uint8Array, at: number, bytes: number): void {
  target[at] = bytes & 0xff
  target[at + 1] = (bytes >> 8) & 0xff
  target[at + 2] = (bytes >> 16) & 0xff
  target[at + 3] = 0
}
