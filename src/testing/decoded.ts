// What a test gets: the rows of a job, its late and dead records, decoded.
// Test processes, main thread.

import { MsgpackDecoder } from '../codec/msgpack-decode.ts'
import { MsgpackGuard } from '../codec/msgpack-guard.ts'
import type { FrameRecord, RecordHeader } from '../core/frame.ts'
import { STATUS_OK } from '../core/record-status.ts'
import type { ValueFormat } from '../job/plan.ts'

/** A row or record that the job wrote. Its offset is not told: that counts the commits before it too. */
export interface OutputRow<T = Record<string, unknown>> {
  /** Where it was written. */
  topic: string
  partition: number
  /** Undefined: no key. */
  key: string | undefined
  value: T
  /** Kafka timestamp, ms since the epoch. */
  timestampMs: number
  headers: Record<string, string>
}

/**
 * A late record, with what its headers say. Times in ms since the epoch; of windows that end with the input alone, `windowStartMs` and
 * `windowEndMs` are NaN.
 */
export interface LateRecord<T = Record<string, unknown>> extends OutputRow<T> {
  windowStartMs: number
  windowEndMs: number
  watermarkMs: number
  lateByMs: number
}

/** Where a record was read. */
export interface SourcePosition {
  topic: string
  partition: number
  offset: number
  /** Of an envelope: which of its events, from 0. */
  event?: number
}

/** A dead record: what it was, why it is dead, and where it was read. */
export interface DeadRecord {
  /** Where it was written. */
  topic: string
  partition: number
  key: string | undefined
  /** Decoded in the source's format; the bytes themselves where they are nothing of it. Undefined: no value. */
  value: unknown
  /** The original bytes of the value. */
  bytes: Uint8Array | undefined
  /** Kafka timestamp, ms since the epoch. */
  timestampMs: number
  /** Error code, e.g. `MR2005`. */
  code: string
  text: string
  /** Undefined for a result row on which a function after the aggregate threw: it has no one record behind it. */
  source: SourcePosition | undefined
  headers: Record<string, string>
}

/** A record of a topic that a job wrote. */
export interface WrittenRecord extends Omit<FrameRecord, 'offset'> {
  topic: string
  partition: number
}

/** Far above what the lane itself lets through. */
const DEPTH_MAX = 1000
const NODES_MAX = 10_000_000

const textDecoder = new TextDecoder()
const guard = new MsgpackGuard(DEPTH_MAX, NODES_MAX)
const decoder = new MsgpackDecoder()

/** A value's bytes as the format says. Throws TypeError when they are not what it says. */
export function decodeValue(format: ValueFormat, bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) return undefined
  if (format === 'json') return JSON.parse(textDecoder.decode(bytes))
  guard.nodeCount = 1
  if (guard.walk(bytes, 0, bytes.length, 1) !== STATUS_OK || guard.end !== bytes.length) {
    throw new TypeError(`not one msgpack value: ${Buffer.from(bytes).toString('hex')}`)
  }
  decoder.begin(bytes)
  return decoder.value(0, bytes.length)
}

export function outputRow(record: WrittenRecord, format: ValueFormat): OutputRow<unknown> {
  return {
    topic: record.topic,
    partition: record.partition,
    key: text(record.key),
    value: decodeValue(format, record.value),
    timestampMs: record.timestampMs,
    headers: headerTexts(record.headers),
  }
}

export function lateRecord(record: WrittenRecord, format: ValueFormat): LateRecord<unknown> {
  const row = outputRow(record, format)
  const { headers } = row
  return {
    ...row,
    windowStartMs: Number(headers['millrace-late-window-start']),
    windowEndMs: Number(headers['millrace-late-window-end']),
    watermarkMs: Number(headers['millrace-late-watermark']),
    lateByMs: Number(headers['millrace-late-by']),
  }
}

/** `formats`: those that it may be written in, the likeliest first. */
export function deadRecord(record: WrittenRecord, formats: readonly ValueFormat[]): DeadRecord {
  const headers = headerTexts(record.headers)
  const source = sourcePosition(headers)
  return {
    topic: record.topic,
    partition: record.partition,
    key: text(record.key),
    // A result row is written as msgpack, whatever the source is.
    value: decodedOrBytes(source === undefined ? ['msgpack'] : formats, record.value),
    bytes: record.value,
    timestampMs: record.timestampMs,
    code: headers['millrace-error-code'] ?? '',
    text: headers['millrace-error-text'] ?? '',
    source,
    headers,
  }
}

function sourcePosition(headers: Record<string, string>): SourcePosition | undefined {
  const topic = headers['millrace-source-topic']
  if (topic === undefined) return undefined
  const event = headers['millrace-event-index']
  return {
    topic,
    partition: Number(headers['millrace-source-partition']),
    offset: Number(headers['millrace-source-offset']),
    ...(event === undefined ? {} : { event: Number(event) }),
  }
}

/** A dead record may be dead because its bytes are no value. */
function decodedOrBytes(formats: readonly ValueFormat[], bytes: Uint8Array | undefined): unknown {
  for (const format of formats) {
    try {
      return decodeValue(format, bytes)
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error
    }
  }
  return bytes
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : textDecoder.decode(bytes)
}

/** Of headers with one name the first: Millrace's own come before those of the record. */
function headerTexts(headers: readonly RecordHeader[]): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const { name, value } of headers) texts[name] ??= value === undefined ? '' : textDecoder.decode(value)
  return texts
}
