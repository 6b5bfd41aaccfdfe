// A layer of rows in memory: byte keys to byte values or tombstones, in arenas of typed arrays. Hot path: no object a row.
// Runs on a lane, owned by one task store or slab table.
// Keeps SPEC: STATE-2 (reads merge all layers), LIMIT-1 (a layer knows its bytes).

import { compareBytes, copyBytes, equalBytes, grownBytes, grownInts, hashBytes } from './byte-hash.ts'
import { grownSlots } from './hash-slots.ts'

/*
 * Entry e is four numbers of `#entries`: key start, key bytes, value start, value bytes (-1: tombstone). Keys and values
 * lie in one arena. `#slots` is an open-addressed table of pairs { hash, e + 1 }; entries are never removed one by one,
 * the whole layer is cleared, so probing needs no tombstones of its own.
 */
const ENTRY_INTS = 4
const SLOTS_MIN = 64
/** What an entry costs besides its bytes: its numbers, and its two slots of 8 bytes at half load. */
const ENTRY_BYTES = ENTRY_INTS * 4 + 16
/** Values that were replaced by longer ones leave garbage; below this it is not worth a compaction. */
const GARBAGE_BYTES_MIN = 1 << 20
/** Entries that came since the last sort are looked through so often before they are sorted in: a sort costs about as much. */
const SCANS_MAX = 8
const NO_ENTRIES = new Int32Array(0)

export class RowLayer {
  #arena = new Uint8Array(1 << 12)
  #used = 0
  #garbage = 0
  #entries = new Int32Array(64 * ENTRY_INTS)
  #slots = new Int32Array(SLOTS_MIN * 2)
  #mask = SLOTS_MIN - 1
  /** The first entries of the layer in key order; those that came since are not in it. */
  #sorted: Int32Array = NO_ENTRIES
  /** How often the entries that are not in it were looked through. */
  #scans = 0
  rowCount = 0

  /** Bytes of the live rows with their overhead. */
  get bytes(): number {
    return this.#used - this.#garbage + this.rowCount * ENTRY_BYTES
  }

  /** Puts a row, its bytes are copied; `valueBytes` -1 is a tombstone. The last put of a key wins. */
  put(
    key: Uint8Array,
    keyStart: number,
    keyBytes: number,
    value: Uint8Array,
    valueStart: number,
    valueBytes: number,
  ): void {
    const hash = hashBytes(key, keyStart, keyBytes)
    const slot = this.#slotOf(key, keyStart, keyBytes, hash)
    const entry = this.#slots[slot + 1]! - 1
    if (entry >= 0) this.#replace(entry, value, valueStart, valueBytes)
    else this.#insert(slot, hash, key, keyStart, keyBytes, value, valueStart, valueBytes)
  }

  /** Puts a whole key and value. */
  set(key: Uint8Array, value: Uint8Array | undefined): void {
    if (value === undefined) this.put(key, 0, key.length, key, 0, -1)
    else this.put(key, 0, key.length, value, 0, value.length)
  }

  /** The entry of a key, or -1. `hash` is hashBytes of the key, computed once for many layers. */
  find(key: Uint8Array, hash: number): number {
    return this.#slots[this.#slotOf(key, 0, key.length, hash) + 1]! - 1
  }
  has(key: Uint8Array): boolean {
    return this.find(key, hashBytes(key, 0, key.length)) >= 0
  }
  /** The value of an entry (a view, valid until the next put), undefined for a tombstone. */
  value(entry: number): Uint8Array | undefined {
    const start = this.#entries[entry * ENTRY_INTS + 2]!
    const length = this.#entries[entry * ENTRY_INTS + 3]!
    return length < 0 ? undefined : this.#arena.subarray(start, start + length)
  }
  /** The key of an entry (a view, valid until the next put). */
  key(entry: number): Uint8Array {
    const start = this.#entries[entry * ENTRY_INTS]!
    return this.#arena.subarray(start, start + this.#entries[entry * ENTRY_INTS + 1]!)
  }

  /** Takes over all rows of a newer layer. */
  putAll(newer: RowLayer): void {
    const entries = newer.#entries
    const arena = newer.#arena
    for (let entry = 0, at = 0; entry < newer.rowCount; entry++, at += ENTRY_INTS) {
      this.put(arena, entries[at]!, entries[at + 1]!, arena, entries[at + 2]!, entries[at + 3]!)
    }
  }

  /** Every row in the order of its first put. */
  *rows(): Generator<[key: Uint8Array, value: Uint8Array | undefined]> {
    for (let entry = 0; entry < this.rowCount; entry++) yield [this.key(entry), this.value(entry)]
  }

  /** Every row in key order: a large write of LMDB then touches page after page. Sorts, so not on the path of records. */
  *sortedRows(): Generator<[key: Uint8Array, value: Uint8Array | undefined]> {
    for (const entry of this.#sortAll()) yield [this.key(entry), this.value(entry)]
  }

  /** Entries with from <= key < to in key order, tombstones included. Many ranges may be asked for between two puts. */
  entriesIn(from: Uint8Array, to: Uint8Array): Int32Array {
    const isSorted = this.#sorted.length === this.rowCount
    const sorted = isSorted || this.#scans === SCANS_MAX ? this.#sortAll() : this.#sorted
    const known = sorted.subarray(this.#lowerBound(sorted, from), this.#lowerBound(sorted, to))
    if (sorted.length === this.rowCount) return known
    this.#scans++
    const found: number[] = []
    for (let entry = sorted.length; entry < this.rowCount; entry++) {
      if (this.#compareTo(entry, from) >= 0 && this.#compareTo(entry, to) < 0) found.push(entry)
    }
    return found.length === 0 ? known : this.#merged(known, Int32Array.from(found).sort(this.#compare))
  }

  /** The entry of the first key >= from, or -1. Sorts the layer once until a new key comes. */
  firstAtOrAfter(from: Uint8Array): number {
    const sorted = this.#sortAll()
    const at = this.#lowerBound(sorted, from)
    return at < sorted.length ? sorted[at]! : -1
  }

  /** Empties the layer; its memory is kept for the next rows unless it is far larger than they were. */
  clear(): void {
    const isOversized = this.#arena.length > 1 << 20 && this.#used < this.#arena.length >> 3
    if (isOversized) {
      this.#arena = new Uint8Array(1 << 12)
      this.#entries = new Int32Array(64 * ENTRY_INTS)
      this.#slots = new Int32Array(SLOTS_MIN * 2)
      this.#mask = SLOTS_MIN - 1
    } else if (this.rowCount > 0) this.#slots.fill(0)
    this.#used = 0
    this.#garbage = 0
    this.rowCount = 0
    this.#sorted = NO_ENTRIES
    this.#scans = 0
  }

  #slotOf(key: Uint8Array, keyStart: number, keyBytes: number, hash: number): number {
    const slots = this.#slots
    const mask = this.#mask
    let slot = hash & mask
    for (;;) {
      const entry = slots[slot * 2 + 1]! - 1
      if (entry < 0) return slot * 2
      if (slots[slot * 2] === hash && this.#isKey(entry, key, keyStart, keyBytes)) return slot * 2
      slot = (slot + 1) & mask
    }
  }

  #isKey(entry: number, key: Uint8Array, keyStart: number, keyBytes: number): boolean {
    const at = entry * ENTRY_INTS
    if (this.#entries[at + 1] !== keyBytes) return false
    return equalBytes(this.#arena, this.#entries[at]!, key, keyStart, keyBytes)
  }

  #insert(
    slot: number,
    hash: number,
    key: Uint8Array,
    keyStart: number,
    keyBytes: number,
    value: Uint8Array,
    valueStart: number,
    valueBytes: number,
  ): void {
    const entry = this.rowCount
    const at = entry * ENTRY_INTS
    if (at + ENTRY_INTS > this.#entries.length) this.#entries = grownInts(this.#entries, at + ENTRY_INTS)
    this.#entries[at] = this.#append(key, keyStart, keyBytes)
    this.#entries[at + 1] = keyBytes
    this.#entries[at + 2] = valueBytes > 0 ? this.#append(value, valueStart, valueBytes) : 0
    this.#entries[at + 3] = valueBytes
    this.#slots[slot] = hash
    this.#slots[slot + 1] = entry + 1
    this.rowCount++
    if (this.rowCount * 2 > this.#mask) this.#growSlots()
  }

  #replace(entry: number, value: Uint8Array, valueStart: number, valueBytes: number): void {
    const at = entry * ENTRY_INTS
    const oldBytes = this.#entries[at + 3]!
    const start = this.#entries[at + 2]!
    if (valueBytes <= oldBytes) {
      copyBytes(this.#arena, start, value, valueStart, valueBytes)
      this.#garbage += Math.max(oldBytes, 0) - Math.max(valueBytes, 0)
    } else {
      this.#garbage += Math.max(oldBytes, 0)
      this.#entries[at + 2] = this.#append(value, valueStart, valueBytes)
    }
    this.#entries[at + 3] = valueBytes
    if (this.#garbage > GARBAGE_BYTES_MIN && this.#garbage * 2 > this.#used) this.#compact()
  }

  #append(source: Uint8Array, start: number, length: number): number {
    const at = this.#used
    if (at + length > this.#arena.length) this.#arena = grownBytes(this.#arena, at + length)
    copyBytes(this.#arena, at, source, start, length)
    this.#used = at + length
    return at
  }

  #growSlots(): void {
    this.#slots = grownSlots(this.#slots)
    this.#mask = this.#mask * 2 + 1
  }

  #compact(): void {
    const old = this.#arena
    const entries = this.#entries
    this.#arena = new Uint8Array(this.#used - this.#garbage + (1 << 12))
    this.#used = 0
    this.#garbage = 0
    for (let at = 0; at < this.rowCount * ENTRY_INTS; at += ENTRY_INTS) {
      entries[at] = this.#append(old, entries[at]!, entries[at + 1]!)
      if (entries[at + 3]! > 0) entries[at + 2] = this.#append(old, entries[at + 2]!, entries[at + 3]!)
    }
  }

  /** All entries in key order: those that are not yet are sorted among themselves and put between the others. */
  #sortAll(): Int32Array {
    const count = this.#sorted.length
    if (count === this.rowCount) return this.#sorted
    const fresh = Int32Array.from({ length: this.rowCount - count }, (_, i) => count + i).sort(this.#compare)
    this.#sorted = this.#merged(this.#sorted, fresh)
    this.#scans = 0
    return this.#sorted
  }

  #merged(one: Int32Array, other: Int32Array): Int32Array {
    if (one.length === 0) return other
    const merged = new Int32Array(one.length + other.length)
    let [i, j] = [0, 0]
    for (let at = 0; at < merged.length; at++) {
      const isOne = j === other.length || (i < one.length && this.#compare(one[i]!, other[j]!) < 0)
      merged[at] = isOne ? one[i++]! : other[j++]!
    }
    return merged
  }

  readonly #compare = (a: number, b: number): number => {
    const entries = this.#entries
    const at = a * ENTRY_INTS
    const other = b * ENTRY_INTS
    const arena = this.#arena
    return compareBytes(arena, entries[at]!, entries[at + 1]!, arena, entries[other]!, entries[other + 1]!)
  }

  #compareTo(entry: number, key: Uint8Array): number {
    const at = entry * ENTRY_INTS
    return compareBytes(this.#arena, this.#entries[at]!, this.#entries[at + 1]!, key, 0, key.length)
  }

  #lowerBound(sorted: Int32Array, key: Uint8Array): number {
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compareTo(sorted[middle]!, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
