// A result on its way to the sinks, and where its window is. Types alone. Runs on a lane.
// Keeps SPEC: R9 (what the id and the rev of a row are made of).

import type { SlabTable } from '../../state/contract.ts'
import type { AggregateRows } from './accumulators.ts'

/** A result on its way out: where its slots are, whose it is, its window (0 without one). One object, filled anew. */
export interface ResultRow {
  rows: AggregateRows
  row: number
  /** Who knows the bytes of the key. */
  keys: SlabTable
  keyId: number
  startMs: number
  endMs: number
  /** What its id has of it: the start of the window, of a session the time that it was opened at, of a window by count its number. */
  idMs: number
  /** Rows of its id that were sent to sinks with `updates`, this one included when it is early. */
  updateRev: number
  /** The intervals of `every` that have had a row of its id, a bit each; kept where rows can be taken back. */
  sentEvery: number
}

/** A key and a window of its. */
export type OutgoingWindow = Pick<ResultRow, 'keys' | 'keyId' | 'startMs' | 'endMs' | 'idMs'>

/** Where the window of a row is. */
export interface RowBounds {
  /** Window and rev of `result`, whose row is given. Not there where windows are no rows of the table. */
  fill?(result: ResultRow): void
  /** Keeps what has been sent, where rows can be taken back. */
  sentEvery?(result: ResultRow, bits: number): void
  /** The last moment of a window, as the Kafka timestamp of its final row. */
  lastMomentMs(endMs: number): number
}
