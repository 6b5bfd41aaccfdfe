// Short texts by their UTF-8 bytes: field names and keys repeat, so decoding them again makes no new string. Hot.
// Runs on a lane.
// Keeps SPEC: CODEC-2 (the cache has a fixed size and never gives another text than the bytes say).

const SLOT_COUNT = 4096
const CACHED_BYTES_MAX = 32

/** A byte order mark is a letter like others in the middle of a record. */
const textDecoder = new TextDecoder('utf-8', { ignoreBOM: true })
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string
}

/**
 * Decodes UTF-8; bytes that are not UTF-8 become U+FFFD.
 *
 * @example
 * new TextCache().text(bytes, start, length)
 */
export class TextCache {
  readonly #texts: (string | undefined)[] = new Array(SLOT_COUNT).fill(undefined)
  readonly #lengths = new Uint8Array(SLOT_COUNT)
  readonly #arena = new Uint8Array(SLOT_COUNT * CACHED_BYTES_MAX)

  text(bytes: Uint8Array, start: number, length: number): string {
    if (length === 0) return ''
    if (length > CACHED_BYTES_MAX) return textDecoder.decode(bytes.subarray(start, start + length))
    let hash = length
    let allBits = 0
    for (let i = 0; i < length; i++) {
      const byte = bytes[start + i]!
      allBits |= byte
      hash = (Math.imul(hash, 31) + byte) | 0
    }
    const slot = (hash ^ (hash >>> 15)) & (SLOT_COUNT - 1)
    const known = this.#texts[slot]
    if (known !== undefined && this.#lengths[slot] === length && this.#isAt(slot, bytes, start, length)) return known
    return this.#remember(slot, bytes, start, length, allBits < 0x80)
  }

  #isAt(slot: number, bytes: Uint8Array, start: number, length: number): boolean {
    const at = slot * CACHED_BYTES_MAX
    for (let i = 0; i < length; i++) if (this.#arena[at + i] !== bytes[start + i]) return false
    return true
  }

  #remember(slot: number, bytes: Uint8Array, start: number, length: number, isAscii: boolean): string {
    // Without a view of the bytes, which costs more than the text.
    const text = isAscii
      ? latin1Slice.call(bytes, start, start + length)
      : textDecoder.decode(bytes.subarray(start, start + length))
    this.#texts[slot] = text
    this.#lengths[slot] = length
    const at = slot * CACHED_BYTES_MAX
    for (let i = 0; i < length; i++) this.#arena[at + i] = bytes[start + i]!
    return text
  }
}
