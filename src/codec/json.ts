// JSON values with guards: nesting and node count are measured on the bytes before JSON.parse sees them.
// Runs on a lane, for the free path.
// Keeps SPEC: CODEC-1 (hostile bytes end as a status), CODEC-3 (`__proto__` is data), CODEC-4 (UTF-8 is checked).

import { DEAD_JSON, DEAD_TOO_DEEP, DEAD_UTF8, STATUS_OK } from '../core/record-status.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/**
 * Decodes JSON. The size in bytes is the caller's to check; node count and depth are those of the msgpack guard: values,
 * keys not counted; the outermost value is level 1.
 *
 * @example
 * if (decoder.decode(bytes, start, end) === STATUS_OK) use(decoder.value)
 */
export class JsonDecoder {
  readonly #depthMax: number
  readonly #nodesMax: number
  readonly #text = new TextDecoder('utf-8', { fatal: true })
  value: unknown = undefined
  /** What the parser said, after DEAD_JSON. */
  reason = ''

  constructor(depthMax: number, nodesMax: number) {
    this.#depthMax = depthMax
    this.#nodesMax = nodesMax
  }

  /** Returns a record status; after STATUS_OK the value is in `value`. */
  decode(bytes: Uint8Array, start: number, end: number): number {
    if (!this.#isWithinLimits(bytes, start, end)) return DEAD_TOO_DEEP
    let text: string
    try {
      text = this.#text.decode(bytes.subarray(start, end))
    } catch {
      // The only error of a fatal decoder: the bytes are not UTF-8.
      return DEAD_UTF8
    }
    try {
      this.value = JSON.parse(text)
      return STATUS_OK
    } catch (error) {
      this.reason = (error as Error).message
      return DEAD_JSON
    }
  }

  /** Every comma adds a value and so does every container that is not empty; text is stepped over. */
  #isWithinLimits(bytes: Uint8Array, start: number, end: number): boolean {
    let nodeCount = 1
    let depth = 0
    let isOpened = false
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!
      if (byte <= 0x20) continue
      if (isOpened && byte !== 0x5d && byte !== 0x7d) nodeCount++
      isOpened = false
      if (byte === QUOTE) at = endOfText(bytes, at + 1, end)
      else if (byte === COMMA) nodeCount++
      else if (byte === 0x5b || byte === 0x7b) {
        isOpened = true
        if (++depth > this.#depthMax) return false
      } else if (byte === 0x5d || byte === 0x7d) depth--
      if (nodeCount > this.#nodesMax) return false
    }
    return true
  }
}

/** Where the text that began before `at` has its closing quote, or the end. */
function endOfText(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1
  return at
}
