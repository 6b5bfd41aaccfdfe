// Keys in the order of their code units, put in order when somebody asks. Main thread.

/**
 * @example
 * const order = new KeyOrder()
 * order.add('b')
 * order.add('a')
 * order.from('a', 10) // ['a', 'b']
 */
export class KeyOrder {
  #sorted: string[] = []
  readonly #added = new Set<string>()
  readonly #gone = new Set<string>()

  /** One that is not there. */
  add(key: string): void {
    if (!this.#gone.delete(key)) this.#added.add(key)
  }

  /** One that is there. */
  delete(key: string): void {
    if (!this.#added.delete(key)) this.#gone.add(key)
  }

  clear(): void {
    this.#sorted = []
    this.#added.clear()
    this.#gone.clear()
  }

  /** At most `limit` keys from `first` on. */
  from(first: string, limit: number): string[] {
    this.#settle()
    const start = this.#placeOf(first)
    return this.#sorted.slice(start, start + limit)
  }

  /** All keys from `first` to `last`, both included; `last` undefined: to the end. */
  between(first: string, last: string | undefined): string[] {
    this.#settle()
    const end = last === undefined ? this.#sorted.length : this.#placeOf(`${last}\0`)
    return this.#sorted.slice(this.#placeOf(first), end)
  }

  /** What came and went is merged in: in a view whose keys stay there is nothing to do. */
  #settle(): void {
    if (this.#added.size === 0 && this.#gone.size === 0) return
    const added = [...this.#added].sort(byCodeUnits)
    const merged: string[] = []
    let next = 0
    for (const key of this.#sorted) {
      while (next < added.length && added[next]! < key) merged.push(added[next++]!)
      if (!this.#gone.has(key)) merged.push(key)
    }
    while (next < added.length) merged.push(added[next++]!)
    this.#sorted = merged
    this.#added.clear()
    this.#gone.clear()
  }

  #placeOf(key: string): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sorted[middle]! < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
