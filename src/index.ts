// The public API, nothing else. What a job file imports from 'millrace'.
// Runs on every thread: a job module is loaded by the main thread and by every lane.

export { ERRORS, type ErrorCode, MillraceError } from './core/errors.ts'
export {
  type AggregateOf,
  type AggregateResult,
  avg,
  type CustomAggregate,
  count,
  custom,
  type Field,
  first,
  last,
  max,
  min,
  type NumericField,
  sum,
  variance,
  weightedMean,
} from './job/aggregates.ts'
export { job } from './job/builder.ts'
export type { Duration } from './job/duration.ts'
export { envelope, type Format, json, msgpack } from './job/format.ts'
export type { CompiledJob, Plan } from './job/plan.ts'
export { type KafkaTopic, kafka, type RecordTime, recordTime, type SinkTopic } from './job/source.ts'
export type {
  Complete,
  JobOptions,
  KeyedStream,
  ResultStream,
  Stream,
  WindowedStream,
  WindowResultStream,
} from './job/stages.ts'
export {
  cumulate,
  hopping,
  type SessionOptions,
  session,
  tumbling,
  type WindowOptions,
  type WindowSpec,
} from './job/windows.ts'
