// The rows of a table as they were over time: of each key the versions that a record may still ask for. Runs on a lane, owned by one
// task of an as-of join.
// Keeps SPEC: TABLE-2 (the row as it was at a time), TABLE-4 (versions that nobody can ask for, and rows that are no more, go).

/*
 *   key a   10: x    20: y    35: none         a record at 25 is joined with y, one at 40 with none
 *   horizon       ╎22                          no record before it is joined any more: x goes, since y was there by then
 *
 *   row     cells: time, bytes (null: no row), time, bytes, ...  by time       slot: the bucket in which it is looked at, NaN: none
 */
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import { Deadlines } from './deadlines.ts'

export const VERSION_SLOTS = 1
/** Keys whose versions have run out are looked at this often, in event time. */
const BUCKET_MS = 1_000

export class VersionRows {
  readonly #table: SlabTable
  readonly #deadlines: Deadlines

  /** `index`: a windowed table of one slot. */
  constructor(table: SlabTable, index: SlabTable) {
    this.#table = table
    this.#deadlines = new Deadlines(index, table, BUCKET_MS)
  }

  /** The end of the first bucket of which something may have run out, +Infinity: there is none. */
  get firstBucketMs(): number {
    return this.#deadlines.firstBucketMs
  }

  /** The bytes of a key's row as it was at a time; undefined: there was none. */
  at(source: Uint8Array, start: number, length: number, timeMs: number): Uint8Array | undefined {
    const row = this.#table.rowIfAny(this.#table.internKey(source, start, length), NO_WINDOW)
    if (row < 0) return undefined
    const versions = this.#table.cells[row]!
    const at = placeOf(versions, timeMs)
    return at < 0 ? undefined : ((versions[at + 1] as Uint8Array | null) ?? undefined)
  }

  /**
   * The row of a key is this one from `timeMs` on, until the next version that is known. False when no record from `horizonMs` on is
   * joined with it.
   */
  set(
    source: Uint8Array,
    start: number,
    length: number,
    timeMs: number,
    bytes: Uint8Array | undefined,
    horizonMs: number,
  ): boolean {
    const table = this.#table
    const keyId = table.internKey(source, start, length)
    const row = table.rowFor(keyId, NO_WINDOW)
    if (table.wasCreated) {
      table.cells[row] = []
      table.slots[row * table.width] = Number.NaN
    }
    const versions = table.cells[row]!
    const at = placeOf(versions, timeMs)
    const next = versions[at + 2] as number | undefined
    if (next !== undefined && next <= horizonMs) return false
    if (at >= 0 && versions[at] === timeMs) versions[at + 1] = bytes ?? null
    else versions.splice(at + 2, 0, timeMs, bytes ?? null)
    table.touch(row)
    this.#tidy(row, keyId, horizonMs, true)
    return true
  }

  /** Looks at the keys of buckets that end before the horizon. */
  advance(horizonMs: number): void {
    for (;;) {
      const bucketMs = this.#deadlines.firstBucketMs
      if (bucketMs >= horizonMs) return
      for (const keyId of this.#deadlines.keysOf(bucketMs)) {
        const row = this.#table.rowFor(keyId, NO_WINDOW)
        this.#deadlines.remove(keyId, bucketMs)
        this.#table.slots[row * this.#table.width] = Number.NaN
        this.#table.touch(row)
        this.#tidy(row, keyId, horizonMs, false)
      }
    }
  }

  /** Drops what nobody can ask for, and sees to it that the key is looked at when there is more of that. */
  #tidy(row: number, keyId: number, horizonMs: number, isNew: boolean): void {
    const table = this.#table
    const versions = table.cells[row]!
    let gone = 0
    while (gone + 2 < versions.length && (versions[gone + 2] as number) <= horizonMs) gone += 2
    if (gone > 0) versions.splice(0, gone)
    const isOnlyGone = versions.length === 2 && versions[1] === null
    const slot = row * table.width
    const known = table.slots[slot]!
    // One that came before waits for the end of its bucket, whatever bucket its key is looked at in.
    const lastMs = versions[0] as number
    if (isOnlyGone && (isNew ? lastMs <= horizonMs : this.#deadlines.bucketOf(lastMs) < horizonMs)) {
      if (!Number.isNaN(known)) this.#deadlines.remove(keyId, known)
      table.deleteRow(row)
      return
    }
    const dueMs = isOnlyGone ? (versions[0] as number) : (versions[2] as number | undefined)
    const bucketMs = dueMs === undefined ? Number.NaN : this.#deadlines.bucketOf(dueMs)
    if (bucketMs === known || (Number.isNaN(bucketMs) && Number.isNaN(known))) return
    if (!Number.isNaN(known)) this.#deadlines.remove(keyId, known)
    if (!Number.isNaN(bucketMs)) this.#deadlines.add(keyId, bucketMs)
    table.slots[slot] = bucketMs
    table.touch(row)
  }
}

/** Where the last version up to a time is, -2: there is none. */
function placeOf(versions: readonly unknown[], timeMs: number): number {
  let low = 0
  let high = versions.length / 2
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((versions[middle * 2] as number) <= timeMs) low = middle + 1
    else high = middle
  }
  return (low - 1) * 2
}
