// When something of a key is due: keys in buckets of time, in a table of their own beside the rows, so that what is due is found
// wherever its rows are. Runs on a lane, owned by one task of an operator.
// Keeps SPEC: WIN-5 (what is due is found, in memory and on disk, by time and not by looking at all keys).

import type { SlabTable } from '../../state/contract.ts'

/*
 *   bucket end   100        200        300
 *                ├─ a, c ───┼──────────┼─ b ──> time
 *
 * A key is in one bucket, that of its first deadline or one before: deadlines that move on move no key. A visit looks where the
 * key's next deadline is by then.
 */
export class Deadlines {
  readonly #index: SlabTable
  readonly #keys: SlabTable
  readonly #bucketMs: number

  /** `index`: a windowed table of at least one slot, by bucket end; `keys`: the table whose key ids are given and taken. */
  constructor(index: SlabTable, keys: SlabTable, bucketMs: number) {
    this.#index = index
    this.#keys = keys
    this.#bucketMs = bucketMs
  }

  /** The end of the bucket that a deadline is in: bucket end - bucketMs <= deadline < bucket end. */
  bucketOf(deadlineMs: number): number {
    return Math.floor(deadlineMs / this.#bucketMs) * this.#bucketMs + this.#bucketMs
  }

  add(keyId: number, bucketMs: number): void {
    this.#index.touch(this.#rowOf(keyId, bucketMs))
  }

  remove(keyId: number, bucketMs: number): void {
    this.#index.deleteRow(this.#rowOf(keyId, bucketMs))
  }

  /** The first bucket, of which some may be due: +Infinity when there is none. */
  get firstBucketMs(): number {
    return this.#index.windowEndMin
  }

  /** No deadline of a bucket is before this. */
  startOf(bucketMs: number): number {
    return bucketMs - this.#bucketMs
  }

  /** The keys of a bucket, by their bytes. Their ids are valid until the next seal. A bucket that has none is forgotten. */
  keysOf(bucketMs: number): number[] {
    const keyIds: number[] = []
    for (const row of this.#index.walk(bucketMs)) {
      const { keyArena } = this.#index
      const key = this.#index.keyOf(row)
      keyIds.push(this.#keys.internKey(keyArena, this.#index.keyStart(key), this.#index.keyBytes(key)))
    }
    // After a restart the table may know of a bucket whose keys were all removed before.
    if (keyIds.length === 0) this.#index.closeWindow(bucketMs, () => {})
    return keyIds
  }

  #rowOf(keyId: number, bucketMs: number): number {
    const key = this.#index.internKey(this.#keys.keyArena, this.#keys.keyStart(keyId), this.#keys.keyBytes(keyId))
    return this.#index.rowFor(key, bucketMs)
  }
}
