// What the client of one subscription has been told of rows that are not committed, and what it is told next: such rows, and
// committed ones in place of those that are gone. Main thread.
// Keeps SPEC: PROV-1 (a row that is taken back is told as such), PROV-2 (in the end the client has the committed rows), PROV-3 (they
// never move a position).

import { type HistoryPlace, historyPlace } from '../core/history-key.ts'
import type { LiveView } from './live-view.ts'
import { NO_OFFSET, type Slot } from './provisional-slots.ts'
import type { Lens } from './selection.ts'
import type { Outlet } from './subscription.ts'
import type { ViewRow } from './view-store.ts'
import type { Encoded, WireCodec } from './wire-codec.ts'

/** The row that the client has of a key and that is not committed. */
interface Told {
  /** A row, not that there is none. */
  isShown: boolean
  /** Of the committed row that it had been told of the key before. */
  sequence: number
}

export class ProvisionalTold {
  readonly #view: LiveView
  readonly #lens: Lens
  readonly #outlet: Outlet
  /** Where a row may go out of the selection: keys of which the client has a committed row. */
  readonly #held: Set<string> | undefined
  readonly #told = new Map<string, Told>()
  /** Keys to look at. */
  readonly #due = new Set<string>()
  /** Undefined: all of them. */
  #sequence: number | undefined

  constructor(view: LiveView, lens: Lens, outlet: Outlet, held: Set<string> | undefined) {
    this.#view = view
    this.#lens = lens
    this.#outlet = outlet
    this.#held = held
  }

  /** The client begins anew, with committed rows alone. */
  reset(): void {
    this.#told.clear()
    this.#due.clear()
    this.#sequence = undefined
  }

  /** A committed row of the key, or its removal, is told with conditions in between: it takes the place of one that is not. */
  replaced(key: string): void {
    this.#told.delete(key)
  }

  /**
   * Sends the next rows, about `charsMax` characters of them, without a position of their own; false: the client knows all. To be asked
   * only when the client has all committed changes: what they say of a key is not said again.
   */
  send(id: number, position: string, charsMax: number): boolean {
    const rows = this.#next(charsMax)
    if (rows.length === 0) return false
    const message = this.#codec.update(id, position, position, rows)
    this.#view.counts.rowsPushed.add(rows.length)
    this.#view.countSent(message.length, undefined)
    this.#outlet.send(message)
    return true
  }

  get #codec(): WireCodec {
    return this.#outlet.codec
  }

  #next(charsMax: number): Encoded[] {
    this.#look()
    const rows: Encoded[] = []
    let size = 0
    for (const key of this.#due) {
      if (size >= charsMax) break
      this.#due.delete(key)
      const row = this.#rowOf(key)
      if (row === undefined) continue
      rows.push(row)
      size += row.length
    }
    return rows
  }

  #look(): void {
    const { provisional } = this.#view
    if (this.#sequence === provisional.sequence) return
    const changed = this.#sequence === undefined ? undefined : provisional.changedSince(this.#sequence)
    this.#sequence = provisional.sequence
    const keys = changed ?? new Set([...provisional.keys(), ...this.#told.keys()])
    for (const key of keys) if (this.#lens.hasKey(this.#placeOf(key)?.key ?? key)) this.#due.add(key)
  }

  /** Undefined: nothing that the client does not know. */
  #rowOf(key: string): Encoded | undefined {
    const slot = this.#view.provisional.of(key)
    const told = this.#told.get(key)
    if (slot !== undefined) return this.#given(key, slot, told)
    if (told === undefined) return undefined
    this.#told.delete(key)
    return this.#committed(key, told)
  }

  #given(key: string, slot: Slot, told: Told | undefined): Encoded | undefined {
    const { row } = slot
    const sequence = this.#view.rowStore.latest(key)?.sequence ?? 0
    const isSelected = !row.isRemoval && this.#lens.accepts(row)
    if (!isSelected && this.#held !== undefined) {
      if (!(told?.isShown ?? this.#held.has(key))) return undefined
      this.#told.set(key, { isShown: false, sequence })
      return this.#codec.removal(row)
    }
    this.#told.set(key, { isShown: isSelected, sequence })
    const id = `${this.#codec.protocol} ${this.#lens.id}`
    let encoded = slot.encoded.get(id)
    if (encoded === undefined) {
      encoded = this.#codec.row(row, this.#lens)
      slot.encoded.set(id, encoded)
    }
    return encoded
  }

  /** The committed row again, in place of one that was confirmed or taken back. */
  #committed(key: string, told: Told): Encoded | undefined {
    const latest = this.#view.rowStore.latest(key)
    // Without conditions each change of the key was told, and that was the word on it.
    if (this.#held === undefined && (latest?.sequence ?? 0) > told.sequence) return undefined
    if (latest !== undefined && !latest.isRemoval && this.#lens.accepts(latest)) {
      this.#held?.add(key)
      return this.#codec.row(latest, this.#lens)
    }
    return this.#codec.removal(latest ?? noRow(key, this.#placeOf(key)))
  }

  /** Of a key of a history: whose row it is, and of which time. */
  #placeOf(key: string): HistoryPlace | undefined {
    return this.#view.history === undefined ? undefined : historyPlace(key)
  }
}

/** What stands for a key that never had a committed row. */
function noRow(key: string, of: HistoryPlace | undefined): ViewRow {
  const place = { partition: 0, offset: NO_OFFSET, timestampMs: 0 }
  return {
    key,
    ...place,
    sequence: 0,
    revision: 0,
    json: 'null',
    isRemoval: true,
    isFinal: false,
    isCurrent: true,
    place: of,
  }
}
