// The hash of a plan's stateful meaning: what stored state was computed from and is laid out by.
// Runs on every thread; pure.
// Keeps SPEC: PLAN-2 (a changed meaning under an old name is refused).

import { createHash } from 'node:crypto'
import { aggregateMeaning } from './aggregate-text.ts'
import { formatDuration } from './duration.ts'
import type { JoinBoundPlan, OperatorPlan, SourcePlan, StreamPlan } from './plan.ts'
import { windowText } from './window-text.ts'

/**
 * 16 hex digits that differ whenever state of one plan would be wrong for the other.
 *
 * In it: the source topic (stored offsets are of it), event time, the key, window kind, size, offset and grace (with another
 * grace a closed window would take records again), the aggregates in order (they are the slots of a row) with the options that state depends on, and the
 * operators' names. Not in it: names of results, functions (their text says nothing about their meaning), sinks, views, emission, and the
 * source options that only decide which records are accepted from now on.
 *
 * @example
 * if (stored.planHash !== planHash(plan)) throw new MillraceError('MR1004', { ... })
 */
export function planHash(plan: StreamPlan & { branches?: StreamPlan[] }): string {
  return createHash('sha256').update(stateMeaning(plan)).digest('hex').slice(0, 16)
}

/**
 * The same meaning as text, for people and for MR1004.
 *
 * @example
 * stateMeaning(plan)
 * // "trades by 'ts', key 'sym', window '1s' = tumbling 1s grace 500ms, '1s-aggregate' = first(price) max(price) count"
 */
export function stateMeaning(plan: StreamPlan & { branches?: StreamPlan[] }): string {
  const { source, operators, branches = [] } = plan
  const own = [sourceMeaning(source), ...operators.flatMap(operatorMeaning)].join(', ')
  return [own, ...branches.map((branch) => stateMeaning(branch))].join('; ')
}

function sourceMeaning({ topic, eventTime }: SourcePlan): string {
  switch (eventTime.kind) {
    case 'field':
      return `${topic} by '${eventTime.field}'`
    case 'function':
      return `${topic} by a function`
    case 'record':
      return `${topic} by the record time`
    case 'processing':
      return `${topic} by the time of processing`
    case 'carried':
      return `${topic} by the time it carries`
  }
}

function operatorMeaning(operator: OperatorPlan): string[] {
  switch (operator.kind) {
    case 'keyBy':
      return [`key '${operator.field}'`]
    case 'window': {
      const graceMs = 'graceMs' in operator.window ? operator.window.graceMs : 0
      const offsetMs = 'offsetMs' in operator.window ? operator.window.offsetMs : 0
      const offset = offsetMs === 0 ? '' : ` offset ${formatDuration(offsetMs)}`
      const grace = graceMs === 0 ? '' : ` grace ${formatDuration(graceMs)}`
      return [`window '${operator.name}' = ${windowText(operator.window)}${offset}${grace}`]
    }
    case 'aggregate':
      if (operator.isReduce) return [`'${operator.name}' = reduce`]
      return [`'${operator.name}' = ${operator.aggregates.map(aggregateMeaning).join(' ')}`]
    case 'dedup':
      return [`'${operator.name}' = dedup(${operator.field}) within ${formatDuration(operator.withinMs)}`]
    case 'topN': {
      const { name, n, by, order, rowKey, ttlMs } = operator
      return [
        `'${name}' = top ${n} by ${by.join(' ')} ${order} of ${rowKey}${ttlMs === undefined ? '' : ` ttl ${formatDuration(ttlMs)}`}`,
      ]
    }
    case 'process':
      return [
        `'${operator.name}' = process${operator.ttlMs === undefined ? '' : ` ttl ${formatDuration(operator.ttlMs)}`}`,
      ]
    case 'join': {
      const { name, type, before, after, graceMs, other } = operator
      const grace = graceMs === 0 ? '' : ` grace ${formatDuration(graceMs)}`
      const within = `before ${boundText(before)} after ${boundText(after)}`
      return [`'${name}' = ${type} join ${within}${grace} with (${stateMeaning(other)})`]
    }
    case 'tableJoin': {
      const { name, type, asOf, other } = operator
      const how = asOf === undefined ? '' : ` as of its time, grace ${formatDuration(asOf.graceMs)}`
      return [`'${name}' = ${type} join${how} with table (${stateMeaning(other)})`]
    }
    case 'tablesJoin':
      return [`'${operator.name}' = ${operator.type} join with table (${stateMeaning(operator.other)})`]
    case 'globalJoin':
      return []
    case 'merge':
      return [`merged with (${stateMeaning(operator.other)})`]
    case 'rows':
      return ['rows']
    case 'repartition':
    case 'filter':
    case 'map':
    case 'flatMap':
    case 'to':
    case 'view':
    case 'late':
      return []
  }
}

/** How far a bound of a join is, and the field that says it. */
export function boundText({ ms, field }: JoinBoundPlan): string {
  return field === undefined ? formatDuration(ms) : `${field} (at most ${formatDuration(ms)})`
}
