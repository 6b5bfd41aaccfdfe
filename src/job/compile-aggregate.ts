// The compiler's part for aggregates.
// Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), AGG-1 (names, fields and options of aggregates are checked).

import {
  AGGREGATES,
  type AggregateKind,
  type AggregateOptions,
  isAggregateKind,
  type OptionNeed,
} from '../core/aggregates/catalog.ts'
import { type Findings, show } from './checks.ts'
import type { AggregatePlan } from './plan.ts'

/** The aggregates of a plan, in the order they were written. `reserved` are the row's own fields. */
export function compileAggregates(
  found: Findings,
  where: string,
  given: unknown,
  reserved: readonly string[],
): AggregatePlan[] {
  if (typeof given !== 'object' || given === null || Object.keys(given).length === 0) {
    found.add(`${where} takes at least one aggregate, e.g. { n: count() }, not ${show(given)}`)
    return []
  }
  return Object.entries(given).flatMap(([as, aggregate]) => {
    const at = `${where}: ${show(as)}`
    if (reserved.includes(as)) found.add(`${at} is a field of the row itself; choose another name`)
    // JavaScript reads a name of digits before all others, so the order of the row would not be the one written.
    if (/^\d+$/.test(as) || as === '' || as === '__proto__') found.add(`${at} cannot be the name of a result`)
    const plan = compileAggregate(found, at, as, aggregate)
    return plan === undefined ? [] : [plan]
  })
}

function compileAggregate(found: Findings, where: string, as: string, given: unknown): AggregatePlan | undefined {
  const spec = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {}
  if (spec.kind === 'custom') return compileCustom(found, where, as, spec)
  if (isAggregateKind(spec.kind)) return compileBuiltIn(found, `${where}: ${spec.kind}`, as, spec.kind, spec)
  found.add(`${where} must be an aggregate, e.g. sum('qty'), not ${show(given)}`)
  return undefined
}

function compileBuiltIn(
  found: Findings,
  where: string,
  as: string,
  kind: AggregateKind,
  spec: Record<string, unknown>,
): AggregatePlan {
  const { takes, options: needs } = AGGREGATES[kind]
  const given: readonly unknown[] = Array.isArray(spec.fields) ? spec.fields : []
  const fields = takes.map((_need, i) => found.field(where, given[i]))
  if (needs === undefined) return { as, kind, fields }
  const options = found.options(where, spec.options, Object.keys(needs))
  const checked = Object.entries(needs).map(([name, need]) => [
    name,
    optionOf(found, `${where}: ${name}`, options[name], need),
  ])
  return { as, kind, fields, options: Object.fromEntries(checked) as AggregateOptions }
}

function optionOf(found: Findings, where: string, given: unknown, need: OptionNeed): number | number[] {
  const value = given ?? need.fallback
  const isOne = (one: unknown): one is number =>
    typeof one === 'number' && one >= need.min && one <= need.max && (need.isWhole !== true || Number.isInteger(one))
  if (need.countMax === undefined) {
    if (isOne(value)) return value
    found.add(`${where} must be ${numberText(need)}, not ${show(given)}`)
    return need.min
  }
  const isList = Array.isArray(value) && value.length > 0 && value.length <= need.countMax && value.every(isOne)
  if (isList && (need.isAscending !== true || value.every((one, i) => i === 0 || value[i - 1]! < one)))
    return [...value]
  const each = isBounded(need) ? `, each ${numberText(need)}` : ''
  const order = need.isAscending === true ? ', ascending' : ''
  found.add(`${where} must be a list of 1 to ${need.countMax} numbers${each}${order}, not ${show(given)}`)
  return []
}

function numberText(need: OptionNeed): string {
  const kind = need.isWhole === true ? 'a whole number' : 'a number'
  return isBounded(need) ? `${kind} from ${need.min} to ${need.max}` : kind
}

const isBounded = ({ max }: OptionNeed): boolean => max < Number.MAX_VALUE

function compileCustom(found: Findings, where: string, as: string, spec: Record<string, unknown>): AggregatePlan {
  return {
    as,
    kind: 'custom',
    fields: found.fields(`${where}: fields`, spec.fields),
    init: found.fn(`${where}: init`, spec.init),
    add: found.fn(`${where}: add`, spec.add),
    result: found.fn(`${where}: result`, spec.result),
    merge: spec.merge === undefined ? undefined : found.fn(`${where}: merge`, spec.merge),
  }
}
