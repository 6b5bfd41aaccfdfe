// Compares two streams of rows, each in an order of its own: a row is kept only until its like has come from the other side. Pure.

/**
 * @example
 * const balance = new RowBalance()
 * balance.given('a')
 * balance.expected('a')
 * balance.isEven // true
 */
export class RowBalance {
  /** How many more of a row were given than expected, where that is not 0. */
  readonly #differences = new Map<string, number>()

  given(row: string): void {
    this.#add(row, 1)
  }

  expected(row: string): void {
    this.#add(row, -1)
  }

  get isEven(): boolean {
    return this.#differences.size === 0
  }

  /** Some rows that one side has more often, for people. */
  examples(count: number): string[] {
    return [...this.#differences]
      .slice(0, count)
      .map(([row, more]) => `${more > 0 ? 'not expected' : 'missing'}: ${row}`)
  }

  #add(row: string, count: number): void {
    const difference = (this.#differences.get(row) ?? 0) + count
    if (difference === 0) this.#differences.delete(row)
    else this.#differences.set(row, difference)
  }
}
