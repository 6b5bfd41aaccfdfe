// What an aggregate is to a job: its kinds, the fields that each may take, and the type of its result.
// Runs on every thread; pure.
// Keeps SPEC: AGG-1 (fields that hold what an aggregate needs, by type), JOB-3 (results are inferred).

import type { AggregateOptions } from '../core/aggregates/catalog.ts'
import type { Collected } from '../core/aggregates/collect.ts'
import type { TopValue } from '../core/aggregates/top-k.ts'

/** Names of the fields of a record. */
export type Field<R> = Extract<keyof R, string>

/** Names of the fields of a record that are numbers, always there. */
export type NumericField<R> = { [P in Field<R>]: R[P] extends number ? P : never }[Field<R>]

/** Names of the fields that are always there. */
export type PresentField<R> = { [P in Field<R>]: undefined extends R[P] ? never : P }[Field<R>]

/** Names of the fields that are always text, numbers or booleans: values that can be told apart and counted. */
export type ScalarField<R> = { [P in Field<R>]: R[P] extends string | number | boolean ? P : never }[Field<R>]

/** Names of the fields that are always text. */
export type TextField<R> = { [P in Field<R>]: R[P] extends string ? P : never }[Field<R>]

/** The values of some fields, in their order. */
export type FieldValues<R, F extends readonly string[]> = { [I in keyof F]: F[I] extends keyof R ? R[F[I]] : never }

export interface CountAggregate {
  readonly kind: 'count'
  readonly fields: readonly []
}
/** Over number fields; `Out` is the type of its result. */
export interface NumericAggregate<out F extends string, out Out = number> {
  readonly kind:
    | 'sum'
    | 'min'
    | 'max'
    | 'avg'
    | 'weightedMean'
    | 'variance'
    | 'stddev'
    | 'varianceSample'
    | 'stddevSample'
    | 'covariance'
    | 'correlation'
    | 'quantile'
    | 'quantiles'
    | 'histogram'
  readonly fields: readonly F[]
  readonly options?: AggregateOptions
  /** Carries the type of the result only; never set. */
  readonly gives?: Out
}
export interface PickAggregate<out F extends string> {
  readonly kind: 'first' | 'last'
  readonly fields: readonly [F]
}
export interface ArgAggregate<out F extends string, out By extends string> {
  readonly kind: 'argMin' | 'argMax'
  readonly fields: readonly [F, By]
}
export interface DistinctAggregate<out F extends string, out Out> {
  readonly kind: 'distinctCount' | 'approxDistinctCount'
  readonly fields: readonly [F]
  readonly options: AggregateOptions
  /** Carries the type of the result only; never set. */
  readonly gives?: Out
}
export interface TopAggregate<out F extends string> {
  readonly kind: 'topK'
  readonly fields: readonly [F]
  readonly options: AggregateOptions
}
export interface CollectAggregate<out F extends string> {
  readonly kind: 'collect'
  readonly fields: readonly [F]
  readonly options: AggregateOptions
}
export interface DecimalAggregate<out F extends string> {
  readonly kind: 'decimalSum'
  readonly fields: readonly [F]
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
  | NumericAggregate<NumericField<R>, unknown>
  | PickAggregate<PresentField<R>>
  | ArgAggregate<PresentField<R>, NumericField<R>>
  | DistinctAggregate<ScalarField<R>, unknown>
  | TopAggregate<ScalarField<R>>
  | CollectAggregate<PresentField<R>>
  | DecimalAggregate<TextField<R>>
  | CustomAggregate<R, unknown>

/** The type of an aggregate's result over records `R`. */
export type AggregateResult<R, A> =
  A extends CustomAggregate<R, infer Out>
    ? Out
    : A extends CountAggregate
      ? number
      : A extends NumericAggregate<string, infer Out>
        ? Out
        : A extends DistinctAggregate<string, infer Out>
          ? Out
          : A extends PickAggregate<infer F>
            ? FieldValue<R, F>
            : A extends ArgAggregate<infer F, string>
              ? FieldValue<R, F>
              : A extends TopAggregate<infer F>
                ? TopValue<FieldValue<R, F>>[]
                : A extends CollectAggregate<infer F>
                  ? Collected<FieldValue<R, F>>
                  : string

type FieldValue<R, F> = F extends keyof R ? R[F] : never
