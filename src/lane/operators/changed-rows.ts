// Rows that changed since the last tick of an `every` sink: marked in the row (so a restart knows), listed in memory (so
// a tick need not look at every row). Runs on a lane.
// Keeps SPEC: EMIT-1 (a tick is a matter of event time; rows come by window end, then key, whatever happened between).

import { isTickBetween } from '../../core/watermark.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState } from '../chain-state.ts'
import type { FrameRun } from '../frame-run.ts'
import { SLOT_EVERY } from './accumulators.ts'
import type { ResultSinks } from './result-sinks.ts'

/** A list longer than this many times the live rows is dropped: a tick then looks at every row. */
const LIST_SHARE_MAX = 2
const LIST_FLOOR = 1024

export class ChangedRows {
  readonly #sinks: ResultSinks
  readonly #allBits: number

  constructor(sinks: ResultSinks) {
    this.#sinks = sinks
    this.#allBits = (1 << sinks.everyMs.length) - 1
  }

  /** Notes that a row changed. */
  mark(task: ChainState, table: SlabTable, row: number): void {
    if (this.#allBits === 0) return
    const at = row * table.width + SLOT_EVERY
    const packed = table.slots[at]!
    const bits = packed % 256
    if (bits === this.#allBits) return
    table.slots[at] = packed - bits + this.#allBits
    for (let n = 0; n < this.#sinks.everyMs.length; n++) {
      if ((bits & (1 << n)) === 0) this.#list(task, table, row, n)
    }
  }

  /** A row that may have changed has another place in the table. */
  moved(task: ChainState, table: SlabTable, row: number): void {
    const bits = table.slots[row * table.width + SLOT_EVERY]! % 256
    for (let n = 0; n < this.#sinks.everyMs.length; n++) if ((bits & (1 << n)) !== 0) this.#list(task, table, row, n)
  }

  #list(task: ChainState, table: SlabTable, row: number, n: number): void {
    const list = task.changedRows[n]
    if (list === undefined) return
    if (list.length > LIST_SHARE_MAX * table.rowCount + LIST_FLOOR) task.changedRows[n] = undefined
    else list.push(row)
  }

  /** A record with a new greatest event time comes next: the ticks between make the rows go out that changed since theirs. */
  tick(run: FrameRun, timeMs: number): void {
    if (this.#allBits === 0) return
    const table = run.task.table!
    this.tickOf(run, timeMs, table, (row, n) => this.#sinks.emitTick(run, table, row, n))
  }

  /** The same for rows of another table; `send` sends the one of interval `n` and has to clear its bit. */
  tickOf(run: FrameRun, timeMs: number, table: SlabTable, send: (row: number, n: number) => void): void {
    const { everyMs } = this.#sinks
    for (let n = 0; n < everyMs.length; n++) {
      if (isTickBetween(run.task.eventTimeMsMax, timeMs, everyMs[n]!)) this.#emit(run.task, n, table, send)
    }
  }

  #emit(task: ChainState, n: number, table: SlabTable, send: (row: number, n: number) => void): void {
    const list = task.changedRows[n]
    task.changedRows[n] = []
    if (list === undefined) {
      // After a restart, an eviction or a list too long: the bits in the rows know.
      table.forEachRow((row) => send(row, n))
      return
    }
    // A listed row may be gone or listed twice; only a row with its bit set is emitted, and that clears the bit.
    const due = list.filter((row) => (table.slots[row * table.width + SLOT_EVERY]! & (1 << n)) !== 0)
    due.sort((a, b) => compareRows(table, a, b))
    for (const row of due) send(row, n)
  }
}

/** Window end ascending, then key bytes. */
function compareRows(table: SlabTable, a: number, b: number): number {
  if (table.windowEndOf(a) !== table.windowEndOf(b)) return table.windowEndOf(a) - table.windowEndOf(b)
  const keyA = table.keyOf(a)
  const keyB = table.keyOf(b)
  const { keyArena } = table
  const startA = table.keyStart(keyA)
  const startB = table.keyStart(keyB)
  const shared = Math.min(table.keyBytes(keyA), table.keyBytes(keyB))
  for (let i = 0; i < shared; i++) {
    const difference = keyArena[startA + i]! - keyArena[startB + i]!
    if (difference !== 0) return difference
  }
  return table.keyBytes(keyA) - table.keyBytes(keyB)
}
