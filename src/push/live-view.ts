// A view as it is served: its rows, whether it has caught up, why it failed, and who follows it. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited; one over its limit is not served at all), PUSH-11 (nor before it is read).

import type { MillraceError } from '../core/errors.ts'
import { type Position, positionStep, updateJson } from '../protocol/messages.ts'
import type { ViewCounts } from './push-metrics.ts'
import type { Subscription } from './subscription.ts'
import type { ViewStore } from './view-store.ts'

/** An update message, made once for all clients that are at the same place. */
export interface SharedUpdate {
  from: Position
  message: string
  rowCount: number
  conflatedCount: number
  endSequence: number
}

export class LiveView {
  readonly name: string
  readonly topic: string
  readonly store: ViewStore
  readonly counts: ViewCounts
  readonly subscriptions = new Set<Subscription>()
  /** Set once: the view is not served from then on. */
  failure: MillraceError | undefined
  /** Called when clients have something to be told. */
  onChange: () => void = () => undefined
  readonly #messageCharsMax: number
  /** By the sequence that they begin after; of the present position only. */
  readonly #shared = new Map<number, SharedUpdate>()
  /** Partitions whose end has not been reached since the start. */
  readonly #behind: Set<number>

  constructor(name: string, topic: string, store: ViewStore, counts: ViewCounts, messageCharsMax: number) {
    this.name = name
    this.topic = topic
    this.store = store
    this.counts = counts
    this.#messageCharsMax = messageCharsMax
    this.#behind = new Set(Object.keys(store.position).map(Number))
  }

  /** True when it has been read to the end once: a snapshot before that would show an old state as the present one. */
  get isReady(): boolean {
    return this.#behind.size === 0
  }

  reachedEnd(partition: number): void {
    if (this.#behind.delete(partition) && this.isReady) this.onChange()
  }

  /** Makes what was applied visible to clients. */
  publish(): void {
    if (!this.store.publish()) return
    this.#shared.clear()
    if (this.isReady) this.onChange()
  }

  fail(failure: MillraceError): void {
    if (this.failure !== undefined) return
    this.failure = failure
    this.store.clear()
    this.#shared.clear()
    this.onChange()
  }

  /**
   * The next update of a client that has been told `position` and the changes up to `sequence`: a part of them when there
   * are many, and only the last part moves the position. Undefined when the client is too far behind for updates.
   */
  updateFrom(position: Position, sequence: number): SharedUpdate | undefined {
    const known = this.#shared.get(sequence)
    if (known?.from === position) return known
    const changes = this.store.changesSince(sequence, this.#messageCharsMax)
    if (changes === undefined) return undefined
    const { rows, conflatedCount, endSequence } = changes
    const isLast = endSequence === this.store.sequence
    const step = isLast ? positionStep(position, this.store.position) : { prev: {}, position: {} }
    const jsons = rows.map((row) => row.json)
    const message = updateJson(step.prev, step.position, jsons)
    const update = { from: position, message, rowCount: rows.length, conflatedCount, endSequence }
    this.#shared.set(sequence, update)
    return update
  }
}
