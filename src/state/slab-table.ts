// Hot path: the typed rows of one stateful operator over its task's store; memory is a cache of them.
// Runs on a lane, owned by one task.
// Keeps SPEC: STATE-2 (reads merge all layers), STATE-4 (no live window, no entry), STATE-8 (closing finds all rows).

import type { FrameWriter } from '../core/frame.ts'
import { grownInts } from './byte-hash.ts'
import type { SlabTable, TaskStore } from './contract.ts'
import { KEY_BYTES, type KeyTable } from './key-table.ts'
import {
  type KeyRange,
  KeyScratch,
  operatorRange,
  PLAIN_PREFIX_BYTES,
  RESERVED_OPERATOR_ID,
  WINDOW_PREFIX_BYTES,
  windowRange,
} from './keys.ts'
import { MemoryBudget } from './memory-budget.ts'
import { MemoryRows } from './memory-rows.ts'
import { packCells, readSlots, unpackCells, writeSlots } from './row-codec.ts'
import { DIRTY, LIVE, RECENT, type RowColumns, STORED } from './row-columns.ts'
import { RowEviction } from './row-eviction.ts'
import { RowLayer } from './row-layer.ts'
import { learnWindows, type WindowList, type WindowRows } from './window-list.ts'

/** Array and boxes around a row's cells, on top of their packed bytes. */
const CELLS_OVERHEAD_BYTES = 64

export interface SlabTableOptions {
  /** 0 to 0xfffe; prefix of the operator's keys. */
  operatorId: number
  /** Float64 slots a row. */
  width: number
  isWindowed: boolean
  /** A restored store: the table learns its windows from it. */
  store: TaskStore
  /** Limit of memory in bytes, or one that several tables share. */
  memoryBytesMax: number | MemoryBudget
}

/**
 * The rows of one operator. Make it after `store.restored()`.
 *
 * @throws RangeError when the store is not restored yet or the operator id is reserved
 * @example
 * const table = createSlabTable({ operatorId: 1, width: 2, isWindowed: true, store, memoryBytesMax: 64 << 20 })
 * const row = table.rowFor(table.internKey(bytes, start, length), windowEndMs)
 * table.slots[row * table.width]! += 1
 * table.touch(row)
 */
export function createSlabTable(options: SlabTableOptions): SlabTable {
  if (!options.store.isRestored) throw new RangeError('a slab table is made after its store is restored')
  if (!(options.operatorId >= 0 && options.operatorId < RESERVED_OPERATOR_ID)) {
    throw new RangeError(`operator id ${options.operatorId} is not within 0 to ${RESERVED_OPERATOR_ID - 1}`)
  }
  return new StoredSlabTable(options)
}

class StoredSlabTable implements SlabTable {
  readonly operatorId: number
  readonly width: number
  wasCreated = false
  besideBytes = 0
  readonly #isWindowed: boolean
  readonly #store: TaskStore
  readonly #budget: MemoryBudget
  readonly #prefixBytes: number
  readonly #rows: MemoryRows
  /** Parts of `#rows`, at hand. */
  readonly #columns: RowColumns
  readonly #keys: KeyTable
  readonly #windows: WindowList
  /** Keys of stored rows that were deleted in the open epoch. */
  readonly #tombstones = new RowLayer()
  #dirtyRows = new Int32Array(64)
  #dirtyCount = 0
  readonly #scratch = new KeyScratch()
  #frameView: DataView = new DataView(new ArrayBuffer(0))
  #loadCount = 0
  /** Rows may be in the store and not in memory. */
  #hasStored: boolean
  readonly #eviction: RowEviction

  constructor(options: SlabTableOptions) {
    this.operatorId = options.operatorId
    this.width = options.width
    this.#isWindowed = options.isWindowed
    this.#store = options.store
    this.#prefixBytes = options.isWindowed ? WINDOW_PREFIX_BYTES : PLAIN_PREFIX_BYTES
    this.#rows = new MemoryRows(options.width)
    this.#columns = this.#rows.columns
    this.#keys = this.#rows.keys
    this.#windows = this.#rows.windows
    this.#eviction = new RowEviction(this.#rows)
    const limit = options.memoryBytesMax
    this.#budget = typeof limit === 'number' ? new MemoryBudget(limit) : limit
    this.#budget.join(this)
    learnWindows(this.#windows, options.store, options.operatorId, options.isWindowed)
    this.#hasStored = this.#windows.hasStored
  }

  get slots(): Float64Array {
    return this.#columns.slots
  }
  get cells(): (unknown[] | undefined)[] {
    return this.#columns.cells
  }
  set onDrop(tell: (row: number) => void) {
    this.#rows.onDrop = tell
  }
  get evictedRowCount(): number {
    return this.#eviction.rowCount
  }
  get rowCount(): number {
    return this.#columns.rowCount
  }
  get keyCount(): number {
    return this.#keys.keyCount
  }
  get bytes(): number {
    const keyBytes = this.#keys.keyCount * KEY_BYTES + this.#keys.liveBytes
    return this.#columns.bytes + keyBytes + this.#tombstones.bytes + this.besideBytes
  }
  get cellBytes(): number {
    return this.#columns.cellBytesTotal
  }
  get keyArena(): Uint8Array {
    return this.#keys.arena
  }
  get windowEndMin(): number {
    return this.#windows.endMsMin
  }
  keyStart(keyId: number): number {
    return this.#keys.starts[keyId]!
  }
  keyBytes(keyId: number): number {
    return this.#keys.lengths[keyId]!
  }
  keyOf(row: number): number {
    return this.#columns.keys[row]!
  }
  windowEndOf(row: number): number {
    return this.#columns.ends[row]!
  }
  windowEndsUpTo(upToMs: number): number[] {
    return this.#windows.endsUpTo(upToMs)
  }
  windowEndsIn(afterMs: number, upToMs: number): number[] {
    return this.#windows.endsIn(afterMs, upToMs)
  }
  find(keyId: number, windowEndMs: number): number {
    return this.#rows.find(keyId, windowEndMs)
  }
  rowCountOf(keyId: number): number {
    return this.#keys.rowCountOf(keyId)
  }
  newestEndOf(keyId: number): number {
    if (this.#hasStored) return Number.NaN
    return this.#keys.rowCountOf(keyId) === 0 ? Number.NEGATIVE_INFINITY : this.#keys.newestEnds[keyId]!
  }
  compareKeys(a: number, b: number): number {
    return this.#rows.compareKeys(a, b)
  }

  internKey(source: Uint8Array, start: number, length: number): number {
    return this.#keys.intern(source, start, length)
  }

  rowFor(keyId: number, windowEndMs: number): number {
    this.wasCreated = false
    const row = this.#rows.find(keyId, windowEndMs)
    return row >= 0 ? row : this.#bringRow(keyId, windowEndMs)
  }

  rowIfAny(keyId: number, windowEndMs: number): number {
    const row = this.#rows.find(keyId, windowEndMs)
    if (row >= 0) return row
    if (!this.#hasStored) return -1
    const window = this.#windows.get(windowEndMs)
    if (window === undefined || window.storedCount <= 0) return -1
    const value = this.#storedValue(keyId, windowEndMs)
    return value === undefined ? -1 : this.#loadRow(keyId, window, value)
  }

  touch(row: number): void {
    if ((this.#columns.flags[row]! & DIRTY) === 0) this.#setDirty(row)
  }

  deleteRow(row: number): void {
    const columns = this.#columns
    if ((columns.flags[row]! & STORED) !== 0) {
      const length = this.#writeKey(columns.keys[row]!, columns.ends[row]!)
      this.#tombstones.put(this.#scratch.bytes, 0, length, this.#scratch.bytes, 0, -1)
    }
    this.#windows.dropIfEmpty(this.#rows.drop(row))
  }

  closeWindow(windowEndMs: number, visit: (row: number) => void): void {
    const window = this.#windows.get(windowEndMs)
    if (window === undefined) return
    for (const row of this.#walk(window)) {
      visit(row)
      if (this.#columns.flags[row] !== 0) this.deleteRow(row)
    }
    window.storedCount = 0
    if (this.#windows.get(windowEndMs) === window) this.#windows.dropIfEmpty(window)
  }

  dropWindow(windowEndMs: number): void {
    const window = this.#windows.get(windowEndMs)
    if (window === undefined) return
    if (window.storedCount > 0) {
      this.closeWindow(windowEndMs, () => {})
      return
    }
    for (const row of this.#columns.rowsOf(window)) this.deleteRow(row)
  }

  forEachRow(visit: (row: number) => void): void {
    for (const endMs of this.#windows.endsUpTo(Number.POSITIVE_INFINITY)) {
      const window = this.#windows.get(endMs)
      if (window !== undefined) for (const row of this.#walk(window)) visit(row)
    }
  }

  rowsInMemory(windowEndMs: number): Int32Array {
    const window = this.#windows.get(windowEndMs)
    return window === undefined ? new Int32Array(0) : this.#columns.rowsOf(window)
  }

  isLoaded(windowEndMs: number): boolean {
    const window = this.#windows.get(windowEndMs)
    return window === undefined || window.storedCount <= 0
  }

  load(windowEndMs: number): boolean {
    const window = this.#windows.get(windowEndMs)
    if (window === undefined || window.storedCount <= 0) return true
    const { from, to } = this.#rangeOf(window)
    for (const [key, value] of this.#store.range(from, to)) {
      if (this.#budget.excessBytes >= 0) return false
      const keyId = this.#keys.intern(key, this.#prefixBytes, key.length - this.#prefixBytes)
      if (this.#rows.find(keyId, windowEndMs) < 0 && !this.#isTombstoned(key)) this.#loadRow(keyId, window, value)
    }
    window.storedCount = 0
    this.#windows.dropIfEmpty(window)
    return true
  }

  *walk(windowEndMs: number): Generator<number, void> {
    const window = this.#windows.get(windowEndMs)
    if (window !== undefined) yield* this.#walk(window)
  }

  seal(epoch: number, changelog: FrameWriter, topicIndex: number, partition: number): void {
    this.#sealTombstones(changelog, topicIndex, partition)
    for (let i = 0; i < this.#dirtyCount; i++) {
      const row = this.#dirtyRows[i]!
      if ((this.#columns.flags[row]! & DIRTY) !== 0) this.#sealRow(row, epoch, changelog, topicIndex, partition)
    }
    this.#dirtyCount = 0
    this.#keys.sweep()
    if (this.#hasStored) this.#hasStored = this.#windows.hasStored
  }

  evict(): void {
    this.#hasStored = true
    if (this.#eviction.run(this.#budget.excessBytes, this.#store.flushedEpoch, this.#loadCount)) this.#keys.sweep()
  }

  dropAll(): void {
    this.#budget.leave(this)
    this.#dirtyCount = 0
    this.#tombstones.clear()
    const all = this.#windows.endsUpTo(Number.POSITIVE_INFINITY)
    for (const endMs of all) {
      const window = this.#windows.get(endMs)!
      for (const row of this.#columns.rowsOf(window)) this.#rows.drop(row)
      window.storedCount = 0
      this.#windows.dropIfEmpty(window)
    }
    this.#keys.sweep()
  }

  /** The row from the store, or a new one. */
  #bringRow(keyId: number, windowEndMs: number): number {
    const window = this.#windows.at(windowEndMs)
    if (window.storedCount > 0) {
      const value = this.#storedValue(keyId, windowEndMs)
      if (value !== undefined) return this.#loadRow(keyId, window, value)
    }
    this.wasCreated = true
    const row = this.#rows.add(keyId, window, LIVE)
    this.#setDirty(row)
    return row
  }

  #storedValue(keyId: number, windowEndMs: number): Uint8Array | undefined {
    const key = this.#scratch.bytes.subarray(0, this.#writeKey(keyId, windowEndMs))
    return this.#isTombstoned(key) ? undefined : this.#store.get(key)
  }

  #isTombstoned(key: Uint8Array): boolean {
    return this.#tombstones.rowCount > 0 && this.#tombstones.has(key)
  }

  #loadRow(keyId: number, window: WindowRows, value: Uint8Array): number {
    const row = this.#rows.add(keyId, window, LIVE | STORED | RECENT)
    const columns = this.#columns
    readSlots(value, columns.slots, row * this.width, this.width)
    const cells = unpackCells(value, this.width * 8)
    columns.cells[row] = cells
    if (cells !== undefined) columns.setCellBytes(row, value.length - this.width * 8 + CELLS_OVERHEAD_BYTES)
    window.storedCount--
    this.#loadCount++
    return row
  }

  #setDirty(row: number): void {
    const flags = this.#columns.flags
    flags[row] = flags[row]! | DIRTY | RECENT
    if (this.#dirtyCount === this.#dirtyRows.length) this.#dirtyRows = grownInts(this.#dirtyRows, this.#dirtyCount + 1)
    this.#dirtyRows[this.#dirtyCount++] = row
  }

  /** Writes the state key into the scratch and returns its length. */
  #writeKey(keyId: number, windowEndMs: number): number {
    const { arena, starts, lengths } = this.#keys
    const endMs = this.#isWindowed ? windowEndMs : undefined
    return this.#scratch.write(this.operatorId, endMs, arena, starts[keyId]!, lengths[keyId]!)
  }

  #sealTombstones(changelog: FrameWriter, topicIndex: number, partition: number): void {
    for (const [key] of this.#tombstones.rows()) {
      changelog.append(topicIndex, partition, -1, key, undefined)
      this.#store.sealRow(key, undefined)
    }
    this.#tombstones.clear()
  }

  #sealRow(row: number, epoch: number, changelog: FrameWriter, topicIndex: number, partition: number): void {
    const columns = this.#columns
    const cells = columns.cells[row]
    const packed = cells === undefined ? undefined : packCells(cells)
    const packedBytes = packed === undefined ? 0 : packed.length
    const keyBytes = this.#writeKey(columns.keys[row]!, columns.ends[row]!)
    const valueBytes = this.width * 8 + packedBytes
    const at = changelog.begin(topicIndex, partition, -1, this.#scratch.bytes, 0, keyBytes, valueBytes)
    const bytes = changelog.bytes
    if (this.#frameView.buffer !== bytes.buffer) this.#frameView = new DataView(bytes.buffer)
    const tailAt = writeSlots(this.#frameView, at, columns.slots, row * this.width, this.width)
    if (packed !== undefined) bytes.set(packed, tailAt)
    changelog.end(at, tailAt + packedBytes)
    this.#store.sealRowAt(bytes, at - keyBytes, keyBytes, valueBytes)
    columns.setCellBytes(row, packed === undefined ? 0 : packedBytes + CELLS_OVERHEAD_BYTES)
    columns.flags[row] = (columns.flags[row]! & ~DIRTY) | STORED
    columns.sealEpochs[row] = epoch
  }

  #rangeOf(window: WindowRows): KeyRange {
    return this.#isWindowed ? windowRange(this.operatorId, window.endMs) : operatorRange(this.operatorId)
  }

  /**
   * The rows of a window in key order. Those that are only in the store come into memory one at a time, and go again
   * when the walk goes on, unless they were changed or deleted. No row may be made meanwhile.
   */
  *#walk(window: WindowRows): Generator<number, void> {
    const rows = this.#rows.inKeyOrder(window)
    let next = 0
    if (window.storedCount > 0) {
      const { from, to } = this.#rangeOf(window)
      for (const [key, value] of this.#store.range(from, to)) {
        while (next < rows.length && this.#rows.compareToKey(rows[next]!, key, this.#prefixBytes) < 0)
          yield rows[next++]!
        const isInMemory = next < rows.length && this.#rows.compareToKey(rows[next]!, key, this.#prefixBytes) === 0
        if (isInMemory) yield rows[next++]!
        else if (!this.#isTombstoned(key)) yield* this.#walkStored(window, key, value)
      }
    }
    while (next < rows.length) yield rows[next++]!
  }

  *#walkStored(window: WindowRows, key: Uint8Array, value: Uint8Array): Generator<number, void> {
    const columns = this.#columns
    const keysBefore = this.#keys.keyCount
    const keyId = this.#keys.intern(key, this.#prefixBytes, key.length - this.#prefixBytes)
    const isNewKey = this.#keys.keyCount > keysBefore
    const row = this.#loadRow(keyId, window, value)
    yield row
    const isLeft = columns.flags[row] !== 0 && (columns.flags[row]! & DIRTY) === 0
    if (isLeft) this.#rows.drop(row).storedCount++
    if (isNewKey && this.#keys.rowCountOf(keyId) === 0) this.#keys.forgetNow(keyId)
  }
}
