// The rows of two tables with one key, anew when either changes. Runs on a lane.
// Keeps SPEC: TABLE-3 (a change of either is one of the result; a result that is no more is a tombstone), TABLE-4.

import { STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, Step } from '../frame-run.ts'
import { operatorIdOf } from '../operator-id.ts'
import { TOMBSTONE } from './derived.ts'
import { JoinRows, type JoinRowsOptions } from './join-rows.ts'
import { type Meeting, moveSide } from './meeting.ts'
import { keptBytes, keptObject, type RowStream, TABLE_SLOTS, TableRows } from './table-rows.ts'

export interface TablesJoinOptions extends JoinRowsOptions {
  type: 'inner' | 'left' | 'outer'
  tables: readonly [RowStream, RowStream]
}

type BothRows = readonly [TableRows, TableRows]

export class TablesJoin implements Meeting {
  readonly sides: readonly [Step, Step]
  readonly delayMs = 0
  readonly tables: readonly TableLayout[]
  readonly #rows = new WeakMap<ChainState, BothRows>()

  constructor(options: TablesJoinOptions) {
    const { name } = options
    this.tables = ['left', 'right'].map((side) => ({
      operator: name,
      operatorId: operatorIdOf(`${name}~${side}`),
      width: TABLE_SLOTS,
      isWindowed: false,
    }))
    const rowsOf = (state: ChainState): BothRows => this.#rows.get(state)!
    const out = new JoinRows(options)
    this.sides = [new TableSide(0, options, out, rowsOf), new TableSide(1, options, out, rowsOf)]
  }

  open(state: ChainState, tables: readonly SlabTable[]): void {
    const [left, right] = tables as [SlabTable, SlabTable]
    this.#rows.set(state, [new TableRows(left), new TableRows(right)])
  }

  advance(): void {}
}

class TableSide implements Step {
  readonly #side: 0 | 1
  readonly #options: TablesJoinOptions
  readonly #out: JoinRows
  readonly #rowsOf: (state: ChainState) => BothRows

  constructor(side: 0 | 1, options: TablesJoinOptions, out: JoinRows, rowsOf: (state: ChainState) => BothRows) {
    this.#side = side
    this.#options = options
    this.#out = out
    this.#rowsOf = rowsOf
  }

  run(chunk: Chunk, run: FrameRun): void {
    const out = this.#out
    const state = out.stateOf(run)
    const rows = this.#rowsOf(state)
    const table = this.#options.tables[this.#side]
    const { status, timesMs, carried } = chunk
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = timesMs[row]!
      const ownMs = carried?.watermarksMs[row] ?? timeMs - table.outOfOrderMs
      const watermarkMs = moveSide(run.task, state, this.#side, timeMs, ownMs)
      if (status[row] === STATUS_OK) this.#change(chunk, row, run, state, rows, watermarkMs)
    }
    out.flush(run, state)
  }

  #change(chunk: Chunk, row: number, run: FrameRun, state: ChainState, rows: BothRows, watermarkMs: number): void {
    const out = this.#out
    const side = this.#side
    const timeMs = chunk.timesMs[row]!
    out.keyOf(chunk, row, run)
    const { bytes, start, length } = out.key
    const kept = keptBytes(this.#options.tables[side], chunk, row, run)
    if (chunk.status[row] !== STATUS_OK) return
    const hadOwn = rows[side].find(bytes, start, length) >= 0
    // What deletes a row that there is not changes nothing.
    if (kept === undefined && !hadOwn) return
    const found = rows[1 - side]!.find(bytes, start, length)
    const other = found < 0 ? undefined : rows[1 - side]!.objectOf(found)
    const atMs = found < 0 ? timeMs : Math.max(timeMs, rows[1 - side]!.timeMs(found))
    rows[side].set(bytes, start, length, timeMs, kept)
    const hadResult = this.#isResult(hadOwn, found >= 0)
    const hasResult = this.#isResult(kept !== undefined, found >= 0)
    if (hasResult) {
      const own = kept === undefined ? undefined : keptObject(kept)
      out.give(run, state, side === 0 ? own : other, side === 0 ? other : own, atMs, watermarkMs)
    } else if (hadResult) out.pass(run, state, TOMBSTONE, atMs, watermarkMs)
  }

  /** Whether there is a result with a row here and one there. */
  #isResult(hasOwn: boolean, hasOther: boolean): boolean {
    const { type } = this.#options
    if (type === 'inner') return hasOwn && hasOther
    if (type === 'outer') return hasOwn || hasOther
    return this.#side === 0 ? hasOwn : hasOther
  }
}
