// The functions that describe aggregates in a job. What each does: core/aggregates/catalog.ts.
// Runs on every thread; pure.
// Keeps SPEC: AGG-1 (numeric aggregates take numeric fields, by type), R11 (sums).

import type {
  ArgAggregate,
  CollectAggregate,
  CountAggregate,
  CustomAggregate,
  DecimalAggregate,
  DistinctAggregate,
  Field,
  FieldValues,
  NumericAggregate,
  PickAggregate,
  TopAggregate,
} from './aggregate-spec.ts'

/**
 * How many records.
 *
 * @example
 * n: count()
 */
export function count(): CountAggregate {
  return { kind: 'count', fields: [] }
}

/**
 * The sum of a field, in record order; exact for whole numbers to 2^53.
 *
 * @example
 * volume: sum('qty')
 */
export function sum<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'sum', fields: [field] }
}

/**
 * The least value of a field.
 *
 * @example
 * low: min('price')
 */
export function min<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'min', fields: [field] }
}

/**
 * The greatest value of a field.
 *
 * @example
 * high: max('price')
 */
export function max<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'max', fields: [field] }
}

/**
 * The mean of a field.
 *
 * @example
 * mean: avg('price')
 */
export function avg<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'avg', fields: [field] }
}

/**
 * The population variance of a field (the mean squared distance from the mean; 0 for one record): `VAR_POP` of SQL.
 *
 * @example
 * spread: variance('price')
 */
export function variance<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'variance', fields: [field] }
}

/**
 * The population standard deviation of a field, the square root of `variance`: `STDDEV_POP` of SQL.
 *
 * @example
 * deviation: stddev('price')
 */
export function stddev<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'stddev', fields: [field] }
}

/**
 * The variance as estimated from a sample, `null` for one record: `VAR_SAMP` of SQL.
 *
 * @example
 * spread: varianceSample('price')
 */
export function varianceSample<const F extends string>(field: F): NumericAggregate<F, number | null> {
  return { kind: 'varianceSample', fields: [field] }
}

/**
 * The square root of `varianceSample`, `null` for one record: `STDDEV_SAMP` of SQL.
 *
 * @example
 * deviation: stddevSample('price')
 */
export function stddevSample<const F extends string>(field: F): NumericAggregate<F, number | null> {
  return { kind: 'stddevSample', fields: [field] }
}

/**
 * The population covariance of two fields: `COVAR_POP` of SQL.
 *
 * @example
 * together: covariance('price', 'qty')
 */
export function covariance<const F extends string>(x: F, y: F): NumericAggregate<F> {
  return { kind: 'covariance', fields: [x, y] }
}

/**
 * Pearson's correlation of two fields, -1 to 1; `null` while one of them has had a single value: `CORR` of SQL.
 *
 * @example
 * trend: correlation('price', 'qty')
 */
export function correlation<const F extends string>(x: F, y: F): NumericAggregate<F, number | null> {
  return { kind: 'correlation', fields: [x, y] }
}

/**
 * The value of a field at the least event time; among equal times the first in the partition. Any type but `undefined`.
 *
 * @example
 * open: first('price')
 */
export function first<const F extends string>(field: F): PickAggregate<F> {
  return { kind: 'first', fields: [field] }
}

/**
 * The value of a field at the greatest event time; among equal times the last in the partition. Any type but `undefined`.
 *
 * @example
 * close: last('price')
 */
export function last<const F extends string>(field: F): PickAggregate<F> {
  return { kind: 'last', fields: [field] }
}

/**
 * The value of `field` where `by` is least; among equals that of the least event time, then the first in the partition.
 *
 * @example
 * cheapest: argMin('id', 'price')
 */
export function argMin<const F extends string, const By extends string>(field: F, by: By): ArgAggregate<F, By> {
  return { kind: 'argMin', fields: [field, by] }
}

/**
 * The value of `field` where `by` is greatest; among equals that of the least event time, then the first in the partition.
 *
 * @example
 * biggest: argMax('id', 'qty')
 */
export function argMax<const F extends string, const By extends string>(field: F, by: By): ArgAggregate<F, By> {
  return { kind: 'argMax', fields: [field, by] }
}

/**
 * The mean of `field` weighted by `weightField`; `null` when the weights add up to 0.
 *
 * @example
 * vwap: weightedMean('price', 'qty')
 */
export function weightedMean<const F extends string>(field: F, weightField: F): NumericAggregate<F, number | null> {
  return { kind: 'weightedMean', fields: [field, weightField] }
}

export interface QuantileOptions {
  /** The greatest relative error of a value: 0.001 to 0.1. The state grows with its inverse. Default 0.01. */
  readonly accuracy?: number
}

/**
 * The value at rank `q * (count - 1)`, rounded down, of the sorted values: 0.5 is the median, 0 the least and 1 the greatest
 * value. At most `accuracy` of it away (DDSketch); values closer to 0 than 10^-12 of the greatest of their sign count as that
 * close.
 *
 * @example
 * p99: quantile('latency', 0.99)
 */
export function quantile<const F extends string>(
  field: F,
  q: number,
  options: QuantileOptions = {},
): NumericAggregate<F> {
  return { kind: 'quantile', fields: [field], options: { ...options, q } }
}

/**
 * Several quantiles of one sketch, in the order of `qs`. See `quantile`.
 *
 * @example
 * latencies: quantiles('latency', [0.5, 0.95, 0.99], { accuracy: 0.005 })
 */
export function quantiles<const F extends string>(
  field: F,
  qs: readonly number[],
  options: QuantileOptions = {},
): NumericAggregate<F, number[]> {
  return { kind: 'quantiles', fields: [field], options: { ...options, q: qs } }
}

/**
 * How many values are below the first bound, from each bound to below the next, and from the last one on: one more than
 * there are bounds. 1 to 100 bounds, ascending.
 *
 * @example
 * sizes: histogram('qty', [10, 100]) // [n < 10, 10 <= n < 100, n >= 100]
 */
export function histogram<const F extends string>(field: F, bounds: readonly number[]): NumericAggregate<F, number[]> {
  return { kind: 'histogram', fields: [field], options: { bounds } }
}

export interface DistinctCountOptions {
  /** How many values are told apart, at most: 1 to 20,000. Default 10,000. */
  readonly limit?: number
}

/**
 * How many different values, exactly: `COUNT(DISTINCT)` of SQL. `null` as soon as there are more than `limit`, or more than
 * 256 KiB of them; for larger numbers take `approxDistinctCount`. The text '1' and the number 1 are two values.
 *
 * @example
 * users: distinctCount('user', { limit: 1000 })
 */
export function distinctCount<const F extends string>(
  field: F,
  options: DistinctCountOptions = {},
): DistinctAggregate<F, number | null> {
  return { kind: 'distinctCount', fields: [field], options: { ...options } }
}

export interface ApproxDistinctCountOptions {
  /** The state has 2^precision bytes, the standard error is 1.04 / sqrt(2^precision): 4 to 16. Default 12: 4 KiB, 1.6 %. */
  readonly precision?: number
}

/**
 * About how many different values (HyperLogLog): two of three results are within the standard error, 997 of 1000 within
 * three times it.
 *
 * @example
 * visitors: approxDistinctCount('user', { precision: 14 }) // 0.8 %
 */
export function approxDistinctCount<const F extends string>(
  field: F,
  options: ApproxDistinctCountOptions = {},
): DistinctAggregate<F, number> {
  return { kind: 'approxDistinctCount', fields: [field], options: { ...options } }
}

export interface TopKOptions {
  /** Counts are exact for up to twice as many different values: 1 to 10,000. Default 1000. */
  readonly capacity?: number
}

/**
 * The `k` most frequent values (1 to 1000), the most frequent first, as `{ value, count, error }`: a value came at least
 * `count` and at most `count + error` times. `error` is 0 while there were no more than `2 * capacity` different values (and
 * 256 KiB of them), and beyond that number at most the number of records by `capacity`.
 *
 * @example
 * pages: topK('page', 10)
 */
export function topK<const F extends string>(field: F, k: number, options: TopKOptions = {}): TopAggregate<F> {
  return { kind: 'topK', fields: [field], options: { ...options, k } }
}

export interface CollectOptions {
  /** How many values are kept, at most: 1 to 10,000. */
  readonly limit: number
}

/**
 * The values of a field as `{ values, dropped }`: the first `limit` by event time, among equal times by their order in the
 * partition, and how many came beyond those. Not more than 256 KiB of values are kept.
 *
 * @example
 * ids: collect('id', { limit: 100 })
 */
export function collect<const F extends string>(field: F, options: CollectOptions): CollectAggregate<F> {
  return { kind: 'collect', fields: [field], options: { ...options } }
}

/**
 * The exact sum of decimals that are text (`'12.30'`, `'-5'`; at most 100 characters, no exponent), as text with as many
 * digits behind the point as the longest had. A record with other text is dead.
 *
 * @example
 * total: decimalSum('amount') // '0.10' and '0.2' give '0.30'
 */
export function decimalSum<const F extends string>(field: F): DecimalAggregate<F> {
  return { kind: 'decimalSum', fields: [field] }
}

/** The values that `add` gets after the state: those of the named fields, or the whole record. */
type AddedValues<R, F> = F extends readonly string[] ? FieldValues<R, F> : [record: R]

export interface CustomSpec<R, F extends readonly Field<R>[] | undefined, State, Out> {
  /** Names the fields that `add` gets (fast path); without it `add` gets the whole record. */
  readonly fields?: F
  /** A new state. It is stored as msgpack: plain objects, arrays, numbers, strings. */
  readonly init: () => State
  /** The state with a record added; may change and return the state it was given. */
  readonly add: (state: State, ...values: AddedValues<R, F>) => State
  /** What the row shows. Must not change the state. */
  readonly result: (state: State) => Out
  /**
   * The state of the records of both; those of `later` come after those of `state`. Must not change `later`. Session and sliding
   * windows need it, and windows that overlap share their work with it.
   */
  readonly merge?: (state: State, later: State) => State
}

/**
 * An accumulator of your own. The functions must depend on nothing but what they are given, so that a restart
 * gives the same result.
 *
 * @example
 * range: custom({
 *   fields: ['price'],
 *   init: () => ({ low: Infinity, high: -Infinity }),
 *   add: (s, price) => ({ low: Math.min(s.low, price), high: Math.max(s.high, price) }),
 *   result: (s) => s.high - s.low,
 *   merge: (s, t) => ({ low: Math.min(s.low, t.low), high: Math.max(s.high, t.high) }),
 * })
 */
export function custom<R, State, Out, const F extends readonly Field<R>[] | undefined = undefined>(
  spec: CustomSpec<R, F, State, Out>,
): CustomAggregate<R, Out> {
  const { fields, init, add, result, merge } = spec
  return { kind: 'custom', fields, init, add, result, merge }
}
