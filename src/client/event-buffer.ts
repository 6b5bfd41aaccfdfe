// What waits for one iterator over a subscription: the newest row of each key that has changed, or that all have. Runs in browsers and
// in Node.
// Keeps SPEC: PUSH-20 (who reads slowly gets the newest row of each key).

import type { ClientError } from './client-error.ts'
import type { ChangedRow, HeldRow, ViewEvent, ViewFeed } from './view.ts'

/** What tells rows of a subscription apart: the key, and in a history the time. */
export function idOf({ key, timeMs }: { readonly key: string; readonly timeMs?: number }): string {
  return timeMs === undefined ? key : `${key}:${timeMs}`
}

/** Whose events they are. */
interface Origin<R> {
  readonly rows: ReadonlyMap<string, HeldRow<R>>
  readonly state: string
  readonly feed: ViewFeed
  readonly error: ClientError | undefined
}

/** An iterator that several may wait on. Keys are conflated; over its limit it is all rows that the subscription holds then. */
export class EventBuffer<R> implements AsyncIterator<ViewEvent<R>, undefined> {
  readonly #origin: Origin<R>
  readonly #rowsMax: number
  readonly #onReturn: () => void
  #changed = new Map<string, ChangedRow<R>>()
  #isAll = false
  #isFeed = false
  #isDone = false
  #waiting: (() => void)[] = []

  constructor(origin: Origin<R>, rowsMax: number, onReturn: () => void) {
    this.#origin = origin
    this.#rowsMax = rowsMax
    this.#onReturn = onReturn
  }

  /** All rows are news. */
  putAll(): void {
    this.#isAll = true
    this.#changed.clear()
    this.wake()
  }

  put(changed: readonly ChangedRow<R>[]): void {
    if (!this.#isAll) {
      for (const row of changed) {
        const id = idOf(row)
        this.#changed.delete(id) // so that it stands where its newest change does
        this.#changed.set(id, row)
      }
      if (this.#changed.size > this.#rowsMax) this.putAll()
    }
    this.wake()
  }

  /** How the view is fed is news. */
  putFeed(): void {
    this.#isFeed = true
    this.wake()
  }

  /** Lets those who wait look again. */
  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async next(): Promise<IteratorResult<ViewEvent<R>, undefined>> {
    for (;;) {
      if (this.#isDone) return { done: true, value: undefined }
      const value = this.#take()
      if (value !== undefined) return { done: false, value }
      const { state, error } = this.#origin
      if (state === 'closed') {
        this.#isDone = true
        if (error !== undefined) throw error
      } else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async return(): Promise<IteratorResult<ViewEvent<R>, undefined>> {
    this.#isDone = true
    this.#onReturn()
    this.wake()
    return { done: true, value: undefined }
  }

  #take(): ViewEvent<R> | undefined {
    if (this.#isFeed) {
      this.#isFeed = false
      return { type: 'feed', feed: this.#origin.feed, rows: [] }
    }
    if (this.#isAll) {
      this.#isAll = false
      return { type: 'snapshot', rows: [...this.#origin.rows.values()] }
    }
    if (this.#changed.size === 0) return undefined
    const rows = [...this.#changed.values()]
    this.#changed.clear()
    return { type: 'update', rows }
  }
}
