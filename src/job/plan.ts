// The plan: the plain, serialisable description of a job that both threads build from the same job module.
// Runs on every thread; pure. Functions are not in it: an operator says `fn: n`, the n-th of the job's functions.
// Keeps SPEC: PLAN-1 (equal job files give equal plans), PLAN-2 (a changed meaning under an old name is refused).

import type { AggregateKind, AggregateOptions } from '../core/aggregates/catalog.ts'
import type { CalendarUnit } from '../core/calendar-unit.ts'

/** Where event time comes from: a field (ms since the epoch), a function of the record, or the Kafka record's timestamp. */
export type EventTimePlan =
  | { kind: 'field'; field: string }
  | { kind: 'function'; fn: number }
  | { kind: 'record' }
  /** The clock of whoever reads the record, when it reads it: no property of the record. */
  | { kind: 'processing' }
  /** Of a repartition topic: it was worked out before, and rides with the record (core/carried.ts). */
  | { kind: 'carried' }

export type ValueFormat = 'msgpack' | 'json'

export interface SourcePlan {
  topic: string
  /** Of a repartition topic: the topic that the records were read from first. */
  origin?: string
  format: ValueFormat
  /** `envelope`: the value is an array of events, each counts as a record. */
  shape: 'single' | 'envelope'
  /** The field whose value is the record's Kafka key (UTF-8 of its string form); checked for every record. */
  keyField: string | undefined
  /** How the Kafka key is encoded. `string`: UTF-8 of the field's text. */
  eventTime: EventTimePlan
  outOfOrderMs: number
  /** Event time further ahead of the record's timestamp than this is dead. */
  maxFutureMs: number
  /** Event time further behind the record's timestamp than this is dead; undefined = off. */
  maxPastMs: number | undefined
  idleAfterMs: number
  /** Undefined = a quiet task keeps its watermark; else it moves with the clock, less `maxDelayMs`. */
  closeOnIdle: { maxDelayMs: number } | undefined
  /** Index of a function `(value) => value | never` from a Standard Schema, undefined = no validation. */
  schemaFn: number | undefined
  /** Its records are rows of a table: the newest of a key counts, and one without a value deletes the row. */
  isTable?: true
}

/** One aggregate of an `aggregate` operator. What its fields must hold is in the catalog (core/aggregates/catalog.ts). */
export type AggregatePlan = BuiltInAggregatePlan | CustomAggregatePlan

export interface BuiltInAggregatePlan {
  as: string
  kind: AggregateKind
  fields: string[]
  /** All that the kind has, with their defaults; absent where it has none. */
  options?: AggregateOptions
}

/** init, add, result and merge are functions of the job; the state goes through msgpack. */
export interface CustomAggregatePlan {
  as: string
  kind: 'custom'
  /** Undefined: it takes the whole record. */
  fields: string[] | undefined
  init: number
  add: number
  result: number
  /** Undefined: its rows cannot be merged. */
  merge: number | undefined
}

/** Rows for windows without records of a key, until it has had none for `forMs`; what stands in them, by aggregate. */
export interface GapFillPlan {
  forMs: number
  fills: GapValue[]
}
/** No value, 0, or that of the last window with records. */
export type GapValue = 'null' | 'zero' | 'last'

export type EmitPlan = { kind: 'final' } | { kind: 'updates' } | { kind: 'every'; everyMs: number }

/**
 * Distinct intervals of the `every` sinks of a job: a row has one bit for each, whether it changed since that interval's
 * last row.
 */
export const EVERY_INTERVALS_MAX = 8

export interface SinkFormatPlan {
  format: ValueFormat
  /** Index of `(row) => key`; undefined: the row's key (after keyBy) or the record's Kafka key. */
  keyFn: number | undefined
  /** Index of `(row) => Record<string, string | Uint8Array>`; undefined: none beside Millrace's own. */
  headersFn: number | undefined
}

export type OperatorPlan =
  /** `fields` undefined: the function takes the whole record (free path), else the named fields (fast path). */
  | { kind: 'filter'; name: string; fields: string[] | undefined; fn: number }
  | { kind: 'map'; name: string; fields: string[] | undefined; fn: number }
  | { kind: 'flatMap'; name: string; fn: number }
  | { kind: 'keyBy'; name: string; field: string }
  /** Drops a record whose id, the value of `field`, came for its key and is remembered still. */
  | { kind: 'dedup'; name: string; field: string; withinMs: number }
  /**
   * Records move to the partition of their new key, through a topic of the job's own; a keyBy follows. `isMade`: an operator made
   * them, so they have no place in a source.
   */
  | { kind: 'repartition'; name: string; field: string; topic: string; format: ValueFormat; isMade?: boolean }
  /** The rows of the aggregate before it go on as records. */
  | { kind: 'rows'; name: string }
  | JoinPlan
  | TableJoinPlan
  | TablesJoinPlan
  | GlobalJoinPlan
  | ProcessPlan
  | TopNPlan
  /** Records of two streams as one. */
  | { kind: 'merge'; name: string; other: StreamPlan }
  | { kind: 'window'; name: string; window: WindowPlan }
  /** `isReduce`: its one accumulator, a custom one, gives the rows themselves. */
  | { kind: 'aggregate'; name: string; aggregates: AggregatePlan[]; gapFill?: GapFillPlan; isReduce?: true }
  | {
      kind: 'to'
      name: string
      topic: string
      sink: SinkFormatPlan
      emit: EmitPlan
      /** Kafka timestamp of a final row: end - 1 ms, the greatest event time, or the start. */
      resultTime: 'end' | 'max' | 'start'
    }
  | ViewPlan
  /** Late records go here as they came, with headers that say window, watermark and lateness. */
  | { kind: 'late'; name: string; topic: string }

/** The latest row of each key, in a topic that clients follow. */
export interface ViewPlan {
  kind: 'view'
  name: string
  view: string
  topic: string
  sink: SinkFormatPlan
  emit: EmitPlan
  /** Rows older than this, in event time, are removed. Absent: they stay. */
  keepMs?: number
  /** The view has a row of each key and time, which is the start of the window or its end, or that of the record that made the row. */
  history?: 'start' | 'end' | 'record'
  /** Clients may see its rows before their commit. */
  isProvisional?: true
}

/** How far the time of a record of the other side may be from that of a record of the left one. */
export interface JoinBoundPlan {
  /** At most, in ms. */
  ms: number
  /** The field of the left record that has the time itself; undefined: `ms` from its own time. */
  field: string | undefined
}

/**
 * Records of two streams with one key: the left one is met by those of the right one within
 * [its time - before, its time + after].
 */
export interface JoinPlan {
  kind: 'join'
  name: string
  other: StreamPlan
  type: 'inner' | 'left' | 'right' | 'outer'
  before: JoinBoundPlan
  after: JoinBoundPlan
  graceMs: number
  /** Index of `(left, right) => row`; what an outer side lacks is undefined. */
  fn: number
  /** The key field of both: that of the rows. */
  key: string
}

/** Each record with the row of a table that has its key. */
export interface TableJoinPlan {
  kind: 'tableJoin'
  name: string
  /** The table: its filters and maps are of rows. */
  other: StreamPlan
  type: 'inner' | 'left'
  /** The row as it was at the time of the record; updates that late may still come. Undefined: as it is when the record is read. */
  asOf: { graceMs: number } | undefined
  /** Index of `(record, row) => row`. */
  fn: number
  key: string
}

/** Each record with the row of a table that every instance has as a whole, as it is when the record is read. */
export interface GlobalJoinPlan {
  kind: 'globalJoin'
  name: string
  table: StreamPlan
  /** The field of the record whose text is the key of the row. */
  on: string
  type: 'inner' | 'left'
  /** Index of `(record, row) => row`. */
  fn: number
}

/** The rows of two tables with one key. */
export interface TablesJoinPlan {
  kind: 'tablesJoin'
  name: string
  other: StreamPlan
  type: 'inner' | 'left' | 'outer'
  /** Index of `(left, right) => row`. */
  fn: number
  key: string
}

/** Functions of the job, called for each record of a key and for its timers; what they emit are the records behind it. */
export interface ProcessPlan {
  kind: 'process'
  name: string
  /** Index of `() => state` for keys that have none. */
  state: number | undefined
  /** Index of `(record, ctx)`. */
  onRecord: number
  /** Index of `(timer, ctx)`; undefined: it sets no timers. */
  onTimer: number | undefined
  /** How long a state is kept after its last write, in event time. */
  ttlMs: number | undefined
}

/** The best rows of each group, by fields; the newest row of a `rowKey` counts. */
export interface TopNPlan {
  kind: 'topN'
  name: string
  n: number
  by: string[]
  order: 'desc' | 'asc'
  rowKey: string
  /** Rows of a group that are kept, the best ones: those that come up when others go down. */
  keep: number
  /** How long a group is kept after its last record, in event time. */
  ttlMs: number | undefined
}

/**
 * In ms or records. Aligned windows repeat every size (tumbling, cumulate) or hop, from the Unix epoch plus the offset; those of a calendar
 * begin when the wall clock of their zone reads the begin of a unit plus the offset.
 */
export type WindowPlan =
  | { kind: 'tumbling'; sizeMs: number; offsetMs: number; graceMs: number }
  | ({ kind: 'hopping'; sizeMs: number; hopMs: number; offsetMs: number; graceMs: number } & Overlapping)
  | ({ kind: 'cumulate'; sizeMs: number; stepMs: number; offsetMs: number; graceMs: number } & Overlapping)
  | { kind: 'calendar'; unit: CalendarUnit; timeZone: string; offsetMs: number; graceMs: number }
  | { kind: 'session'; gapMs: number; graceMs: number }
  /** `paneRecords`: the hop, where windows share panes of it; undefined: each has rows of its own. */
  | { kind: 'count'; sizeRecords: number; hopRecords: number; paneRecords: number | undefined }
  | { kind: 'global' }
  | { kind: 'sliding'; sizeMs: number; graceMs: number }

/** Of windows that hold a time together: the size of the panes that they share; undefined: each has rows of its own. */
interface Overlapping {
  paneMs: number | undefined
}

/** A stream: what is read, and what is done with it. */
export interface StreamPlan {
  source: SourcePlan
  /** In the order of the chain; a sink takes what the operator before it (other sinks aside) gives. */
  operators: OperatorPlan[]
}

export interface Plan extends StreamPlan {
  /** Streams beside it that meet it nowhere: the other branches of a job. */
  branches?: StreamPlan[]
  formatVersion: 1
  job: string
  /** Where dead records go; absent: `<job>-dlq`. */
  deadLetterTopic?: string
  /** How many functions the job has; a thread whose module gives another number has another job. */
  functionCount: number
}

/** The topics a plan touches, in a fixed order: a sink frame's topic index points into this list. */
export interface PlanTopics {
  /** Topics of sinks, of late records and of repartitions in plan order, then dead letters and changelogs. */
  names: string[]
  /** Index by operator name of `to`, `view`, `late` and `repartition` operators. */
  byOperator: Record<string, number>
  dlq: number
  /** By sub-topology, -1 for one that has none. */
  changelogs: number[]
  /** Those that records move through to another partition. */
  repartitions: number[]
}

/** Names by sub-topology. */
export type ChangelogNames = (string | undefined)[]

/** The operators of a plan with those of the streams that join it, before the operator where they do. */
export function allOperators({ operators, branches = [] }: StreamPlan & { branches?: StreamPlan[] }): OperatorPlan[] {
  const own = operators.flatMap((operator) =>
    'other' in operator ? [...allOperators(operator.other), operator] : [operator],
  )
  return [...own, ...branches.flatMap((branch) => allOperators(branch))]
}

const KEEPING_STATE: ReadonlySet<OperatorPlan['kind']> = new Set([
  'aggregate',
  'dedup',
  'join',
  'tableJoin',
  'tablesJoin',
  'process',
  'topN',
])

/** An operator that keeps state (and so has a changelog). */
export function isKeepingState(operator: OperatorPlan): boolean {
  return KEEPING_STATE.has(operator.kind) || (operator.kind === 'view' && operator.keepMs !== undefined)
}

/** True when the plan keeps state. */
export function isStateful(plan: StreamPlan): boolean {
  return allOperators(plan).some(isKeepingState)
}

/** What a thread needs to run a job: its plan and the functions that the plan points to. */
export interface CompiledJob<out V = unknown> {
  plan: Plan
  // biome-ignore lint/complexity/noBannedTypes: the plan says what each takes; they are called through typed adapters
  functions: readonly Function[]
  /** Carries the types of the job's views, by name; never set. */
  readonly views?: V
}
