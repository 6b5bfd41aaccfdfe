// The compiler: a draft to a plan and its functions, or one error with every problem of the job.
// Runs on every thread; pure.
// Keeps SPEC: PLAN-1 (equal job files give equal plans), JOB-4 (all problems at once), JOB-5 (keyBy on
// the declared key stays, any other moves the records).

import { MillraceError } from '../core/errors.ts'
import { Findings, show } from './checks.ts'
import { compileAggregates } from './compile-aggregate.ts'
import { compileBareTopic, compileSink, compileSource, sinkFormat } from './compile-source.ts'
import { canMerge, checkSessions, compileGapFill, compileWindow, decidePanes, MERGE_REASONS } from './compile-window.ts'
import type { Draft, Step } from './draft.ts'
import {
  type CompiledJob,
  type EmitPlan,
  EVERY_INTERVALS_MAX,
  type OperatorPlan,
  type Plan,
  type SourcePlan,
  type WindowPlan,
} from './plan.ts'

/** What the steps so far have made of the records. */
interface Compilation {
  found: Findings
  job: string
  source: SourcePlan
  operators: OperatorPlan[]
  /** The key field, once keyed. */
  key: string | undefined
  /** The last map or flatMap, which may have changed any field. */
  changedBy: string | undefined
  /** A window that waits for its aggregate, and the window behind the rows after it. */
  openWindow: { name: string; plan: WindowPlan } | undefined
  isAggregated: boolean
  isWindowed: boolean
  /** The rows say their window: that for all time has no bounds. */
  isBounded: boolean
}

/** Compiles a draft. Pure: the same draft gives an equal plan. Throws MR1002 with all problems. */
export function compileDraft(draft: Draft): CompiledJob {
  const found = new Findings()
  const job = found.name('the name of the job', draft.job)
  const jobOptions = found.options('job', draft.options, ['deadLetters'])
  const deadLetterTopic =
    jobOptions.deadLetters === undefined ? undefined : compileBareTopic(found, 'deadLetters', jobOptions.deadLetters)
  const source = compileSource(found, draft.source)
  const compilation: Compilation = {
    found,
    job,
    source,
    operators: [],
    key: undefined,
    changedBy: undefined,
    openWindow: undefined,
    isAggregated: false,
    isWindowed: false,
    isBounded: false,
  }
  for (const step of draft.steps) compileStep(compilation, step)
  checkEnd(compilation)
  checkIntervals(compilation)
  checkNames(compilation)
  checkTopics(compilation, deadLetterTopic)
  refuse(compilation)
  const plan: Plan = {
    formatVersion: 1,
    job,
    ...(deadLetterTopic === undefined ? {} : { deadLetterTopic }),
    source,
    operators: decidePanes(compilation.operators),
    functionCount: found.functions.length,
  }
  return { plan, functions: found.functions }
}

function compileStep(c: Compilation, step: Step): void {
  if (c.openWindow !== undefined && step.kind !== 'aggregate') {
    c.found.add(`window ${show(c.openWindow.name)} must be followed by aggregate, not by ${step.kind}`)
    c.openWindow = undefined
  }
  switch (step.kind) {
    case 'filter':
    case 'map':
    case 'flatMap':
      compileFunction(c, step)
      break
    case 'keyBy':
      compileKeyBy(c, step.field)
      break
    case 'dedup':
      compileDedup(c, step)
      break
    case 'window':
      openWindow(c, step)
      break
    case 'aggregate':
      compileAggregateStep(c, step)
      break
    case 'late':
      compileLate(c, step.target)
      break
    case 'to':
      compileTo(c, step)
      break
    case 'view':
      compileView(c, step)
      break
  }
}

function compileFunction(c: Compilation, step: Extract<Step, { kind: 'filter' | 'map' | 'flatMap' }>): void {
  const name = nextName(c, step.kind.toLowerCase())
  const fields = c.found.fields(`${name}: the first argument`, step.fields)
  const fn = c.found.fn(name, step.fn)
  if (step.kind === 'flatMap') {
    if (c.isAggregated) c.found.add(`${name} comes after aggregate; a row may be mapped, not multiplied`)
    c.operators.push({ kind: 'flatMap', name, fn })
  } else c.operators.push({ kind: step.kind, name, fields, fn })
  if (step.kind !== 'filter') c.changedBy = name
}

/**
 * The records stay where they are when the field is the declared key and no function can have changed it. By any other
 * field they move, through a topic of the job's own.
 */
function compileKeyBy(c: Compilation, given: unknown): void {
  const field = c.found.field('keyBy', given)
  if (c.key !== undefined) {
    c.found.add(`keyBy(${show(field)}): the records are already keyed by ${show(c.key)}`)
  } else if (c.changedBy !== undefined || c.source.keyField !== field) {
    const isDecoded = c.changedBy !== undefined || c.source.schemaFn !== undefined
    c.operators.push({
      kind: 'repartition',
      name: 'repartition',
      field,
      topic: `${c.job}-repartition`,
      format: isDecoded ? 'msgpack' : c.source.format,
    })
  }
  c.key = field
  c.operators.push({ kind: 'keyBy', name: `keyby-${field}`, field })
}

function compileDedup(c: Compilation, step: Extract<Step, { kind: 'dedup' }>): void {
  const options = c.found.options('dedup', step.options, ['within', 'name'])
  const name = options.name === undefined ? 'dedup' : c.found.name('the name of a dedup', options.name)
  const where = `dedup ${show(name)}`
  if (c.key === undefined) c.found.add(`${where} needs keyed records: put keyBy before it`)
  if (c.isAggregated) c.found.add(`${where} comes after aggregate; it is for records`)
  if (c.operators.some(({ kind }) => kind === 'dedup')) c.found.add('dedup is said twice')
  if (options.within === undefined) c.found.add(`${where} needs within, how long an id is remembered, e.g. '1h'`)
  const withinMs = c.found.durationMs(`${where}: within`, options.within, 1, 1)
  c.operators.push({ kind: 'dedup', name, field: c.found.field(where, step.field), withinMs })
}

function openWindow(c: Compilation, step: Extract<Step, { kind: 'window' }>): void {
  const name = c.found.name('the name of a window', step.name)
  const where = `window ${show(name)}`
  if (c.isAggregated) c.found.add(`${where} comes after aggregate; a job has one stateful operator`)
  else if (c.key === undefined) c.found.add(`${where} needs keyed records: put keyBy before it`)
  const window = compileWindow(c.found, name, step.window)
  checkSessions(c.found, name, window, c.source.outOfOrderMs)
  c.openWindow = { name, plan: window }
  c.operators.push({ kind: 'window', name, window })
}

function compileAggregateStep(c: Compilation, step: Extract<Step, { kind: 'aggregate' }>): void {
  const window = c.openWindow
  c.openWindow = undefined
  const options = c.found.options('aggregate', step.options, ['name', 'gapFill'])
  const derived = window === undefined ? 'aggregate' : `${window.name}-aggregate`
  const name = options.name === undefined ? derived : c.found.name('the name of an aggregate', options.name)
  const where = `aggregate ${show(name)}`
  if (c.isAggregated) c.found.add(`${where} comes after another aggregate; a job has one stateful operator`)
  else if (c.key === undefined && window === undefined) {
    c.found.add(`${where} needs keyed records: put keyBy before it`)
  }
  const reserved = [
    ...(c.key === undefined ? [] : [c.key]),
    ...(window === undefined || window.plan.kind === 'global' ? [] : ['windowStart', 'windowEnd']),
  ]
  const aggregates = compileAggregates(c.found, where, step.aggregates, reserved)
  const mergeReason = window === undefined ? undefined : MERGE_REASONS[window.plan.kind]
  if (mergeReason !== undefined) {
    for (const aggregate of aggregates.filter((one) => !canMerge(one))) {
      c.found.add(`${where}: ${show(aggregate.as)} needs merge, since ${mergeReason}`)
    }
  }
  const gapFill = compileGapFill(c.found, where, options.gapFill, window?.plan, aggregates)
  c.operators.push({ kind: 'aggregate', name, aggregates, ...(gapFill === undefined ? {} : { gapFill }) })
  c.isAggregated = true
  c.isWindowed = window !== undefined
  c.isBounded = window !== undefined && window.plan.kind !== 'global'
}

function compileLate(c: Compilation, target: unknown): void {
  const topic = compileBareTopic(c.found, 'late', target)
  if (!c.isWindowed) c.found.add('late needs a window: without one no record is late')
  if (c.operators.some((operator) => operator.kind === 'late')) c.found.add('late is said twice')
  c.operators.push({ kind: 'late', name: 'late', topic })
}

function compileTo(c: Compilation, step: Extract<Step, { kind: 'to' }>): void {
  const { topic, sink, resultTime } = compileSink(c.found, step.sink)
  const where = `to ${show(topic)}`
  const options = c.found.options(where, step.options, ['emit'])
  if (resultTime !== undefined && !c.isBounded) {
    const why = c.isWindowed ? 'the global window has no bounds' : 'there is no window'
    c.found.add(`${where}: resultTime is the time of a window's final row, and ${why}`)
  }
  const emit = compileEmit(c, where, options.emit, c.isWindowed ? 'final' : 'updates')
  c.operators.push({
    kind: 'to',
    name: nextName(c, `to-${topic}`),
    topic,
    sink,
    emit,
    resultTime: resultTime ?? 'end',
  })
}

function compileView(c: Compilation, step: Extract<Step, { kind: 'view' }>): void {
  const view = c.found.name('the name of a view', step.view)
  const where = `view ${show(view)}`
  if (!c.isAggregated) c.found.add(`${where} needs an aggregate: it keeps the latest row per key`)
  const options = c.found.options(where, step.options, ['emit', 'value', 'key'])
  const sink = sinkFormat(c.found, where, options)
  const emit = compileEmit(c, where, options.emit, 'updates')
  c.operators.push({ kind: 'view', name: `view-${view}`, view, topic: `${c.job}-view-${view}`, sink, emit })
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

/** `filter-1`, `filter-2`, ...; a sink has its topic's name, with a number only from the second on. */
function nextName(c: Compilation, stem: string): string {
  const pattern = stem.startsWith('to-') ? stem : `${stem}-1`
  const isTaken = (name: string): boolean => c.operators.some((operator) => operator.name === name)
  for (let n = 2, name = pattern; ; name = `${stem}-${n++}`) if (!isTaken(name)) return name
}

function checkEnd(c: Compilation): void {
  if (c.openWindow !== undefined) {
    c.found.add(`window ${show(c.openWindow.name)} must be followed by aggregate, not by the end of the job`)
  }
  const isSink = (operator: OperatorPlan): boolean => operator.kind === 'to' || operator.kind === 'view'
  const last = c.operators.findLast((operator) => operator.kind !== 'late')
  if (!c.operators.some(isSink)) c.found.add('the job has no sink: end it with to(kafka(...)) or toView(...)')
  else if (last !== undefined && !isSink(last))
    c.found.add(`nothing takes what ${last.name} gives: put a sink after it`)
}

function checkIntervals(c: Compilation): void {
  const emits = c.operators.flatMap((operator) => ('emit' in operator ? [operator.emit] : []))
  const intervals = new Set(emits.flatMap((emit) => (emit.kind === 'every' ? [emit.everyMs] : [])))
  if (intervals.size > EVERY_INTERVALS_MAX) {
    c.found.add(`the sinks have ${intervals.size} different 'every' intervals, ${EVERY_INTERVALS_MAX} are possible`)
  }
}

function checkNames(c: Compilation): void {
  const seen = new Set<string>()
  for (const { name, kind } of c.operators) {
    if (kind !== 'late' && seen.has(name)) c.found.add(`there are two operators with the name ${show(name)}`)
    seen.add(name)
  }
}

/** No two uses of one topic, but several sinks may share one. */
function checkTopics(c: Compilation, deadLetterTopic: string | undefined): void {
  const uses = new Map<string, string>([[c.source.topic, 'the source']])
  const take = (topic: string, use: string): void => {
    const other = uses.get(topic)
    if (other !== undefined && !(other === use && use === 'a sink')) {
      c.found.add(`the topic ${show(topic)} cannot be ${other} and ${use} at once`)
    }
    uses.set(topic, use)
  }
  take(deadLetterTopic ?? `${c.job}-dlq`, 'the dead-letter topic')
  take(`${c.job}-changelog`, 'the changelog')
  for (const operator of c.operators) {
    if (operator.kind === 'late') take(operator.topic, 'the late topic')
    if (operator.kind === 'repartition') take(operator.topic, 'the repartition topic')
    // Two views of one name are told as two operators of one name.
    if (operator.kind === 'view' && uses.get(operator.topic) !== 'a view') take(operator.topic, 'a view')
    if (operator.kind === 'to') take(operator.topic, 'a sink')
  }
}

function refuse(c: Compilation): void {
  const { problems } = c.found
  if (problems.length === 0) return
  throw new MillraceError('MR1002', { job: c.job, problems: problems.map((problem) => `\n  - ${problem}`).join('') })
}
