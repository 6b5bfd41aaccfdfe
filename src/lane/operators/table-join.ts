// Each record of a stream with the row of a table that has its key, as the row is when the record is read. Runs on a lane. Hot.
// Keeps SPEC: TABLE-1 (the row as it is by then; without one the record is filtered, or has no row), COUNT-1.

import { STATUS_FILTERED, STATUS_OK } from '../../core/record-status.ts'
import type { SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, Step } from '../frame-run.ts'
import { operatorIdOf } from '../operator-id.ts'
import { JoinRows, type JoinRowsOptions } from './join-rows.ts'
import { type Meeting, moveSide } from './meeting.ts'
import { keptBytes, type RowStream, TABLE_SLOTS, TableRows } from './table-rows.ts'

export interface TableJoinOptions extends JoinRowsOptions {
  /** A record without a row is joined with none. */
  isLeft: boolean
  stream: RowStream
  table: RowStream
}

export class TableJoin implements Meeting {
  readonly sides: readonly [Step, Step]
  /** The clock is that of the stream. */
  readonly delayMs = 0
  readonly tables: readonly TableLayout[]
  readonly #rows = new WeakMap<ChainState, TableRows>()

  constructor(options: TableJoinOptions) {
    const { name } = options
    this.tables = [{ operator: name, operatorId: operatorIdOf(name), width: TABLE_SLOTS, isWindowed: false }]
    const rowsOf = (state: ChainState): TableRows => this.#rows.get(state)!
    const out = new JoinRows(options)
    this.sides = [new StreamSide(options, out, rowsOf), new TableSide(options.table, out, rowsOf)]
  }

  open(state: ChainState, [table]: readonly SlabTable[]): void {
    this.#rows.set(state, new TableRows(table!))
  }

  advance(): void {}
}

class StreamSide implements Step {
  readonly #options: TableJoinOptions
  readonly #out: JoinRows
  readonly #rowsOf: (state: ChainState) => TableRows

  constructor(options: TableJoinOptions, out: JoinRows, rowsOf: (state: ChainState) => TableRows) {
    this.#options = options
    this.#out = out
    this.#rowsOf = rowsOf
  }

  run(chunk: Chunk, run: FrameRun): void {
    const { isLeft, stream } = this.#options
    const out = this.#out
    const state = out.stateOf(run)
    const rows = this.#rowsOf(state)
    const { status, timesMs, carried } = chunk
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = timesMs[row]!
      const ownMs = carried?.watermarksMs[row] ?? timeMs - stream.outOfOrderMs
      const watermarkMs = moveSide(run.task, state, 0, timeMs, ownMs)
      if (status[row] !== STATUS_OK) continue
      out.keyOf(chunk, row, run)
      const { bytes, start, length } = out.key
      const found = rows.find(bytes, start, length)
      if (found < 0 && !isLeft) {
        status[row] = STATUS_FILTERED
        continue
      }
      const record = chunk.isChanged ? chunk.objects[row] : stream.objects.objectAt(row)
      out.give(run, state, record, found < 0 ? undefined : rows.objectOf(found), timeMs, watermarkMs)
    }
    out.flush(run, state)
  }
}

class TableSide implements Step {
  readonly #table: RowStream
  readonly #out: JoinRows
  readonly #rowsOf: (state: ChainState) => TableRows

  constructor(table: RowStream, out: JoinRows, rowsOf: (state: ChainState) => TableRows) {
    this.#table = table
    this.#out = out
    this.#rowsOf = rowsOf
  }

  run(chunk: Chunk, run: FrameRun): void {
    const rows = this.#rowsOf(this.#out.stateOf(run))
    const { task, view } = run
    for (let row = 0; row < chunk.count; row++) {
      const timeMs = chunk.timesMs[row]!
      if (timeMs > task.eventTimeMsMax) task.eventTimeMsMax = timeMs
      const watermarkMs = chunk.carried?.watermarksMs[row] ?? timeMs - this.#table.outOfOrderMs
      if (watermarkMs > task.watermarkMs) task.watermarkMs = watermarkMs
      if (chunk.status[row] !== STATUS_OK) continue
      const at = chunk.at[row]!
      const kept = keptBytes(this.#table, chunk, row, run)
      if (chunk.status[row] === STATUS_OK) rows.set(view.bytes, view.keyStart(at), view.keyBytes(at), timeMs, kept)
    }
  }
}
