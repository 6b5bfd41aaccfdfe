// Random numbers by a seed and a place: what is drawn for one event does not depend on the events before it.

const TWO_32 = 2 ** 32

/**
 * Numbers in a sequence of its own for each seed and place (mulberry32).
 *
 * @example
 * const random = new Random(1)
 * random.goTo(42).below(10) // the same each time
 */
export class Random {
  readonly #seed: number
  #state = 0

  constructor(seed: number) {
    this.#seed = mixed(seed | 0, 0x9e3779b9)
  }

  /** Begins the sequence of a place, any whole number. */
  goTo(place: number): this {
    this.#state = mixed(mixed(this.#seed, place | 0), Math.floor(place / TWO_32))
    return this
  }

  /** From 0 to below 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / TWO_32
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  /** One of some values. */
  oneOf<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!
  }
}

/** Two 32-bit numbers as one in which every bit depends on all. */
function mixed(a: number, b: number): number {
  let bits = a ^ Math.imul(b, 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}
