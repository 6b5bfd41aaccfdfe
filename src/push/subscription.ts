// What one subscription has been told, and what it is told next: a snapshot, then updates, each continuing the one before. It holds a
// cursor and no queue: what a slow client misses is found in the view, newest row per key. Main thread.
// Keeps SPEC: PUSH-1 (every update names the position before it), PUSH-2 (the newest row of a key is always delivered),
// PUSH-4 (order per key is monotone), PUSH-12 (it goes on at a position, or says why not), PUSH-13 (rows that are selected, and that some
// are not any more), PUSH-15 (updates keep their distance), PUSH-36 (it is told how the view is fed),
// PROV-3 (rows that are not committed never move a position).

import type { Subscribe } from '../protocol/messages.ts'
import type { Follower } from './follower.ts'
import type { LiveView } from './live-view.ts'
import { ProvisionalTold } from './provisional-told.ts'
import { type Lens, lensOf } from './selection.ts'
import { ToldFeed } from './told-feed.ts'
import type { ViewRow } from './view-store.ts'
import { bytesOf, type Encoded, type WireCodec } from './wire-codec.ts'

/** The client's socket. */
export interface Outlet {
  readonly codec: WireCodec
  /** False: no more, until it has read what waits. */
  isOpen(): boolean
  /** `position`: the one that the client has reached when it has read the message. */
  send(message: Encoded, position?: string): void
}

export interface SubscriptionOptions {
  view: LiveView
  outlet: Outlet
  request: Subscribe
  messageCharsMax: number
}

export class Subscription implements Follower {
  readonly view: LiveView
  readonly id: number
  readonly lens: Lens
  readonly hasHistory = false
  readonly isProvisional: boolean
  /** Monotonic ms; it is told nothing before. */
  dueMs = Number.NEGATIVE_INFINITY
  /** Monotonic ms since when this server is behind the position that it is to go on at. */
  behindSinceMs: number | undefined
  readonly #outlet: Outlet
  readonly #messageCharsMax: number
  readonly #minGapMs: number
  /** What the client has been told. */
  #position = ''
  #sequence = 0
  /** Changes of its keys that it has been told or has skipped, where it follows keys. */
  readonly #revisions: Map<string, number> | undefined
  /** Keys that the client has a row of, where a row may go out of the selection. */
  readonly #held: Set<string> | undefined
  /** Rows that are being sent, of a snapshot or of what was missed before the position. */
  #pending: Iterator<ViewRow> | undefined
  #isSnapshot = false
  /** What the client holds is not known: whatever is not selected may have to go. */
  #isResuming = false
  /** Of one that follows keys: some have changed. */
  #isMarked = false
  /** Where the client is when it has what is pending. */
  #endPosition = ''
  #isFirstPart = true
  #needsSnapshot = false
  #resumeAt: string | undefined
  readonly #toldFeed = new ToldFeed()
  /** What it has of rows that are not committed; undefined: it did not ask, or is told none. */
  readonly #provisional: ProvisionalTold | undefined

  constructor({ view, outlet, request, messageCharsMax }: SubscriptionOptions) {
    const { id, resume, minGapMs = 0, provisional = false } = request
    this.view = view
    this.id = id
    this.lens = lensOf(request)
    this.#outlet = outlet
    this.#messageCharsMax = messageCharsMax
    this.#minGapMs = minGapMs
    this.#revisions = this.lens.keys === undefined ? undefined : new Map()
    this.#held = this.lens.isConditional ? new Set() : undefined
    this.isProvisional = provisional
    if (view.tellsProvisional(this)) this.#provisional = new ProvisionalTold(view, this.lens, outlet, this.#held)
    this.#resumeAt = resume
    this.#needsSnapshot = resume === undefined
  }

  get codec(): WireCodec {
    return this.#outlet.codec
  }

  /** One of its keys has changed, after a sequence of the store. */
  mark(sequence: number): void {
    // Until then nothing of its keys has.
    if (!this.#isMarked && this.lens.keys !== undefined) this.#sequence = Math.max(this.#sequence, sequence)
    this.#isMarked = true
  }

  /** Tells the client what it can take now. */
  flush(nowMs: number): void {
    if (this.view.failure !== undefined || nowMs < this.dueMs) return
    this.#toldFeed.tell(this, this.#outlet)
    if (!this.view.isReady) return
    let hasSent = false
    while (this.#outlet.isOpen() && (this.#sendNext(nowMs) || this.#sendProvisional())) hasSent = true
    if (hasSent && this.#minGapMs > 0) this.dueMs = nowMs + this.#minGapMs
  }

  /** Lets the client know how far the view is, though nothing of its rows has changed. */
  touch(nowMs: number): void {
    this.flush(nowMs)
    const { place, isReady } = this.view
    const isWaiting = this.#pending !== undefined || this.#needsSnapshot || this.#resumeAt !== undefined
    if (!isReady || isWaiting || !this.#outlet.isOpen() || nowMs < this.dueMs || this.#position === place.text) return
    if (this.#hasChanges()) return
    this.#sendUpdate([], place.text, undefined)
  }

  /** Sends one message; false when the client has been told all. */
  #sendNext(nowMs: number): boolean {
    if (this.#resumeAt !== undefined && !this.#resume(this.#resumeAt, nowMs)) return false
    if (this.#pending === undefined && !this.view.store.reaches(this.#sequence) && this.#hasChanges()) {
      this.#needsSnapshot = true
    }
    if (this.#needsSnapshot) this.#beginSnapshot()
    if (this.#pending !== undefined) return this.#sendPending(this.#pending)
    if (!this.#hasChanges()) return false
    return this.lens.keys === undefined ? this.#sendChanges() : this.#sendKeys(this.lens.keys)
  }

  #sendProvisional(): boolean {
    if (this.#resumeAt !== undefined) return false
    return this.#provisional?.send(this.id, this.#position, this.#messageCharsMax) ?? false
  }

  #hasChanges(): boolean {
    return this.lens.keys === undefined ? this.#sequence !== this.view.store.sequence : this.#isMarked
  }

  /** Goes on at a position. False: this server is not that far. */
  #resume(position: string, nowMs: number): boolean {
    const rows = this.view.changesFrom(position)
    if (rows === 'behind') {
      this.behindSinceMs ??= nowMs
      return false
    }
    this.behindSinceMs = undefined
    this.#resumeAt = undefined
    if (typeof rows === 'string') {
      this.#outlet.send(this.codec.message({ type: 'reset', id: this.id, reason: rows }))
      this.#needsSnapshot = true
      return true
    }
    this.#position = position
    this.#begin(rows.filter(({ key }) => this.lens.hasKey(key)).values(), false)
    this.#noteRevisions()
    this.#isResuming = true
    // What the client holds of older rows it holds still: they have not changed.
    if (this.#held !== undefined) {
      for (const row of this.#selected()) if (this.lens.accepts(row)) this.#held.add(row.key)
    }
    return true
  }

  /**
   * The rows are read while they are sent, so some may be newer than the position: the updates that follow repeat those
   * or go beyond them, never back.
   */
  #beginSnapshot(): void {
    this.#needsSnapshot = false
    this.#held?.clear()
    this.#provisional?.reset()
    this.#begin(this.#selected(), true)
    this.#noteRevisions()
    this.#position = this.view.place.text
  }

  #begin(rows: Iterator<ViewRow>, isSnapshot: boolean): void {
    this.#pending = rows
    this.#isSnapshot = isSnapshot
    this.#isFirstPart = true
    this.#isMarked = false
    this.#sequence = this.view.store.sequence
    this.#endPosition = this.view.place.text
  }

  /** Of keys that are followed, what the client is told now is where counting begins. */
  #noteRevisions(): void {
    for (const key of this.lens.keys ?? []) {
      this.#revisions!.set(key, this.view.store.latest(key)?.revision ?? 0)
    }
  }

  *#selected(): Generator<ViewRow, undefined> {
    const { rows } = this.view.store
    const { keys, prefix } = this.lens
    if (keys === undefined) {
      for (const row of rows.values(prefix)) yield row
    } else {
      for (const key of keys) {
        const row = rows.get(key)
        if (row !== undefined) yield row
      }
    }
  }

  #sendPending(rows: Iterator<ViewRow>): boolean {
    const part: Encoded[] = []
    let newestMs: number | undefined
    let isLast = false
    for (let size = 0; size < this.#messageCharsMax && !isLast; ) {
      const next = rows.next()
      isLast = next.done === true
      if (next.done === true || !next.value.isCurrent) continue
      const encoded = this.#encode(next.value)
      if (encoded === undefined) continue
      part.push(encoded)
      size += encoded.length
      newestMs = next.value.timestampMs
    }
    this.view.counts.rowsPushed.add(part.length)
    const position = this.#endPosition
    if (this.#isSnapshot) {
      const message = this.codec.snapshot(this.id, position, this.#isFirstPart, isLast, part)
      this.view.countSent(message.length, undefined)
      this.#outlet.send(message, isLast ? position : undefined)
    } else this.#sendUpdate(part, isLast ? position : this.#position, newestMs)
    this.#isFirstPart = false
    if (isLast) {
      this.#pending = undefined
      this.#isResuming = false
      this.#isSnapshot = false
    }
    return true
  }

  /** A row as the client gets it; undefined: nothing that concerns it. */
  #encode(row: ViewRow): Encoded | undefined {
    const { lens, codec } = this
    const held = this.#held
    if (held === undefined || (!row.isRemoval && lens.accepts(row))) {
      held?.add(row.key)
      this.#provisional?.replaced(row.key)
      // Of a snapshot the next client may ask at another place.
      return this.#isSnapshot ? codec.row(row, lens) : this.view.encodedRow(row, lens, codec)
    }
    if (!held.delete(row.key) && !this.#isResuming) return undefined
    this.#provisional?.replaced(row.key)
    return codec.removal(row)
  }

  #sendChanges(): boolean {
    return this.#held === undefined ? this.#sendShared() : this.#sendConditional()
  }

  #sendShared(): boolean {
    const { store, counts, place } = this.view
    const update = this.view.updateFrom(this.#sequence, this.lens, this.codec)!
    const { rows, messages } = update
    this.#sequence = update.endSequence
    counts.rowsConflated.add(update.conflatedCount)
    const isLast = this.#sequence === store.sequence
    // What concerns nobody here moves the position with the next update, or with the next sign of life.
    if (rows.length === 0) return !isLast
    counts.rowsPushed.add(rows.length)
    const position = isLast ? place.text : this.#position
    const id = `${this.id} ${this.#position} ${position}`
    let message = messages.get(id)
    if (message === undefined) {
      message = bytesOf(this.codec.update(this.id, this.#position, position, rows))
      messages.set(id, message)
    }
    this.#send(message, position, update.newestMs)
    return true
  }

  #sendConditional(): boolean {
    const { store, counts, place } = this.view
    const changes = store.changesSince(this.#sequence, this.#messageCharsMax)!
    const mine = changes.rows.filter(({ key }) => this.lens.hasKey(key))
    const rows = mine.map((row) => this.#encode(row)).filter((row) => row !== undefined)
    this.#sequence = changes.endSequence
    counts.rowsConflated.add(changes.conflatedCount)
    const isLast = this.#sequence === store.sequence
    if (rows.length === 0) return !isLast
    counts.rowsPushed.add(rows.length)
    this.#sendUpdate(rows, isLast ? place.text : this.#position, mine.at(-1)?.timestampMs)
    return true
  }

  #sendKeys(keys: readonly string[]): boolean {
    const { store, counts } = this.view
    const rows: ViewRow[] = []
    for (const key of keys) {
      const row = store.latest(key)
      if (row === undefined || row.sequence <= this.#sequence) continue
      rows.push(row)
      counts.rowsConflated.add(Math.max(0, row.revision - (this.#revisions!.get(key) ?? 0) - 1))
      this.#revisions!.set(key, row.revision)
    }
    this.#begin(rows.values(), false)
    return this.#sendPending(this.#pending!)
  }

  #sendUpdate(rows: readonly Encoded[], position: string, newestMs: number | undefined): void {
    this.#send(this.codec.update(this.id, this.#position, position, rows), position, newestMs)
  }

  #send(message: Encoded, position: string, newestMs: number | undefined): void {
    if (newestMs !== undefined) this.view.countSent(message.length, newestMs)
    this.#outlet.send(message, position)
    this.#position = position
  }
}
