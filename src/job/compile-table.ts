// The compiler's part for joins with tables. Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), TABLE-1, TABLE-2, TABLE-3, TABLE-5, TABLE-6 (a table meets no other of its topic).

import { show } from './checks.ts'
import { type Compilation, stateName } from './compile.ts'
import type { Step } from './draft.ts'
import { allOperators, type StreamPlan } from './plan.ts'

export function compileTableJoin(
  c: Compilation,
  step: Extract<Step, { kind: 'joinTable' }>,
  other: Compilation,
  otherPlan: StreamPlan,
): void {
  const { found } = c
  const name = stateName(c, 'join', step.name, '')
  const where = `joinTable ${show(name)}`
  if (c.key === undefined) found.add(`${where} needs keyed records: put keyBy before it`)
  if (!other.isTable)
    found.add(`${where} takes a table, e.g. table(kafka('users', {...})); streams are joined with join`)
  const options = found.options(where, step.options, ['type', 'asOf'])
  const type = found.oneOf(`${where}: type`, options.type, ['inner', 'left'], 'inner')
  const asOf = found.options(`${where}: asOf`, options.asOf, ['grace'])
  const graceMs = found.durationMs(`${where}: grace`, asOf.grace, 0)
  const fn = found.fn(`${where}: the last argument`, step.fn)
  c.operators.push({
    kind: 'tableJoin',
    name,
    other: otherPlan,
    type,
    asOf: options.asOf === undefined ? undefined : { graceMs },
    fn,
    key: c.key ?? '',
  })
}

export function compileTablesJoin(
  c: Compilation,
  step: Extract<Step, { kind: 'join' }>,
  other: Compilation,
  otherPlan: StreamPlan,
): void {
  const { found } = c
  const name = stateName(c, 'join', step.name, '')
  const where = `join ${show(name)}`
  const shared = topicsOf(c).find((topic) => topicsOf(otherPlan).includes(topic))
  if (!other.isTable) found.add(`${where} takes another table, e.g. table(kafka('addresses', {...}))`)
  else if (shared !== undefined) {
    found.add(`${where}: both tables are of the topic ${show(shared)}; what a row and itself give is for map to say`)
  }
  const options = found.options(where, step.options, ['type'])
  const type = found.oneOf(`${where}: type`, options.type, ['inner', 'left', 'outer'], 'inner')
  const fn = found.fn(`${where}: the last argument`, step.fn)
  c.operators.push({ kind: 'tablesJoin', name, other: otherPlan, type, fn, key: c.source.keyField ?? 'key' })
}

/** Gives the name of the operator, which makes other records. */
export function globalJoin(c: Compilation, step: Extract<Step, { kind: 'joinTable' }>, table: StreamPlan): string {
  const { found } = c
  const name = stateName(c, 'join', step.name, '')
  const where = `joinTable ${show(name)}`
  const options = found.options(where, step.options, ['on', 'type'])
  const on = found.field(`${where}: on`, options.on)
  const type = found.oneOf(`${where}: type`, options.type, ['inner', 'left'], 'inner')
  c.operators.push({ kind: 'globalJoin', name, table, on, type, fn: found.fn(`${where}: the last argument`, step.fn) })
  return name
}

/** The topics that a table is made of. */
function topicsOf({ source, operators }: StreamPlan): string[] {
  const others = allOperators({ source, operators }).flatMap((one) => ('other' in one ? [one.other.source.topic] : []))
  return [source.topic, ...others]
}
