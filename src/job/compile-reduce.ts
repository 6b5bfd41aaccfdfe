// The compiler's part for reduce: an aggregate with one custom accumulator, whose result is the row. Runs on every thread; pure.
// Keeps SPEC: JOB-4 (all problems at once), REDUCE-1 (a row is a record: the first, or what the function made of two).

import { show } from './checks.ts'
import { becomeRows, type Compilation, stateName } from './compile.ts'
import type { Step } from './draft.ts'
import type { WindowPlan } from './plan.ts'

type Reduce = (before: unknown, record: unknown) => unknown
/** No record, or what the records so far have become. */
type State = [] | [unknown]

/** A record is in several of these. */
const OVERLAPPING: ReadonlySet<WindowPlan['kind']> = new Set(['hopping', 'cumulate', 'sliding', 'count'])

export function compileReduce(c: Compilation, step: Extract<Step, { kind: 'reduce' }>): void {
  const { found, openWindow: window } = c
  const name = stateName(c, 'reduce', step.name, window === undefined ? 'reduce' : `${window.name}-reduce`)
  const where = `reduce ${show(name)}`
  if (c.isAggregated) found.add(`${where} comes after another aggregate: put keyBy between them`)
  else if (c.key === undefined && window === undefined) found.add(`${where} needs keyed records: put keyBy before it`)
  const reduce = typeof step.fn === 'function' ? (step.fn as Reduce) : undefined
  if (reduce === undefined) found.add(`${where} must be a function of two records, not ${show(step.fn)}`)
  // The function may change what it is given: not what is kept, nor a record that goes to other windows too.
  const both = (state: State, later: State, isShared = false): State => {
    if (later.length === 0) return state
    if (state.length === 0) return later
    return [rowOf(reduce!(structuredClone(state[0]), isShared ? structuredClone(later[0]) : later[0]))]
  }
  const isShared = window !== undefined && OVERLAPPING.has(window.plan.kind)
  c.operators.push({
    kind: 'aggregate',
    name,
    aggregates: [
      {
        as: 'reduce',
        kind: 'custom',
        fields: undefined,
        init: found.fn(where, (): State => []),
        add: found.fn(where, (state: State, record: unknown) => both(state, [record], isShared)),
        result: found.fn(where, (state: State) => state[0]),
        merge: found.fn(where, (state: State, later: State) => both(state, later)),
      },
    ],
    isReduce: true,
  })
  becomeRows(c)
}

function rowOf(row: unknown): unknown {
  if (row === undefined) throw new TypeError('the function of reduce must give a record')
  return row
}
