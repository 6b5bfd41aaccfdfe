// The states of a process, one by key, as msgpack, and when each is gone. Runs on a lane, owned by one task of an operator.
// Keeps SPEC: PROCESS-5 (a state is gone when the watermark is past its last write and the ttl), PROCESS-6 (what is gone occupies nothing).

/*
 *   row of a key   slots   deadline: time of the last write + ttl | the bucket of deadlines that the key is in
 *                  cells   [bytes of the state]
 */
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import { Deadlines } from './deadlines.ts'

export const STATE_SLOTS = 2
const DEADLINE = 0
const BUCKET = 1
/** The states of a bucket are looked at once, when all of it is due: there are so many buckets in the ttl. */
const BUCKETS_IN_TTL = 4096

export class ProcessStates {
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

  /** The state of a key when the watermark is at `nowMs`; undefined: none. */
  bytesOf(keyId: number, nowMs: number): Uint8Array | undefined {
    const row = this.table.rowIfAny(keyId, NO_WINDOW)
    return row < 0 || this.#get(row, DEADLINE) < nowMs ? undefined : (this.table.cells[row]![0] as Uint8Array)
  }

  set(keyId: number, bytes: Uint8Array, writtenMs: number): void {
    const { table } = this
    const deadlineMs = writtenMs + this.#ttlMs
    const row = table.rowFor(keyId, NO_WINDOW)
    table.touch(row)
    table.cells[row] = [bytes]
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

  /** Forgets states whose deadline the watermark has passed, bucket by bucket. */
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
    return this.table.slots[row * STATE_SLOTS + slot]!
  }
  #set(row: number, slot: number, value: number): void {
    this.table.slots[row * STATE_SLOTS + slot] = value
  }
}
