// The symbols of the trade generator: their names, and which of them a random number draws. Any thread; pure.
// Keeps SPEC: GEN-1 (the same number draws the same symbol, on every machine and for ever).

/** How often each symbol comes: by a Zipf law, `S...0` the most frequent, or each as often as the others. */
export type Spread = 'zipf' | 'uniform'

/** A name is 7 letters: `SYM0042` of up to 10,000 symbols, else `S` and six digits of base 36, so that values keep their size. */
export const TRADE_KEY_BYTES = 7
export const KEY_COUNT_MAX = 10_000_000
export const KEY_COUNT = 1000
const DECIMAL_KEY_COUNT_MAX = 10_000

const ZIPF_EXPONENT = 1.1
/** Few symbols are drawn by a table of this many slots; the rarest of 1,000 symbols still has 5. */
const SLOT_COUNT = 1 << 16
const SLOTTED_KEY_COUNT_MAX = 1000
const TWO_32 = 2 ** 32

/**
 * A number of symbols and the law they are drawn by.
 *
 * @throws RangeError when `keyCount` is not a whole number from 1 to KEY_COUNT_MAX
 * @example
 * const symbols = new Symbols(1000, 'zipf')
 * symbols.name(symbols.draw(random)) // 'SYM0004'
 */
export class Symbols {
  readonly keyCount: number
  /** All names back to back, TRADE_KEY_BYTES each. */
  readonly bytes: Uint8Array
  readonly #names: (string | undefined)[]
  readonly #isUniform: boolean
  /** The symbol of each slot; undefined where there are too many symbols for slots, or no need of any. */
  readonly #slots: Uint16Array | undefined
  /** Of the law without slots: the part of its range that `draw` spans. */
  readonly #range: number

  constructor(keyCount: number = KEY_COUNT, spread: Spread = 'zipf') {
    if (!(Number.isSafeInteger(keyCount) && keyCount >= 1 && keyCount <= KEY_COUNT_MAX)) {
      throw new RangeError(`${keyCount} symbols: a whole number from 1 to ${KEY_COUNT_MAX} is needed`)
    }
    this.keyCount = keyCount
    this.bytes = nameBytes(keyCount)
    this.#names = new Array<undefined>(keyCount)
    this.#isUniform = spread === 'uniform'
    this.#slots = this.#isUniform || keyCount > SLOTTED_KEY_COUNT_MAX ? undefined : zipfSlots(keyCount)
    this.#range = 1 - (keyCount + 1) ** (1 - ZIPF_EXPONENT)
  }

  /** The symbol, from 0, that a 32-bit number draws. Hot. */
  draw(random: number): number {
    if (this.#slots !== undefined) return this.#slots[random >>> 16]!
    const share = (random >>> 0) / TWO_32
    return this.#isUniform ? Math.floor(share * this.keyCount) : this.#drawZipf(share)
  }

  /** The name of symbol `i`. Made once. */
  name(i: number): string {
    this.#names[i] ??= nameOf(i, this.keyCount)
    return this.#names[i]
  }

  /**
   * The inverse of the continuous law x ** -1.1 on [1, keyCount + 1), cut to whole numbers: close to Zipf's for any number
   * of symbols, with no table. The power of -10 is multiplied out, since engines may differ in the last bit of `**`.
   */
  #drawZipf(share: number): number {
    const root = 1 / (1 - share * this.#range)
    const square = root * root
    const fourth = square * square
    return Math.min(this.keyCount, Math.floor(fourth * fourth * square)) - 1
  }
}

function nameOf(i: number, keyCount: number): string {
  return keyCount > DECIMAL_KEY_COUNT_MAX
    ? `S${i
        .toString(36)
        .toUpperCase()
        .padStart(TRADE_KEY_BYTES - 1, '0')}`
    : `SYM${String(i).padStart(TRADE_KEY_BYTES - 3, '0')}`
}

function nameBytes(keyCount: number): Uint8Array {
  const bytes = new Uint8Array(keyCount * TRADE_KEY_BYTES)
  for (let i = 0; i < keyCount; i++) {
    const name = nameOf(i, keyCount)
    for (let at = 0; at < TRADE_KEY_BYTES; at++) bytes[i * TRADE_KEY_BYTES + at] = name.charCodeAt(at)
  }
  return bytes
}

function zipfSlots(keyCount: number): Uint16Array {
  const weights = Array.from({ length: keyCount }, (_, i) => (i + 1) ** -ZIPF_EXPONENT)
  const whole = weights.reduce((sum, weight) => sum + weight, 0)
  const slots = new Uint16Array(SLOT_COUNT)
  let from = 0
  let sum = 0
  for (let i = 0; i < keyCount; i++) {
    sum += weights[i]!
    const to = Math.round((sum / whole) * SLOT_COUNT)
    slots.fill(i, from, to)
    from = to
  }
  return slots
}
