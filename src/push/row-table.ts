// Where the current rows of a view are: in memory here, in memory and in a copy on disk in copied-rows.ts. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited).

import { MillraceError } from '../core/errors.ts'
import { KeyOrder } from './key-order.ts'
import type { ViewRow, ViewStoreLimits } from './view-store.ts'

/** The rows as those who read them see them. */
export interface ViewRows extends Iterable<[key: string, row: ViewRow]> {
  readonly size: number
  get(key: string): ViewRow | undefined
  /** Those of a prefix. Each key that is there from the first to the last is among them; rows may change meanwhile. */
  values(prefix?: string): IterableIterator<ViewRow>
  keys(): IterableIterator<string>
}

export interface RowTable extends ViewRows {
  /** Bytes of the rows in memory. */
  readonly bytes: number
  /** At most `limit` keys from `first` on, in the order of their code units. */
  keysFrom(first: string, limit: number): string[]
  /** All rows, where they are all in memory. */
  allInMemory(): Iterable<ViewRow> | undefined
  /** Takes a row in place of the one before it. Throws MR7003. */
  put(row: ViewRow, old: ViewRow | undefined): void
  remove(removal: ViewRow, old: ViewRow | undefined): void
  /** The ring of recent changes does not hold a current row any more. */
  leftRing(row: ViewRow): void
  clear(): void
}

/** Text is held as UTF-16 at worst; 160 bytes stand for the row's object and its places in map, order and ring. */
export function bytesOf(row: ViewRow): number {
  return 2 * (row.json.length + row.key.length) + 160
}

/** All rows in memory; a view with more rows or bytes than its limits fails. */
export class MemoryRows implements RowTable {
  readonly #view: string
  readonly #limits: Pick<ViewStoreLimits, 'viewRowsMax' | 'viewBytesMax'>
  readonly #rows = new Map<string, ViewRow>()
  readonly #order = new KeyOrder()
  #bytes = 0

  constructor(view: string, limits: Pick<ViewStoreLimits, 'viewRowsMax' | 'viewBytesMax'>) {
    this.#view = view
    this.#limits = limits
  }
  get size(): number {
    return this.#rows.size
  }
  get bytes(): number {
    return this.#bytes
  }
  get(key: string): ViewRow | undefined {
    return this.#rows.get(key)
  }
  values(prefix = ''): IterableIterator<ViewRow> {
    return prefix === '' ? this.#rows.values() : this.#withPrefix(prefix)
  }
  keys(): IterableIterator<string> {
    return this.#rows.keys()
  }
  [Symbol.iterator](): IterableIterator<[string, ViewRow]> {
    return this.#rows[Symbol.iterator]()
  }
  keysFrom(first: string, limit: number): string[] {
    return this.#order.from(first, limit)
  }
  allInMemory(): Iterable<ViewRow> {
    return this.#rows.values()
  }

  put(row: ViewRow, old: ViewRow | undefined): void {
    if (old === undefined) this.#order.add(row.key)
    else this.#bytes -= bytesOf(old)
    this.#rows.set(row.key, row)
    this.#bytes += bytesOf(row)
    const { viewRowsMax, viewBytesMax } = this.#limits
    if (this.#rows.size > viewRowsMax) throw this.#overLimit(viewRowsMax, 'rows')
    if (this.#bytes > viewBytesMax) throw this.#overLimit(viewBytesMax, 'bytes')
  }

  remove(_removal: ViewRow, old: ViewRow | undefined): void {
    if (old === undefined) return
    this.#rows.delete(old.key)
    this.#order.delete(old.key)
    this.#bytes -= bytesOf(old)
  }

  leftRing(): void {
    // They are all here anyway.
  }

  clear(): void {
    this.#rows.clear()
    this.#order.clear()
    this.#bytes = 0
  }

  *#withPrefix(prefix: string): IterableIterator<ViewRow> {
    for (const row of this.#rows.values()) if (row.key.startsWith(prefix)) yield row
  }

  #overLimit(limit: number, unit: string): MillraceError {
    return new MillraceError('MR7003', { view: this.#view, limit, unit })
  }
}
