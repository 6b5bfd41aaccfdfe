// The compiler: a draft to a plan and its functions, or one error with every problem of the job.
// Runs on every thread; pure.
// Keeps SPEC: PLAN-1 (equal job files give equal plans), JOB-4 (all problems at once), JOB-5 (keyBy on
// the declared key stays, any other moves the records).

import { MillraceError } from '../core/errors.ts'
import { branchesOf } from './branches.ts'
import { Findings, show } from './checks.ts'
import { compileAggregates } from './compile-aggregate.ts'
import { compileJoin } from './compile-join.ts'
import { compileProcess } from './compile-process.ts'
import { compileReduce } from './compile-reduce.ts'
import { compileLate, compileTo, compileView } from './compile-sink.ts'
import { compileBareTopic, compileSource } from './compile-source.ts'
import { compileTableJoin, compileTablesJoin, globalJoin } from './compile-table.ts'
import { checkRanked, compileTopN } from './compile-top-n.ts'
import { canMerge, checkSessions, compileGapFill, compileWindow, decidePanes, MERGE_REASONS } from './compile-window.ts'
import { type Draft, draftOf, type Step, type StreamDraft } from './draft.ts'
import type { CompiledJob, OperatorPlan, Plan, SourcePlan, StreamPlan, WindowPlan } from './plan.ts'
import { checkCircles, checkIntervals, checkTopics } from './plan-checks.ts'

/** What all streams of a job share. */
export interface JobCompilation {
  found: Findings
  job: string
  /** Names of operators so far. */
  names: Set<string>
  /** Sources by topic: streams of one topic are read alike. */
  sources: Map<string, { given: unknown; plan: SourcePlan }>
}

/** What the steps so far have made of the records of a stream. */
export interface Compilation extends JobCompilation {
  source: SourcePlan
  operators: OperatorPlan[]
  /** The key field, once keyed. */
  key: string | undefined
  /** The records are rows of a table, or changes of such rows. */
  isTable: boolean
  /** The last operator that may have changed any field: a map, a flatMap, a join, a process. */
  changedBy: string | undefined
  /** Records are made by an operator: they have no place in a source. */
  isMade: boolean
  /** A window that waits for its aggregate, and the window behind the rows after it. */
  openWindow: { name: string; plan: WindowPlan } | undefined
  isAggregated: boolean
  isWindowed: boolean
  /** The rows say their window: that for all time has no bounds. */
  isBounded: boolean
  /** The rows come and go by their rank. */
  isRanked: boolean
}

/** Compiles a draft. Pure: the same draft gives an equal plan. Throws MR1002 with all problems. */
export function compileDraft(draft: Draft): CompiledJob {
  const found = new Findings()
  const job = found.name('the name of the job', draft.job)
  const jobOptions = found.options('job', draft.options, ['deadLetters'])
  const deadLetterTopic =
    jobOptions.deadLetters === undefined ? undefined : compileBareTopic(found, 'deadLetters', jobOptions.deadLetters)
  const shared: JobCompilation = { found, job, names: new Set(), sources: new Map() }
  const [stream, ...branches] = branchesOf(found, draft).map((one) => compileStream(shared, one))
  for (const one of [stream!, ...branches]) checkEnd(one)
  const plan: Plan = {
    formatVersion: 1,
    job,
    ...(deadLetterTopic === undefined ? {} : { deadLetterTopic }),
    ...planOf(stream!),
    ...(branches.length === 0 ? {} : { branches: branches.map(planOf) }),
    functionCount: found.functions.length,
  }
  checkIntervals(found, plan)
  if (!checkCircles(found, plan)) checkTopics(found, plan)
  refuse(found, job)
  return { plan, functions: found.functions }
}

function compileStream(shared: JobCompilation, draft: StreamDraft): Compilation {
  const c: Compilation = {
    ...shared,
    source: sourceOf(shared, draft),
    isTable: draft.isTable === true,
    operators: [],
    key: undefined,
    changedBy: undefined,
    isMade: false,
    openWindow: undefined,
    isAggregated: false,
    isWindowed: false,
    isBounded: false,
    isRanked: false,
  }
  for (const step of draft.steps) compileStep(c, step)
  if (c.openWindow !== undefined) {
    c.found.add(`window ${show(c.openWindow.name)} must be followed by aggregate or reduce, not by the end of the job`)
  }
  return c
}

function planOf({ source, operators }: Compilation): StreamPlan {
  return { source, operators: decidePanes(operators) }
}

/** Streams of one topic share what is read of it. */
function sourceOf({ found, sources }: JobCompilation, { source: given, isTable }: StreamDraft): SourcePlan {
  const topic = typeof given === 'object' && given !== null && 'topic' in given ? String(given.topic) : ''
  const known = sources.get(topic)
  if (known?.given === given && known !== undefined && (known.plan.isTable === true) === (isTable === true))
    return known.plan
  const plan = compileSource(found, given, isTable)
  if (known !== undefined && known.plan.isTable !== plan.isTable) {
    found.add(
      `the topic ${show(topic)} is read as a stream and as a table: which of its records are rows already would depend on chance; two records of one topic meet in join, within a time`,
    )
  } else if (known !== undefined && JSON.stringify(known.plan) !== JSON.stringify(plan)) {
    found.add(
      `the topic ${show(topic)} is read twice with different options: its records are read once, so keep it in a constant, const source = kafka(${show(topic)}, {...}), and use that in both places`,
    )
  }
  sources.set(topic, { given, plan })
  return plan
}

const OF_TABLES: ReadonlySet<Step['kind']> = new Set(['filter', 'map', 'join', 'to', 'view'])

function compileStep(c: Compilation, step: Step): void {
  if (c.isRanked) checkRanked(c, step)
  if (c.openWindow !== undefined && step.kind !== 'aggregate' && step.kind !== 'reduce') {
    c.found.add(`window ${show(c.openWindow.name)} must be followed by aggregate or reduce, not by ${step.kind}`)
    c.openWindow = undefined
  }
  if (c.isTable && !OF_TABLES.has(step.kind)) {
    c.found.add(`${step.kind} is for streams; a table takes filter, map, join, to and toView`)
    return
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
    case 'join':
      meet(c, step.kind, step.other, (other) =>
        c.isTable ? compileTablesJoin(c, step, other, planOf(other)) : compileJoin(c, step, other, planOf(other)),
      )
      break
    case 'joinTable':
      if (draftOf(step.other)?.isGlobal === true) compileGlobalJoin(c, step)
      else meet(c, step.kind, step.other, (other) => compileTableJoin(c, step, other, planOf(other)))
      break
    case 'merge':
      meet(c, step.kind, step.other, (other) => compileMerge(c, other))
      break
    case 'process':
      compileProcess(c, step)
      break
    case 'topN':
      compileTopN(c, step)
      break
    case 'window':
      openWindow(c, step)
      break
    case 'aggregate':
      compileAggregateStep(c, step)
      break
    case 'reduce':
      compileReduce(c, step)
      break
    case 'branch':
      c.found.add('branch is for the stream of the job, not for one that joins it')
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
 * field they move, through a topic of the job's own. Rows of an aggregate go on as records here.
 */
function compileKeyBy(c: Compilation, given: unknown): void {
  const field = c.found.field('keyBy', given)
  if (c.isAggregated) {
    const isKept = c.key === field && c.changedBy === undefined
    rowsGoOn(c)
    if (!isKept) move(c, field)
  } else if (c.key !== undefined) {
    const isKept = c.key === field && c.changedBy === undefined
    if (isKept) {
      c.found.add(`keyBy(${show(field)}): the records are already keyed by ${show(c.key)}`)
      return
    }
    move(c, field)
  } else if (c.changedBy !== undefined || c.source.keyField !== field || c.isMade) move(c, field)
  c.key = field
  c.operators.push({ kind: 'keyBy', name: `keyby-${field}`, field })
}

function move(c: Compilation, field: string): void {
  const name = nextName(c, 'repartition')
  const isDecoded = c.changedBy !== undefined || c.isMade || c.source.schemaFn !== undefined
  c.operators.push({
    kind: 'repartition',
    name,
    field,
    topic: `${c.job}-${name}`,
    format: isDecoded ? 'msgpack' : c.source.format,
    ...(c.isMade ? { isMade: true } : {}),
  })
  c.changedBy = undefined
}

/** What comes next takes the rows of the aggregate as records. */
function rowsGoOn(c: Compilation): void {
  const name = nextName(c, 'rows')
  c.operators.push({ kind: 'rows', name })
  c.changedBy = undefined
  c.isMade = true
  c.isAggregated = false
  c.isWindowed = false
  c.isBounded = false
}

function compileDedup(c: Compilation, step: Extract<Step, { kind: 'dedup' }>): void {
  const options = c.found.options('dedup', step.options, ['within', 'name'])
  const name = stateName(c, 'dedup', options.name, 'dedup')
  const where = `dedup ${show(name)}`
  if (c.key === undefined) c.found.add(`${where} needs keyed records: put keyBy before it`)
  if (c.isAggregated) c.found.add(`${where} comes after aggregate; it is for records`)
  if (c.operators.some(({ kind }) => kind === 'dedup')) c.found.add('dedup is said twice')
  if (options.within === undefined) c.found.add(`${where} needs within, how long an id is remembered, e.g. '1h'`)
  const withinMs = c.found.durationMs(`${where}: within`, options.within, 1, 1)
  c.operators.push({ kind: 'dedup', name, field: c.found.field(where, step.field), withinMs })
}

/** Compiles the stream that comes to this one, and what becomes of both. */
function meet(c: Compilation, what: string, given: unknown, compile: (other: Compilation) => void): void {
  if (c.isAggregated) c.found.add(`${what} comes after aggregate: put keyBy between them, then its rows are records`)
  const draft = draftOf(given)
  if (draft === undefined) {
    c.found.add(`${what} takes a stream, e.g. stream(kafka('other', {...})).keyBy('id'), not ${show(given)}`)
    return
  }
  const other = compileStream(c, draft)
  if (other.isRanked) c.found.add(`${what}: the other stream ends with topN, whose rows come and go`)
  if (other.isAggregated) c.found.add(`${what}: the other stream ends with an aggregate: put keyBy after it`)
  compile(other)
  c.isMade = true
  c.changedBy = c.operators.at(-1)?.name
}

/** Every instance has all of the table: the records stay where they are. */
function compileGlobalJoin(c: Compilation, step: Extract<Step, { kind: 'joinTable' }>): void {
  if (c.isAggregated) c.found.add('joinTable comes after aggregate: put keyBy between them, then its rows are records')
  const table = compileStream(c, draftOf(step.other)!)
  c.changedBy = globalJoin(c, step, planOf(table))
}

function compileMerge(c: Compilation, other: Compilation): void {
  const name = nextName(c, 'merge')
  if (other.isTable) c.found.add(`${name} takes another stream; a table is joined with joinTable`)
  if ((c.key === undefined) !== (other.key === undefined)) {
    c.found.add(`${name}: one of the streams is keyed and the other is not: put keyBy before both, or after it`)
  }
  c.operators.push({ kind: 'merge', name, other: planOf(other) })
}

function openWindow(c: Compilation, step: Extract<Step, { kind: 'window' }>): void {
  const name = stateName(c, 'window', step.name, '')
  const where = `window ${show(name)}`
  if (c.isAggregated) c.found.add(`${where} comes after aggregate: put keyBy between them, then its rows are records`)
  else if (c.key === undefined) c.found.add(`${where} needs keyed records: put keyBy before it`)
  const window = compileWindow(c.found, name, step.window)
  checkSessions(c.found, name, window, c.source.outOfOrderMs)
  c.openWindow = { name, plan: window }
  c.operators.push({ kind: 'window', name, window })
}

function compileAggregateStep(c: Compilation, step: Extract<Step, { kind: 'aggregate' }>): void {
  const window = c.openWindow
  const options = c.found.options('aggregate', step.options, ['name', 'gapFill'])
  const derived = window === undefined ? 'aggregate' : `${window.name}-aggregate`
  const name = stateName(c, 'aggregate', options.name, derived)
  const where = `aggregate ${show(name)}`
  if (c.isAggregated) c.found.add(`${where} comes after another aggregate: put keyBy between them`)
  else if (c.key === undefined && window === undefined) {
    c.found.add(`${where} needs keyed records: put keyBy before it`)
  }
  const bounds = window === undefined || window.plan.kind === 'global' ? [] : ['windowStart', 'windowEnd']
  if (c.key !== undefined && bounds.includes(c.key)) {
    c.found.add(
      `${where}: the key ${show(c.key)} is a field of the row itself; give it another name with map before keyBy`,
    )
  }
  const reserved = [...(c.key === undefined ? [] : [c.key]), ...bounds]
  const aggregates = compileAggregates(c.found, where, step.aggregates, reserved)
  const mergeReason = window === undefined ? undefined : MERGE_REASONS[window.plan.kind]
  if (mergeReason !== undefined) {
    for (const aggregate of aggregates.filter((one) => !canMerge(one))) {
      c.found.add(`${where}: ${show(aggregate.as)} needs merge, since ${mergeReason}`)
    }
  }
  const gapFill = compileGapFill(c.found, where, options.gapFill, window?.plan, aggregates)
  c.operators.push({ kind: 'aggregate', name, aggregates, ...(gapFill === undefined ? {} : { gapFill }) })
  becomeRows(c)
}

/** What comes next takes the rows of an aggregate, of the window that was open. */
export function becomeRows(c: Compilation): void {
  const window = c.openWindow
  c.openWindow = undefined
  c.changedBy = undefined
  c.isAggregated = true
  c.isWindowed = window !== undefined
  c.isBounded = window !== undefined && window.plan.kind !== 'global'
}

/** A name that was given, or the derived one: it is the prefix of state, and nobody else's. */
export function stateName(c: Compilation, what: string, given: unknown, derived: string): string {
  const name =
    given === undefined && derived !== '' ? derived : c.found.name(`the name of ${article(what)} ${what}`, given)
  takeName(c, name)
  return name
}

function article(word: string): string {
  return /^[aeiou]/.test(word) ? 'an' : 'a'
}

/** Notes the name of an operator; two of one name are a problem. */
export function takeName(c: Compilation, name: string): void {
  if (c.names.has(name)) c.found.add(`there are two operators with the name ${show(name)}`)
  c.names.add(name)
}

/** Of these a job mostly has one: its name has no number. */
const SINGLE = ['late', 'repartition', 'rows', 'merge']

/** `filter-1`, `filter-2`, ...; a sink has its topic's name, with a number only from the second on. */
export function nextName(c: Compilation, stem: string): string {
  const first = stem.startsWith('to-') || SINGLE.includes(stem) ? stem : `${stem}-1`
  for (let n = 2, name = first; ; name = `${stem}-${n++}`) {
    if (c.names.has(name)) continue
    c.names.add(name)
    return name
  }
}

function checkEnd(c: Compilation): void {
  const isSink = (operator: OperatorPlan): boolean => operator.kind === 'to' || operator.kind === 'view'
  const last = c.operators.findLast((operator) => operator.kind !== 'late')
  if (!c.operators.some(isSink)) c.found.add('the job has no sink: end it with to(kafka(...)) or toView(...)')
  else if (last !== undefined && !isSink(last))
    c.found.add(`nothing takes what ${last.name} gives: put a sink after it`)
}

function refuse({ problems }: Findings, job: string): void {
  if (problems.length === 0) return
  throw new MillraceError('MR1002', { job, problems: problems.map((problem) => `\n  - ${problem}`).join('') })
}
