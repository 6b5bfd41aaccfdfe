// Aggregates as a job describes them, and the types of their results.
// Runs on every thread; pure.
// Keeps SPEC: AGG-1 (numeric aggregates take numeric fields, by type and by check), R11 (sums).

/** Names of the fields of a record. */
export type Field<R> = Extract<keyof R, string>

/** Names of the fields of a record that are numbers, always there. */
export type NumericField<R> = { [P in Field<R>]: R[P] extends number ? P : never }[Field<R>]

/** Names of the fields that are always there. */
export type PresentField<R> = { [P in Field<R>]: undefined extends R[P] ? never : P }[Field<R>]

/** The values of some fields, in their order. */
export type FieldValues<R, F extends readonly string[]> = { [I in keyof F]: F[I] extends keyof R ? R[F[I]] : never }

export interface CountAggregate {
  readonly kind: 'count'
}
export interface NumericAggregate<out F extends string> {
  readonly kind: 'sum' | 'min' | 'max' | 'avg' | 'variance'
  readonly field: F
}
export interface PickAggregate<out F extends string> {
  readonly kind: 'first' | 'last'
  readonly field: F
}
export interface WeightedMeanAggregate<out F extends string> {
  /** Without a result when the weights add up to 0. */
  readonly kind: 'weightedMean'
  readonly field: F
  readonly weightField: F
}
/** A user's own accumulator over records `R`; `Out` is the type of its result. */
export interface CustomAggregate<in R, out Out> {
  readonly kind: 'custom'
  readonly fields: readonly string[] | undefined
  readonly init: () => unknown
  readonly add: (...stateAndValues: never[]) => unknown
  readonly result: (state: never) => Out
  readonly merge?: ((state: never, later: never) => unknown) | undefined
  /** Carries the record type only; never set. */
  readonly takes?: (record: R) => void
}

/** What may stand in `aggregate({...})` over records `R`. */
export type AggregateOf<R> =
  | CountAggregate
  | NumericAggregate<NumericField<R>>
  | PickAggregate<PresentField<R>>
  | WeightedMeanAggregate<NumericField<R>>
  | CustomAggregate<R, unknown>

/** The type of an aggregate's result over records `R`. */
export type AggregateResult<R, A> =
  A extends CustomAggregate<R, infer Out>
    ? Out
    : A extends PickAggregate<infer F>
      ? F extends keyof R
        ? R[F]
        : never
      : A extends WeightedMeanAggregate<string>
        ? number | null
        : number

/** How many records. */
export function count(): CountAggregate {
  return { kind: 'count' }
}

/** The sum of a field, in record order; exact for whole numbers to 2^53. */
export function sum<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'sum', field }
}

/** The least value of a field. */
export function min<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'min', field }
}

/** The greatest value of a field. */
export function max<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'max', field }
}

/** The mean of a field. */
export function avg<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'avg', field }
}

/** The population variance of a field (the mean squared distance from the mean; 0 for one record). */
export function variance<const F extends string>(field: F): NumericAggregate<F> {
  return { kind: 'variance', field }
}

/** The value of a field at the least event time; among equal times the first in the partition. Any type but `undefined`. */
export function first<const F extends string>(field: F): PickAggregate<F> {
  return { kind: 'first', field }
}

/** The value of a field at the greatest event time; among equal times the last in the partition. Any type but `undefined`. */
export function last<const F extends string>(field: F): PickAggregate<F> {
  return { kind: 'last', field }
}

/**
 * The mean of `field` weighted by `weightField`; `null` when the weights add up to 0.
 *
 * @example
 * vwap: weightedMean('price', 'qty')
 */
export function weightedMean<const F extends string>(field: F, weightField: F): WeightedMeanAggregate<F> {
  return { kind: 'weightedMean', field, weightField }
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
   * The state of the records of both; those of `later` come after those of `state`. Must not change `later`. Session windows need
   * it, and windows that overlap share their work with it.
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
