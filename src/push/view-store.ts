// The latest row per key of one view, a ring of recent changes, and the position that they stand for. Main thread.
// Keeps SPEC: PUSH-2 (the newest row of a key is always delivered), PUSH-3 (memory of a view is limited), PUSH-12 (what changed since a
// position is known, or known not to be).

import { MillraceError } from '../core/errors.ts'
import type { HistoryPlace } from '../core/history-key.ts'
import { KeyOrder } from './key-order.ts'
import type { Offsets } from './position-token.ts'

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

/** What a row travels with, about. */
const WIRE_CHARS = 80

export class ViewStore {
  readonly view: string
  /** Changes so far. */
  sequence = 0
  /** By key. */
  readonly rows = new Map<string, ViewRow>()
  /** Keys of the rows. */
  readonly order = new KeyOrder()
  readonly #limits: ViewStoreLimits
  readonly #ring: (ViewRow | undefined)[]
  /** The last removal of keys that are gone, as long as the ring holds it. */
  readonly #removals = new Map<string, ViewRow>()
  /** By partition: where the topic began when it was opened; changes and removals before these are not remembered. */
  readonly #begin: Offsets
  readonly #forgotten: number[]
  readonly #forgottenRemovals: number[]
  readonly #next: number[]
  #offsets: Offsets
  #bytes = 0

  constructor(view: string, begin: Offsets, limits: ViewStoreLimits) {
    this.view = view
    this.#limits = limits
    this.#ring = new Array<ViewRow | undefined>(limits.recentRowsMax)
    this.#begin = begin
    this.#forgotten = [...begin]
    this.#forgottenRemovals = [...begin]
    this.#next = [...begin]
    this.#offsets = begin
  }

  get bytes(): number {
    return this.#bytes
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
      revision: (this.latest(key)?.revision ?? 0) + 1,
      json: json ?? 'null',
      isRemoval: json === undefined,
      isFinal: isFinal && json !== undefined,
      isCurrent: true,
      place,
    }
    if (old !== undefined) this.#supersede(old)
    // One of a key that is not here is remembered too: its row may have been compacted away, and clients that have it are to be told.
    if (!row.isRemoval) this.#keep(row)
    else if (this.rows.delete(key)) this.order.delete(key)
    this.#remember(row)
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
      const row = this.#ring[++endSequence % this.#ring.length]!
      if (!row.isCurrent) continue
      rows.push(row)
      chars += row.json.length + row.key.length + WIRE_CHARS
    }
    return { rows, conflatedCount: endSequence - sequence - rows.length, endSequence }
  }

  /** True when every change after `sequence` is remembered, removals too. */
  reaches(sequence: number): boolean {
    return this.sequence - sequence <= this.#limits.recentRowsMax
  }

  /** The newest rows and removals from these offsets on, in the order of the changes; undefined when removals may be missing. */
  changesFrom(offsets: Offsets): ViewRow[] | undefined {
    const isLater = ({ partition, offset }: ViewRow): boolean => offset >= offsets[partition]!
    if (offsets.every((offset, partition) => offset >= this.#forgotten[partition]!)) {
      const first = Math.max(0, this.sequence - this.#ring.length)
      return this.changesSince(first)!.rows.filter(isLater)
    }
    const isKnown = offsets.every(
      (offset, partition) => offset >= this.#forgottenRemovals[partition]! && offset >= this.#begin[partition]!,
    )
    if (!isKnown) return undefined
    const rows = [...this.rows.values(), ...this.#removals.values()].filter(isLater)
    return rows.sort((a, b) => a.sequence - b.sequence)
  }

  /** The newest row of a key, or its removal while that is remembered. */
  latest(key: string): ViewRow | undefined {
    return this.rows.get(key) ?? this.#removals.get(key)
  }

  /** Lets go of all rows: the view is not served any more. */
  clear(): void {
    this.rows.clear()
    this.order.clear()
    this.#removals.clear()
    this.#ring.fill(undefined)
    this.#bytes = 0
  }

  #keep(row: ViewRow): void {
    const { viewRowsMax, viewBytesMax } = this.#limits
    if (!this.rows.has(row.key)) this.order.add(row.key)
    this.rows.set(row.key, row)
    this.#bytes += bytesOf(row)
    if (this.rows.size > viewRowsMax) throw this.#overLimit(viewRowsMax, 'rows')
    if (this.#bytes > viewBytesMax) throw this.#overLimit(viewBytesMax, 'bytes')
  }

  /** A removal must stay tellable while the ring holds it, until the key comes back. */
  #remember(row: ViewRow): void {
    const place = row.sequence % this.#ring.length
    const evicted = this.#ring[place]
    if (evicted !== undefined) this.#forget(evicted)
    this.#ring[place] = row
    const removal = this.#removals.get(row.key)
    if (removal !== undefined) removal.isCurrent = false
    if (row.isRemoval) this.#removals.set(row.key, row)
    else this.#removals.delete(row.key)
  }

  #forget(row: ViewRow): void {
    this.#forgotten[row.partition] = row.offset + 1
    // One whose key has come back needs not be told.
    if (this.#removals.get(row.key) !== row) return
    this.#removals.delete(row.key)
    this.#forgottenRemovals[row.partition] = row.offset + 1
  }

  #supersede(old: ViewRow): void {
    this.#bytes -= bytesOf(old)
    old.isCurrent = false
    old.json = ''
  }

  #overLimit(limit: number, unit: string): MillraceError {
    return new MillraceError('MR7003', { view: this.view, limit, unit })
  }
}

/** Text is held as UTF-16 at worst; 160 bytes stand for the row's object and its places in map, order and ring. */
function bytesOf(row: ViewRow): number {
  return 2 * (row.json.length + row.key.length) + 160
}
