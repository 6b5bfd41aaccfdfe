// A view as it is served: its rows, where it is, whether it has caught up, why it failed, and who follows it. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited; one over its limit is not served at all), PUSH-11 (nor before it is read), PUSH-12 (a
// position is gone on from, or there is a reason), PUSH-36 (how it is fed).

import { MillraceError } from '../core/errors.ts'
import { historyPlace } from '../core/history-key.ts'
import type { Feed, ResetReason } from '../protocol/messages.ts'
import type { Follower } from './follower.ts'
import type { HistoryStore } from './history-store.ts'
import type { Offsets, PositionTokens } from './position-token.ts'
import { type ProvisionalLimits, ProvisionalSlots } from './provisional-slots.ts'
import type { ViewCounts } from './push-metrics.ts'
import type { Lens } from './selection.ts'
import type { RowRecord, ViewRow, ViewStore } from './view-store.ts'
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
  /** Undefined: the view has the newest rows alone. */
  history: HistoryStore | undefined
  counts: ViewCounts
  messageCharsMax: number
  provisional: ProvisionalLimits
  wallMs: () => number
}

export class LiveView {
  readonly name: string
  readonly topic: ViewTopic
  /** The newest rows. */
  readonly store: ViewStore
  /** Rows by key and time, where the view keeps them. */
  readonly history: HistoryStore | undefined
  readonly counts: ViewCounts
  /** Rows that are not committed. */
  readonly provisional: ProvisionalSlots
  place: ViewPlace
  /** Set once: the view is not served from then on. */
  failure: MillraceError | undefined
  /** How it is fed, for those who ask; clients are told when the state or the job of it changes. */
  feed: Feed = { state: 'live', sinceMs: 0, lagRecords: 0, lagMs: null }
  /** Called when clients have something to be told. */
  onChange: (due: Iterable<Follower>) => void = () => undefined
  /** Called when rows cannot be read any more: makes the view fail. */
  onBroken: (failure: MillraceError) => void = (failure) => this.fail(failure)
  readonly #options: LiveViewOptions
  readonly #subscriptions = new Set<Follower>()
  /** Those of all keys or of a prefix. */
  readonly #following = new Set<Follower>()
  readonly #byKey = new Map<string, Set<Follower>>()
  /** Those that want rows before their commit. */
  readonly #provisional = new Set<Follower>()
  /** By lens and encoding, the sequence that they begin after; of the present place only. */
  readonly #shared = new Map<string, SharedUpdate>()
  /** Rows as they travel, by lens and encoding; of the present place only. */
  readonly #encoded = new Map<string, Map<ViewRow, Encoded>>()
  #toldSequence = 0
  #toldHistory = 0
  /** Partitions that were not read to an end of not long ago since the start. */
  readonly #behind: Set<number>

  constructor(options: LiveViewOptions) {
    const { name, topic, store, history, counts } = options
    this.#options = options
    this.name = name
    this.topic = topic
    this.store = store
    this.history = history
    this.counts = counts
    this.provisional = new ProvisionalSlots(this.rowStore, options.provisional, (outcome) =>
      counts.provisional(outcome),
    )
    this.#behind = new Set(store.offsets.keys())
    this.place = this.#placeNow()
  }

  /** All rows that it keeps, each with a key of its own: that of its record where there is a history. */
  get rowStore(): ViewStore {
    return this.history?.store ?? this.store
  }

  /** True once it was read to an end that was seen not long before: a snapshot before that would show an old state as the present one. */
  get isReady(): boolean {
    return this.#behind.size === 0
  }

  reachedEnd(partition: number): void {
    if (this.#behind.delete(partition) && this.isReady) this.onChange(this.#subscriptions)
  }

  /** Takes a record. Gives why it is no row, if it is none. Throws MR7003 when the view would be over its limits. */
  apply(record: RowRecord): string | undefined {
    if (this.history === undefined) {
      this.store.apply(record)
      return undefined
    }
    const place = historyPlace(record.key)
    if (place === undefined) return 'its key has no time, which the rows of a history have'
    this.history.apply(record, place, this.store)
    return undefined
  }

  /** Moves the position over a record that is no row. */
  skip(partition: number, offset: number): void {
    this.store.skip(partition, offset)
    this.history?.store.skip(partition, offset)
  }

  /** Makes what was applied visible to clients. */
  publish(): void {
    this.history?.store.publish()
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
    this.history?.clear()
    this.provisional.clear()
    this.#shared.clear()
    this.#encoded.clear()
    this.onChange(this.#subscriptions)
  }

  takeFeed(feed: Feed): void {
    const { state, job } = this.feed
    this.feed = feed
    if (feed.state !== state || feed.job !== job) this.onChange(this.#subscriptions)
  }

  /** Does what reads rows. Where their copy cannot be read the view fails, and nothing of it was told. */
  reading(read: () => void): void {
    try {
      read()
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === 'MR7032')) throw error
      this.onBroken(error)
    }
  }

  get isProvisionalAsked(): boolean {
    return this.#provisional.size > 0
  }

  /** Rows that are not committed have changed, or whether there may be some. */
  tellProvisional(): void {
    if (this.failure === undefined && this.isProvisionalAsked) this.onChange(this.#provisional)
  }

  add(subscription: Follower): void {
    const { lens } = subscription
    this.#subscriptions.add(subscription)
    if (this.tellsProvisional(subscription)) this.#provisional.add(subscription)
    if (lens.keys === undefined) this.#following.add(subscription)
    else for (const key of lens.keys) this.#setOf(key).add(subscription)
  }

  /** It is told of rows before their commit: of a view with history those who follow the history of keys. */
  tellsProvisional({ isProvisional, hasHistory }: Pick<Follower, 'isProvisional' | 'hasHistory'>): boolean {
    return isProvisional && hasHistory === (this.history !== undefined)
  }

  remove(subscription: Follower): void {
    if (!this.#subscriptions.delete(subscription)) return
    this.#following.delete(subscription)
    if (this.#provisional.delete(subscription) && !this.isProvisionalAsked) this.provisional.clear()
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
  changesFrom(position: string, store = this.store): ViewRow[] | ResetReason | 'behind' {
    const { tokens, openedMs, removalMs } = this.topic
    const place = tokens.read(position)
    if (typeof place === 'string') return place
    if (place.offsets.length !== store.offsets.length) return 'other-topic'
    // What was removed between the position and the opening of the view may be gone from the topic by then.
    if (place.timeMs < openedMs - removalMs / 2) return 'too-old'
    if (!store.hasReached(place.offsets)) return 'behind'
    return store.changesFrom(place.offsets) ?? 'forgotten'
  }

  #placeNow(): ViewPlace {
    const { offsets } = this.store
    const timeMs = this.#options.wallMs()
    return { offsets, timeMs, text: this.topic.tokens.write({ offsets, timeMs }) }
  }

  #setOf(key: string): Set<Follower> {
    let set = this.#byKey.get(key)
    if (set === undefined) {
      set = new Set()
      this.#byKey.set(key, set)
    }
    return set
  }

  /** Whom the changes since the last time concern. */
  #markDue(): Iterable<Follower> {
    const { sequence } = this.store
    const historySequence = this.history?.store.sequence ?? 0
    const from = this.#toldSequence
    const historyFrom = this.#toldHistory
    this.#toldSequence = sequence
    this.#toldHistory = historySequence
    if (sequence === from && historySequence === historyFrom) return []
    if (this.#byKey.size === 0) return sequence === from ? [] : this.#following
    const due = new Set(sequence === from ? [] : this.#following)
    for (const follower of this.#concerned(this.store.changesSince(from)?.rows, false)) {
      follower.mark(from)
      due.add(follower)
    }
    if (this.history === undefined) return due
    for (const follower of this.#concerned(this.history.store.changesSince(historyFrom)?.rows, true)) {
      follower.mark(historyFrom)
      due.add(follower)
    }
    return due
  }

  /** Those whose keys have changed, of one kind. */
  *#concerned(rows: readonly ViewRow[] | undefined, hasHistory: boolean): Iterable<Follower> {
    // So many that some are forgotten: each looks for itself.
    const sets = rows?.map(({ key, place }) => this.#byKey.get(place?.key ?? key)) ?? this.#byKey.values()
    for (const followers of sets) {
      for (const follower of followers ?? []) if (follower.hasHistory === hasHistory) yield follower
    }
  }
}

function sharedId(lens: Lens, codec: WireCodec): string {
  return `${codec.protocol} ${lens.id}`
}
