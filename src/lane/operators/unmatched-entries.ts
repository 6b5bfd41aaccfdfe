// The records of an outer side of a join that none has met yet. Runs on a lane, owned by one task of a join. Hot.
// Keeps SPEC: JOIN-2 (a record that met none has one row, in the order of deadlines and keys).
import type { SlabTable } from '../../state/contract.ts'
import type { ByteRange } from './derived.ts'
import { noKey, toHashedKey } from './hashed-key.ts'
import type { JoinEntries } from './join-entries.ts'

/** A row needs one; what it holds are the places of records. */
export const WAITING_SLOTS = 1

/** Records of a side that none has met, by deadline and key. */
export class UnmatchedEntries {
  readonly #table: SlabTable
  readonly #entries: JoinEntries
  readonly #key = noKey()

  /** `table`: a windowed one, by deadline. A row lists the places of the records in its cells. */
  constructor(table: SlabTable, entries: JoinEntries) {
    this.#table = table
    this.#entries = entries
  }

  /** The first deadline, +Infinity: none waits. */
  get firstMs(): number {
    return this.#table.windowEndMin
  }

  add(key: ByteRange, deadlineMs: number, place: number): void {
    const table = this.#table
    const row = table.rowFor(table.internKey(key.bytes, key.start, key.length), deadlineMs)
    const places = table.cells[row] ?? []
    places.push(place)
    table.cells[row] = places
    table.touch(row)
  }

  /** A record has been met. */
  remove(key: ByteRange, deadlineMs: number, place: number): void {
    const table = this.#table
    const row = table.rowIfAny(table.internKey(key.bytes, key.start, key.length), deadlineMs)
    if (row < 0) return
    const places = table.cells[row]!
    const at = places.indexOf(place)
    if (at < 0) return
    if (places.length === 1) {
      table.deleteRow(row)
      return
    }
    places.splice(at, 1)
    table.touch(row)
  }

  /** Those of a deadline, by key and in the order they came; they are waited for no more. Each is the entry at hand when it is visited. */
  close(deadlineMs: number, visit: (key: ByteRange) => void): void {
    const table = this.#table
    const entries = this.#entries
    const key = this.#key
    const bucket = entries.bucketOf(deadlineMs)
    table.closeWindow(deadlineMs, (row) => {
      const keyId = table.keyOf(row)
      toHashedKey(key, table.keyArena, table.keyStart(keyId), table.keyBytes(keyId))
      entries.seek(key)
      for (const place of table.cells[row]!) {
        entries.moveTo(bucket, place as number)
        visit(key)
      }
    })
  }
}
