// A plan for people: a tree as text, and the same as one JSON object.
// Runs on every thread; pure.
// Keeps SPEC: PATH-1 (the plan says which path each operator takes, and why).

import { aggregateText } from './aggregate-text.ts'
import { formatDuration } from './duration.ts'
import type { OperatorPath } from './paths.ts'
import type { EmitPlan, GapFillPlan, OperatorPlan, Plan, SourcePlan, StreamPlan, ViewPlan } from './plan.ts'
import { boundText, planHash } from './plan-hash.ts'
import { planTopics } from './plan-topics.ts'
import { windowText } from './window-text.ts'

/**
 * The plan as a tree of lines: each operator under the one that it takes records or rows from, sinks as branches.
 *
 * @example
 * console.log(renderPlan(plan, operatorPaths(plan)))
 */
export function renderPlan(plan: Plan, paths: readonly OperatorPath[]): string {
  const lines = [plan, ...(plan.branches ?? [])].flatMap((stream) => streamLines(stream, paths, ''))
  const width = Math.min(76, Math.max(...lines.map(([text]) => text.length)))
  const tree = lines.map(([text, path]) => `${text.padEnd(width)}  ${path}`.trimEnd())
  return [`job ${plan.job}`, ...tree, ...topicLines(plan), `state ${planHash(plan)}`].join('\n')
}

/** What `millrace plan --json` shows. */
export interface PlanDescription {
  job: string
  plan: Plan
  planHash: string
  /** All topics that the job writes. */
  topics: string[]
  paths: readonly OperatorPath[]
}

/**
 * The same as data.
 *
 * @example
 * JSON.stringify(describePlan(plan, operatorPaths(plan)))
 */
export function describePlan(plan: Plan, paths: readonly OperatorPath[]): PlanDescription {
  return { job: plan.job, plan, planHash: planHash(plan), topics: planTopics(plan).names, paths }
}

function streamLines(stream: StreamPlan, paths: readonly OperatorPath[], indent: string): [string, string][] {
  const { source, operators } = stream
  const lines: [text: string, path: string][] = [
    [`${indent}${source.isTable === true ? 'table' : 'from'} ${source.topic}`, sourceText(source)],
  ]
  let depth = 1
  operators.forEach((operator, at) => {
    // After a sink comes its sibling, after anything else a child.
    const branch = isSink(operator) && at < operators.length - 1 ? '├─' : '└─'
    const left = `${indent}${'   '.repeat(depth - 1)}`
    lines.push([
      `${left}${branch} ${operatorText(operator)}`,
      pathText(paths.find((one) => one.operator === operator.name)),
    ])
    if ('other' in operator) lines.push(...streamLines(operator.other, paths, `${left}   │  `))
    if (!isSink(operator)) depth++
  })
  return lines
}

function isSink({ kind }: OperatorPlan): boolean {
  return kind === 'to' || kind === 'view' || kind === 'late'
}

function pathText(path: OperatorPath | undefined): string {
  if (path === undefined) return ''
  return path.path === 'none' ? `-     ${path.why}` : `${path.path}  ${path.why}`
}

function sourceText(source: SourcePlan): string {
  const { eventTime } = source
  const times = { function: 'a function', record: 'the record time', processing: 'the time of processing' }
  const time = eventTime.kind === 'field' ? eventTime.field : eventTime.kind === 'carried' ? '' : times[eventTime.kind]
  return [
    source.shape === 'envelope' ? `${source.format} envelopes` : source.format,
    source.keyField === undefined ? 'no declared key' : `key ${source.keyField}`,
    `event time ${time}`,
    `out of order ${formatDuration(source.outOfOrderMs)}`,
    `idle after ${formatDuration(source.idleAfterMs)}`,
    ...(source.closeOnIdle === undefined
      ? []
      : [`closes on idle ${formatDuration(source.closeOnIdle.maxDelayMs)} behind`]),
    ...(source.schemaFn === undefined ? [] : ['schema']),
  ].join(', ')
}

function operatorText(operator: OperatorPlan): string {
  switch (operator.kind) {
    case 'filter':
    case 'map':
      return `${operator.name} (${operator.fields?.join(', ') ?? 'record'})`
    case 'flatMap':
      return `${operator.name} (record)`
    case 'keyBy':
      return `keyBy ${operator.field}`
    case 'dedup':
      return `dedup ${operator.name}: by ${operator.field} within ${formatDuration(operator.withinMs)}`
    case 'repartition':
      return `repartition by ${operator.field} -> ${operator.topic} (${operator.format})`
    case 'window': {
      const grace = 'graceMs' in operator.window ? `, grace ${formatDuration(operator.window.graceMs)}` : ''
      const offsetMs = 'offsetMs' in operator.window ? operator.window.offsetMs : 0
      const offset = offsetMs === 0 ? '' : `, offset ${formatDuration(offsetMs)}`
      return `window ${operator.name}: ${windowText(operator.window)}${offset}${grace}`
    }
    case 'aggregate':
      if (operator.isReduce) return `reduce ${operator.name}`
      return `aggregate ${operator.name}: ${operator.aggregates.map((plan) => `${plan.as} = ${aggregateText(plan)}`).join(', ')}${gapText(operator.gapFill)}`
    case 'topN': {
      const { name, n, by, order, rowKey, keep, ttlMs } = operator
      const ttl = ttlMs === undefined ? '' : `, groups for ${formatDuration(ttlMs)}`
      return `topN ${name}: ${n} by ${by.join(', ')} ${order}, rows of ${rowKey}, keeps ${keep}${ttl}`
    }
    case 'process': {
      const timers = operator.onTimer === undefined ? '' : ', timers'
      return `process ${operator.name}: state${operator.ttlMs === undefined ? '' : ` for ${formatDuration(operator.ttlMs)}`}${timers}`
    }
    case 'join': {
      const { name, type, before, after, graceMs } = operator
      return `${type} join ${name}: before ${boundText(before)}, after ${boundText(after)}, grace ${formatDuration(graceMs)}, with`
    }
    case 'tableJoin': {
      const { name, type, asOf } = operator
      const how = asOf === undefined ? '' : ` as of the record's time, grace ${formatDuration(asOf.graceMs)},`
      return `${type} join ${name}${how} with`
    }
    case 'tablesJoin':
      return `${operator.type} join ${operator.name} with`
    case 'globalJoin':
      return `${operator.type} join ${operator.name} on ${operator.on} with all of the table ${operator.table.source.topic}`
    case 'merge':
      return `${operator.name} with`
    case 'rows':
      return `${operator.name} as records`
    case 'late':
      return `late -> ${operator.topic}`
    case 'to':
      return `to ${operator.topic} (${operator.sink.format}), ${emitText(operator.emit)}`
    case 'view':
      return `view ${operator.view} (${operator.sink.format}), ${emitText(operator.emit)}${keepText(operator)}${operator.isProvisional ? ', rows before their commit' : ''}`
  }
}

function gapText(gapFill: GapFillPlan | undefined): string {
  return gapFill === undefined ? '' : `, gaps filled for ${formatDuration(gapFill.forMs)} (${gapFill.fills.join(', ')})`
}

function keepText({ keepMs, history }: ViewPlan): string {
  const what = history === undefined ? 'rows' : 'history'
  if (keepMs === undefined) return history === undefined ? '' : ', history'
  return `, ${what} for ${formatDuration(keepMs)}`
}

function emitText(emit: EmitPlan): string {
  return emit.kind === 'every' ? `every ${formatDuration(emit.everyMs)}` : emit.kind
}

function topicLines(plan: Plan): string[] {
  const topics = planTopics(plan)
  const changelogs = topics.changelogs.flatMap((index) => (index < 0 ? [] : [`changelog ${topics.names[index]}`]))
  return [`dead letters ${topics.names[topics.dlq]}`, ...changelogs]
}
