// A job with branches as several streams of one source: each with the steps before the branch, and a filter for what is its own.
// Runs on every thread; pure.
// Keeps SPEC: BRANCH-1 (a record goes the way of the first branch that is for it), JOB-4 (all problems at once).

import { type Findings, show } from './checks.ts'
import { DRAFT, type DraftBranch, draftOf, type JobFunction, type Step, type StreamDraft } from './draft.ts'

/** What a branch may not have before it: its state would be kept once for each branch. */
const KEEPS_STATE: ReadonlySet<Step['kind']> = new Set([
  'dedup',
  'join',
  'joinTable',
  'window',
  'aggregate',
  'reduce',
  'process',
  'topN',
])
const IS_SINK: ReadonlySet<Step['kind']> = new Set(['to', 'view', 'late'])

/** The streams of a draft: itself, or one for each branch at its end. */
export function branchesOf(found: Findings, draft: StreamDraft): StreamDraft[] {
  const at = draft.steps.findIndex(({ kind }) => kind === 'branch')
  const step = draft.steps[at]
  if (step?.kind !== 'branch') return [draft]
  const before = draft.steps.slice(0, at)
  if (at < draft.steps.length - 1) found.add('branch is the end of its stream: what follows belongs into the branches')
  if (step.branches.length === 0) {
    found.add('branch needs at least one branch, e.g. { when: (record) => ..., into: (s) => ... }')
    return [{ ...draft, steps: before }]
  }
  for (const { kind } of before) {
    if (KEEPS_STATE.has(kind)) found.add(`branch comes after ${kind}, which keeps state: put ${kind} into each branch`)
  }
  const all = step.branches.findIndex(({ when }) => when === undefined)
  if (all >= 0 && all < step.branches.length - 1) {
    found.add(`branch ${all + 1} has no when, so it takes all that is left: it has to be the last one`)
  }
  const others: Step[] = []
  return step.branches.flatMap((branch, nth) => {
    // What the stream writes before it has branches is written once.
    const shared = nth === 0 ? before : quietAll(before)
    const own = [...shared, ...others, ...ownSteps(found, branch, nth)]
    if (typeof branch.when === 'function')
      others.push({ kind: 'filter', fields: undefined, fn: not(branch.when as JobFunction) })
    return branchesOf(found, { ...draft, steps: own })
  })
}

function ownSteps(found: Findings, { when, steps }: DraftBranch, nth: number): readonly Step[] {
  const where = `branch ${nth + 1}`
  if (when !== undefined && typeof when !== 'function')
    found.add(`${where}: when must be a function, not ${show(when)}`)
  if (steps === undefined) found.add(`${where}: into must be a function that ends with to(kafka(...)) or toView(...)`)
  const filter: Step[] = typeof when === 'function' ? [{ kind: 'filter', fields: undefined, fn: when }] : []
  return [...filter, ...(steps ?? [])]
}

/** Where the function of an earlier branch throws, the record is dead there, and in no other branch. */
function not(when: JobFunction): JobFunction {
  return (...args) => {
    try {
      return !when(...args)
    } catch {
      return false
    }
  }
}

/** Steps before the branches, in another than the first: a record that is dead in one of them is dead there, and dropped here. */
function quietAll(steps: readonly Step[]): Step[] {
  return steps.filter(({ kind }) => !IS_SINK.has(kind)).flatMap(quiet)
}

function quiet(step: Step): Step[] {
  switch (step.kind) {
    case 'filter':
    case 'map':
    case 'flatMap':
      return typeof step.fn === 'function' ? [quietFunction(step, step.fn as JobFunction)] : [step]
    case 'keyBy':
      return typeof step.field === 'string' ? [{ kind: 'filter', fields: [step.field], fn: isKey }, step] : [step]
    case 'merge': {
      const other = draftOf(step.other)
      return other === undefined
        ? [step]
        : [{ kind: 'merge', other: { [DRAFT]: { ...other, steps: quietAll(other.steps) } } }]
    }
    default:
      return [step]
  }
}

function quietFunction({ kind, fields }: Extract<Step, { fn: unknown; fields: unknown }>, fn: JobFunction): Step {
  if (kind === 'filter') {
    return { kind, fields, fn: (...args: never[]) => attempt(() => fn(...args), false) }
  }
  const names = Array.isArray(fields) ? (fields as string[]) : undefined
  const call = (record: Record<string, unknown> | null | undefined): unknown =>
    names === undefined ? fn(record as never) : fn(...(names.map((name) => record?.[name]) as never[]))
  // What gives no record is filtered.
  const many = (record: Record<string, unknown>): unknown => {
    const given = attempt(() => (kind === 'map' ? [call(record)] : call(record)), [])
    return Array.isArray(given) ? given : []
  }
  return { kind: 'flatMap', fields: undefined, fn: many }
}

/** What keyBy takes. */
function isKey(value: unknown): boolean {
  return typeof value === 'string' || Number.isSafeInteger(value)
}

function attempt<T>(run: () => T, otherwise: T): T {
  try {
    return run()
  } catch {
    return otherwise
  }
}
