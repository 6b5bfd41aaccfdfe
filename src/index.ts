// The public API, nothing else. What a job file imports from 'millrace'.
// Runs on every thread: a job module is loaded by the main thread and by every lane.

export type { Collected } from './core/aggregates/collect.ts'
export type { TopValue } from './core/aggregates/top-k.ts'
export { ERRORS, type ErrorCode, MillraceError } from './core/errors.ts'
export type {
  AggregateOf,
  AggregateResult,
  CustomAggregate,
  Field,
  NumericField,
  ScalarField,
  TextField,
} from './job/aggregate-spec.ts'
export {
  approxDistinctCount,
  argMax,
  argMin,
  avg,
  collect,
  correlation,
  count,
  covariance,
  custom,
  decimalSum,
  distinctCount,
  first,
  histogram,
  last,
  max,
  min,
  quantile,
  quantiles,
  stddev,
  stddevSample,
  sum,
  topK,
  variance,
  varianceSample,
  weightedMean,
} from './job/aggregates.ts'
export { globalTable, job, stream, table } from './job/builder.ts'
export type { Duration } from './job/duration.ts'
export { envelope, type Format, json, msgpack } from './job/format.ts'
export type { CompiledJob, Plan } from './job/plan.ts'
export type { ProcessContext, ProcessOptions, ProcessTimer } from './job/process-spec.ts'
export type { Ranked, RankedStream, TopNOptions } from './job/ranked-stages.ts'
export {
  type KafkaTopic,
  kafka,
  type ProcessingTime,
  processingTime,
  type RecordTime,
  recordTime,
  type SinkTopic,
} from './job/source.ts'
export type {
  Branch,
  Complete,
  FieldBound,
  JobOptions,
  JoinBounds,
  JoinedStream,
  JoinOptions,
  JoinType,
  KeyedStream,
  ResultStream,
  Stream,
  WindowedStream,
  WindowResultStream,
} from './job/stages.ts'
export type { GlobalJoinOptions, GlobalTable, Table, TableJoinOptions, TablesJoinOptions } from './job/table-stages.ts'
export {
  type CalendarOptions,
  type CalendarUnit,
  type CountOptions,
  calendar,
  countWindow,
  cumulate,
  globalWindow,
  hopping,
  type SessionOptions,
  type SlidingOptions,
  session,
  sliding,
  tumbling,
  type WindowOptions,
  type WindowSpec,
} from './job/windows.ts'
