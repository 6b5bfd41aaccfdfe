// The compiler's part for joins of two streams. Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), JOIN-1 (what meets, and within which bounds).

import { type Findings, show } from './checks.ts'
import { type Compilation, stateName } from './compile.ts'
import type { Step } from './draft.ts'
import type { JoinBoundPlan, StreamPlan } from './plan.ts'

const TYPES = ['inner', 'left', 'right', 'outer'] as const

export function compileJoin(
  c: Compilation,
  step: Extract<Step, { kind: 'join' }>,
  other: Compilation,
  otherPlan: StreamPlan,
): void {
  const { found } = c
  const name = stateName(c, 'join', step.name, '')
  const where = `join ${show(name)}`
  if (c.key === undefined) found.add(`${where} needs keyed records: put keyBy before it`)
  if (other.isTable) found.add(`${where} takes another stream; a table is joined with joinTable`)
  else if (other.key === undefined) found.add(`${where}: the other stream is not keyed: put keyBy at its end`)
  const options = found.options(where, step.options, ['within', 'type', 'grace'])
  const { before, after } = bounds(found, where, options.within)
  const type = found.oneOf(`${where}: type`, options.type, TYPES, 'inner')
  const graceMs = found.durationMs(`${where}: grace`, options.grace, 0)
  const fn = found.fn(`${where}: the last argument`, step.fn)
  c.operators.push({ kind: 'join', name, other: otherPlan, type, before, after, graceMs, fn, key: c.key ?? '' })
}

/** One duration is both bounds; a bound that is not said is 0. */
function bounds(found: Findings, where: string, within: unknown): { before: JoinBoundPlan; after: JoinBoundPlan } {
  const example = "within: '10m', or within: { before: '1m', after: '10m' }"
  if (within === undefined) found.add(`${where} needs within, how far apart two records may be, e.g. ${example}`)
  if (typeof within !== 'object' || within === null) {
    const ms = found.durationMs(`${where}: within`, within, 0)
    return { before: { ms, field: undefined }, after: { ms, field: undefined } }
  }
  const options = found.options(`${where}: within`, within, ['before', 'after'])
  if (options.before === undefined && options.after === undefined) {
    found.add(`${where}: within says neither before nor after, e.g. ${example}`)
  }
  return {
    before: bound(found, `${where}: before`, options.before),
    after: bound(found, `${where}: after`, options.after),
  }
}

function bound(found: Findings, where: string, given: unknown): JoinBoundPlan {
  if (typeof given !== 'object' || given === null) return { ms: found.durationMs(where, given, 0), field: undefined }
  const { field, max } = found.options(where, given, ['field', 'max'])
  if (max === undefined) {
    found.add(
      `${where} needs max, how far the field may be from the record's own time, e.g. { field: 'expires', max: '7d' }`,
    )
  }
  return { ms: found.durationMs(`${where}: max`, max, 1, 1), field: found.field(where, field) }
}
