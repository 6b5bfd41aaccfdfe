// A captured slice of a topic as text: one record a line, its bytes in base64, so that it can be replayed byte for byte.
// Any thread; pure.
// Keeps SPEC: TEST-6 (a captured slice replays byte for byte).

import type { FrameRecord } from '../core/frame.ts'

/*
 *   {"topic":"trades","partition":2,"offset":41,"timestamp":1700000000000,"encoding":"base64",
 *    "key":"QUJD","value":null,"headers":[["trace","eA=="],["none",null]]}
 */

/** A record of a slice: what was in the topic, and where. */
export interface SliceRecord extends FrameRecord {
  topic: string
  partition: number
}

/** The line of a record, without its end. */
export function sliceLine({ topic, partition, offset, timestampMs, key, value, headers }: SliceRecord): string {
  return JSON.stringify({
    topic,
    partition,
    offset,
    timestamp: timestampMs,
    encoding: 'base64',
    key: base64(key),
    value: base64(value),
    headers: headers.map((header) => [header.name, base64(header.value)]),
  })
}

/**
 * The records of a slice, in the order of its lines. Throws TypeError with the number of the line that is none.
 *
 * @example
 * const records = readSlice(readFileSync('trades.jsonl', 'utf8'))
 */
export function readSlice(text: string): SliceRecord[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    try {
      return [sliceRecord(JSON.parse(line))]
    } catch (error) {
      throw new TypeError(`line ${i + 1} is no record of a slice: ${String(error)}`, { cause: error })
    }
  })
}

/** True for a line of a slice, as against one that a person wrote. */
export function isSliceLine(line: object): boolean {
  return (line as { encoding?: unknown }).encoding === 'base64'
}

/** The record of a parsed line. Throws TypeError when it is none. */
export function sliceRecord(line: unknown): SliceRecord {
  if (typeof line !== 'object' || line === null || !isSliceLine(line)) throw new TypeError('encoding is not base64')
  const { topic, partition, offset, timestamp, key, value, headers } = line as Record<string, unknown>
  if (typeof topic !== 'string') throw new TypeError('topic is no text')
  if (!Array.isArray(headers)) throw new TypeError('headers is no list')
  return {
    topic,
    partition: wholeNumber('partition', partition),
    offset: wholeNumber('offset', offset),
    timestampMs: number('timestamp', timestamp),
    key: bytes('key', key),
    value: bytes('value', value),
    headers: headers.map((header: unknown) => {
      if (!Array.isArray(header) || typeof header[0] !== 'string') throw new TypeError('a header has no name')
      return { name: header[0], value: bytes('header', header[1]) }
    }),
  }
}

function base64(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : Buffer.from(bytes).toString('base64')
}

function bytes(name: string, value: unknown): Uint8Array | undefined {
  if (value === null) return undefined
  if (typeof value !== 'string') throw new TypeError(`${name} is neither base64 nor null`)
  return new Uint8Array(Buffer.from(value, 'base64'))
}

function number(name: string, value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${name} is no number`)
  return value
}

function wholeNumber(name: string, value: unknown): number {
  const found = number(name, value)
  if (!Number.isSafeInteger(found) || found < 0) throw new TypeError(`${name} ${found} is no whole number`)
  return found
}
