// A view as it is served: its rows, where it is, whether it has caught up, why it failed, and who follows it. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited; one over its limit is not served at all), PUSH-11 (nor before it is read), PUSH-12 (a
// position is gone on from, or there is a reason).

import type { MillraceError } from '../core/errors.ts'
import type { ResetReason } from '../protocol/messages.ts'
import type { Offsets, PositionTokens } from './position-token.ts'
import type { ViewCounts } from './push-metrics.ts'
import type { Lens } from './selection.ts'
import type { Subscription } from './subscription.ts'
import type { ViewRow, ViewStore } from './view-store.ts'
import type { Encoded, WireCodec } from './wire-codec.ts'

/** Where a view is, as clients are told. The same text means the same rows. */
export interface ViewPlace {
  offsets: Offsets
  text: string
  /** When it got there, ms since the epoch. */
  timeMs: number
}

/** What the updates of all clients with one lens and encoding are made of. */
export interface SharedUpdate {
  rows: Encoded[]
  conflatedCount: number
  endSequence: number
  /** Timestamp of the last of the rows; undefined: there is none. */
  newestMs: number | undefined
  /** Messages of these rows, by id of the subscription and positions: those of clients that keep up are the same. */
  messages: Map<string, Uint8Array>
}

/** The view's topic as it was when the view was opened. */
export interface ViewTopic {
  name: string
  tokens: PositionTokens
  /** Wall clock, ms since the epoch; removals before that were seen if the topic still had them. */
  openedMs: number
  /** So long a topic has a removal at least; 0: not known. */
  removalMs: number
}

export interface LiveViewOptions {
  name: string
  topic: ViewTopic
  store: ViewStore
  counts: ViewCounts
  messageCharsMax: number
  wallMs: () => number
}

export class LiveView {
  readonly name: string
  readonly topic: ViewTopic
  readonly store: ViewStore
  readonly counts: ViewCounts
  place: ViewPlace
  /** Set once: the view is not served from then on. */
  failure: MillraceError | undefined
  /** Called when clients have something to be told. */
  onChange: (due: Iterable<Subscription>) => void = () => undefined
  readonly #options: LiveViewOptions
  readonly #subscriptions = new Set<Subscription>()
  /** Those of all keys or of a prefix. */
  readonly #following = new Set<Subscription>()
  readonly #byKey = new Map<string, Set<Subscription>>()
  /** By lens and encoding, the sequence that they begin after; of the present place only. */
  readonly #shared = new Map<string, SharedUpdate>()
  /** Rows as they travel, by lens and encoding; of the present place only. */
  readonly #encoded = new Map<string, Map<ViewRow, Encoded>>()
  #toldSequence = 0
  /** Partitions whose end has not been reached since the start. */
  readonly #behind: Set<number>

  constructor(options: LiveViewOptions) {
    const { name, topic, store, counts } = options
    this.#options = options
    this.name = name
    this.topic = topic
    this.store = store
    this.counts = counts
    this.#behind = new Set(store.offsets.keys())
    this.place = this.#placeNow()
  }

  /** True when it has been read to the end once: a snapshot before that would show an old state as the present one. */
  get isReady(): boolean {
    return this.#behind.size === 0
  }

  reachedEnd(partition: number): void {
    if (this.#behind.delete(partition) && this.isReady) this.onChange(this.#subscriptions)
  }

  /** Makes what was applied visible to clients. */
  publish(): void {
    if (!this.store.publish()) return
    this.place = this.#placeNow()
    this.#shared.clear()
    this.#encoded.clear()
    const due = this.#markDue()
    if (this.isReady) this.onChange(due)
  }

  fail(failure: MillraceError): void {
    if (this.failure !== undefined) return
    this.failure = failure
    this.store.clear()
    this.#shared.clear()
    this.#encoded.clear()
    this.onChange(this.#subscriptions)
  }

  add(subscription: Subscription): void {
    const { lens } = subscription
    this.#subscriptions.add(subscription)
    if (lens.keys === undefined) this.#following.add(subscription)
    else for (const key of lens.keys) this.#setOf(key).add(subscription)
  }

  remove(subscription: Subscription): void {
    if (!this.#subscriptions.delete(subscription)) return
    this.#following.delete(subscription)
    for (const key of subscription.lens.keys ?? []) {
      const set = this.#byKey.get(key)!
      set.delete(subscription)
      if (set.size === 0) this.#byKey.delete(key)
    }
  }

  /** A row as it travels, made once for all with the same lens and encoding who are told of it at the present place. */
  encodedRow(row: ViewRow, lens: Lens, codec: WireCodec): Encoded {
    const id = sharedId(lens, codec)
    let rows = this.#encoded.get(id)
    if (rows === undefined) {
      rows = new Map()
      this.#encoded.set(id, rows)
    }
    let encoded = rows.get(row)
    if (encoded === undefined) {
      encoded = codec.row(row, lens)
      rows.set(row, encoded)
    }
    return encoded
  }

  /** The changes after a sequence for a lens without conditions. Undefined: they are forgotten. */
  updateFrom(sequence: number, lens: Lens, codec: WireCodec): SharedUpdate | undefined {
    const id = `${sequence} ${sharedId(lens, codec)}`
    const known = this.#shared.get(id)
    if (known !== undefined) return known
    const changes = this.store.changesSince(sequence, this.#options.messageCharsMax)
    if (changes === undefined) return undefined
    const rows = changes.rows.filter(({ key }) => lens.hasKey(key))
    const { conflatedCount, endSequence } = changes
    const encoded = rows.map((row) => this.encodedRow(row, lens, codec))
    const newestMs = rows.at(-1)?.timestampMs
    const update = { rows: encoded, conflatedCount, endSequence, newestMs, messages: new Map() }
    this.#shared.set(id, update)
    return update
  }

  /** Counts a message with rows that is sent now; `newestMs`: the timestamp of its newest row, undefined: a snapshot. */
  countSent(length: number, newestMs: number | undefined): void {
    const { counts, place } = this
    counts.messages.add(1)
    counts.bytes.add(length)
    if (newestMs === undefined) return
    const nowMs = this.#options.wallMs()
    counts.rowDelay.record(nowMs - newestMs)
    counts.readDelay.record(nowMs - place.timeMs)
  }

  /** What changed since a position; `behind`: this server is not that far yet. */
  changesFrom(position: string): ViewRow[] | ResetReason | 'behind' {
    const { tokens, openedMs, removalMs } = this.topic
    const place = tokens.read(position)
    if (typeof place === 'string') return place
    if (place.offsets.length !== this.store.offsets.length) return 'other-topic'
    // What was removed between the position and the opening of the view may be gone from the topic by then.
    if (place.timeMs < openedMs - removalMs / 2) return 'too-old'
    if (!this.store.hasReached(place.offsets)) return 'behind'
    return this.store.changesFrom(place.offsets) ?? 'forgotten'
  }

  #placeNow(): ViewPlace {
    const { offsets } = this.store
    const timeMs = this.#options.wallMs()
    return { offsets, timeMs, text: this.topic.tokens.write({ offsets, timeMs }) }
  }

  #setOf(key: string): Set<Subscription> {
    let set = this.#byKey.get(key)
    if (set === undefined) {
      set = new Set()
      this.#byKey.set(key, set)
    }
    return set
  }

  /** Whom the changes since the last time concern. */
  #markDue(): Iterable<Subscription> {
    const { sequence } = this.store
    const from = this.#toldSequence
    this.#toldSequence = sequence
    if (sequence === from) return []
    if (this.#byKey.size === 0) return this.#following
    const due = new Set(this.#following)
    for (const subscription of this.#concerned(from)) {
      subscription.mark()
      due.add(subscription)
    }
    return due
  }

  /** Those whose keys have changed since a sequence. */
  *#concerned(sequence: number): Iterable<Subscription> {
    const changes = this.store.changesSince(sequence)
    // So many that some are forgotten: each looks for itself.
    if (changes === undefined) for (const subscriptions of this.#byKey.values()) yield* subscriptions
    else for (const { key } of changes.rows) yield* this.#byKey.get(key) ?? []
  }
}

function sharedId(lens: Lens, codec: WireCodec): string {
  return `${codec.protocol} ${lens.id}`
}
