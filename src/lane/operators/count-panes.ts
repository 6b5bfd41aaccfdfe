// The row of a window by count that is made of panes: merged from the rows of its panes when it is full, or at the end of the
// input. Runs on a lane; one merge for each pane of a window.
// Keeps SPEC: WIN-8 (its row is that of all its panes), AGG-5.

import type { SlabTable } from '../../state/contract.ts'
import type { FrameRun } from '../frame-run.ts'
import { type Accumulators, SLOT_EVENT_TIME_MAX } from './accumulators.ts'
import type { CountRows } from './count-rows.ts'
import type { ResultRow } from './result-row.ts'
import type { ResultSinks } from './result-sinks.ts'
import { RowBuffer } from './row-buffer.ts'

export class CountPanes {
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks
  readonly #merged: RowBuffer

  constructor(accumulators: Accumulators, sinks: ResultSinks) {
    this.#accumulators = accumulators
    this.#sinks = sinks
    this.#merged = new RowBuffer(accumulators.width)
  }

  /** Gives out the window `windowNumber` of a key. `panes`: the rows of its panes, the oldest first. */
  emit(run: FrameRun, table: SlabTable, counted: CountRows, windowNumber: number, panes: readonly number[]): void {
    const merged = this.#merged
    const keyId = table.keyOf(panes[0]!)
    const result: ResultRow = {
      ...{ rows: merged, row: 0, keys: table, keyId, idMs: windowNumber, updateRev: 0, sentEvery: 0 },
      ...{ startMs: Number.POSITIVE_INFINITY, endMs: Number.NEGATIVE_INFINITY },
    }
    for (const pane of panes) {
      result.startMs = Math.min(result.startMs, counted.firstMs(pane))
      result.endMs = Math.max(result.endMs, table.slots[pane * table.width + SLOT_EVENT_TIME_MAX]!)
    }
    merged.clear(this.#accumulators, 0)
    try {
      for (const pane of panes) this.#accumulators.merge(merged, 0, table, pane)
    } catch (error) {
      merged.slots[SLOT_EVENT_TIME_MAX] = result.endMs
      this.#sinks.bury(run, result, error)
      return
    }
    this.#sinks.emitFinal(run, result)
  }
}
