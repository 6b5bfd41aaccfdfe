// The compiler's part for what leaves a stream: sinks, views, late records.
// Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), EMIT-1 (emission is a property of the sink).

import { show } from './checks.ts'
import { type Compilation, nextName, takeName } from './compile.ts'
import { compileBareTopic, compileSink, sinkFormat } from './compile-source.ts'
import type { Step } from './draft.ts'
import { formatDuration } from './duration.ts'
import type { EmitPlan, OperatorPlan, SinkFormatPlan, ViewPlan, WindowPlan } from './plan.ts'

export function compileLate(c: Compilation, target: unknown): void {
  const topic = compileBareTopic(c.found, 'late', target)
  const last = c.operators.at(-1)
  const isJoined = last?.kind === 'join' || (last?.kind === 'tableJoin' && last.asOf !== undefined)
  if (!c.isWindowed && !isJoined)
    c.found.add('late needs a window, a join of two streams or one as of a time: without one no record is late')
  if (sinceMade(c.operators).some((operator) => operator.kind === 'late')) c.found.add('late is said twice')
  c.operators.push({ kind: 'late', name: nextName(c, 'late'), topic })
}

/** The operators behind the last one that may find records too late. */
function sinceMade(operators: readonly OperatorPlan[]): readonly OperatorPlan[] {
  const from = operators.findLastIndex((one) => one.kind === 'aggregate' || 'other' in one)
  return operators.slice(from + 1)
}

export function compileTo(c: Compilation, step: Extract<Step, { kind: 'to' }>): void {
  const { topic, sink, resultTime } = compileSink(c.found, step.sink)
  const where = `to ${show(topic)}`
  const options = c.found.options(where, step.options, ['emit'])
  if (resultTime !== undefined && !c.isBounded) {
    const why = c.isWindowed ? 'the global window has no bounds' : 'there is no window'
    c.found.add(`${where}: resultTime is the time of a window's final row, and ${why}`)
  }
  const emit = compileEmit(c, where, options.emit, c.isWindowed ? 'final' : 'updates')
  checkTableKey(c, where, sink)
  c.operators.push({
    kind: 'to',
    name: nextName(c, `to-${topic}`),
    topic,
    sink,
    emit,
    resultTime: resultTime ?? 'end',
  })
}

export function compileView(c: Compilation, step: Extract<Step, { kind: 'view' }>): void {
  const view = c.found.name('the name of a view', step.view)
  const where = `view ${show(view)}`
  if (!c.isAggregated && !c.isTable && !c.isRanked)
    c.found.add(`${where} needs an aggregate or a table: it keeps the latest row per key`)
  const options = c.found.options(where, step.options, ['emit', 'value', 'key', 'keep', 'history', 'provisional'])
  const isProvisional = c.found.flag(`${where}: provisional`, options.provisional)
  const sink = sinkFormat(c.found, where, options)
  if (c.isRanked && options.key === undefined)
    c.found.add(
      `${where} needs key after topN, which tells the rows of a group apart, e.g. key: (row) => String(row.rank)`,
    )
  const emit = compileEmit(c, where, options.emit, 'updates')
  checkTableKey(c, where, sink)
  const history = compileHistory(c, where, options.history)
  const keepMs = shorter(
    compileKeep(c, where, 'keep', options.keep),
    compileKeep(c, where, 'history', options.history === true ? undefined : options.history),
  )
  const name = `view-${view}`
  takeName(c, name)
  c.operators.push({
    kind: 'view',
    name,
    view,
    topic: `${c.job}-view-${view}`,
    sink,
    emit,
    ...(keepMs === undefined ? {} : { keepMs }),
    ...(history === undefined ? {} : { history }),
    ...(isProvisional ? { isProvisional } : {}),
  })
}

/** The window of the rows; undefined: they have none. */
function windowOf(c: Compilation): WindowPlan | undefined {
  return c.isWindowed ? c.operators.findLast((operator) => operator.kind === 'window')?.window : undefined
}

function shorter(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : Math.min(a, b ?? a)
}

/** Which time of a row tells it apart from the others of its key. */
function compileHistory(c: Compilation, where: string, given: unknown): ViewPlan['history'] {
  if (given === undefined) return undefined
  if (!c.isAggregated) {
    c.found.add(`${where}: history is for rows of an aggregate, which have a time that stays`)
    return undefined
  }
  const window = windowOf(c)
  if (window === undefined) return 'record'
  if (window.kind === 'count' || window.kind === 'global') {
    const what = window.kind === 'count' ? 'windows by count' : 'the global window'
    c.found.add(`${where}: history is by the time of a window, which ${what} has not`)
  }
  // Those of a cumulate window begin together.
  return window.kind === 'cumulate' ? 'end' : 'start'
}

/** How long rows stay. Those of a window change until its grace is over. */
function compileKeep(c: Compilation, where: string, option: string, given: unknown): number | undefined {
  if (given === undefined) return undefined
  const keepMs = c.found.durationMs(`${where}: ${option}`, given, 1, 1)
  const window = windowOf(c)
  const graceMs = window !== undefined && 'graceMs' in window ? window.graceMs : 0
  if (keepMs < graceMs) {
    const grace = formatDuration(graceMs)
    c.found.add(`${where}: ${option} must be at least the grace of the window, ${grace}: its rows change until then`)
  }
  return keepMs
}

/** A row that is no more has nothing that a key could be made of. */
function checkTableKey(c: Compilation, where: string, { keyFn }: SinkFormatPlan): void {
  if (c.isTable && keyFn !== undefined) c.found.add(`${where}: the rows of a table are written with their own key`)
}

function compileEmit(c: Compilation, where: string, given: unknown, fallback: 'final' | 'updates'): EmitPlan {
  if (given !== undefined && !c.isAggregated) {
    c.found.add(`${where}: emit is for results of an aggregate; records are written as they come`)
  }
  if (typeof given === 'object' && given !== null) {
    const { every } = c.found.options(`${where}: emit`, given, ['every'])
    if (every === undefined) c.found.add(`${where}: emit needs every, e.g. { every: '250ms' }`)
    return { kind: 'every', everyMs: c.found.durationMs(`${where}: emit every`, every, 1, 1) }
  }
  const kind = c.found.oneOf(`${where}: emit`, given, ['final', 'updates'], fallback, "{ every: '250ms' }")
  if (kind === 'final' && c.isAggregated && !c.isWindowed) {
    c.found.add(
      `${where}: emit 'final' needs a window; a running result has no end, use 'updates' or { every: '250ms' }`,
    )
  }
  return { kind }
}
