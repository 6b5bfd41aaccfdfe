// Hot path: interns key bytes as small integers: one arena, open addressing, no object a record.
// Runs on a lane, owned by one slab table.
// Keeps SPEC: STATE-4 (a key without rows occupies zero entries after the next seal).

import { equalBytes, grownBytes, grownDoubles, grownInts, hashBytes } from './byte-hash.ts'
import { grownSlots } from './hash-slots.ts'

/*
 * Key k: hash, start and length in the arena, number of rows, and its newest row (window end, row). `#slots` is a table of
 * pairs { hash, k + 1 } with linear probing; a removal shifts later entries back, so there are no tombstones.
 * A key whose last row goes is only listed as idle; `sweep` forgets the idle ones that still have no row. Until then its
 * id stays valid: a lane may hold it between `intern` and `rowFor` while windows close in between.
 */
const KEYS_MIN = 64
const GARBAGE_BYTES_MIN = 1 << 12
/** What a key costs besides its bytes. */
export const KEY_BYTES = 4 * 5 + 8 + 16

const NO_WINDOW = Number.NaN

export class KeyTable {
  arena = new Uint8Array(1 << 12)
  starts = new Int32Array(KEYS_MIN)
  lengths = new Int32Array(KEYS_MIN)
  /** Newest window end of a key that has a row in memory, and that row; NaN: none. */
  newestEnds = new Float64Array(KEYS_MIN).fill(NO_WINDOW)
  newestRows = new Int32Array(KEYS_MIN)
  keyCount = 0
  /** Bytes of live keys in the arena. */
  liveBytes = 0
  #hashes = new Int32Array(KEYS_MIN)
  #rowCounts = new Int32Array(KEYS_MIN)
  #slots = new Int32Array(KEYS_MIN * 4)
  #mask = KEYS_MIN * 2 - 1
  #arenaUsed = 0
  /** Ids from here on were never used. */
  #nextId = 0
  #freeIds = new Int32Array(KEYS_MIN)
  #freeCount = 0
  #idle = new Int32Array(KEYS_MIN)
  #idleCount = 0

  /** The id of the key source[start .. start + length). */
  intern(source: Uint8Array, start: number, length: number): number {
    const hash = hashBytes(source, start, length)
    const slots = this.#slots
    const mask = this.#mask
    let slot = hash & mask
    for (;;) {
      const keyId = slots[slot * 2 + 1]! - 1
      if (keyId < 0) return this.#add(slot, hash, source, start, length)
      if (slots[slot * 2] === hash && this.lengths[keyId] === length) {
        if (equalBytes(this.arena, this.starts[keyId]!, source, start, length)) return keyId
      }
      slot = (slot + 1) & mask
    }
  }

  /** A row of the key was made. */
  addRow(keyId: number, windowEndMs: number, row: number): void {
    const count = this.#rowCounts[keyId]!
    this.#rowCounts[keyId] = count + 1
    // Once it is gone, which of those before it is the newest is not known.
    const newest = this.newestEnds[keyId]!
    if (Number.isNaN(newest) ? count === 0 : windowEndMs >= newest) this.setNewest(keyId, windowEndMs, row)
  }

  setNewest(keyId: number, windowEndMs: number, row: number): void {
    this.newestEnds[keyId] = windowEndMs
    this.newestRows[keyId] = row
  }

  /** A row of the key is gone. */
  removeRow(keyId: number, row: number): void {
    const left = this.#rowCounts[keyId]! - 1
    this.#rowCounts[keyId] = left
    if (this.newestRows[keyId] === row) {
      this.newestEnds[keyId] = NO_WINDOW
      this.newestRows[keyId] = -1
    }
    if (left === 0) this.#setIdle(keyId)
  }

  /** Forgets the keys without rows. Ids that were got before and have no row are void afterwards. */
  sweep(): void {
    for (let i = 0; i < this.#idleCount; i++) {
      const keyId = this.#idle[i]!
      // A key may be listed twice, or have got a row since: the length tells a forgotten one.
      if (this.#rowCounts[keyId] === 0 && this.lengths[keyId]! >= 0) this.#forget(keyId)
    }
    this.#idleCount = 0
    const garbage = this.#arenaUsed - this.liveBytes
    if (garbage > GARBAGE_BYTES_MIN && garbage > this.liveBytes) this.#compact()
  }

  /** Number of rows of a key in memory. */
  rowCountOf(keyId: number): number {
    return this.#rowCounts[keyId]!
  }

  /** Forgets a key at once that has no row and was interned by the caller just now: nobody else knows its id. */
  forgetNow(keyId: number): void {
    while (this.#idleCount > 0 && this.#idle[this.#idleCount - 1] === keyId) this.#idleCount--
    const start = this.starts[keyId]!
    if (start + this.lengths[keyId]! === this.#arenaUsed) this.#arenaUsed = start
    this.#forget(keyId)
  }

  #setIdle(keyId: number): void {
    if (this.#idleCount === this.#idle.length) this.#idle = grownInts(this.#idle, this.#idleCount + 1)
    this.#idle[this.#idleCount++] = keyId
  }

  #add(slot: number, hash: number, source: Uint8Array, start: number, length: number): number {
    const keyId = this.#freeCount > 0 ? this.#freeIds[--this.#freeCount]! : this.#newId()
    const at = this.#arenaUsed
    if (at + length > this.arena.length) this.arena = grownBytes(this.arena, at + length)
    for (let i = 0; i < length; i++) this.arena[at + i] = source[start + i]!
    this.#arenaUsed = at + length
    this.liveBytes += length
    this.starts[keyId] = at
    this.lengths[keyId] = length
    this.#hashes[keyId] = hash
    this.#rowCounts[keyId] = 0
    this.newestEnds[keyId] = NO_WINDOW
    this.newestRows[keyId] = -1
    this.#slots[slot * 2] = hash
    this.#slots[slot * 2 + 1] = keyId + 1
    this.keyCount++
    if (this.keyCount * 2 > this.#mask) this.#growSlots()
    this.#setIdle(keyId)
    return keyId
  }

  #newId(): number {
    const keyId = this.#nextId++
    if (keyId === this.starts.length) {
      this.starts = grownInts(this.starts, keyId + 1)
      this.lengths = grownInts(this.lengths, keyId + 1)
      this.newestEnds = grownDoubles(this.newestEnds, keyId + 1)
      this.newestRows = grownInts(this.newestRows, keyId + 1)
      this.#hashes = grownInts(this.#hashes, keyId + 1)
      this.#rowCounts = grownInts(this.#rowCounts, keyId + 1)
    }
    return keyId
  }

  #forget(keyId: number): void {
    this.#removeSlot(keyId)
    this.liveBytes -= this.lengths[keyId]!
    this.lengths[keyId] = -1
    this.keyCount--
    if (this.#freeCount === this.#freeIds.length) this.#freeIds = grownInts(this.#freeIds, this.#freeCount + 1)
    this.#freeIds[this.#freeCount++] = keyId
  }

  #removeSlot(keyId: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let hole = this.#hashes[keyId]! & mask
    while (slots[hole * 2 + 1] !== keyId + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; slots[slot * 2 + 1] !== 0; slot = (slot + 1) & mask) {
      const home = slots[slot * 2]! & mask
      // An entry may move back into the hole unless its home lies behind the hole.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      slots[hole * 2] = slots[slot * 2]!
      slots[hole * 2 + 1] = slots[slot * 2 + 1]!
      hole = slot
    }
    slots[hole * 2] = 0
    slots[hole * 2 + 1] = 0
  }

  #growSlots(): void {
    this.#slots = grownSlots(this.#slots)
    this.#mask = this.#mask * 2 + 1
  }

  #compact(): void {
    const arena = new Uint8Array(Math.max(1 << 12, this.liveBytes * 2))
    let used = 0
    for (let keyId = 0; keyId < this.#nextId; keyId++) {
      const length = this.lengths[keyId]!
      if (length < 0) continue
      const start = this.starts[keyId]!
      arena.set(this.arena.subarray(start, start + length), used)
      this.starts[keyId] = used
      used += length
    }
    this.arena = arena
    this.#arenaUsed = used
  }
}
