// The current rows of a view with a copy on disk: all of them there, in memory those that are not written yet and, within the limit, the
// ones that changed last. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited), PUSH-40 (rows beyond memory are read from the copy).

import { setImmediate } from 'node:timers/promises'
import { KeyOrder } from './key-order.ts'
import { bytesOf, MemoryRows, type RowTable } from './row-table.ts'
import type { ViewCopy } from './view-copy.ts'
import type { ViewRow, ViewStoreLimits } from './view-store.ts'

export interface CopiedRowsOptions {
  view: string
  copy: ViewCopy
  limits: Pick<ViewStoreLimits, 'viewRowsMax' | 'viewBytesMax'>
  /** What the copy holds. */
  size: number
  allBytes: number
  /** Up to this change everything is in the copy. */
  storedSequence: number
  /** A row was read from the copy. */
  onRead(): void
}

/*
 * A row that is not in the copy yet is in memory:
 *
 *   recent   those that the ring of recent changes holds, in the order of their changes
 *   older    the others in memory, those that left the ring first
 *   copy     all as of `storedSequence`
 *   changed  what has changed since, by key, removals too; `writing` is the part of it that is being written
 *
 * When memory is short, `older` rows that are stored go first, then the ring forgets changes. What is not stored stays: how much that is
 * is limited by those who read the topic (copy-keeper.ts).
 */
export class CopiedRows implements RowTable {
  readonly #options: CopiedRowsOptions
  readonly #recent = new Map<string, ViewRow>()
  readonly #older = new Map<string, ViewRow>()
  #changed = new Map<string, ViewRow>()
  #writing: Map<string, ViewRow> | undefined
  /** Keys that the copy does not have. */
  readonly #fresh = new KeyOrder()
  readonly #freshKeys = new Set<string>()
  #size: number
  #allBytes: number
  #bytes = 0
  #changedBytes = 0
  #storedSequence: number
  #isCleared = false
  /** In its place once the copy is given up. */
  #memory: MemoryRows | undefined
  /** Lets the ring forget some changes; false: it holds none that are stored. */
  forgetSome: (storedSequence: number) => boolean = () => false

  constructor(options: CopiedRowsOptions) {
    this.#options = options
    this.#size = options.size
    this.#allBytes = options.allBytes
    this.#storedSequence = options.storedSequence
  }

  get size(): number {
    return this.#memory?.size ?? this.#size
  }
  get bytes(): number {
    return this.#memory?.bytes ?? this.#bytes
  }
  /** Bytes that all rows would take in memory. */
  get allBytes(): number {
    return this.#allBytes
  }
  /** Bytes of changes that no write has begun with. */
  get changedBytes(): number {
    return this.#changedBytes
  }

  get(key: string): ViewRow | undefined {
    if (this.#memory !== undefined) return this.#memory.get(key)
    const row = this.#inMemory(key)
    if (row !== undefined || this.#isCleared || this.#isChanged(key)) return row
    const stored = this.#options.copy.read(key)
    if (stored !== undefined) this.#options.onRead()
    return stored
  }

  *values(prefix = ''): IterableIterator<ViewRow> {
    for (const row of this.#from(prefix)) {
      if (!row.key.startsWith(prefix)) return
      yield row
    }
  }
  *keys(): IterableIterator<string> {
    for (const row of this.#from('')) yield row.key
  }
  *[Symbol.iterator](): IterableIterator<[string, ViewRow]> {
    for (const row of this.#from('')) yield [row.key, row]
  }

  keysFrom(first: string, limit: number): string[] {
    if (this.#memory !== undefined) return this.#memory.keysFrom(first, limit)
    const keys: string[] = []
    for (const row of this.#from(first)) {
      if (keys.length === limit) break
      keys.push(row.key)
    }
    return keys
  }

  allInMemory(): Iterable<ViewRow> | undefined {
    if (this.#memory !== undefined) return this.#memory.values()
    if (this.#recent.size + this.#older.size !== this.#size) return undefined
    return [...this.#older.values(), ...this.#recent.values()]
  }

  put(row: ViewRow, old: ViewRow | undefined): void {
    if (this.#memory !== undefined) {
      this.#memory.put(row, old)
      return
    }
    if (old === undefined) this.#size++
    else {
      this.#allBytes -= bytesOf(old)
      this.#dropFromMemory(row.key)
    }
    this.#allBytes += bytesOf(row)
    this.#recent.set(row.key, row)
    this.#bytes += bytesOf(row)
    if (old === undefined && !this.#freshKeys.has(row.key)) {
      this.#freshKeys.add(row.key)
      this.#fresh.add(row.key)
    }
    this.#noteChange(row)
    this.#makeRoom()
  }

  remove(removal: ViewRow, old: ViewRow | undefined): void {
    if (old === undefined) return
    if (this.#memory !== undefined) {
      this.#memory.remove(removal, old)
      return
    }
    this.#size--
    this.#allBytes -= bytesOf(old)
    this.#dropFromMemory(old.key)
    this.#noteChange(removal)
  }

  leftRing(row: ViewRow): void {
    if (this.#recent.get(row.key) !== row) return
    this.#recent.delete(row.key)
    this.#older.set(row.key, row)
  }

  clear(): void {
    this.#isCleared = true
    this.#memory?.clear()
    this.#forgetMemory()
    this.#size = 0
    this.#allBytes = 0
  }

  /** A row of the ring as the copy has it. Not before `clear`. */
  restore(row: ViewRow): void {
    this.#recent.set(row.key, row)
    this.#bytes += bytesOf(row)
  }

  /** What has changed since the last time; nothing may be in writing. */
  beginWrite(): Iterable<ViewRow> {
    this.#writing = this.#changed
    this.#changed = new Map()
    this.#changedBytes = 0
    return this.#writing.values()
  }

  /** What was in writing is in the copy, up to a sequence. */
  endWrite(sequence: number): void {
    for (const { key } of this.#writing?.values() ?? []) {
      if (!this.#changed.has(key) && this.#freshKeys.delete(key)) this.#fresh.delete(key)
    }
    this.#writing = undefined
    this.#storedSequence = sequence
    this.#makeRoom()
  }

  /** Goes on without the copy, from memory. False: not all rows are there. */
  giveUpCopy(): boolean {
    const rows = this.allInMemory()
    if (rows === undefined) return false
    const memory = new MemoryRows(this.#options.view, this.#options.limits)
    for (const row of rows) memory.put(row, undefined)
    this.#forgetMemory()
    this.#memory = memory
    return true
  }

  /** Reads all rows into memory, a few at a time, where there is room for all of them. */
  async fill(isStopped: () => boolean): Promise<void> {
    const { viewBytesMax, viewRowsMax } = this.#options.limits
    const hasRoom = (): boolean =>
      !this.#isCleared && this.#memory === undefined && this.#allBytes <= viewBytesMax && this.#size <= viewRowsMax
    for (let first = '', isLast = false; !isLast && hasRoom() && !isStopped(); ) {
      const page = this.#options.copy.page(first)
      for (const row of page.rows) {
        if (this.#inMemory(row.key) !== undefined || this.#isChanged(row.key)) continue
        this.#older.set(row.key, row)
        this.#bytes += bytesOf(row)
      }
      isLast = page.isLast
      first = `${page.rows.at(-1)?.key ?? ''}\0`
      await setImmediate()
    }
  }

  #inMemory(key: string): ViewRow | undefined {
    return this.#recent.get(key) ?? this.#older.get(key)
  }

  /** The copy does not know it as it is now. */
  #isChanged(key: string): boolean {
    return this.#changed.has(key) || this.#writing?.has(key) === true
  }

  #noteChange(row: ViewRow): void {
    const before = this.#changed.get(row.key)
    if (before !== undefined) this.#changedBytes -= bytesOf(before)
    this.#changed.set(row.key, row)
    this.#changedBytes += bytesOf(row)
  }

  #dropFromMemory(key: string): void {
    const row = this.#inMemory(key)
    if (row === undefined) return
    if (!this.#recent.delete(key)) this.#older.delete(key)
    this.#bytes -= bytesOf(row)
  }

  #makeRoom(): void {
    const { viewBytesMax, viewRowsMax } = this.#options.limits
    const isOver = (): boolean => this.#bytes > viewBytesMax || this.#recent.size + this.#older.size > viewRowsMax
    while (isOver()) {
      const oldest = this.#older.values().next().value
      if (oldest !== undefined && oldest.sequence <= this.#storedSequence) this.#dropFromMemory(oldest.key)
      else if (!this.forgetSome(this.#storedSequence)) return
    }
  }

  #forgetMemory(): void {
    this.#recent.clear()
    this.#older.clear()
    this.#changed.clear()
    this.#writing = undefined
    this.#fresh.clear()
    this.#freshKeys.clear()
    this.#bytes = 0
    this.#changedBytes = 0
  }

  /** Rows from a key on, in the order of code units: those of the copy with those that it does not have yet between them. */
  *#from(first: string): Generator<ViewRow> {
    for (let from = first, isLast = false; !isLast && !this.#isCleared; ) {
      if (this.#memory !== undefined) {
        yield* this.#fromMemory(this.#memory, from)
        return
      }
      const page = this.#options.copy.page(from)
      const last = page.rows.at(-1)?.key
      const keys = this.#fresh.between(from, page.isLast ? undefined : last)
      let next = 0
      for (const row of page.rows) {
        for (; next < keys.length && keys[next]! <= row.key; next++)
          if (keys[next] !== row.key) yield* this.#now(keys[next]!)
        yield* this.#now(row.key, row)
      }
      for (; next < keys.length; next++) yield* this.#now(keys[next]!)
      isLast = page.isLast
      from = `${last ?? ''}\0`
    }
  }

  /** The row of a key as it is now; `stored`: as the copy had it. */
  *#now(key: string, stored?: ViewRow): Generator<ViewRow> {
    const row = this.#memory?.get(key) ?? this.#inMemory(key) ?? (this.#isChanged(key) ? undefined : stored)
    if (row !== undefined) yield row
  }

  *#fromMemory(memory: MemoryRows, first: string): Generator<ViewRow> {
    for (let from = first; ; ) {
      const keys = memory.keysFrom(from, 1000)
      for (const key of keys) {
        const row = memory.get(key)
        if (row !== undefined) yield row
      }
      if (keys.length < 1000) return
      from = `${keys.at(-1)!}\0`
    }
  }
}
