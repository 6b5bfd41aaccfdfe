// The compiler's part for windows and aggregates.
// Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), AGG-1 (names and fields of aggregates are checked), R2 (window sizes).

import { type Findings, show } from './checks.ts'
import { parseDuration } from './duration.ts'
import type { AggregatePlan, WindowPlan } from './plan.ts'

/** The window of a plan from what was given to `window(name, ...)`. */
export function compileWindow(found: Findings, name: string, given: unknown): WindowPlan {
  const where = `window ${show(name)}`
  if (typeof given !== 'object' || given === null || !('kind' in given) || given.kind !== 'tumbling') {
    found.add(`${where} takes a window, e.g. tumbling('1s'), not ${show(given)}`)
    return { kind: 'tumbling', sizeMs: 1, offsetMs: 0, graceMs: 0 }
  }
  const { size, offset, grace } = given as unknown as Record<string, unknown>
  if (size === undefined) found.add(`${where}: the size is missing`)
  const sizeMs = found.durationMs(`${where}: size`, size, 1, 1)
  const offsetMs = found.durationMs(`${where}: offset`, offset, 0)
  if (offsetMs >= sizeMs && parseDuration(offset) !== undefined && parseDuration(size) !== undefined && offsetMs > 0) {
    found.add(`${where}: offset ${show(offset)} must be shorter than the size ${show(size)}`)
  }
  return { kind: 'tumbling', sizeMs, offsetMs, graceMs: found.durationMs(`${where}: grace`, grace, 0) }
}

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
