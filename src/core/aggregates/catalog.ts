// The aggregates by the kind that a plan names. Custom accumulators are not here: they run functions of the job.
// Runs on a lane; pure.
// Keeps SPEC: AGG-2 (one implementation a kind, for every path).

import type { Aggregate } from './aggregate.ts'
import { max, min } from './extremes.ts'
import { first, last } from './picks.ts'
import { avg, count, sum, weightedMean } from './sums.ts'
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
