// What a client may show while rows are given, committed, aborted and read: by hand, as simply as it can be said.

interface Given {
  key: string
  json: string | undefined
  epoch: number
}

/** `undefined`: no row. */
export class ProvisionalOracle {
  /** Of the open attempt, in order. */
  #given: Given[] = []
  /** Committed and not read yet, in the order of the topic. */
  readonly unread: { key: string; json: string | undefined }[] = []
  /** As read. */
  readonly committed = new Map<string, string | undefined>()

  give(given: Given): void {
    this.#given.push(given)
  }
  /** The epochs up to this one are in the topic. */
  commit(epoch: number): void {
    const done = this.#given.filter((one) => one.epoch <= epoch)
    this.#given = this.#given.filter((one) => one.epoch > epoch)
    this.unread.push(...done.map(({ key, json }) => ({ key, json })))
  }
  abort(): void {
    this.#given = []
  }
  /** Somebody else writes the key. */
  foreign(key: string, json: string | undefined): void {
    this.unread.push({ key, json })
  }
  read(): { key: string; json: string | undefined } | undefined {
    const next = this.unread.shift()
    if (next !== undefined) this.committed.set(next.key, next.json)
    return next
  }
  /** All that may be shown for a key: the committed row, one on its way, or one of the open attempt. */
  allowed(key: string): (string | undefined)[] {
    const coming = [...this.unread, ...this.#given].filter((one) => one.key === key)
    return [this.committed.get(key), ...coming.map(({ json }) => json)]
  }
  /** May be shown as not committed. */
  provisional(key: string): (string | undefined)[] {
    return [...this.unread, ...this.#given].filter((one) => one.key === key).map(({ json }) => json)
  }
}
