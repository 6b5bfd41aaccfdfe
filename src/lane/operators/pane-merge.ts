// Merges the panes of a window, key by key. Runs on a lane, owned by one task of an operator. Hot: two merges a row at most,
// however many panes a window has. What it keeps is made from the panes and may be forgotten at any time.
// Keeps SPEC: WIN-2 (a window's row is that of all its panes), AGG-5, LIMIT-1 (what it keeps counts as memory of the table),
// STATE-4 (of keys that are gone it keeps nothing).

/*
 *   Windows are as long as a block, so that each ends within one block and begins within the one before:
 *
 *        block before            │ block
 *        ├──┼──┼──┼──┼──┼──┼──┼──│──┼──┼──┼──┼──┼──┼──┤
 *                       └────────│──────────┘ window
 *                        backward   forward
 *
 *   forward    by key, all panes of the block so far: each pane is merged into it once, when the first window closes that holds it
 *   backward   by key and pane of the block before, that pane and all after it: made once, when the first window of a block closes
 *   The windows of cumulate all begin with their block: they have no part before it.
 *
 * Where a row grows with its records (a set of values, a state of the job's), merged panes would be as large as all of them, many
 * times: there every window is merged from its panes.
 *
 * A record for a pane that has been merged makes its key `changed`: until the next block its windows are merged from the panes
 * themselves. Where panes of a window are not all in memory, the rows of its panes are walked side by side.
 */
import { type AlignedWindows, windowStart } from '../../core/window.ts'
import { grownBytes, grownDoubles, grownInts } from '../../state/byte-hash.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { FrameRun } from '../frame-run.ts'
import type { Accumulators, AggregateRows } from './accumulators.ts'
import { MergeFailure, mergeRows } from './merge-rows.ts'
import type { ResultRow } from './result-row.ts'
import type { ResultSinks } from './result-sinks.ts'
import { RowBuffer } from './row-buffer.ts'

/** Panes begin at multiples of their size from the offset, blocks too. In ms. */
export interface PaneShape {
  paneMs: number
  offsetMs: number
  blockMs: number
}

/** Bits of a key's state. */
const LISTED = 1
const CHANGED = 2
const HAS_FORWARD = 4

const KEYS_MIN = 64

export class PaneMerge {
  readonly #table: SlabTable
  readonly #windows: AlignedWindows
  readonly #shape: PaneShape
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #result: ResultRow
  readonly #scratch: RowBuffer
  /** Start of the block that all of this is of; NaN: nothing is known. */
  #blockMs = Number.NaN
  /** All rows are in memory, as of the eviction count: else windows are walked. */
  #isWhole = false
  #evictedRowCount = 0
  /** Panes of the block that are merged forward. */
  #mergedMs = 0
  /** Keys with rows, by their bytes, and those that came since the last close. */
  #listed: number[] = []
  #fresh: number[] = []
  #keyStates = new Uint8Array(KEYS_MIN)
  #forward: RowBuffer
  /** By key: its oldest backward row that a window may still hold, -1: none. */
  #backwardOf = new Int32Array(KEYS_MIN)
  #backward: RowBuffer
  #backwardEnds = new Float64Array(0)
  #backwardNext = new Int32Array(0)

  constructor(
    table: SlabTable,
    windows: AlignedWindows,
    shape: PaneShape,
    accumulators: Accumulators,
    sinks: ResultSinks,
  ) {
    this.#table = table
    this.#windows = windows
    this.#shape = shape
    this.#accumulators = accumulators
    this.#sinks = sinks
    this.#scratch = new RowBuffer(accumulators.width)
    this.#forward = new RowBuffer(accumulators.width)
    this.#backward = new RowBuffer(accumulators.width)
    this.#result = {
      rows: this.#scratch,
      row: 0,
      keys: table,
      keyId: 0,
      startMs: 0,
      endMs: 0,
      idMs: 0,
      updateRev: 0,
      sentEvery: 0,
    }
  }

  /** A key may have its first row. */
  added(keyId: number): void {
    if (!this.#isWhole) return
    this.#reserveKey(keyId)
    if ((this.#keyStates[keyId]! & LISTED) !== 0) return
    this.#keyStates[keyId] = LISTED
    this.#backwardOf[keyId] = -1
    this.#fresh.push(keyId)
  }

  /** A pane that may be merged already has got a record. */
  changed(keyId: number): void {
    if (this.#isWhole) this.#keyStates[keyId]! |= CHANGED
  }

  /** Panes are gone, after a close: keys that have none left must not be known by their ids any more. */
  dropped(): void {
    if (this.#table.windowEndMin === Number.POSITIVE_INFINITY) this.forget()
    else this.#listed = this.#listed.filter(this.#hasRows)
  }

  /** Makes everything anew at the next close. */
  forget(): void {
    this.#blockMs = Number.NaN
    this.#giveUp()
  }

  /** Windows are merged from their panes from now on, and what was kept is given back: it is as large as its keys once were. */
  #giveUp(): void {
    this.#isWhole = false
    this.#listed = []
    this.#fresh = []
    this.#keyStates = new Uint8Array(KEYS_MIN)
    this.#forward = new RowBuffer(this.#accumulators.width)
    this.#backwardOf = new Int32Array(KEYS_MIN)
    this.#backward = new RowBuffer(this.#accumulators.width)
    this.#backwardEnds = new Float64Array(0)
    this.#backwardNext = new Int32Array(0)
    this.#table.besideBytes = 0
  }

  readonly #hasRows = (keyId: number): boolean => {
    if (this.#table.rowCountOf(keyId) > 0) return true
    this.#keyStates[keyId] = 0
    return false
  }

  /** Gives out the rows of the window that ends at `endMs`, by key. */
  emit(run: FrameRun, endMs: number): void {
    const startMs = this.#windows.startOf(endMs)
    const blockMs = windowStart(endMs - 1, this.#shape.blockMs, this.#shape.offsetMs)
    if (blockMs !== this.#blockMs) this.#beginBlock(blockMs, startMs)
    else if (this.#evictedRowCount !== this.#table.evictedRowCount) this.#giveUp()
    this.#result.startMs = startMs
    this.#result.idMs = startMs
    this.#result.endMs = endMs
    if (!this.#isWhole) {
      this.#emitWalking(run, startMs, endMs)
      return
    }
    this.#listFresh()
    const panes = this.#table.windowEndsIn(this.#mergedMs, endMs)
    for (const keyId of this.#listed) {
      if (this.#accumulators.isGrowing) this.#emitFromPanes(run, keyId, startMs, endMs)
      else this.#emitKey(run, keyId, panes, startMs, endMs)
    }
    this.#mergedMs = endMs
    this.#tellBytes()
  }

  #emitKey(run: FrameRun, keyId: number, panes: readonly number[], startMs: number, endMs: number): void {
    if ((this.#keyStates[keyId]! & CHANGED) === 0) {
      try {
        this.#mergeForward(keyId, panes)
        this.#emitMerged(run, keyId, startMs)
        return
      } catch (error) {
        if (!(error instanceof MergeFailure)) throw error
        this.#keyStates[keyId]! |= CHANGED
      }
    }
    this.#emitFromPanes(run, keyId, startMs, endMs)
  }

  #mergeForward(keyId: number, panes: readonly number[]): void {
    for (const paneMs of panes) {
      const row = this.#table.find(keyId, paneMs)
      if (row < 0) continue
      if ((this.#keyStates[keyId]! & HAS_FORWARD) === 0) {
        this.#keyStates[keyId]! |= HAS_FORWARD
        this.#forward.clear(this.#accumulators, keyId)
      }
      this.#merge(this.#forward, keyId, this.#table, row)
    }
  }

  #emitMerged(run: FrameRun, keyId: number, startMs: number): void {
    let back = this.#backwardOf[keyId]!
    while (back >= 0 && this.#backwardEnds[back]! <= startMs) back = this.#backwardNext[back]!
    this.#backwardOf[keyId] = back
    const hasForward = (this.#keyStates[keyId]! & HAS_FORWARD) !== 0
    if (back < 0) {
      if (hasForward) this.#send(run, keyId, this.#forward, keyId)
      return
    }
    if (!hasForward) {
      this.#send(run, keyId, this.#backward, back)
      return
    }
    this.#scratch.clear(this.#accumulators, 0)
    this.#merge(this.#scratch, 0, this.#backward, back)
    this.#merge(this.#scratch, 0, this.#forward, keyId)
    this.#send(run, keyId, this.#scratch, 0)
  }

  #emitFromPanes(run: FrameRun, keyId: number, startMs: number, endMs: number): void {
    const rows: number[] = []
    for (const paneMs of this.#table.windowEndsIn(startMs, endMs)) {
      const row = this.#table.find(keyId, paneMs)
      if (row >= 0) rows.push(row)
    }
    if (rows.length > 0) this.#sendMerged(run, keyId, rows)
  }

  /** The rows of each pane come by key, so those of the least key are at the front. */
  #emitWalking(run: FrameRun, startMs: number, endMs: number): void {
    const table = this.#table
    const walks = table.windowEndsIn(startMs, endMs).map((paneMs) => table.walk(paneMs)[Symbol.iterator]())
    const fronts = walks.map((walk) => walk.next())
    for (;;) {
      let least = -1
      for (const { done, value } of fronts) {
        if (!done && (least < 0 || table.compareKeys(table.keyOf(value), least) < 0)) least = table.keyOf(value)
      }
      if (least < 0) return
      const isLeast = fronts.map(({ done, value }) => !done && table.keyOf(value) === least)
      this.#sendMerged(
        run,
        least,
        fronts.flatMap(({ value }, n) => (isLeast[n] ? [value as number] : [])),
      )
      for (let n = 0; n < walks.length; n++) if (isLeast[n]) fronts[n] = walks[n]!.next()
    }
  }

  /** Rows of one key, the oldest pane first. */
  #sendMerged(run: FrameRun, keyId: number, rows: readonly number[]): void {
    this.#scratch.clear(this.#accumulators, 0)
    try {
      for (const row of rows) this.#merge(this.#scratch, 0, this.#table, row)
    } catch (error) {
      if (!(error instanceof MergeFailure)) throw error
      this.#result.keyId = keyId
      this.#sinks.bury(run, this.#result, error.cause)
      return
    }
    this.#send(run, keyId, this.#scratch, 0)
  }

  #send(run: FrameRun, keyId: number, rows: AggregateRows, row: number): void {
    const result = this.#result
    result.rows = rows
    result.row = row
    result.keyId = keyId
    this.#sinks.emitFinal(run, result)
  }

  #merge(to: AggregateRows, toRow: number, from: AggregateRows, fromRow: number): void {
    mergeRows(this.#accumulators, to, toRow, from, fromRow)
  }

  #beginBlock(blockMs: number, startMs: number): void {
    const table = this.#table
    this.#giveUp()
    this.#blockMs = blockMs
    this.#mergedMs = Math.max(blockMs, startMs)
    this.#isWhole = table.windowEndsUpTo(Number.POSITIVE_INFINITY).every((paneMs) => table.load(paneMs))
    this.#evictedRowCount = table.evictedRowCount
    if (!this.#isWhole) return
    for (const paneMs of table.windowEndsUpTo(Number.POSITIVE_INFINITY)) {
      for (const row of table.rowsInMemory(paneMs)) this.added(table.keyOf(row))
    }
    if (!this.#accumulators.isGrowing) this.#makeBackward(table.windowEndsIn(startMs, blockMs))
  }

  #makeBackward(panes: readonly number[]): void {
    const table = this.#table
    const rows = panes.toReversed().map((paneMs) => table.rowsInMemory(paneMs))
    const count = rows.reduce((sum, { length }) => sum + length, 0)
    this.#backward = new RowBuffer(this.#accumulators.width, count)
    this.#backwardEnds = grownDoubles(new Float64Array(0), count)
    this.#backwardNext = grownInts(new Int32Array(0), count)
    let back = 0
    for (const row of rows.flatMap((some) => [...some])) this.#addBackward(back++, row)
  }

  #addBackward(back: number, row: number): void {
    const table = this.#table
    const keyId = table.keyOf(row)
    const later = this.#backwardOf[keyId]!
    this.#backwardEnds[back] = table.windowEndOf(row)
    this.#backwardNext[back] = later
    this.#backwardOf[keyId] = back
    this.#backward.clear(this.#accumulators, back)
    try {
      this.#merge(this.#backward, back, table, row)
      if (later >= 0) this.#merge(this.#backward, back, this.#backward, later)
    } catch (error) {
      if (!(error instanceof MergeFailure)) throw error
      this.#keyStates[keyId]! |= CHANGED
    }
  }

  #listFresh(): void {
    if (this.#fresh.length === 0) return
    const fresh = this.#fresh.sort((a, b) => this.#table.compareKeys(a, b))
    const listed = this.#listed
    this.#listed = []
    let next = 0
    for (const keyId of listed) {
      while (next < fresh.length && this.#table.compareKeys(fresh[next]!, keyId) < 0) this.#listed.push(fresh[next++]!)
      this.#listed.push(keyId)
    }
    while (next < fresh.length) this.#listed.push(fresh[next++]!)
    this.#fresh = []
  }

  #reserveKey(keyId: number): void {
    if (keyId < this.#keyStates.length) return
    this.#keyStates = grownBytes(this.#keyStates, keyId + 1)
    this.#backwardOf = grownInts(this.#backwardOf, keyId + 1)
  }

  #tellBytes(): void {
    const perKey = this.#keyStates.byteLength + this.#backwardOf.byteLength + this.#listed.length * 8
    const perBackward = this.#backwardEnds.byteLength + this.#backwardNext.byteLength
    // Cells of merged rows are as large as those of panes, about: each key has one forward, each pane one backward.
    const { cellBytes, rowCount } = this.#table
    const merged = this.#listed.length + this.#backward.cells.length
    const cells = rowCount === 0 ? 0 : (cellBytes / rowCount) * merged
    this.#table.besideBytes = this.#forward.bytes + this.#backward.bytes + perKey + perBackward + cells
  }
}
