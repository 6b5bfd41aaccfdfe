// The rows of a view by key and time, and what has changed of each key; the newest row of a key is the row of the view. Main thread.
// Keeps SPEC: PUSH-3 (memory of a view is limited), PUSH-33 (the newest row of a key is its row), PUSH-34 (what changed of a key is known).

/*
 *   records      a:0=5   a:10=1   a:0=7   a:10 removed
 *   history      a: 0=5  0=5 10=1 0=7 10=1  0=7
 *   newest row   a=5     a=1      a=1      a=7
 */
import { MillraceError } from '../core/errors.ts'
import type { HistoryPlace } from '../core/history-key.ts'
import type { Offsets } from './position-token.ts'
import { type RowRecord, type ViewRow, ViewStore, type ViewStoreLimits } from './view-store.ts'

interface KeyHistory {
  /** By time. */
  rows: ViewRow[]
  /** Rows and removals in the order of the changes, some of them superseded by now. */
  changes: ViewRow[]
  /** Changes beyond which those that nobody needs any more are dropped. */
  changesMax: number
}

const CHANGES_MIN = 32

export class HistoryStore {
  /** By record key: what is remembered of changes, and the limits. */
  readonly store: ViewStore
  readonly #limits: ViewStoreLimits
  readonly #keys = new Map<string, KeyHistory>()
  /** Keys whose last row has gone, and the change that it was. */
  #gone: ViewRow[] = []

  constructor(view: string, begin: Offsets, limits: ViewStoreLimits) {
    this.store = new ViewStore(view, begin, limits)
    this.#limits = limits
  }

  /** Takes a record, and tells the store of the newest rows. Throws MR7003 when the view would be over its limits. */
  apply(record: RowRecord, place: HistoryPlace, newest: ViewStore): void {
    this.store.apply({ ...record, place })
    const row = this.store.latest(record.key)!
    const own = this.#of(place.key)
    put(own.rows, row)
    this.#remember(own, row)
    const last = own.rows.at(-1)
    if (last !== undefined && timeOf(last) > place.timeMs) newest.skip(record.partition, record.offset)
    else if (row.isRemoval && last !== undefined) {
      // The one before is the newest again; its place is that of the removal, so that the places of a key only grow.
      const { json, timestampMs, isFinal } = last
      newest.apply({ ...record, key: place.key, json, timestampMs, isFinal })
    } else newest.apply({ ...record, key: place.key })
    if (last === undefined) this.#gone.push(row)
    this.#forgetGone()
    this.#checkBytes(newest)
  }

  /** The newest `count` rows of a key, by time. */
  newest(key: string, count: number): readonly ViewRow[] {
    return this.#keys.get(key)?.rows.slice(-count) ?? []
  }

  /** The rows of a key within [fromMs, toMs), by time. */
  between(key: string, fromMs: number, toMs: number): readonly ViewRow[] {
    const rows = this.#keys.get(key)?.rows ?? []
    return rows.slice(placeOf(rows, fromMs), placeOf(rows, toMs))
  }

  /** The last change of a key that has rows. */
  lastChange(key: string): ViewRow | undefined {
    const own = this.#keys.get(key)
    return own === undefined || own.rows.length === 0 ? undefined : own.changes.at(-1)
  }

  /** What changed of a key after a sequence that the store reaches back to, the last change first. */
  *changesOf(key: string, sequence: number): Generator<ViewRow, undefined> {
    const changes = this.#keys.get(key)?.changes ?? []
    for (let at = changes.length - 1; at >= 0 && changes[at]!.sequence > sequence; at--) {
      if (changes[at]!.isCurrent) yield changes[at]!
    }
  }

  clear(): void {
    this.store.clear()
    this.#keys.clear()
    this.#gone = []
  }

  /** The newest rows and the history are one view. */
  #checkBytes(newest: ViewStore): void {
    const { viewBytesMax: limit } = this.#limits
    if (this.store.bytes + newest.bytes <= limit) return
    throw new MillraceError('MR7003', { view: this.store.view, limit, unit: 'bytes' })
  }

  #of(key: string): KeyHistory {
    let own = this.#keys.get(key)
    if (own === undefined) {
      own = { rows: [], changes: [], changesMax: CHANGES_MIN }
      this.#keys.set(key, own)
    }
    return own
  }

  /** The last one stays in any case: it says when the key changed. */
  #remember(own: KeyHistory, row: ViewRow): void {
    own.changes.push(row)
    if (own.changes.length <= own.changesMax) return
    own.changes = own.changes.filter((one) => one === row || (one.isCurrent && this.store.reaches(one.sequence - 1)))
    own.changesMax = Math.max(CHANGES_MIN, 2 * own.changes.length)
  }

  /** A key without rows is there as long as its last removal is remembered. */
  #forgetGone(): void {
    let count = 0
    for (const row of this.#gone) {
      if (this.store.reaches(row.sequence - 1)) break
      const { key } = row.place!
      if (this.#keys.get(key)?.changes.at(-1) === row) this.#keys.delete(key)
      count++
    }
    if (count > 0) this.#gone.splice(0, count)
  }
}

export function timeOf({ place }: ViewRow): number {
  return place!.timeMs
}

/** Puts a row, or its removal, where it belongs by its time; most are the last one. */
function put(rows: ViewRow[], row: ViewRow): void {
  const timeMs = timeOf(row)
  const at = placeOf(rows, timeMs)
  const isThere = at < rows.length && timeOf(rows[at]!) === timeMs
  if (row.isRemoval) rows.splice(at, isThere ? 1 : 0)
  else if (isThere) rows[at] = row
  else rows.splice(at, 0, row)
}

/** The first row that is not before a time. */
function placeOf(rows: readonly ViewRow[], timeMs: number): number {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (timeOf(rows[middle]!) < timeMs) low = middle + 1
    else high = middle
  }
  return low
}
