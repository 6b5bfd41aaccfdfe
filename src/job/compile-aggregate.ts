// The compiler's part for aggregates.
// Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), AGG-1 (names and fields of aggregates are checked).

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
  switch (spec.kind) {
    case 'count':
      return { as, kind: 'count' }
    case 'sum':
    case 'min':
    case 'max':
    case 'avg':
    case 'first':
    case 'last':
    case 'variance':
      return { as, kind: spec.kind, field: found.field(`${where}: ${spec.kind}`, spec.field) }
    case 'weightedMean': {
      const field = found.field(`${where}: weightedMean`, spec.field)
      return { as, kind: 'weightedMean', field, weightField: found.field(`${where}: weight`, spec.weightField) }
    }
    case 'custom':
      return compileCustom(found, where, as, spec)
    default:
      found.add(`${where} must be an aggregate, e.g. sum('qty'), not ${show(given)}`)
      return undefined
  }
}

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
