// One client's way through one view: snapshot, then updates, each continuing the position of the one before. It holds a
// cursor and no queue: what a slow client misses is found in the view, newest row per key. Main thread.
// Keeps SPEC: PUSH-1 (every update names the position before it), PUSH-2 (the newest row of a key is always delivered),
// PUSH-4 (order per key is monotone).

import type { Position } from '../protocol/messages.ts'
import { positionStep, snapshotJson, updateJson } from '../protocol/messages.ts'
import type { LiveView } from './live-view.ts'
import type { ViewRow } from './view-store.ts'

/** The client's socket. */
export interface Outlet {
  /** False: no more, until it has read what waits. */
  isOpen(): boolean
  send(message: string): void
}

export class Subscription {
  readonly view: LiveView
  readonly #outlet: Outlet
  readonly #messageCharsMax: number
  #key: string | undefined
  /** What the client has been told. */
  #position: Position = {}
  #sequence = 0
  /** Of the followed key. */
  #revision = 0
  /** Rows of the snapshot that is being sent; undefined between snapshots. */
  #snapshot: Iterator<ViewRow> | undefined
  #isFirstPart = true
  #needsSnapshot = true

  constructor(view: LiveView, outlet: Outlet, key: string | undefined, messageCharsMax: number) {
    this.view = view
    this.#outlet = outlet
    this.#key = key
    this.#messageCharsMax = messageCharsMax
  }

  /** Starts over with a snapshot. */
  restart(key: string | undefined): void {
    this.#key = key
    this.#needsSnapshot = true
    this.#snapshot = undefined
  }

  /** Tells the client what it can take now. */
  flush(): void {
    if (!this.view.isReady || this.view.failure !== undefined) return
    while (this.#outlet.isOpen() && this.#sendNext()) {}
  }

  /** Sends one message; false when the client has been told all. */
  #sendNext(): boolean {
    if (!this.view.store.reaches(this.#sequence) && this.#snapshot === undefined) this.#needsSnapshot = true
    if (this.#needsSnapshot) this.#beginSnapshot()
    if (this.#snapshot !== undefined) return this.#sendSnapshotPart(this.#snapshot)
    if (this.#sequence === this.view.store.sequence) return false
    return this.#key === undefined ? this.#sendUpdate() : this.#sendKey(this.#key)
  }

  /**
   * The rows are read while they are sent, so some may be newer than the position: the updates that follow repeat those
   * or go beyond them, never back.
   */
  #beginSnapshot(): void {
    const { store } = this.view
    const row = this.#key === undefined ? undefined : store.rows.get(this.#key)
    this.#snapshot = this.#key === undefined ? store.rows.values() : [row].filter((each) => each !== undefined).values()
    this.#position = store.position
    this.#sequence = store.sequence
    this.#revision = row?.revision ?? 0
    this.#isFirstPart = true
    this.#needsSnapshot = false
  }

  #sendSnapshotPart(rows: Iterator<ViewRow>): boolean {
    const part: string[] = []
    let isLast = false
    for (let chars = 0; chars < this.#messageCharsMax && !isLast; ) {
      const next = rows.next()
      isLast = next.done === true
      if (next.done === true || next.value.json === '') continue
      part.push(next.value.json)
      chars += next.value.json.length
    }
    if (isLast) this.#snapshot = undefined
    this.view.counts.rowsPushed.add(part.length)
    this.#outlet.send(snapshotJson(this.view.name, this.#position, part, this.#isFirstPart, isLast))
    this.#isFirstPart = false
    return true
  }

  #sendUpdate(): boolean {
    const { store, counts } = this.view
    const update = this.view.updateFrom(this.#position, this.#sequence)!
    counts.rowsPushed.add(update.rowCount)
    counts.rowsConflated.add(update.conflatedCount)
    this.#outlet.send(update.message)
    this.#sequence = update.endSequence
    if (this.#sequence === store.sequence) this.#position = store.position
    return true
  }

  #sendKey(key: string): boolean {
    const { store, counts } = this.view
    const row = store.latest(key)
    const isNew = row !== undefined && row.sequence > this.#sequence
    this.#sequence = store.sequence
    if (!isNew) return false
    counts.rowsPushed.add(1)
    counts.rowsConflated.add(Math.max(0, row.revision - this.#revision - 1))
    this.#revision = row.revision
    const step = positionStep(this.#position, store.position)
    this.#outlet.send(updateJson(step.prev, step.position, [row.json]))
    this.#position = store.position
    return true
  }
}
