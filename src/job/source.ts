// Topics as a job describes them: where records come from and where results go.
// Runs on every thread; pure.
// Keeps SPEC: JOB-1 (what a job says is data, checked when it is built), R1, R5, R7 (the source's time options).

import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Field, NumericField } from './aggregate-spec.ts'
import type { Duration } from './duration.ts'
import type { Format } from './format.ts'

/** Marks the Kafka record's own timestamp as event time; see `recordTime`. */
export interface RecordTime {
  readonly kind: 'record'
}

/**
 * Event time is the Kafka record's timestamp. The default; write it to be explicit.
 *
 * @example
 * kafka('clicks', { value: json<Click>(), eventTime: recordTime() })
 */
export function recordTime(): RecordTime {
  return { kind: 'record' }
}

/** Marks the time at which a record is processed as its time; see `processingTime`. */
export interface ProcessingTime {
  readonly kind: 'processing'
}

/**
 * The time of a record is the clock of the instance when it reads the record, and windows close by that clock, whether or not
 * records come: no record is ever late. The same records read again, after a failure or a reset, fall into other windows; what is
 * committed stays. For rates and dashboards of what happens now; anything that must be reproducible wants event time.
 *
 * @example
 * kafka('clicks', { value: json<Click>(), key: 'user', eventTime: processingTime() })
 */
export function processingTime(): ProcessingTime {
  return { kind: 'processing' }
}

/** Options of a topic as a source. `T` is one event, `K` the declared key field or the key function. */
export interface SourceOptions<T, K extends string> {
  /** How values are written. Default: msgpack. */
  readonly value?: Format<T>
  /** The field whose text is the record's Kafka key. Checked for every record: a mismatch is dead (MR2005). */
  readonly key?: K
  /** Milliseconds since the Unix epoch: a field, a function of the record, `recordTime()` (default) or `processingTime()`. */
  readonly eventTime?: NumericField<T> | ((record: T) => number) | RecordTime | ProcessingTime
  /** How far behind the greatest event time seen a record may be and still be on time. Default `0ms`. */
  readonly outOfOrder?: Duration
  /** A partition without new records for this long no longer holds the watermark back. Default `10s`; by processing time `100ms`. */
  readonly idleAfter?: Duration
  /** Lets a wholly quiet input close its windows: its watermark moves with the clock, `maxDelay` behind it. */
  readonly closeOnIdle?: { readonly maxDelay: Duration }
  /** A record further ahead of its Kafka timestamp than this is dead (MR2004). Default `1d`. */
  readonly maxFuture?: Duration
  /** A record further behind its Kafka timestamp than this is dead (MR2004). Default: off. */
  readonly maxPast?: Duration
  /** Checks each event and types it. Any Standard Schema library; synchronous. */
  readonly schema?: StandardSchemaV1<unknown, T>
}

/** Options of a topic as a sink of rows `T`. */
export interface SinkOptions<T> {
  /** How values are written. Default: msgpack. */
  readonly value?: Format<T>
  /** The Kafka key of a row. Default: the row's key after `keyBy`, else the key of the record it came from. */
  readonly key?: (row: T) => string | Uint8Array
  /** Headers of a row, beside Millrace's own. */
  readonly headers?: (row: T) => Record<string, string | Uint8Array>
  /** Kafka timestamp of a final row: its window's end - 1 ms (default), its greatest event time, or its start. */
  readonly resultTime?: 'end' | 'max' | 'start'
}

/** What `key` may be: the name of a field (source) or a function of the row (sink). */
export type KeyOption<T> = Field<T> | ((row: T) => string | Uint8Array)

/** All options of `kafka`. `from` refuses those of a sink, `to` those of a source. */
export interface TopicOptions<T, K>
  extends Omit<SourceOptions<T, string>, 'key'>,
    Omit<SinkOptions<T>, 'key' | 'value'> {
  /** As a source: the field that is the Kafka key. As a sink: a function that gives the key. */
  readonly key?: K | ((row: T) => string | Uint8Array)
}

/** Options as the compiler reads them: types are gone, nothing is trusted. */
export type UncheckedOptions = Readonly<Partial<Record<keyof TopicOptions<unknown, string>, unknown>>>

/** Where rows `T` may go. */
export interface SinkTopic<in T> {
  readonly topic: string
  readonly options: UncheckedOptions
  /** Carry types only; never set. */
  readonly accepts?: (row: T) => void
  readonly hasKeyField?: false
}

/** A Kafka topic with its options; `T` is one event, `K` the declared key field or the key function. */
export interface KafkaTopic<T, K> {
  readonly topic: string
  readonly options: UncheckedOptions
  /** Carry types only; never set. */
  readonly gives?: T
  readonly accepts?: (row: T) => void
  readonly hasKeyField?: [K] extends [never] ? false : K extends string ? true : false
}

/**
 * A Kafka topic, as a source, a sink, or the place for late records.
 *
 * @example
 * kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '2s' })
 * kafka('candles-1s', { value: json(), key: (row) => row.sym })
 * kafka('candles-late')
 */
export function kafka<T = never, const K extends KeyOption<T> = never>(
  topic: string,
  options: TopicOptions<T, K> = {},
): KafkaTopic<T, K> {
  return { topic, options: options as UncheckedOptions }
}
