// What a test sends, as bytes: the records that a producer would have written. Test processes, main thread.
// Keeps SPEC: TEST-1.

import { encodeValue } from '../codec/encode.ts'
import type { SourcePlan } from '../job/plan.ts'
import type { AppendedRecord } from '../kafka/memory-kafka/memory-kafka.ts'

/** A record as a producer would send it. */
export interface TestRecord {
  /** Default: the text of the source's declared key field, else none. `null`: none in any case. */
  key?: string | Uint8Array | null | undefined
  /** Encoded in the source's format; bytes go as they are; `undefined` is a null value. */
  value: unknown
  /** Kafka timestamp, ms since the epoch. Default: the event time field of the value, else what the test's clock says. */
  timestampMs?: number | undefined
  headers?: Record<string, string> | undefined
  /** Default: by the key (murmur2), as every producer of Millrace does it; 0 without a key. */
  partition?: number | undefined
}

/** A record of a source in bytes. */
export interface SentRecord extends AppendedRecord {
  topic: string
  timestampMs: number
}

/**
 * Encodes a record of a test as the source of its job reads it.
 *
 * @example
 * sentRecord(plan.source, { value: { sym: 'A', ts: 500 } }, 0) // key `A`, timestamp 500
 */
export function sentRecord(source: SourcePlan, record: TestRecord, nowMs: number): SentRecord {
  const { value, headers = {}, partition } = record
  return {
    topic: source.topic,
    key: keyOf(source, record),
    value: value === undefined || value instanceof Uint8Array ? value : encodeValue(source.format, value),
    timestampMs: record.timestampMs ?? timestampMsOf(source, value) ?? nowMs,
    headers: Object.entries(headers).map(([name, text]) => ({ name, value: Buffer.from(text) })),
    partition,
  }
}

function keyOf({ keyField }: SourcePlan, { key, value }: TestRecord): Uint8Array | undefined {
  if (key === null) return undefined
  if (key !== undefined) return Buffer.from(key)
  const field = keyField === undefined ? undefined : fieldOf(value, keyField)
  return typeof field === 'string' || typeof field === 'number' ? Buffer.from(String(field)) : undefined
}

function timestampMsOf({ eventTime }: SourcePlan, value: unknown): number | undefined {
  const timeMs = eventTime.kind === 'field' ? fieldOf(value, eventTime.field) : undefined
  return typeof timeMs === 'number' && Number.isFinite(timeMs) ? timeMs : undefined
}

/** A field of a value, or of the first event of an envelope. */
function fieldOf(value: unknown, field: string): unknown {
  const event: unknown = Array.isArray(value) ? value[0] : value
  return typeof event === 'object' && event !== null ? (event as Record<string, unknown>)[field] : undefined
}
