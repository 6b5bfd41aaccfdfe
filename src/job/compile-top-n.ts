// The compiler's part for topN: the best rows of each group. Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), TOPN-1 (what is ranked, and by what).

import { show } from './checks.ts'
import { type Compilation, stateName } from './compile.ts'
import type { Step } from './draft.ts'

/** Rows that a list may have, and that are kept of a group; all of a group are stored together. */
const ROWS_MAX = 10_000
const KEEP_DEFAULT = 1_000

export function compileTopN(c: Compilation, step: Extract<Step, { kind: 'topN' }>): void {
  const { found } = c
  const name = stateName(c, 'topN', step.name, '')
  const where = `topN ${show(name)}`
  if (c.isAggregated) found.add(`${where} comes after an aggregate: put keyBy between them, by the group`)
  else if (c.key === undefined) found.add(`${where} needs keyed records: put keyBy before it, by the group`)
  const options = found.options(where, step.options ?? {}, ['n', 'by', 'order', 'rowKey', 'keep', 'ttl'])
  const { by, order, rowKey, ttl } = options
  const n = rowsOf(c, `${where}: n`, options.n, 1)
  c.operators.push({
    kind: 'topN',
    name,
    n,
    by: found.fields(`${where}: by`, Array.isArray(by) ? by : [by]) ?? [],
    order: found.oneOf(`${where}: order`, order, ['desc', 'asc'], 'desc'),
    rowKey: found.field(`${where}: rowKey`, rowKey),
    keep: options.keep === undefined ? Math.max(n, KEEP_DEFAULT) : rowsOf(c, `${where}: keep`, options.keep, n),
    ttlMs: ttl === undefined ? undefined : found.durationMs(`${where}: ttl`, ttl, 1, 1),
  })
  c.isMade = true
  c.changedBy = name
  c.isRanked = true
}

function rowsOf({ found }: Compilation, where: string, given: unknown, min: number): number {
  if (typeof given === 'number' && Number.isInteger(given) && given >= min && given <= ROWS_MAX) return given
  found.add(`${where} must be a whole number from ${min} to ${ROWS_MAX}, not ${show(given)}`)
  return min
}

/** Rows of topN come and go: they are for topics and views. */
export function checkRanked(c: Compilation, { kind }: Step): void {
  if (kind === 'filter' || kind === 'map' || kind === 'to' || kind === 'view') return
  c.found.add(`${kind} comes after topN, whose rows come and go: only filter, map, to and toView may follow`)
}
