// Value formats of topics: msgpack or JSON, one event a value or an envelope of many.
// Runs on every thread; pure.
// Keeps SPEC: JOB-1 (what a job says is data, checked when it is built).

import type { ValueFormat } from './plan.ts'

/** How the values of a topic are written, and the type `T` of one event in them. */
export interface Format<out T> {
  readonly format: ValueFormat
  readonly shape: 'single' | 'envelope'
  /** Carries the type only; never set. */
  readonly type?: T
}

export interface FormatOptions {
  /** `envelope`: a value is an array of events, each counts as a record. Default `single`. Sources only. */
  readonly shape?: 'single' | 'envelope'
}

/**
 * Values are msgpack maps. The fast format: the lane reads only the fields that the job names.
 *
 * @example
 * kafka('trades', { value: msgpack<{ sym: string; price: number }>() })
 */
export function msgpack<T = never>(options: FormatOptions = {}): Format<T> {
  return { format: 'msgpack', shape: options.shape ?? 'single' }
}

/**
 * Values are JSON objects in UTF-8.
 *
 * @example
 * kafka('trades', { value: json<{ sym: string; price: number }>() })
 */
export function json<T = never>(options: FormatOptions = {}): Format<T> {
  return { format: 'json', shape: options.shape ?? 'single' }
}

/**
 * The same format with an array of events in each value. Every event counts as a record of its own.
 *
 * @example
 * kafka('trade-batches', { value: envelope(msgpack<Trade>()) })
 */
export function envelope<T>(format: Format<T>): Format<T> {
  return { ...format, shape: 'envelope' }
}
