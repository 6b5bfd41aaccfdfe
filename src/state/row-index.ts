// Hot path: finds a row by (key id, window end): open addressing in one typed array, no object a record.
// Runs on a lane, owned by one slab table.
// Keeps SPEC: STATE-2 (one row a key and window in memory).

const ROWS_MIN = 64

/**
 * The table holds row + 1 (0: empty) and asks the columns of the rows for key and window end, which the slab table
 * passes in because they are replaced when it grows.
 */
export class RowIndex {
  #slots = new Int32Array(ROWS_MIN * 2)
  #mask = ROWS_MIN * 2 - 1
  #count = 0

  /** The row of (keyId, windowEndMs), or -1. */
  find(keys: Int32Array, ends: Float64Array, keyId: number, windowEndMs: number): number {
    const slots = this.#slots
    const mask = this.#mask
    let slot = hashOf(keyId, windowEndMs) & mask
    for (;;) {
      const row = slots[slot]! - 1
      if (row < 0 || (keys[row] === keyId && ends[row] === windowEndMs)) return row
      slot = (slot + 1) & mask
    }
  }

  add(keys: Int32Array, ends: Float64Array, row: number): void {
    this.#count++
    if (this.#count * 2 > this.#mask) this.#grow(keys, ends)
    this.#place(this.#slots, this.#mask, keys, ends, row)
  }

  remove(keys: Int32Array, ends: Float64Array, row: number): void {
    const slots = this.#slots
    const mask = this.#mask
    let hole = hashOf(keys[row]!, ends[row]!) & mask
    while (slots[hole] !== row + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; slots[slot] !== 0; slot = (slot + 1) & mask) {
      const other = slots[slot]! - 1
      const home = hashOf(keys[other]!, ends[other]!) & mask
      // A row may move back into the hole unless its home lies behind the hole.
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      slots[hole] = other + 1
      hole = slot
    }
    slots[hole] = 0
    this.#count--
  }

  #place(slots: Int32Array, mask: number, keys: Int32Array, ends: Float64Array, row: number): void {
    let slot = hashOf(keys[row]!, ends[row]!) & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = row + 1
  }

  #grow(keys: Int32Array, ends: Float64Array): void {
    const old = this.#slots
    this.#slots = new Int32Array(old.length * 2)
    this.#mask = this.#slots.length - 1
    for (let slot = 0; slot < old.length; slot++) {
      if (old[slot] !== 0) this.#place(this.#slots, this.#mask, keys, ends, old[slot]! - 1)
    }
  }
}

/** Window ends are multiples of a slide: the low digits are mixed with the key, the high ones change once in 49 days. */
function hashOf(keyId: number, windowEndMs: number): number {
  let hash = Math.imul(keyId + 1, 0x9e3779b1) ^ Math.imul((windowEndMs % 0x1_0000_0000) | 0, 0x85ebca6b)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0xc2b2ae35)
  return hash ^ (hash >>> 13)
}
