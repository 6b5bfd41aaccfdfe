// The records of one side of a join that wait for others. Runs on a lane, owned by one task of a join. Hot.
// Keeps SPEC: JOIN-4 (a record that none can meet any more occupies nothing; what waits is found in memory and in the store).

/*
 *   deadline     0            100            200
 *                ├─────────────┼──────────────┼──> buckets; each is a trie of blocks by the hash of the key:
 *
 *   depth 0      a block for each value of the first bits, as many as make some 16 entries a block if it is like the bucket before
 *   depth 1        full: what comes now goes to blocks by 3 more bits
 *   depth 2          ...
 *
 * A row of state is a block of up to 32 entries, not one: a record costs a fraction of a row in the changelog and on disk, and of one
 * that deletes it. A block that had no room once is closed, so the entries of a key are found in the order they came, along one
 * path, whose first block that is not there ends it. One more row of a bucket says how many bits it begins with, and how wide it is. A
 * record is looked for in the few buckets that its bounds touch; a bucket goes as a whole when the watermark is at its end.
 */
import { readInt } from '../../state/byte-hash.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { PackedRecord } from '../chain-state.ts'
import type { ByteRange } from './derived.ts'
import {
  entryAt,
  entryBytes,
  entryDeadlineMs,
  entryFromMs,
  entryTimeMs,
  entryValueAt,
  isEntryOf,
  type NewEntry,
} from './entry-block.ts'
import { type HashedKey, noKey } from './hashed-key.ts'
import { RowBlocks } from './row-blocks.ts'
import { keptObject } from './table-rows.ts'

const ENTRIES_MAX = 32
/** Of a block: the number of its entries; 1 when it takes no more; of each entry the hash of its key and where it begins. */
export const BLOCK_SLOTS = 2 + ENTRIES_MAX
const COUNT = 0
const CLOSED = 1
const FIRST = 2
/** Of the row of a bucket. */
const BITS = 0
const WIDTH_MS = 1
/** A hash and an offset are one number. */
const OFFSETS = 2 ** 20
const ENTRIES_USUAL = 16
/** A longer entry has a block of its own. */
const BLOCK_BYTES_MAX = 4096
const BITS_MIN = 3
const BITS_MAX = 20
/** Of a bucket that has none before it. */
const BITS_UNKNOWN = 6
const BITS_PER_DEPTH = 3
const HASH_BITS = 32
/** Depth and prefix of the hash, 4 bytes each. */
const ID_BYTES = 8
/** Blocks that are looked at one by one before the search doubles its steps: a key of many records has a long path. */
const WALKED_MAX = 8

const NO_BYTES = new Uint8Array(0)
const NO_VIEW = new DataView(NO_BYTES.buffer)
const NO_HEADS = new Int32Array(1)

interface Bucket {
  /** Of the hash, at depth 0. */
  readonly bits: number
  /** By these bits: the row of the block at depth 0, from 1 on; -1: there is none; 0: not known. */
  readonly heads: Int32Array
  /** Entries that came since the task was opened. */
  count: number
  /** It was there when the task was opened: the count is not that of all its entries. */
  readonly isOld: boolean
}

/** The records of a row: see TableLayout. Its slots are event time, deadline and the first time that it meets, in ms. */
export function unpackEntries(slots: Float64Array, cells: readonly unknown[]): PackedRecord[] {
  if (cells.length === 0) return []
  return Array.from({ length: slots[COUNT]! }, (_, nth) => {
    const entry = entryAt(cells[0] as Uint8Array, slots[FIRST + nth]! % OFFSETS)
    const { key, value, timeMs, fromMs, deadlineMs } = entry
    return { key, slots: [timeMs, deadlineMs, fromMs], cells: [value] }
  })
}

/**
 * The records of one side. `seek` says whose are looked for, `find` in which bucket, and after each `next` that is true this is one of them:
 * `timeMs`, `fromMs`, `deadlineMs`, `place` and `object` tell of it.
 *
 * @example
 * entries.seek(key)
 * if (entries.find(bucket)) while (entries.next()) sum += entries.timeMs
 */
export class JoinEntries {
  readonly #table: SlabTable
  #bucketMs: number
  /** Those that have entries. */
  readonly #buckets = new Map<number, Bucket>()
  #newest = Number.NEGATIVE_INFINITY
  #headBytes = 0
  readonly #blocks: RowBlocks
  #key: HashedKey = noKey()
  #hashed = 0
  /** The bucket at hand. */
  #number = 0
  #bits = -1
  #heads: Int32Array = NO_HEADS
  /** Ids of the blocks on the path of the key, by depth; those from `#known` on are not known yet. */
  readonly #path: number[] = []
  #known = 0
  #lastRow = -1
  /** The entry at hand: its block, its number in it, where it lies. */
  #row = -1
  #depth = 0
  #nth = -1
  #bytes: Uint8Array = NO_BYTES
  #view: DataView = NO_VIEW
  #at = 0
  readonly #id = new Uint8Array(ID_BYTES)

  /** `bucketMs`: as long as the table has buckets of another width, which were made by other options of the streams, it keeps that. */
  constructor(table: SlabTable, bucketMs: number) {
    this.#table = table
    this.#blocks = new RowBlocks(table)
    this.#bucketMs = bucketMs
    for (const number of table.windowEndsUpTo(Number.POSITIVE_INFINITY)) {
      const row = table.rowIfAny(this.#bucketId(), number)
      // One that was closed before, and is only named still.
      if (row < 0) continue
      this.#addBucket(number, table.slots[row * BLOCK_SLOTS + BITS]!, true)
      this.#bucketMs = table.slots[row * BLOCK_SLOTS + WIDTH_MS]!
    }
    table.onDrop = (row) => this.#forgetRow(row)
  }

  bucketOf(deadlineMs: number): number {
    return Math.floor(deadlineMs / this.#bucketMs)
  }
  /** The end of the bucket that a deadline is in. */
  bucketEndOf(deadlineMs: number): number {
    return (this.bucketOf(deadlineMs) + 1) * this.#bucketMs
  }
  /** The end of the first bucket that has entries, +Infinity: none has. */
  get firstBucketEndMs(): number {
    return (this.#table.windowEndMin + 1) * this.#bucketMs
  }

  /** What follows is about this key, until the next seek, seal or eviction. */
  seek(key: HashedKey): void {
    this.#key = key
    this.#hashed = key.hash * OFFSETS
    this.#known = 0
  }

  /** Goes before the first entry of the key in a bucket. False: the bucket has none of any key. */
  find(number: number): boolean {
    const bucket = this.#buckets.get(number)
    if (bucket === undefined) return false
    this.#enter(number, bucket)
    this.#depth = 0
    this.#row = this.#rowAt(0)
    this.#nth = -1
    return true
  }

  /** Goes on to the next entry of the key, in the order that they came. False: there is none. */
  next(): boolean {
    while (this.#row >= 0) {
      const { slots } = this.#table
      const hashed = this.#hashed
      const at = this.#row * BLOCK_SLOTS
      const count = slots[at + COUNT]!
      for (let nth = this.#nth + 1; nth < count; nth++) {
        const offset = slots[at + FIRST + nth]! - hashed
        // Else the key has another hash.
        if (offset >= 0 && offset < OFFSETS && this.#look(this.#row, nth, offset)) return true
      }
      this.#row = this.#isOpen(this.#row) ? -1 : this.#rowAt(++this.#depth)
      this.#nth = -1
    }
    return false
  }

  /** Goes to the entry of the key at a place of a bucket. */
  moveTo(number: number, place: number): void {
    const bucket = this.#buckets.get(number)
    if (bucket !== undefined) this.#enter(number, bucket)
    this.#depth = Math.floor(place / ENTRIES_MAX)
    const row = bucket === undefined ? -1 : this.#rowAt(this.#depth)
    const nth = place % ENTRIES_MAX
    const offset = row < 0 ? -1 : this.#table.slots[row * BLOCK_SLOTS + FIRST + nth]! - this.#hashed
    this.#row = row
    if (!(offset >= 0 && offset < OFFSETS && this.#look(row, nth, offset))) {
      throw new RangeError(`a join has nothing at place ${place} of bucket ${number}`)
    }
  }

  get timeMs(): number {
    return entryTimeMs(this.#view, this.#at)
  }
  /** The first time of a record of the other side that it meets. */
  get fromMs(): number {
    return entryFromMs(this.#view, this.#at)
  }
  get deadlineMs(): number {
    return entryDeadlineMs(this.#view, this.#at)
  }
  /** Its place in the bucket, for those who know its key. */
  get place(): number {
    return this.#depth * ENTRIES_MAX + this.#nth
  }
  /** The record, decoded anew: whoever gets it may change it. */
  object(): unknown {
    return keptObject(this.#bytes, entryValueAt(this.#bytes, this.#at))
  }

  /** Lets a record of the key wait. Gives its place. */
  add(value: ByteRange, entry: NewEntry): number {
    const number = this.bucketOf(entry.deadlineMs)
    const bucket = this.#buckets.get(number) ?? this.#open(number)
    this.#enter(number, bucket)
    bucket.count++
    let depth = this.#lastDepth()
    let row = this.#lastRow
    if (row < 0 || !this.#hasRoom(row, entryBytes(this.#key, value))) row = this.#newRow(++depth)
    const offset = this.#blocks.append(row, this.#key, value, entry)
    const table = this.#table
    const at = row * BLOCK_SLOTS
    const nth = table.slots[at + COUNT]!
    table.slots[at + COUNT] = nth + 1
    table.slots[at + FIRST + nth] = this.#hashed + offset
    table.touch(row)
    return depth * ENTRIES_MAX + nth
  }

  /** Forgets the buckets that end at or before the watermark. */
  dropBefore(watermarkMs: number): void {
    const table = this.#table
    if (this.firstBucketEndMs > watermarkMs) return
    const upTo = watermarkMs === Number.POSITIVE_INFINITY ? watermarkMs : Math.floor(watermarkMs / this.#bucketMs) - 1
    for (const number of table.windowEndsUpTo(upTo)) {
      this.#headBytes -= this.#buckets.get(number)?.heads.byteLength ?? 0
      this.#buckets.delete(number)
      table.dropWindow(number)
    }
    this.#countBeside()
  }

  /** The entry of a row at an offset of its block becomes the one at hand, if it is of the key. */
  #look(row: number, nth: number, offset: number): boolean {
    const { arena } = this.#blocks
    const place = this.#blocks.placeOf(row)
    const bytes = arena.bytesAt(place)
    const at = arena.startOf(place) + offset
    if (!isEntryOf(bytes, at, this.#key)) return false
    this.#nth = nth
    this.#bytes = bytes
    this.#view = arena.viewAt(place)
    this.#at = at
    return true
  }

  #newRow(depth: number): number {
    const table = this.#table
    const row = table.rowFor(this.#idAt(depth), this.#number)
    this.#blocks.begin(row)
    if (depth === 0) this.#heads[this.#key.hash & (this.#heads.length - 1)] = row + 1
    this.#countBeside()
    return row
  }

  /** A row leaves memory. */
  #forgetRow(row: number): void {
    this.#blocks.forget(row)
    this.#countBeside()
    const table = this.#table
    const heads = this.#buckets.get(table.windowEndOf(row))?.heads
    if (heads === undefined) return
    const { keyArena } = table
    const idAt = table.keyStart(table.keyOf(row))
    if (readInt(keyArena, idAt) === 0) heads[readInt(keyArena, idAt + 4)] = 0
  }

  #enter(number: number, { bits, heads }: Bucket): void {
    this.#number = number
    this.#heads = heads
    if (bits === this.#bits) return
    this.#bits = bits
    this.#known = 0
  }

  /** A new bucket is taken to be like the newest one. */
  #open(number: number): Bucket {
    const table = this.#table
    const like = this.#buckets.get(this.#newest)
    let bits = like?.bits ?? BITS_UNKNOWN
    if (like !== undefined && !like.isOld) {
      bits = Math.max(BITS_MIN, Math.min(BITS_MAX, Math.round(Math.log2(like.count / ENTRIES_USUAL))))
    }
    const row = table.rowFor(this.#bucketId(), number)
    table.slots[row * BLOCK_SLOTS + BITS] = bits
    table.slots[row * BLOCK_SLOTS + WIDTH_MS] = this.#bucketMs
    table.touch(row)
    return this.#addBucket(number, bits, false)
  }

  #addBucket(number: number, bits: number, isOld: boolean): Bucket {
    const bucket = { bits, heads: new Int32Array(1 << bits), count: 0, isOld }
    this.#buckets.set(number, bucket)
    this.#headBytes += bucket.heads.byteLength
    if (number > this.#newest) this.#newest = number
    return bucket
  }

  /** What the table does not know of: heads and places, and what its blocks take in the arena beyond their bytes. */
  #countBeside(): void {
    const table = this.#table
    const { bytes, arena } = this.#blocks
    table.besideBytes = bytes + this.#headBytes + Math.max(0, arena.bytes - table.cellBytes)
  }

  /** False closes the block: what comes later must not be found before. */
  #hasRoom(row: number, bytes: number): boolean {
    const table = this.#table
    const at = row * BLOCK_SLOTS
    if (table.slots[at + CLOSED] === 1) return false
    if (table.slots[at + COUNT]! < ENTRIES_MAX && this.#blocks.lengthOf(row) + bytes <= BLOCK_BYTES_MAX) return true
    table.slots[at + CLOSED] = 1
    table.touch(row)
    return false
  }

  /** The depth of the last block on the path, -1: there is none. Its row is `#lastRow`. */
  #lastDepth(): number {
    let there = -1
    this.#lastRow = -1
    while (there < WALKED_MAX) {
      if (!this.#isThere(there + 1)) return there
      there++
      if (this.#isOpen(this.#lastRow)) return there
    }
    let beyond = WALKED_MAX * 2
    while (this.#isThere(beyond)) {
      there = beyond
      beyond *= 2
    }
    while (beyond - there > 1) {
      const middle = Math.floor((there + beyond) / 2)
      if (this.#isThere(middle)) there = middle
      else beyond = middle
    }
    return there
  }

  /** The block takes more: there is none behind it. */
  #isOpen(row: number): boolean {
    return this.#table.slots[row * BLOCK_SLOTS + CLOSED] === 0
  }

  #isThere(depth: number): boolean {
    const row = this.#rowAt(depth)
    if (row >= 0) this.#lastRow = row
    return row >= 0
  }

  /** The row of the block of the key, at a depth of the bucket at hand, with entries of other keys among its own; -1: there is none. */
  #rowAt(depth: number): number {
    if (depth > 0) return this.#table.rowIfAny(this.#idAt(depth), this.#number)
    const heads = this.#heads
    const at = this.#key.hash & (heads.length - 1)
    const known = heads[at]!
    if (known !== 0) return known > 0 ? known - 1 : -1
    const row = this.#table.rowIfAny(this.#idAt(0), this.#number)
    heads[at] = row < 0 ? -1 : row + 1
    return row
  }

  #idAt(depth: number): number {
    if (depth < this.#known) return this.#path[depth]!
    const bits = this.#bits + depth * BITS_PER_DEPTH
    const { hash } = this.#key
    const id = this.#intern(depth, bits >= HASH_BITS ? hash : hash & ((1 << bits) - 1))
    if (depth === this.#known) this.#path[this.#known++] = id
    return id
  }

  /** The id of the row of a bucket. */
  #bucketId(): number {
    return this.#intern(-1, -1)
  }

  #intern(depth: number, prefix: number): number {
    const id = this.#id
    for (let i = 0; i < 4; i++) {
      id[i] = depth >>> (24 - i * 8)
      id[4 + i] = prefix >>> (24 - i * 8)
    }
    return this.#table.internKey(id, 0, ID_BYTES)
  }
}
