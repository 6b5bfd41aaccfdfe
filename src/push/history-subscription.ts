// A subscription to the history of some keys: the newest rows of each by time, then every row of theirs that changes, older ones too.
// Like the other kind it holds a cursor and no queue. Main thread.
// Keeps SPEC: PUSH-1, PUSH-2, PUSH-12, PUSH-13, PUSH-15 (as subscriptions to the newest rows), PUSH-34 (no gap between history and updates),
// PUSH-36 (it is told how the view is fed), PROV-3 (rows that are not committed never move a position).

import type { Subscribe } from '../protocol/messages.ts'
import type { Follower } from './follower.ts'
import type { HistoryStore } from './history-store.ts'
import type { LiveView } from './live-view.ts'
import { ProvisionalTold } from './provisional-told.ts'
import { type Lens, lensOf } from './selection.ts'
import type { Outlet, SubscriptionOptions } from './subscription.ts'
import { ToldFeed } from './told-feed.ts'
import type { ViewRow } from './view-store.ts'
import type { Encoded } from './wire-codec.ts'

export interface HistorySubscriptionOptions extends SubscriptionOptions {
  /** With `history`, and keys. */
  request: Subscribe
  history: HistoryStore
}

/** Rows on their way: all of a snapshot, or what has changed. */
interface Sending {
  rows: Iterator<ViewRow>
  kind: 'snapshot' | 'missed' | 'update'
  isFirstPart: boolean
  /** Where the client is when it has them. */
  endPosition: string
}

export class HistorySubscription implements Follower {
  readonly view: LiveView
  readonly id: number
  readonly lens: Lens
  readonly hasHistory = true
  readonly isProvisional: boolean
  dueMs = Number.NEGATIVE_INFINITY
  behindSinceMs: number | undefined
  readonly #toldFeed = new ToldFeed()
  readonly #history: HistoryStore
  readonly #outlet: Outlet
  readonly #keys: readonly string[]
  /** Rows of a key in a snapshot. */
  readonly #count: number
  readonly #messageCharsMax: number
  readonly #minGapMs: number
  /** What the client has been told. */
  #position = ''
  #sequence = 0
  /** Rows that the client has, by record key, where a row may go out of the selection. */
  readonly #held: Set<string> | undefined
  #isMarked = false
  #needsSnapshot: boolean
  #resumeAt: string | undefined
  #sending: Sending | undefined
  /** What it has of rows that are not committed; undefined: it did not ask. */
  readonly #provisional: ProvisionalTold | undefined

  constructor({ view, outlet, request, history, messageCharsMax }: HistorySubscriptionOptions) {
    this.view = view
    this.id = request.id
    this.lens = lensOf(request)
    this.#history = history
    this.#outlet = outlet
    this.#keys = this.lens.keys ?? []
    this.#count = request.history ?? 0
    this.#messageCharsMax = messageCharsMax
    this.#minGapMs = request.minGapMs ?? 0
    this.#held = this.lens.isConditional ? new Set() : undefined
    this.isProvisional = request.provisional === true
    if (view.tellsProvisional(this)) this.#provisional = new ProvisionalTold(view, this.lens, outlet, this.#held)
    this.#resumeAt = request.resume
    this.#needsSnapshot = request.resume === undefined
  }

  mark(sequence: number): void {
    // Until then nothing of its keys has changed.
    if (!this.#isMarked) this.#sequence = Math.max(this.#sequence, sequence)
    this.#isMarked = true
  }

  flush(nowMs: number): void {
    if (this.view.failure !== undefined || nowMs < this.dueMs) return
    this.#toldFeed.tell(this, this.#outlet)
    if (!this.view.isReady) return
    let hasSent = false
    while (this.#outlet.isOpen() && (this.#sendNext(nowMs) || this.#sendProvisional())) hasSent = true
    if (hasSent && this.#minGapMs > 0) this.dueMs = nowMs + this.#minGapMs
  }

  touch(nowMs: number): void {
    this.flush(nowMs)
    const { place, isReady } = this.view
    const isWaiting = this.#sending !== undefined || this.#needsSnapshot || this.#resumeAt !== undefined
    if (!isReady || isWaiting || this.#isMarked || !this.#outlet.isOpen() || nowMs < this.dueMs) return
    if (this.#position !== place.text) this.#sendUpdate([], place.text, undefined)
  }

  /** Sends one message; false when the client has been told all. */
  #sendNext(nowMs: number): boolean {
    if (this.#resumeAt !== undefined && !this.#resume(this.#resumeAt, nowMs)) return false
    if (this.#sending === undefined) {
      if (this.#isMarked && !this.#history.store.reaches(this.#sequence)) this.#needsSnapshot = true
      if (this.#needsSnapshot) this.#beginSnapshot()
      else if (this.#isMarked) this.#begin(this.#changed().values(), 'update')
    }
    return this.#sending !== undefined && this.#send(this.#sending)
  }

  #sendProvisional(): boolean {
    if (this.#resumeAt !== undefined) return false
    return this.#provisional?.send(this.id, this.#position, this.#messageCharsMax) ?? false
  }

  /** Goes on at a position. False: this server is not that far. */
  #resume(position: string, nowMs: number): boolean {
    const rows = this.view.changesFrom(position, this.#history.store)
    if (rows === 'behind') {
      this.behindSinceMs ??= nowMs
      return false
    }
    this.behindSinceMs = undefined
    this.#resumeAt = undefined
    if (typeof rows === 'string') {
      this.#outlet.send(this.#outlet.codec.message({ type: 'reset', id: this.id, reason: rows }))
      this.#needsSnapshot = true
      return true
    }
    this.#position = position
    this.#begin(rows.filter(({ place }) => this.lens.hasKey(place!.key)).values(), 'missed')
    // What the client holds of older rows it holds still: they have not changed.
    for (const row of this.#held === undefined ? [] : this.#selected(Number.POSITIVE_INFINITY))
      if (this.lens.accepts(row)) this.#held!.add(row.key)
    return true
  }

  #beginSnapshot(): void {
    this.#needsSnapshot = false
    this.#held?.clear()
    this.#provisional?.reset()
    this.#begin(this.#selected(this.#count), 'snapshot')
    this.#position = this.view.place.text
  }

  #begin(rows: Iterator<ViewRow>, kind: Sending['kind']): void {
    this.#isMarked = false
    this.#sequence = this.#history.store.sequence
    this.#sending = { rows, kind, isFirstPart: true, endPosition: this.view.place.text }
  }

  /** By key, then by time. Read while they are sent: what changes meanwhile comes as an update. */
  *#selected(count: number): Generator<ViewRow, undefined> {
    for (const key of this.#keys) yield* this.#history.newest(key, count)
  }

  #changed(): ViewRow[] {
    const rows = this.#keys.flatMap((key) => [...this.#history.changesOf(key, this.#sequence)])
    return rows.sort((a, b) => a.sequence - b.sequence)
  }

  /** Sends a part. True: there may be more to say. */
  #send(sending: Sending): boolean {
    const { rows, kind, endPosition, isFirstPart } = sending
    const part: Encoded[] = []
    let newestMs: number | undefined
    let isLast = false
    for (let size = 0; size < this.#messageCharsMax && !isLast; ) {
      const next = rows.next()
      isLast = next.done === true
      if (next.done === true || !next.value.isCurrent) continue
      const encoded = this.#encode(next.value, kind)
      if (encoded === undefined) continue
      part.push(encoded)
      size += encoded.length
      newestMs = next.value.timestampMs
    }
    sending.isFirstPart = false
    if (isLast) this.#sending = undefined
    this.view.counts.rowsPushed.add(part.length)
    if (kind === 'snapshot') {
      const message = this.#outlet.codec.snapshot(this.id, endPosition, isFirstPart, isLast, part)
      this.view.countSent(message.length, undefined)
      this.#outlet.send(message, isLast ? endPosition : undefined)
    } else if (part.length > 0 || kind === 'missed') {
      this.#sendUpdate(part, isLast ? endPosition : this.#position, newestMs)
    }
    return true
  }

  /** A row as the client gets it; undefined: nothing that concerns it. */
  #encode(row: ViewRow, kind: Sending['kind']): Encoded | undefined {
    const { lens } = this
    const { codec } = this.#outlet
    const held = this.#held
    if (held === undefined || (!row.isRemoval && lens.accepts(row))) {
      held?.add(row.key)
      this.#provisional?.replaced(row.key)
      return kind === 'snapshot' ? codec.row(row, lens) : this.view.encodedRow(row, lens, codec)
    }
    if (!held.delete(row.key) && kind !== 'missed') return undefined
    this.#provisional?.replaced(row.key)
    return codec.removal(row)
  }

  #sendUpdate(rows: readonly Encoded[], position: string, newestMs: number | undefined): void {
    const message = this.#outlet.codec.update(this.id, this.#position, position, rows)
    if (newestMs !== undefined) this.view.countSent(message.length, newestMs)
    this.#outlet.send(message, position)
    this.#position = position
  }
}
