// The latest row per key of one view, a ring of recent changes, and the position that they stand for. Main thread.
// Keeps SPEC: PUSH-2 (the newest row of a key is always delivered), PUSH-3 (memory of a view is limited).

import { MillraceError } from '../core/errors.ts'
import { type Position, wireRowJson } from '../protocol/messages.ts'

/** The latest state of a key, or its removal. Superseded rows stay in the ring without their text. */
export interface ViewRow {
  readonly key: string
  /** Counts the changes of the view, from 1. */
  readonly sequence: number
  /** Counts the changes of this key as far as they are remembered, from 1. */
  readonly revision: number
  /** The JSON of its WireRow; empty once it is superseded. */
  json: string
  readonly isRemoval: boolean
  isCurrent: boolean
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

export interface ViewStoreLimits {
  viewRowsMax: number
  viewBytesMax: number
  recentRowsMax: number
}

export class ViewStore {
  readonly view: string
  /** Changes so far. */
  sequence = 0
  /** By key. */
  readonly rows = new Map<string, ViewRow>()
  readonly #limits: ViewStoreLimits
  readonly #ring: (ViewRow | undefined)[]
  /** The last removal of keys that are gone, as long as the ring holds it. */
  readonly #removals = new Map<string, ViewRow>()
  readonly #next: Record<string, number>
  #position: Position
  #bytes = 0

  constructor(view: string, start: Position, limits: ViewStoreLimits) {
    this.view = view
    this.#limits = limits
    this.#ring = new Array<ViewRow | undefined>(limits.recentRowsMax)
    this.#next = { ...start }
    this.#position = Object.freeze({ ...start })
  }

  get bytes(): number {
    return this.#bytes
  }
  /** The position as of the last `publish`. The same object means the same position and the same sequence. */
  get position(): Position {
    return this.#position
  }

  /** Takes a row: `rowJson` undefined removes the key. Throws MR7003 when the view would be over its limits. */
  apply(partition: number, offset: number, timestampMs: number, key: string, rowJson: string | undefined): void {
    this.skip(partition, offset)
    const old = this.rows.get(key)
    if (rowJson === undefined && old === undefined) return
    const json = wireRowJson({ key, partition, offset, timestampMs }, rowJson ?? 'null')
    const row: ViewRow = {
      key,
      sequence: ++this.sequence,
      revision: (this.latest(key)?.revision ?? 0) + 1,
      json,
      isRemoval: rowJson === undefined,
      isCurrent: true,
    }
    if (old !== undefined) this.#supersede(old)
    if (row.isRemoval) this.rows.delete(key)
    else this.#keep(row)
    this.#remember(row)
  }

  /** Moves the position over a record that changes nothing. */
  skip(partition: number, offset: number): void {
    this.#next[partition] = offset + 1
  }

  /** Makes what was applied visible as a position; true when it moved. */
  publish(): boolean {
    const isMoved = Object.keys(this.#next).some((partition) => this.#next[partition] !== this.#position[partition])
    if (isMoved) this.#position = Object.freeze({ ...this.#next })
    return isMoved
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
      chars += row.json.length
    }
    return { rows, conflatedCount: endSequence - sequence - rows.length, endSequence }
  }

  /** True when every change after `sequence` is remembered, removals too. */
  reaches(sequence: number): boolean {
    return this.sequence - sequence <= this.#limits.recentRowsMax
  }

  /** The newest row of a key, or its removal while that is remembered. */
  latest(key: string): ViewRow | undefined {
    return this.rows.get(key) ?? this.#removals.get(key)
  }

  /** Lets go of all rows: the view is not served any more. */
  clear(): void {
    this.rows.clear()
    this.#removals.clear()
    this.#ring.fill(undefined)
    this.#bytes = 0
  }

  #keep(row: ViewRow): void {
    const { viewRowsMax, viewBytesMax } = this.#limits
    this.rows.set(row.key, row)
    this.#bytes += bytesOf(row)
    if (this.rows.size > viewRowsMax) throw this.#overLimit(viewRowsMax, 'rows')
    if (this.#bytes > viewBytesMax) throw this.#overLimit(viewBytesMax, 'bytes')
  }

  /** A removal must stay tellable while the ring holds it, until the key comes back. */
  #remember(row: ViewRow): void {
    const place = row.sequence % this.#ring.length
    const evicted = this.#ring[place]
    if (evicted?.isRemoval && this.#removals.get(evicted.key) === evicted) this.#removals.delete(evicted.key)
    this.#ring[place] = row
    const removal = this.#removals.get(row.key)
    if (removal !== undefined) removal.isCurrent = false
    if (row.isRemoval) this.#removals.set(row.key, row)
    else this.#removals.delete(row.key)
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

/** Text is held as UTF-16 at worst; 100 bytes stand for the row's object and its places in map and ring. */
function bytesOf(row: ViewRow): number {
  return 2 * (row.json.length + row.key.length) + 100
}
