// One row merged into another, of which a custom `merge` may throw: told apart from what the state itself throws. Runs on a lane. Hot.
// Keeps SPEC: ERR-3 (what a function of the job throws makes one row dead).

import type { Accumulators, AggregateRows } from './accumulators.ts'

/** A custom accumulator's `merge` has thrown: `cause` is what. */
export class MergeFailure extends Error {
  constructor(cause: unknown) {
    super('merge has thrown', { cause })
  }
}

/** As `Accumulators.merge`. Throws a MergeFailure when a function of the job throws. */
export function mergeRows(
  accumulators: Accumulators,
  to: AggregateRows,
  toRow: number,
  from: AggregateRows,
  fromRow: number,
): void {
  try {
    accumulators.merge(to, toRow, from, fromRow)
  } catch (error) {
    throw new MergeFailure(error)
  }
}
