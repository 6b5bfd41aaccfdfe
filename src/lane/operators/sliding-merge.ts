// Merges the points of sliding windows. Runs on a lane, owned by one task of an operator. Hot: about three merges a window where
// those of a key are asked for by their ends, however many points they hold. What it keeps may be forgotten at any time.
// Keeps SPEC: WIN-10 (a window's row is that of its points), AGG-5, LIMIT-1 (what it keeps counts as memory of the table).

/*
 *   A window moves over the points of its key; behind the seam points are merged as they come in, before it from each point on:
 *
 *          1     2     3     4     5     6     7       points
 *                └─────────────────│───────────┘       window [2, 7]
 *                  suffixes:       │  front: 5 6 7     one merge for each point that comes in
 *                  4, 3 4, 2 3 4   │
 *                  seam ───────────┘                   when the last suffix is left behind, all of a window is made into suffixes
 */
import type { Accumulators } from './accumulators.ts'
import { MergeFailure, mergeRows } from './merge-rows.ts'
import { RowBuffer } from './row-buffer.ts'
import type { SlidingPoints } from './sliding-points.ts'

/** Windows of no more points are merged point by point and nothing is kept of them. */
const POINTS_FOLDED_MAX = 8

/** What is kept of a key. */
interface Seam {
  /** Row n: the points from `times[n]` to the seam. */
  suffixes: RowBuffer
  times: readonly number[]
  /** Suffixes before this one are left behind. */
  first: number
  /** One row: the points behind the seam. */
  front: RowBuffer
  isFrontEmpty: boolean
  /** The last point that is merged. */
  lastMs: number
}

export class SlidingMerge {
  /** Row 0 is the window that was merged last. */
  readonly rows: RowBuffer
  readonly #points: SlidingPoints
  readonly #accumulators: Accumulators
  readonly #seams = new Map<number, Seam>()
  #evictedRowCount = 0
  /** Merged rows that are kept. */
  #rowCount = 0

  constructor(points: SlidingPoints, accumulators: Accumulators) {
    this.rows = new RowBuffer(accumulators.width)
    this.#points = points
    this.#accumulators = accumulators
  }

  /** Bytes of all that is kept; the cells of a merged row are as large as those of a point, about. */
  get bytes(): number {
    const { table } = this.#points
    const cellBytes = table.rowCount === 0 ? 0 : table.cellBytes / table.rowCount
    return this.#rowCount * (this.rows.width * 8 + 16 + cellBytes)
  }

  /**
   * Merges the points of a window. False when it holds none. Windows of a key have to come by their ends, until it is forgotten.
   * Throws a MergeFailure.
   */
  merge(keyId: number, startMs: number, endMs: number): boolean {
    this.#forgetEvicted()
    const known = this.#seams.get(keyId)
    if (known !== undefined && this.#moveTo(known, keyId, startMs, endMs)) return true
    this.forget(keyId)
    const times = this.#points.timesIn(keyId, startMs, endMs)
    if (times.length === 0) return false
    if (times.length <= POINTS_FOLDED_MAX || !this.#begin(keyId, times)) this.#fold(keyId, times)
    return true
  }

  /** A point that may be merged already has changed, or the key has none left. */
  forget(keyId: number): void {
    const seam = this.#seams.get(keyId)
    if (seam === undefined) return
    this.#rowCount -= seam.times.length + 1
    this.#seams.delete(keyId)
  }

  forgetAll(): void {
    this.#seams.clear()
    this.#rowCount = 0
  }

  /** Ids of keys whose rows have left memory may be those of others by now. */
  #forgetEvicted(): void {
    const { evictedRowCount } = this.#points.table
    if (evictedRowCount !== this.#evictedRowCount) this.forgetAll()
    this.#evictedRowCount = evictedRowCount
  }

  #fold(keyId: number, times: readonly number[]): void {
    this.rows.clear(this.#accumulators, 0)
    for (const timeMs of times) this.#addPoint(this.rows, 0, keyId, timeMs)
  }

  /** False when all suffixes are left behind, or the job's `merge` has thrown: on parts that may be none of the window's own. */
  #moveTo(seam: Seam, keyId: number, startMs: number, endMs: number): boolean {
    while (seam.first < seam.times.length && seam.times[seam.first]! < startMs) seam.first++
    if (seam.first === seam.times.length) return false
    return succeeds(() => {
      const points = this.#points
      for (let at = points.behind(keyId, seam.lastMs); at <= endMs; at = points.behind(keyId, at)) {
        if (seam.isFrontEmpty) seam.front.clear(this.#accumulators, 0)
        this.#addPoint(seam.front, 0, keyId, at)
        seam.isFrontEmpty = false
        seam.lastMs = at
      }
      this.#read(seam)
    })
  }

  /** All points of a window become suffixes. */
  #begin(keyId: number, times: readonly number[]): boolean {
    const suffixes = new RowBuffer(this.#accumulators.width, times.length)
    const front = new RowBuffer(this.#accumulators.width)
    const lastMs = times[times.length - 1]!
    const seam: Seam = { suffixes, times, first: 0, front, isFrontEmpty: true, lastMs }
    return succeeds(() => {
      for (let n = times.length - 1; n >= 0; n--) {
        suffixes.clear(this.#accumulators, n)
        this.#addPoint(suffixes, n, keyId, times[n]!)
        if (n + 1 < times.length) mergeRows(this.#accumulators, suffixes, n, suffixes, n + 1)
      }
      this.#read(seam)
      this.#seams.set(keyId, seam)
      this.#rowCount += times.length + 1
    })
  }

  #read({ suffixes, first, front, isFrontEmpty }: Seam): void {
    this.rows.clear(this.#accumulators, 0)
    mergeRows(this.#accumulators, this.rows, 0, suffixes, first)
    if (!isFrontEmpty) mergeRows(this.#accumulators, this.rows, 0, front, 0)
  }

  #addPoint(to: RowBuffer, toRow: number, keyId: number, timeMs: number): void {
    const { table } = this.#points
    const row = table.rowFor(keyId, timeMs)
    mergeRows(this.#accumulators, to, toRow, table, row)
  }
}

/** False when a function of the job has thrown. */
function succeeds(merge: () => void): boolean {
  try {
    merge()
    return true
  } catch (error) {
    if (!(error instanceof MergeFailure)) throw error
    return false
  }
}
