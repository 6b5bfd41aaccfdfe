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
import { hashBytes } from '../../state/byte-hash.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { PackedRecord } from '../chain-state.ts'
import type { ByteRange } from './derived.ts'
import { BlockPages, EntryBlock, entryBytes, type NewEntry } from './entry-block.ts'

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

const BUCKET_MS_MIN = 16
/** In the time that its records wait. */
const BUCKETS_MAX = 256
/** That a record looks through. */
const BUCKETS_SEEN_MAX = 16
const NO_BYTES = new Uint8Array(0)

/**
 * The width in ms of the buckets of deadlines of one side. `waitMs`: how long its records wait, as they come in; `spanMs`: the deadlines
 * that one of the other side looks through. Short where records wait for a short time: they stay until the end of their bucket.
 *
 * @example
 * bucketMsOf(60_000, 65_000) // 32500
 * bucketMsOf(60_000, 4_000) // 3750
 */
export function bucketMsOf(spanMs: number, waitMs: number): number {
  return Math.max(
    BUCKET_MS_MIN,
    Math.min(spanMs, Math.ceil(waitMs / 2)),
    Math.ceil(spanMs / BUCKETS_SEEN_MAX),
    Math.ceil(waitMs / BUCKETS_MAX),
  )
}

/** A key that entries are looked for with. */
export interface HashedKey extends ByteRange {
  /** A number of 32 bits, not negative. */
  hash: number
}

/** No key yet: whoever looks for entries fills it again and again. */
export function noKey(): HashedKey {
  return { bytes: NO_BYTES, start: 0, length: -1, hash: 0 }
}

/** Sets a key to the bytes source[start .. start + length). */
export function toHashedKey(key: HashedKey, source: Uint8Array, start: number, length: number): void {
  key.bytes = source
  key.start = start
  key.length = length
  key.hash = hashBytes(source, start, length) >>> 0
}

interface Bucket {
  /** Of the hash, at depth 0. */
  readonly bits: number
  /** Entries that came since the task was opened. */
  count: number
  /** It was there when the task was opened: the count is not that of all its entries. */
  readonly isOld: boolean
}

/** The records of a row: see TableLayout. Its slots are event time, deadline and the first time that it meets, in ms. */
export function unpackEntries(slots: Float64Array, cells: readonly unknown[]): PackedRecord[] {
  if (cells.length === 0) return []
  const block = new EntryBlock(cells[0] as Uint8Array)
  return Array.from({ length: slots[COUNT]! }, (_, nth) => {
    const { key, value, timeMs, fromMs, deadlineMs } = block.entryAt(slots[FIRST + nth]! % OFFSETS)
    return { key, slots: [timeMs, deadlineMs, fromMs], cells: [value] }
  })
}

export class JoinEntries {
  readonly table: SlabTable
  #bucketMs: number
  /** Those that have entries. */
  readonly #buckets = new Map<number, Bucket>()
  #newest = Number.NEGATIVE_INFINITY
  #key: HashedKey = noKey()
  #hashed = 0
  /** Of the bucket entered. */
  #number = 0
  #bits = -1
  /** Ids of the blocks on the path of the key, by depth; those from `#known` on are not known yet. */
  readonly #path: number[] = []
  #known = 0
  #lastRow = -1
  readonly #id = new Uint8Array(ID_BYTES)
  readonly #pages = new BlockPages()

  /** `bucketMs`: as long as the table has buckets of another width, which were made by other options of the streams, it keeps that. */
  constructor(table: SlabTable, bucketMs: number) {
    this.table = table
    this.#bucketMs = bucketMs
    for (const number of table.windowEndsUpTo(Number.POSITIVE_INFINITY)) {
      const row = table.rowIfAny(this.#bucketId(), number)
      // One that was closed before, and is only named still.
      if (row < 0) continue
      this.#buckets.set(number, { bits: table.slots[row * BLOCK_SLOTS + BITS]!, count: 0, isOld: true })
      this.#bucketMs = table.slots[row * BLOCK_SLOTS + WIDTH_MS]!
      this.#newest = number
    }
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
    return (this.table.windowEndMin + 1) * this.#bucketMs
  }

  /** What follows is about this key, until the next seek, seal or eviction. */
  seek(key: HashedKey): void {
    this.#key = key
    this.#hashed = key.hash * OFFSETS
    this.#known = 0
  }

  /** What follows is about this bucket. False: it has no entries. */
  enter(number: number): boolean {
    const bucket = this.#buckets.get(number)
    if (bucket === undefined) return false
    this.#enter(number, bucket)
    return true
  }

  /** The row of a block of the key, at a depth of the bucket, with entries of other keys among its own; -1: the path ends before. */
  rowAt(depth: number): number {
    return this.table.rowIfAny(this.#idAt(depth), this.#number)
  }

  /** The row behind one of the path, which is at `depth`; -1: there is none. */
  rowBehind(row: number, depth: number): number {
    return this.#isOpen(row) ? -1 : this.rowAt(depth)
  }

  /** Entries of a row. */
  countOf(row: number): number {
    return this.table.slots[row * BLOCK_SLOTS + COUNT]!
  }

  /** Where the nth entry of a row begins in its block, -1: its key has another hash. */
  offsetAt(row: number, nth: number): number {
    const offset = this.table.slots[row * BLOCK_SLOTS + FIRST + nth]! - this.#hashed
    return offset >= 0 && offset < OFFSETS ? offset : -1
  }

  /** The block of a row. One that was read back from the store becomes one when it is asked for. */
  blockOf(row: number): EntryBlock {
    const cells = this.table.cells[row]!
    const cell = cells[0]
    if (cell instanceof EntryBlock) return cell
    const block = new EntryBlock(cell as Uint8Array)
    cells[0] = block
    return block
  }

  /** The place of an entry in its bucket, for those who know its key. */
  placeOf(depth: number, nth: number): number {
    return depth * ENTRIES_MAX + nth
  }

  /** The row of a place of the key in the bucket. */
  rowOf(place: number): number {
    const row = this.rowAt(Math.floor(place / ENTRIES_MAX))
    if (row < 0) throw new RangeError(`a join has nothing at place ${place} of bucket ${this.#number}`)
    return row
  }

  /** Where the entry of a place begins in its block. */
  offsetOf(row: number, place: number): number {
    return this.offsetAt(row, place % ENTRIES_MAX)
  }

  /** Lets a record of the key wait. Gives its place. */
  add(value: ByteRange, entry: NewEntry): number {
    const { table } = this
    const key = this.#key
    const number = this.bucketOf(entry.deadlineMs)
    const bucket = this.#buckets.get(number) ?? this.#open(number)
    this.#enter(number, bucket)
    bucket.count++
    let depth = this.#lastDepth()
    let row = this.#lastRow
    if (row < 0 || !this.#hasRoom(row, entryBytes(key, value))) {
      row = table.rowFor(this.#idAt(++depth), number)
      table.cells[row] = [new EntryBlock(NO_BYTES)]
    }
    const offset = this.blockOf(row).append(key, value, entry, this.#pages)
    const at = row * BLOCK_SLOTS
    const nth = table.slots[at + COUNT]!
    table.slots[at + COUNT] = nth + 1
    table.slots[at + FIRST + nth] = this.#hashed + offset
    table.touch(row)
    return this.placeOf(depth, nth)
  }

  /** Forgets the buckets that end at or before the watermark. */
  dropBefore(watermarkMs: number): void {
    const { table } = this
    if (this.firstBucketEndMs > watermarkMs) return
    const upTo = watermarkMs === Number.POSITIVE_INFINITY ? watermarkMs : Math.floor(watermarkMs / this.#bucketMs) - 1
    for (const number of table.windowEndsUpTo(upTo)) {
      table.dropWindow(number)
      this.#buckets.delete(number)
    }
  }

  #enter(number: number, { bits }: Bucket): void {
    this.#number = number
    if (bits === this.#bits) return
    this.#bits = bits
    this.#known = 0
  }

  /** A new bucket is taken to be like the newest one. */
  #open(number: number): Bucket {
    const { table } = this
    const like = this.#buckets.get(this.#newest)
    let bits = like?.bits ?? BITS_UNKNOWN
    if (like !== undefined && !like.isOld) {
      bits = Math.max(BITS_MIN, Math.min(BITS_MAX, Math.round(Math.log2(like.count / ENTRIES_USUAL))))
    }
    const row = table.rowFor(this.#bucketId(), number)
    table.slots[row * BLOCK_SLOTS + BITS] = bits
    table.slots[row * BLOCK_SLOTS + WIDTH_MS] = this.#bucketMs
    table.touch(row)
    const bucket = { bits, count: 0, isOld: false }
    this.#buckets.set(number, bucket)
    if (number > this.#newest) this.#newest = number
    return bucket
  }

  /** False closes the block: what comes later must not be found before. */
  #hasRoom(row: number, bytes: number): boolean {
    const { table } = this
    const at = row * BLOCK_SLOTS
    if (table.slots[at + CLOSED] === 1) return false
    if (table.slots[at + COUNT]! < ENTRIES_MAX && this.blockOf(row).length + bytes <= BLOCK_BYTES_MAX) return true
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
    return this.table.slots[row * BLOCK_SLOTS + CLOSED] === 0
  }

  #isThere(depth: number): boolean {
    const row = this.rowAt(depth)
    if (row >= 0) this.#lastRow = row
    return row >= 0
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
    return this.table.internKey(id, 0, ID_BYTES)
  }
}
