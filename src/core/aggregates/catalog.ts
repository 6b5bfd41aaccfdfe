// The aggregates by the kind that a job names: what each takes of a record, its options, and how it is made. The one table that
// compiler, plan and lanes read. Custom accumulators are not here: they run functions of the job.
// Runs on every thread; pure.
// Keeps SPEC: AGG-1 (what fields must hold), AGG-2 (one implementation a kind, for every path), AGG-5 (merged rows), AGG-6
// (limits).

import type { Aggregate } from './aggregate.ts'
import { approxDistinctCount } from './approx-distinct.ts'
import { argMax, argMin } from './arg-extremes.ts'
import { histogram } from './bucket-counts.ts'
import { collect } from './collect.ts'
import { correlation, covariance } from './covariance.ts'
import { decimalSum } from './decimal-sum.ts'
import { distinctCount } from './distinct.ts'
import { max, min } from './extremes.ts'
import { first, last } from './picks.ts'
import { quantile, quantiles } from './quantiles.ts'
import { avg, count, mergedAvg, mergedSum, mergedWeightedMean, sum, weightedMean } from './sums.ts'
import { topK } from './top-k.ts'
import { stddev, stddevSample, variance, varianceSample } from './variance.ts'

/**
 * What a field must hold; of anything else the record is dead. `number`: a finite number; `scalar`: that, text or a boolean;
 * `decimal`: text that is a decimal; `value`: anything that is there.
 */
export type FieldNeed = 'number' | 'scalar' | 'decimal' | 'value'

/** The options of an aggregate, as a plan has them: checked, with their defaults. */
export type AggregateOptions = Readonly<Record<string, number | readonly number[]>>

/** What an option may be. */
export interface OptionNeed {
  readonly min: number
  readonly max: number
  /** Whole numbers only. */
  readonly isWhole?: boolean
  /** Without a default it must be given. */
  readonly fallback?: number
  /** It is a list of 1 to so many; an ascending one has no two equal. */
  readonly countMax?: number
  readonly isAscending?: boolean
  /** Says only what a row shows: state of other values of the option fits. */
  readonly isOfResult?: boolean
}

export interface CatalogEntry {
  /** Its fields, in order. */
  readonly takes: readonly FieldNeed[]
  readonly options?: Readonly<Record<string, OptionNeed>>
  /** `isMerged`: its rows will be merged, as windows that share with others and sessions do. */
  make(options: AggregateOptions, isMerged: boolean): Aggregate
}

const ACCURACY: OptionNeed = { min: 0.001, max: 0.1, fallback: 0.01 }
const QUANTILE: OptionNeed = { min: 0, max: 1, isOfResult: true }
const FINITE = { min: -Number.MAX_VALUE, max: Number.MAX_VALUE }

const always = (takes: readonly FieldNeed[], aggregate: Aggregate, merged = aggregate): CatalogEntry => ({
  takes,
  make: (_options, isMerged) => (isMerged ? merged : aggregate),
})

const ENTRIES = {
  count: always([], count),
  sum: always(['number'], sum, mergedSum),
  min: always(['number'], min),
  max: always(['number'], max),
  avg: always(['number'], avg, mergedAvg),
  weightedMean: always(['number', 'number'], weightedMean, mergedWeightedMean),
  variance: always(['number'], variance),
  stddev: always(['number'], stddev),
  varianceSample: always(['number'], varianceSample),
  stddevSample: always(['number'], stddevSample),
  covariance: always(['number', 'number'], covariance),
  correlation: always(['number', 'number'], correlation),
  first: always(['value'], first),
  last: always(['value'], last),
  argMin: always(['value', 'number'], argMin),
  argMax: always(['value', 'number'], argMax),
  quantile: {
    takes: ['number'],
    options: { q: QUANTILE, accuracy: ACCURACY },
    make: ({ q, accuracy }) => quantile(q as number, accuracy as number),
  },
  quantiles: {
    takes: ['number'],
    options: { q: { ...QUANTILE, countMax: 100 }, accuracy: ACCURACY },
    make: ({ q, accuracy }) => quantiles(q as readonly number[], accuracy as number),
  },
  histogram: {
    takes: ['number'],
    options: { bounds: { ...FINITE, countMax: 100, isAscending: true } },
    make: ({ bounds }) => histogram(bounds as readonly number[]),
  },
  distinctCount: {
    takes: ['scalar'],
    options: { limit: { min: 1, max: 20_000, isWhole: true, fallback: 10_000 } },
    make: ({ limit }) => distinctCount(limit as number),
  },
  approxDistinctCount: {
    takes: ['scalar'],
    options: { precision: { min: 4, max: 16, isWhole: true, fallback: 12 } },
    make: ({ precision }) => approxDistinctCount(precision as number),
  },
  topK: {
    takes: ['scalar'],
    options: {
      k: { min: 1, max: 1_000, isWhole: true, isOfResult: true },
      capacity: { min: 1, max: 10_000, isWhole: true, fallback: 1_000 },
    },
    // Where fewer have a counter than are shown, the last ones would be left to chance.
    make: ({ k, capacity }) => topK(k as number, Math.max(k as number, capacity as number)),
  },
  collect: {
    takes: ['value'],
    options: { limit: { min: 1, max: 10_000, isWhole: true } },
    make: ({ limit }) => collect(limit as number),
  },
  decimalSum: always(['decimal'], decimalSum),
} satisfies Record<string, CatalogEntry>

export type AggregateKind = keyof typeof ENTRIES

export const AGGREGATES: Readonly<Record<AggregateKind, CatalogEntry>> = ENTRIES

export function isAggregateKind(kind: unknown): kind is AggregateKind {
  return typeof kind === 'string' && Object.hasOwn(AGGREGATES, kind)
}
