// A view as it is served: its rows, whether it has caught up, why it failed, and who follows it. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited; one over its limit is not served at all).

import type { MillraceError } from '../core/errors.ts'
import { type Position, positionStep, updateJson } from '../protocol/messages.ts'
import type { ViewCounts } from './push-metrics.ts'
import type { Subscription } from './subscription.ts'
import type { ViewStore } from './view-store.ts'

/** One or more update messages, made once for all clients at the same position. */
export interface SharedUpdate {
  messages: string[]
  rowCount: number
  conflatedCount: number
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
  readonly #shared = new Map<Position, SharedUpdate>()
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

  /** The update from a position to now; undefined when the client is too far behind for one. */
  updateFrom(position: Position, sequence: number): SharedUpdate | undefined {
    const known = this.#shared.get(position)
    if (known !== undefined) return known
    const changes = this.store.changesSince(sequence)
    if (changes === undefined) return undefined
    const jsons = changes.rows.map((row) => row.json)
    const messages = updateMessages(position, this.store.position, jsons, this.#messageCharsMax)
    const update = { messages, rowCount: jsons.length, conflatedCount: changes.conflatedCount }
    this.#shared.set(position, update)
    return update
  }
}

/** Updates of at most `charsMax` (one row may be larger); the last one moves the position, those before do not. */
export function updateMessages(from: Position, to: Position, jsons: readonly string[], charsMax: number): string[] {
  const parts = splitRows(jsons, charsMax)
  return parts.map((part, i) => {
    if (i < parts.length - 1) return updateJson({}, {}, part)
    const { prev, position } = positionStep(from, to)
    return updateJson(prev, position, part)
  })
}

function splitRows(jsons: readonly string[], charsMax: number): string[][] {
  const parts: string[][] = [[]]
  let chars = 0
  for (const json of jsons) {
    if (chars > 0 && chars + json.length > charsMax) {
      parts.push([])
      chars = 0
    }
    parts.at(-1)!.push(json)
    chars += json.length
  }
  return parts
}
