// Rows leave memory when a slab table is over its limit: clean ones that are in the store, coldest first. Runs on a lane, owned by one
// slab table.
// Keeps SPEC: STATE-2 (what leaves memory is read from the store again).

import { KEY_BYTES } from './key-table.ts'
import type { MemoryRows } from './memory-rows.ts'
import { DIRTY, LIVE, RECENT, STORED } from './row-columns.ts'

export class RowEviction {
  /** Rows evicted so far. */
  rowCount = 0
  readonly #rows: MemoryRows
  #hand = 0
  /** Where a scan found nothing more to evict: flushed epoch and loads then. */
  #futileFlushedEpoch = Number.NaN
  #futileLoadCount = 0

  constructor(rows: MemoryRows) {
    this.#rows = rows
  }

  /**
   * Evicts rows of epochs up to `flushedEpoch` until so many bytes are free. False when there was no need, or nothing has changed
   * since the last time that it did not help; `loadCount`: of rows loaded so far.
   */
  run(excessBytes: number, flushedEpoch: number, loadCount: number): boolean {
    if (excessBytes <= 0) return false
    if (this.#futileFlushedEpoch === flushedEpoch && this.#futileLoadCount === loadCount) return false
    if (this.#evictRows(excessBytes, flushedEpoch) < excessBytes) {
      this.#futileFlushedEpoch = flushedEpoch
      this.#futileLoadCount = loadCount
    }
    return true
  }

  /** One hand goes round the rows: a clean one that was not used since its last visit goes. Returns the bytes freed. */
  #evictRows(excessBytes: number, flushedEpoch: number): number {
    const { columns } = this.#rows
    let freedBytes = 0
    for (let left = columns.usedRows * 2; left > 0 && freedBytes < excessBytes; left--) {
      this.#hand = this.#hand + 1 < columns.usedRows ? this.#hand + 1 : 0
      const row = this.#hand
      const flags = columns.flags[row]!
      if ((flags & (LIVE | STORED | DIRTY)) !== (LIVE | STORED) || columns.sealEpochs[row]! > flushedEpoch) continue
      if ((flags & RECENT) !== 0) columns.flags[row] = flags & ~RECENT
      else freedBytes += this.#evictRow(row)
    }
    return freedBytes
  }

  #evictRow(row: number): number {
    const { columns, keys } = this.#rows
    const keyId = columns.keys[row]!
    const rowBytes = columns.bytesOf(row)
    this.#rows.drop(row).storedCount++
    this.rowCount++
    const isKeyIdle = keys.rowCountOf(keyId) === 0
    return rowBytes + (isKeyIdle ? KEY_BYTES + keys.lengths[keyId]! : 0)
  }
}
