// The latest row per key of one view, a ring of recent changes, and the position that they stand for. Main thread.
// Keeps SPEC: PUSH-2 (the newest row of a key is always delivered), PUSH-3 (memory of a view is limited), PUSH-12 (what changed since a
// position is known, or known not to be).

import type { HistoryPlace } from '../core/history-key.ts'
import type { Change, ChangeBatch } from './copy-codec.ts'
import type { Offsets } from './position-token.ts'
import { MemoryRows, type RowTable, type ViewRows } from './row-table.ts'

/** The latest state of a key, or its removal. Superseded rows stay in the ring without their text. */
export interface ViewRow {
  readonly key: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  /** Counts the changes of the view, from 1. */
  readonly sequence: number
  /** Counts the changes of this key as far as they are remembered, from 1. */
  readonly revision: number
  /** `null` for a removal, empty once it is superseded. */
  json: string
  readonly isRemoval: boolean
  /** Its window is closed. */
  readonly isFinal: boolean
  isCurrent: boolean
  /** Of a row of a history, whose key is that of its record. */
  readonly place: HistoryPlace | undefined
  /** Of a row that is not committed, which no store has: the attempt that made it and its number in it. */
  readonly provisional?: { attempt: number; rev: number }
}

/** What a client has to be told since a sequence. */
export interface Changes {
  /** At most one row a key, in the order of the changes. */
  rows: ViewRow[]
  /** Changes that newer ones of the same key replaced. */
  conflatedCount: number
  /** They go up to here. */
  endSequence: number
}

/** A record of the view's topic. */
export interface RowRecord {
  partition: number
  offset: number
  timestampMs: number
  key: string
  /** Undefined removes the key. */
  json: string | undefined
  /** Its window is closed. */
  isFinal?: boolean
  /** Of a record of a history. */
  place?: HistoryPlace
}

export interface ViewStoreLimits {
  viewRowsMax: number
  viewBytesMax: number
  recentRowsMax: number
}

/** Where a view is, and what it remembers of how it got there. */
export interface Remembered {
  sequence: number
  /** By partition: the next offset to come. */
  offsets: Offsets
  /** Changes up to this sequence are not remembered, by partition those before these offsets. */
  forgottenSequence: number
  forgotten: Offsets
  /** The same of removals of keys that are gone still. */
  forgottenRemovals: Offsets
}

/** What a write to a copy says beside the rows. */
export interface StoreCut {
  state: Remembered
  batch: ChangeBatch | undefined
}

/** What a row travels with, about. */
const WIRE_CHARS = 80
/** When memory is short so much of the changes is forgotten at a time. */
const FORGET_SHARE = 1 / 16

export class ViewStore {
  readonly view: string
  /** Changes so far. */
  sequence: number
  /** By key. */
  readonly rows: ViewRows
  /** Keys of the rows. */
  readonly order: { from(first: string, limit: number): string[] }
  readonly #table: RowTable
  readonly #ring: (ViewRow | undefined)[]
  /** The last removal of keys that are gone, as long as the ring holds it. */
  readonly #removals = new Map<string, ViewRow>()
  #forgottenSequence: number
  readonly #forgotten: number[]
  readonly #forgottenRemovals: number[]
  readonly #next: number[]
  #offsets: Offsets
  /** As of the last cut. */
  #cutSequence: number

  /** `begin`: by partition where the topic begins. `known` and `recent`, its rows that are remembered in order: from a copy. */
  constructor(
    view: string,
    begin: Offsets,
    limits: ViewStoreLimits,
    table: RowTable = new MemoryRows(view, limits),
    known: Remembered = nothingKnown(begin),
    recent: readonly ViewRow[] = [],
  ) {
    this.view = view
    this.#table = table
    this.rows = table
    this.order = { from: (first, limit) => table.keysFrom(first, limit) }
    this.#ring = new Array<ViewRow | undefined>(limits.recentRowsMax)
    this.sequence = known.sequence
    this.#cutSequence = known.sequence
    this.#forgottenSequence = known.forgottenSequence
    this.#forgotten = [...known.forgotten]
    this.#forgottenRemovals = [...known.forgottenRemovals]
    this.#next = [...known.offsets]
    this.#offsets = known.offsets
    for (const row of recent) {
      this.#ring[row.sequence % this.#ring.length] = row
      if (row.isRemoval) this.#removals.set(row.key, row)
    }
  }

  /** Of the rows in memory. */
  get bytes(): number {
    return this.#table.bytes
  }
  /** As of the last `publish`. */
  get offsets(): Offsets {
    return this.#offsets
  }

  /** Takes a row. Throws MR7003 when the view would be over its limits. */
  apply({ partition, offset, timestampMs, key, json, isFinal = false, place }: RowRecord): void {
    this.skip(partition, offset)
    const old = this.rows.get(key)
    const row: ViewRow = {
      key,
      partition,
      offset,
      timestampMs,
      sequence: ++this.sequence,
      revision: ((old ?? this.#removals.get(key))?.revision ?? 0) + 1,
      json: json ?? 'null',
      isRemoval: json === undefined,
      isFinal: isFinal && json !== undefined,
      isCurrent: true,
      place,
    }
    this.#remember(row, old)
    // One of a key that is not here is remembered too: its row may have been compacted away, and clients that have it are to be told.
    if (row.isRemoval) this.#table.remove(row, old)
    else this.#table.put(row, old)
    if (old !== undefined) old.json = ''
  }

  /** Moves the position over a record that changes nothing. */
  skip(partition: number, offset: number): void {
    this.#next[partition] = offset + 1
  }

  /** Makes what was applied visible as a position; true when it moved. */
  publish(): boolean {
    const isMoved = this.#next.some((offset, partition) => offset !== this.#offsets[partition])
    if (isMoved) this.#offsets = [...this.#next]
    return isMoved
  }

  /** True when it is as far as these offsets. */
  hasReached(offsets: Offsets): boolean {
    return offsets.every((offset, partition) => offset <= this.#offsets[partition]!)
  }

  /**
   * What changed after `sequence`, about `charsMax` characters of it (one row may be larger); undefined when the ring does
   * not reach back so far.
   */
  changesSince(sequence: number, charsMax = Number.POSITIVE_INFINITY): Changes | undefined {
    if (!this.reaches(sequence)) return undefined
    const rows: ViewRow[] = []
    let endSequence = sequence
    for (let chars = 0; endSequence < this.sequence && chars < charsMax; ) {
      const row = this.#ring[++endSequence % this.#ring.length]
      if (row?.isCurrent !== true) continue
      rows.push(row)
      chars += row.json.length + row.key.length + WIRE_CHARS
    }
    return { rows, conflatedCount: endSequence - sequence - rows.length, endSequence }
  }

  /** True when every change after `sequence` is remembered, removals too. */
  reaches(sequence: number): boolean {
    return sequence >= this.#forgottenSequence
  }

  /** The newest rows and removals from these offsets on, in the order of the changes; undefined when removals may be missing. */
  changesFrom(offsets: Offsets): ViewRow[] | undefined {
    const isLater = ({ partition, offset }: ViewRow): boolean => offset >= offsets[partition]!
    if (offsets.every((offset, partition) => offset >= this.#forgotten[partition]!)) {
      return this.changesSince(this.#forgottenSequence)!.rows.filter(isLater)
    }
    if (offsets.some((offset, partition) => offset < this.#forgottenRemovals[partition]!)) return undefined
    const all = this.#table.allInMemory()
    if (all === undefined) return undefined
    const rows = [...all, ...this.#removals.values()].filter(isLater)
    return rows.sort((a, b) => a.sequence - b.sequence)
  }

  /** The newest row of a key, or its removal while that is remembered. */
  latest(key: string): ViewRow | undefined {
    return this.rows.get(key) ?? this.#removals.get(key)
  }

  /** The next offset of a partition, of what was applied. */
  nextOffset(partition: number): number {
    return this.#next[partition]!
  }

  /** What was applied so far, for a copy that has what the cut before had. */
  cut(): StoreCut {
    const { sequence } = this
    const first = Math.max(this.#cutSequence, this.#forgottenSequence) + 1
    this.#cutSequence = sequence
    const changes: Change[] = []
    for (let at = first; at <= sequence; at++) {
      const row = this.#ring[at % this.#ring.length]
      if (row?.isCurrent !== true) continue
      changes.push([at, row.partition, row.offset, row.timestampMs, row.isRemoval, row.key])
    }
    const offsets = [...this.#next]
    const state: Remembered = {
      sequence,
      offsets,
      forgottenSequence: this.#forgottenSequence,
      forgotten: [...this.#forgotten],
      forgottenRemovals: [...this.#forgottenRemovals],
    }
    return { state, batch: changes.length === 0 ? undefined : { first, last: sequence, offsets, changes } }
  }

  /** Forgets some of the changes up to a sequence; false: none of these is remembered. */
  forgetSome(sequence: number): boolean {
    if (this.#forgottenSequence >= sequence) return false
    const some = this.#forgottenSequence + Math.ceil(this.#ring.length * FORGET_SHARE)
    this.#forgetUpTo(Math.min(sequence, some))
    return true
  }

  /** Lets go of all rows: the view is not served any more. */
  clear(): void {
    this.#table.clear()
    this.#removals.clear()
    this.#ring.fill(undefined)
  }

  /** A removal must stay tellable while the ring holds it, until the key comes back. */
  #remember(row: ViewRow, old: ViewRow | undefined): void {
    this.#forgetUpTo(row.sequence - this.#ring.length)
    this.#ring[row.sequence % this.#ring.length] = row
    if (old !== undefined) old.isCurrent = false
    const removal = this.#removals.get(row.key)
    if (removal !== undefined) removal.isCurrent = false
    if (row.isRemoval) this.#removals.set(row.key, row)
    else this.#removals.delete(row.key)
  }

  #forgetUpTo(sequence: number): void {
    while (this.#forgottenSequence < sequence) {
      const place = ++this.#forgottenSequence % this.#ring.length
      const row = this.#ring[place]
      this.#ring[place] = undefined
      if (row !== undefined) this.#forget(row)
    }
  }

  #forget(row: ViewRow): void {
    this.#forgotten[row.partition] = row.offset + 1
    if (row.isCurrent && !row.isRemoval) this.#table.leftRing(row)
    // One whose key has come back needs not be told.
    if (this.#removals.get(row.key) !== row) return
    this.#removals.delete(row.key)
    this.#forgottenRemovals[row.partition] = row.offset + 1
  }
}

function nothingKnown(begin: Offsets): Remembered {
  return { sequence: 0, offsets: begin, forgottenSequence: 0, forgotten: begin, forgottenRemovals: begin }
}
