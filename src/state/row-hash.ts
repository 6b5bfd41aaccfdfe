// The running hash over all rows of a store: what tells rows that are missing, stale or extra. Runs on a lane; pure.
// Keeps SPEC: STATE-6 (damage is never read as state).

/**
 * Two sums of 32 bits over the rows' CRCs, and their number. Order does not matter and a row can be taken out again, so
 * a write changes the hash by its own rows alone.
 */
export class RowHash {
  rowCount = 0
  #sum = 0
  #mixedSum = 0

  add(crc: number): void {
    this.rowCount++
    this.#sum = (this.#sum + crc) >>> 0
    this.#mixedSum = (this.#mixedSum + mix(crc)) >>> 0
  }
  remove(crc: number): void {
    this.rowCount--
    this.#sum = (this.#sum - crc) >>> 0
    this.#mixedSum = (this.#mixedSum - mix(crc)) >>> 0
  }
  equals(other: RowHash): boolean {
    return this.rowCount === other.rowCount && this.#sum === other.#sum && this.#mixedSum === other.#mixedSum
  }
  copy(): RowHash {
    const copy = new RowHash()
    copy.rowCount = this.rowCount
    copy.#sum = this.#sum
    copy.#mixedSum = this.#mixedSum
    return copy
  }

  /** 16 bytes: f64 row count, u32 sum, u32 mixed sum, little endian. */
  write(view: DataView, at: number): void {
    view.setFloat64(at, this.rowCount, true)
    view.setUint32(at + 8, this.#sum, true)
    view.setUint32(at + 12, this.#mixedSum, true)
  }
  static read(view: DataView, at: number): RowHash {
    const hash = new RowHash()
    hash.rowCount = view.getFloat64(at, true)
    hash.#sum = view.getUint32(at + 8, true)
    hash.#mixedSum = view.getUint32(at + 12, true)
    return hash
  }
}

/** Scrambles a CRC, so that two rows whose CRCs add up alike do not do so twice. */
function mix(crc: number): number {
  let mixed = Math.imul(crc ^ (crc >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
