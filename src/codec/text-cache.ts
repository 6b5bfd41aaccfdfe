// Short texts by their UTF-8 bytes: field names and keys repeat, so decoding them again makes no new string. Hot.
// Runs on a lane.
// Keeps SPEC: CODEC-2 (the cache has a fixed size and never gives another text than the bytes say).

const SLOT_COUNT = 4096
const CACHED_BYTES_MAX = 32

const textDecoder = new TextDecoder()

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
    for (let i = 0; i < length; i++) hash = (Math.imul(hash, 31) + bytes[start + i]!) | 0
    const slot = (hash ^ (hash >>> 15)) & (SLOT_COUNT - 1)
    const known = this.#texts[slot]
    if (known !== undefined && this.#lengths[slot] === length && this.#isAt(slot, bytes, start, length)) return known
    return this.#remember(slot, bytes, start, length)
  }

  #isAt(slot: number, bytes: Uint8Array, start: number, length: number): boolean {
    const at = slot * CACHED_BYTES_MAX
    for (let i = 0; i < length; i++) if (this.#arena[at + i] !== bytes[start + i]) return false
    return true
  }

  #remember(slot: number, bytes: Uint8Array, start: number, length: number): string {
    const view = bytes.subarray(start, start + length)
    const text = textDecoder.decode(view)
    this.#texts[slot] = text
    this.#lengths[slot] = length
    this.#arena.set(view, slot * CACHED_BYTES_MAX)
    return text
  }
}
