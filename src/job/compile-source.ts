// The compiler's part for topics: what a source and a sink option object means in the plan.
// Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), R1, R5, R7 (the source's time options and their defaults).

import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type Findings, show } from './checks.ts'
import type { DraftTopic, JobFunction } from './draft.ts'
import type { EventTimePlan, SinkFormatPlan, SourcePlan, ValueFormat } from './plan.ts'

const SOURCE_OPTIONS = [
  'value',
  'key',
  'eventTime',
  'outOfOrder',
  'idleAfter',
  'closeOnIdle',
  'maxFuture',
  'maxPast',
  'schema',
] as const
const SINK_OPTIONS = ['value', 'key', 'headers', 'resultTime'] as const

const IDLE_AFTER_MS_DEFAULT = 10_000
/** By processing time, windows of a quiet input close by the clock: as soon as the engine can tell that it is quiet. */
const PROCESSING_IDLE_AFTER_MS = 100
/** A producer's clock is rarely off by a day; one record further ahead would close a day of windows. */
const MAX_FUTURE_MS_DEFAULT = 86_400_000

/** The source of a plan from what was given to `from`. */
export function compileSource(found: Findings, given: unknown, isTable = false): SourcePlan {
  const { topic, options: raw } = draftTopic(found, 'from', given)
  const name = found.topicName('from: the topic', topic)
  const where = `source ${show(name)}`
  const options = topicOptions(found, where, raw, SOURCE_OPTIONS, 'a source')
  const { format, shape } = valueFormat(found, where, options.value)
  const time = eventTime(found, where, options.eventTime)
  if (time.kind === 'processing') checkProcessing(found, where, options)
  if (isTable && shape === 'envelope')
    found.add(`${where}: a row of a table is one value; envelope formats are for streams`)
  const idleAfterDefault = time.kind === 'processing' ? PROCESSING_IDLE_AFTER_MS : IDLE_AFTER_MS_DEFAULT
  return {
    topic: name,
    format,
    shape,
    keyField: keyField(found, where, options.key),
    eventTime: time,
    outOfOrderMs: found.durationMs(`${where}: outOfOrder`, options.outOfOrder, 0),
    maxFutureMs: found.durationMs(`${where}: maxFuture`, options.maxFuture, MAX_FUTURE_MS_DEFAULT),
    maxPastMs: options.maxPast === undefined ? undefined : found.durationMs(`${where}: maxPast`, options.maxPast, 0),
    idleAfterMs: found.durationMs(`${where}: idleAfter`, options.idleAfter, idleAfterDefault, 1),
    closeOnIdle: time.kind === 'processing' ? { maxDelayMs: 0 } : closeOnIdle(found, where, options.closeOnIdle),
    schemaFn: schemaFn(found, where, options.schema),
    ...(isTable ? { isTable: true as const } : {}),
  }
}

function keyField(found: Findings, where: string, key: unknown): string | undefined {
  if (key === undefined) return undefined
  if (typeof key === 'function') {
    found.add(`${where}: key names the field that is the Kafka key; a function is for sinks`)
    return undefined
  }
  return found.field(`${where}: key`, key)
}

function eventTime(found: Findings, where: string, given: unknown): EventTimePlan {
  if (given === undefined) return { kind: 'record' }
  if (typeof given === 'string') return { kind: 'field', field: found.field(`${where}: eventTime`, given) }
  if (typeof given === 'function') return { kind: 'function', fn: found.fn(`${where}: eventTime`, given) }
  const kind = typeof given === 'object' && given !== null && 'kind' in given ? given.kind : undefined
  if (kind === 'record' || kind === 'processing') return { kind }
  const choices = 'a field name, a function of the record, recordTime() or processingTime()'
  found.add(`${where}: eventTime must be ${choices}, not ${show(given)}`)
  return { kind: 'record' }
}

/** What bounds a time that records bring has no meaning where they bring none. */
function checkProcessing(found: Findings, where: string, options: Record<string, unknown>): void {
  for (const option of ['outOfOrder', 'maxFuture', 'maxPast', 'closeOnIdle']) {
    if (options[option] === undefined) continue
    found.add(`${where}: ${option} is for times that records bring; processingTime() is the clock when they are read`)
  }
}

function closeOnIdle(found: Findings, where: string, given: unknown): { maxDelayMs: number } | undefined {
  if (given === undefined) return undefined
  const options = found.options(`${where}: closeOnIdle`, given, ['maxDelay'])
  if (options.maxDelay === undefined) {
    found.add(
      `${where}: closeOnIdle needs maxDelay, how far behind the clock the watermark stays, e.g. { maxDelay: '5s' }`,
    )
  }
  return { maxDelayMs: found.durationMs(`${where}: closeOnIdle.maxDelay`, options.maxDelay, 0) }
}

function schemaFn(found: Findings, where: string, given: unknown): number | undefined {
  if (given === undefined) return undefined
  const props = typeof given === 'object' || typeof given === 'function' ? standardProps(given) : undefined
  if (props === undefined) {
    found.add(`${where}: schema must be a Standard Schema (version 1), for example of zod, valibot or arktype`)
    return undefined
  }
  return found.fn(`${where}: schema`, schemaFunction(props))
}

function standardProps(schema: object | null): StandardSchemaV1.Props | undefined {
  const props: unknown = (schema as Partial<StandardSchemaV1> | null)?.['~standard']
  if (typeof props !== 'object' || props === null) return undefined
  const { version, validate } = props as Partial<StandardSchemaV1.Props>
  return version === 1 && typeof validate === 'function' ? (props as StandardSchemaV1.Props) : undefined
}

/** `(value) => value` as the schema gives it back; throws with the schema's issues, which makes the record dead. */
function schemaFunction(props: StandardSchemaV1.Props): JobFunction {
  return (value: unknown): unknown => {
    const result = props.validate(value)
    if (result instanceof Promise) {
      // Nobody waits for it, so a rejection must not end the process.
      result.catch(() => undefined)
      throw new TypeError('the schema is asynchronous; records are checked in order, so it must be synchronous')
    }
    if (result.issues === undefined) return result.value
    throw new TypeError(result.issues.map(issueText).join('; '))
  }
}

function issueText(issue: StandardSchemaV1.Issue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}

/** A sink topic: its name, its format and when its final rows are stamped. */
export interface CompiledSink {
  topic: string
  sink: SinkFormatPlan
  resultTime: 'end' | 'max' | 'start' | undefined
}

export function compileSink(found: Findings, given: unknown): CompiledSink {
  const { topic, options: raw } = draftTopic(found, 'to', given)
  const name = found.topicName('to: the topic', topic)
  const where = `to ${show(name)}`
  const options = topicOptions(found, where, raw, SINK_OPTIONS, 'a sink')
  const { resultTime } = options
  return {
    topic: name,
    sink: sinkFormat(found, where, options),
    resultTime:
      resultTime === undefined
        ? undefined
        : found.oneOf(`${where}: resultTime`, resultTime, ['end', 'max', 'start'], 'end'),
  }
}

/** Format, key and headers of a sink or a view. */
export function sinkFormat(found: Findings, where: string, options: Record<string, unknown>): SinkFormatPlan {
  const { format, shape } = valueFormat(found, where, options.value)
  if (shape === 'envelope') found.add(`${where}: a result is one value; envelope formats are for sources`)
  if (typeof options.key === 'string') {
    found.add(`${where}: key of a sink is a function of the row, e.g. (row) => row.${options.key}`)
  }
  const hasKeyFn = options.key !== undefined && typeof options.key !== 'string'
  return {
    format,
    keyFn: hasKeyFn ? found.fn(`${where}: key`, options.key) : undefined,
    headersFn: options.headers === undefined ? undefined : found.fn(`${where}: headers`, options.headers),
  }
}

/** A topic that takes records as they are: late and dead ones. */
export function compileBareTopic(found: Findings, where: string, given: unknown): string {
  const { topic, options } = draftTopic(found, where, given)
  const name = found.topicName(`${where}: the topic`, topic)
  if (Object.keys(options).length > 0) {
    found.add(`${where}: records go to ${show(name)} as they came; the topic takes no options`)
  }
  return name
}

function draftTopic(found: Findings, where: string, given: unknown): DraftTopic {
  if (typeof given === 'object' && given !== null && 'topic' in given && 'options' in given) {
    const { topic, options } = given
    if (typeof options === 'object' && options !== null) return { topic, options }
  }
  found.add(`${where} takes a topic, kafka('name', {...}), not ${show(given)}`)
  // A name that passes: the missing topic is told once.
  return { topic: 'missing', options: {} }
}

function topicOptions(
  found: Findings,
  where: string,
  options: DraftTopic['options'],
  known: readonly string[],
  role: string,
): Record<string, unknown> {
  const others: readonly string[] = [...SOURCE_OPTIONS, ...SINK_OPTIONS].filter((option) => !known.includes(option))
  for (const option of Object.keys(options)) {
    if (others.includes(option)) found.add(`${where}: '${option}' is not an option of ${role}`)
  }
  const own = Object.fromEntries(Object.entries(options).filter(([option]) => !others.includes(option)))
  return found.options(where, own, known)
}

function valueFormat(
  found: Findings,
  where: string,
  given: unknown,
): { format: ValueFormat; shape: SourcePlan['shape'] } {
  if (given === undefined) return { format: 'msgpack', shape: 'single' }
  if (typeof given !== 'object' || given === null || !('format' in given)) {
    found.add(`${where}: value must be a format, msgpack() or json(), not ${show(given)}`)
    return { format: 'msgpack', shape: 'single' }
  }
  const { format, shape } = given as { format: unknown; shape?: unknown }
  return {
    format: found.oneOf(`${where}: value`, format, ['msgpack', 'json'], 'msgpack'),
    shape: found.oneOf(`${where}: shape`, shape, ['single', 'envelope'], 'single'),
  }
}
