// The test driver from outside: lines of JSON in, lines of JSON out, so that a suite in any language can drive a job. Any
// thread; pure but for the test that it drives.
// Keeps SPEC: TEST-7 (what goes in and comes out of `millrace test`).

import { MillraceError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { allOperators, type CompiledJob, type OperatorPlan } from '../job/plan.ts'
import { alignedWindows } from '../lane/operators/aligned-windows.ts'
import type { OutputRow } from './decoded.ts'
import type { Output } from './job-outputs.ts'
import type { TestRecord } from './sent-records.ts'
import { isSliceLine, sliceRecord } from './slice-file.ts'
import type { TestJob } from './test-job.ts'

/*
 *   {"topic":"trades","key":"A","value":{"sym":"A","ts":500},"timestamp":500,"partition":0,"headers":{"trace":"x"}}
 *   {"topic":"trades","key":"A","value":null,"timestamp":600}      a tombstone
 *   {"topic":"trades","encoding":"base64", ...}                    a record of a captured slice (slice-file.ts)
 *   {"flush":true}  {"advanceWallMs":5000}  {"advanceToMs":1500}  {"end":true}
 */
const RECORD_FIELDS = ['topic', 'key', 'value', 'timestamp', 'partition', 'headers']

type Step = (t: TestJob) => Promise<void>

/** What a line of one field asks for. */
const STEPS: Readonly<Record<string, (value: unknown) => Step>> = {
  flush: (value) => whenTrue('flush', value, (t) => t.flush()),
  end: (value) => whenTrue('end', value, (t) => t.end()),
  advanceWallMs(value) {
    const ms = wholeNumber('advanceWallMs', value)
    return (t) => t.advanceWall(ms)
  },
  advanceToMs(value) {
    const watermarkMs = wholeNumber('advanceToMs', value)
    return (t) => t.advanceTo(watermarkMs)
  },
}

/**
 * Does what a line says: sends its record (true), or takes its step. Throws MR3007 with the number of the line when it says
 * nothing that there is.
 *
 * @example
 * await takeLine(t, '{"topic":"orders","value":{"user":"u","amount":1}}', 1)
 */
export async function takeLine(t: TestJob, text: string, number: number): Promise<boolean> {
  const step = refused(number, () => readLine(t, text))
  await step?.(t)
  return step === undefined
}

/** Sends the record of a line, or gives the step that it asks for. */
function readLine(t: TestJob, text: string): Step | undefined {
  const line: unknown = JSON.parse(text)
  if (typeof line !== 'object' || line === null || Array.isArray(line)) throw new TypeError('it is no object')
  const fields = Object.entries(line)
  const [name, value] = fields[0] ?? ['', undefined]
  const step = fields.length === 1 ? STEPS[name] : undefined
  if (step !== undefined) return step(value)
  if (isSliceLine(line)) t.replay([sliceRecord(line)])
  else sendRecord(t, line as Record<string, unknown>)
  return undefined
}

function sendRecord(t: TestJob, line: Record<string, unknown>): void {
  for (const name of Object.keys(line)) refuseUnknown(name)
  const { topic, key, value, timestamp, partition, headers } = line
  if (typeof topic !== 'string') throw new TypeError('topic is no text')
  if (key !== undefined && key !== null && typeof key !== 'string') throw new TypeError('key is neither text nor null')
  if (value === undefined) throw new TypeError('value is missing; null is a tombstone')
  const record: TestRecord = { key, value: value === null ? undefined : value }
  if (timestamp !== undefined) record.timestampMs = wholeNumber('timestamp', timestamp)
  if (partition !== undefined) record.partition = wholeNumber('partition', partition)
  if (headers !== undefined) record.headers = texts(headers)
  t.send(topic, record)
}

function refuseUnknown(name: string): void {
  if (RECORD_FIELDS.includes(name)) return
  const near = nearest(name, [...RECORD_FIELDS, ...Object.keys(STEPS)])
  throw new TypeError(`there is no field ${name}${near === undefined ? '' : ` (did you mean ${near}?)`}`)
}

/** What is wrong with a line is told with its number. */
function refused<T>(line: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError)) throw error
    throw new MillraceError('MR3007', { line, reason: error.message }, { cause: error })
  }
}

function whenTrue(name: string, value: unknown, step: Step): Step {
  if (value !== true) throw new TypeError(`${name} is not true`)
  return step
}

function wholeNumber(name: string, value: unknown): number {
  if (!Number.isSafeInteger(value)) throw new TypeError(`${name} is no whole number`)
  return value as number
}

function texts(headers: unknown): Record<string, string> {
  if (typeof headers !== 'object' || headers === null) throw new TypeError('headers is no object')
  for (const [name, value] of Object.entries(headers))
    if (typeof value !== 'string') throw new TypeError(`header ${name} is no text`)
  return headers as Record<string, string>
}

/** The windows of a job by the operator that gives their rows. */
export type RowWindows = ReadonlyMap<string, Extract<OperatorPlan, { kind: 'window' }>['window']>

export function rowWindows({ plan }: CompiledJob): RowWindows {
  return new Map(
    allOperators(plan).flatMap((operator, at, all) => {
      const before = all[at - 1]
      return operator.kind === 'aggregate' && before?.kind === 'window' ? [[operator.name, before.window]] : []
    }),
  )
}

/**
 * A row, a late or a dead record as a line, without its end: times in ms since the epoch; bytes as `{"base64":"..."}`; a
 * number that JSON has not as `null`, an integer beyond 2^53 as text.
 */
export function outputLine({ kind, row }: Output, windows: RowWindows): string {
  const { topic, partition, key = null, timestampMs: timestamp, headers } = row
  const common = { kind, topic, partition, key, value: row.value ?? null, timestamp, headers }
  switch (kind) {
    case 'row':
      return JSON.stringify({ ...common, phase: headers['millrace-phase'], ...boundsOf(row, windows) }, asJson)
    case 'late': {
      const { windowStartMs, windowEndMs, watermarkMs, lateByMs } = row
      const times = { windowStart: windowStartMs, windowEnd: windowEndMs, watermark: watermarkMs, lateBy: lateByMs }
      return JSON.stringify({ ...common, ...times }, asJson)
    }
    case 'dead': {
      const { code, text, source } = row
      return JSON.stringify({ ...common, code, text, source }, asJson)
    }
  }
}

/** The window of a row: what its value says, else what its id does; nothing where it is of none. */
function boundsOf({ value, headers }: OutputRow<unknown>, windows: RowWindows) {
  const id = headers['millrace-id'] ?? ''
  const [, window] = [...windows].find(([operator]) => id.startsWith(`${operator}:`)) ?? []
  if (window === undefined) return {}
  const { windowStart, windowEnd } = (value ?? {}) as { windowStart?: unknown; windowEnd?: unknown }
  if (typeof windowStart === 'number' && typeof windowEnd === 'number') return { windowStart, windowEnd }
  const [first, last] = id.split(':').slice(-2).map(Number)
  // Windows of one start have their end in the id.
  if (window.kind === 'cumulate') return { windowStart: first, windowEnd: last }
  if (window.kind === 'sliding') return { windowStart: last, windowEnd: last! + window.sizeMs }
  // Where a session or a window by count is, its row alone says; the global window has no bounds.
  if (window.kind === 'session' || window.kind === 'count' || window.kind === 'global') return {}
  // Elsewhere it is the last that holds its start.
  return { windowStart: last, windowEnd: alignedWindows(window).lastEnd(last!) }
}

function asJson(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value
}
