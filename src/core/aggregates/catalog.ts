// The aggregates by the kind that a plan names. Custom accumulators are not here: they run functions of the job.
// Runs on a lane; pure.
// Keeps SPEC: AGG-2 (one implementation a kind, for every path), AGG-5 (merged rows).

import type { Aggregate } from './aggregate.ts'
import { max, min } from './extremes.ts'
import { first, last } from './picks.ts'
import { avg, count, mergedAvg, mergedSum, mergedWeightedMean, sum, weightedMean } from './sums.ts'
import { variance } from './variance.ts'

export type AggregateKind = 'count' | 'sum' | 'min' | 'max' | 'avg' | 'first' | 'last' | 'variance' | 'weightedMean'

export const AGGREGATES: Readonly<Record<AggregateKind, Aggregate>> = {
  count,
  sum,
  min,
  max,
  avg,
  first,
  last,
  variance,
  weightedMean,
}

/** The same for rows that are merged: what a window shares with others, or a session with those it meets. */
export const MERGED_AGGREGATES: Readonly<Record<AggregateKind, Aggregate>> = {
  ...AGGREGATES,
  sum: mergedSum,
  avg: mergedAvg,
  weightedMean: mergedWeightedMean,
}
