// The compiler's part for process: functions of the job with state and timers by key. Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), PROCESS-1 (what a process is given).

import { show } from './checks.ts'
import { type Compilation, stateName } from './compile.ts'
import type { Step } from './draft.ts'

export function compileProcess(c: Compilation, step: Extract<Step, { kind: 'process' }>): void {
  const { found } = c
  const name = stateName(c, 'process', step.name, '')
  const where = `process ${show(name)}`
  if (c.isAggregated) found.add(`${where} comes after an aggregate: put keyBy between them, then its rows are records`)
  else if (c.key === undefined) found.add(`${where} needs keyed records: put keyBy before it`)
  if (step.options === undefined) found.add(`${where} needs onRecord, a function of a record and its context`)
  const options = found.options(where, step.options, ['state', 'onRecord', 'onTimer', 'ttl'])
  const { state, onRecord, onTimer, ttl } = options
  c.operators.push({
    kind: 'process',
    name,
    state: state === undefined ? undefined : found.fn(`${where}: state`, state),
    onRecord: step.options === undefined ? -1 : found.fn(`${where}: onRecord`, onRecord),
    onTimer: onTimer === undefined ? undefined : found.fn(`${where}: onTimer`, onTimer),
    ttlMs: ttl === undefined ? undefined : found.durationMs(`${where}: ttl`, ttl, 1, 1),
  })
  c.isMade = true
  c.changedBy = name
}
