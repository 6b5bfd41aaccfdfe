// One sink or view of an aggregate: its emission, format, key and headers, and the functions between the aggregate and it. Made once.
// Runs on a lane.
// Keeps SPEC: EMIT-1 (emission is a property of the sink), ROW-1 (layout of a row).

import { createRowEncoder, type RowEncoder } from '../../codec/encode-row.ts'
import { MillraceError } from '../../core/errors.ts'
import type { CompiledJob, EmitPlan, OperatorPlan, SinkFormatPlan } from '../../job/plan.ts'
import { type JobFunction, jobFunction } from '../job-function.ts'
import type { HistoryRows } from './history-rows.ts'
import { messageBytesMaxOf } from './message-size.ts'
import type { ResultSinksOptions } from './result-sinks.ts'
import type { RowFunction } from './row-functions.ts'
import type { ViewKeep } from './view-keep.ts'

export interface ResultSink {
  name: string
  topic: string
  topicIndex: number
  messageBytesMax: number
  emit: EmitPlan
  resultTime: 'end' | 'max' | 'start'
  sink: SinkFormatPlan
  encoder: RowEncoder
  /** What lies between the aggregate and this sink. */
  functions: readonly RowFunction[]
  keyFn: JobFunction | undefined
  headersFn: JobFunction | undefined
  isDirect: boolean
  /** A view is compacted: the broker refuses rows without a key. */
  isView: boolean
  /** How long rows of a view stay; undefined: for good. */
  keep: ViewKeep | undefined
  /** Of a view that has a row of each key and time. */
  history: HistoryRows | undefined
}

/** The sinks of an aggregate, and the functions behind all of them. Throws MR1002 for what cannot follow an aggregate. */
export function resultSinksOf(options: ResultSinksOptions): { sinks: ResultSink[]; functions: RowFunction[] } {
  const sinks: ResultSink[] = []
  const functions: RowFunction[] = []
  for (const operator of options.after) {
    if (operator.kind === 'filter' || operator.kind === 'map') {
      const fn = jobFunction(options.job, operator.fn)
      functions.push({ kind: operator.kind, fields: operator.fields, fn })
    } else if (operator.kind === 'to' || operator.kind === 'view') {
      sinks.push(sinkOf(options, operator, [...functions]))
    } else if (operator.kind !== 'late') {
      const problems = `${operator.kind} ${operator.name} cannot follow an aggregate`
      throw new MillraceError('MR1002', { job: options.job.plan.job, problems })
    }
  }
  return { sinks, functions }
}

function sinkOf(
  options: ResultSinksOptions,
  operator: Extract<OperatorPlan, { kind: 'to' | 'view' }>,
  functions: readonly RowFunction[],
): ResultSink {
  const { job, topics, messageBytesMax, keyField, bounds, accumulators, keeps, histories } = options
  const { sink } = operator
  const topicIndex = topics.byOperator[operator.name]!
  const keyFn = functionOf(job, sink.keyFn)
  const headersFn = functionOf(job, sink.headersFn)
  return {
    name: operator.name,
    topic: operator.topic,
    topicIndex,
    messageBytesMax: messageBytesMaxOf(messageBytesMax, topicIndex),
    emit: operator.emit,
    resultTime: operator.kind === 'to' ? operator.resultTime : 'end',
    sink,
    encoder: createRowEncoder(sink.format, keyField, bounds !== undefined, accumulators.names),
    functions,
    keyFn,
    headersFn,
    isDirect: functions.length === 0 && keyFn === undefined && headersFn === undefined && !options.isReduce,
    isView: operator.kind === 'view',
    keep: keeps.get(operator.name),
    history: histories.get(operator.name),
  }
}

function functionOf(job: CompiledJob, index: number | undefined): JobFunction | undefined {
  return index === undefined ? undefined : jobFunction(job, index)
}
