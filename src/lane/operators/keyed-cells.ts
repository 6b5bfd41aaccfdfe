// What an operator keeps of each key in cells, and when it is gone. Runs on a lane, owned by one task of an operator.
// Keeps SPEC: PROCESS-5 (gone when the watermark is past its last write and the ttl), PROCESS-6 and TOPN-4 (what is gone occupies nothing).

/*
 *   row of a key   slots   deadline: time of the last write + ttl | the bucket of deadlines that the key is in
 *                  cells   the operator's
 */
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import { Deadlines } from './deadlines.ts'

export const KEYED_CELLS_SLOTS = 2
const DEADLINE = 0
const BUCKET = 1
/** The keys of a bucket are looked at once, when all of it is due: there are so many buckets in the ttl. */
const BUCKETS_IN_TTL = 4096

export class KeyedCells {
  readonly table: SlabTable
  readonly #ttlMs: number
  readonly #deadlines: Deadlines | undefined

  /** `index`: of the deadlines; undefined without a ttl. */
  constructor(table: SlabTable, index: SlabTable | undefined, ttlMs: number) {
    this.table = table
    this.#ttlMs = ttlMs
    const bucketMs = Math.max(1, Math.floor(ttlMs / BUCKETS_IN_TTL))
    this.#deadlines = index === undefined ? undefined : new Deadlines(index, table, bucketMs)
  }

  /** The cells of a key when the watermark is at `nowMs`; undefined: none. They are changed in place with a `set` that follows. */
  get(keyId: number, nowMs: number): unknown[] | undefined {
    const row = this.table.rowIfAny(keyId, NO_WINDOW)
    return row < 0 || this.#get(row, DEADLINE) < nowMs ? undefined : this.table.cells[row]
  }

  set(keyId: number, cells: unknown[], writtenMs: number): void {
    const { table } = this
    const deadlineMs = writtenMs + this.#ttlMs
    const row = table.rowFor(keyId, NO_WINDOW)
    table.touch(row)
    table.cells[row] = cells
    if (!table.wasCreated) {
      if (deadlineMs > this.#get(row, DEADLINE)) this.#set(row, DEADLINE, deadlineMs)
      return
    }
    this.#set(row, DEADLINE, deadlineMs)
    this.#index(keyId, row, deadlineMs)
  }

  delete(keyId: number): void {
    const row = this.table.rowIfAny(keyId, NO_WINDOW)
    if (row < 0) return
    this.#deadlines?.remove(keyId, this.#get(row, BUCKET))
    this.table.deleteRow(row)
  }

  /** Forgets keys whose deadline the watermark has passed, bucket by bucket. */
  forget(watermarkMs: number): void {
    const deadlines = this.#deadlines
    if (deadlines === undefined) return
    for (let bucketMs = deadlines.firstBucketMs; watermarkMs > bucketMs; bucketMs = deadlines.firstBucketMs) {
      for (const keyId of deadlines.keysOf(bucketMs)) this.#visit(deadlines, keyId, bucketMs, watermarkMs)
    }
  }

  /** A key that was written again has a later deadline by now, and goes to its bucket. */
  #visit(deadlines: Deadlines, keyId: number, bucketMs: number, watermarkMs: number): void {
    const row = this.table.rowFor(keyId, NO_WINDOW)
    const deadlineMs = this.#get(row, DEADLINE)
    deadlines.remove(keyId, bucketMs)
    if (deadlineMs < watermarkMs) this.table.deleteRow(row)
    else {
      this.table.touch(row)
      this.#index(keyId, row, deadlineMs)
    }
  }

  #index(keyId: number, row: number, deadlineMs: number): void {
    if (this.#deadlines === undefined) return
    const bucketMs = this.#deadlines.bucketOf(deadlineMs)
    this.#set(row, BUCKET, bucketMs)
    this.#deadlines.add(keyId, bucketMs)
  }

  #get(row: number, slot: number): number {
    return this.table.slots[row * KEYED_CELLS_SLOTS + slot]!
  }
  #set(row: number, slot: number, value: number): void {
    this.table.slots[row * KEYED_CELLS_SLOTS + slot] = value
  }
}
