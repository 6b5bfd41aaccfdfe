// Rows for windows in which a key has no record: what each known key showed last is kept in a table of its own. Runs on a lane,
// once for an operator.
// Keeps SPEC: EMIT-3 (a row for each window without records, for a while after the last one with some).

/*
 *   key a     [0,10) 3    [10,20) -    [20,30) -    [30,40) -          for: '20s' of windows
 *             a final row  filled       filled       none: forgotten
 */
import type { GapFillPlan } from '../../job/plan.ts'
import { NO_WINDOW, type SlabTable } from '../../state/contract.ts'
import type { FrameRun } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import type { ResultRow } from './result-row.ts'
import type { ResultSinks } from './result-sinks.ts'

/** What `known` tables hold a key: the end of its last window with records; the results that are filled in again are the row's cells. */
export const KNOWN_SLOTS = 1

export class GapFill {
  readonly #plan: GapFillPlan
  readonly #accumulators: Accumulators
  readonly #sinks: ResultSinks

  constructor(plan: GapFillPlan, accumulators: Accumulators, sinks: ResultSinks) {
    this.#plan = plan
    this.#accumulators = accumulators
    this.#sinks = sinks
  }

  /** A key has had records in a window: its results are those read last, if they could be read. */
  remember(known: SlabTable, { keys, keyId, endMs }: ResultRow, isRead: boolean): void {
    const own = known.internKey(keys.keyArena, keys.keyStart(keyId), keys.keyBytes(keyId))
    const row = known.rowFor(own, NO_WINDOW)
    known.slots[row * known.width] = endMs
    if (isRead)
      known.cells[row] = this.#plan.fills.map((fill, i) => (fill === 'last' ? this.#accumulators.valueAt(i) : null))
    known.touch(row)
  }

  /** Gives out the rows of a window for all known keys that had no record in it, and forgets those that are quiet for too long. */
  fill(run: FrameRun, known: SlabTable, startMs: number, endMs: number): void {
    let isAny = false
    for (const row of known.walk(NO_WINDOW)) {
      const lastEndMs = known.slots[row * known.width]!
      const isForgotten = endMs - lastEndMs > this.#plan.forMs
      if (isForgotten) known.deleteRow(row)
      else isAny = true
      if (isForgotten || lastEndMs >= endMs) continue
      const values = known.cells[row] ?? []
      const filled = this.#plan.fills.map((fill, i) => (fill === 'last' ? values[i] : fill === 'zero' ? 0 : null))
      this.#sinks.emitFilled(run, { keys: known, keyId: known.keyOf(row), startMs, endMs, idMs: startMs }, filled)
    }
    if (!isAny) this.clear(known)
  }

  /** Forgets all keys. */
  clear(known: SlabTable): void {
    known.closeWindow(NO_WINDOW, () => {})
  }
}
