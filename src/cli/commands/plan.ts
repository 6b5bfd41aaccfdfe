// `millrace plan JOB`: checks a job without running it and says which path each operator takes. Main thread.
// Keeps SPEC: PLAN-1 (the plan shown is the one that runs).

import { formatDuration } from '../../job/duration.ts'
import { type OperatorPlan, type Plan, planTopics } from '../../job/plan.ts'
import { planHash } from '../../job/plan-hash.ts'
import type { CommandSpec } from '../command.ts'
import { loadJob } from '../load-job.ts'

/** How an operator reads records: `fast` fields from the bytes, `free` a decoded record, `none` nothing of them. */
export interface OperatorPath {
  operator: string
  kind: OperatorPlan['kind']
  path: 'fast' | 'free' | 'none'
  why: string
}

export const plan: CommandSpec = {
  define: (program) =>
    program
      .command('plan')
      .argument('<job>', 'file that exports a job as its default (.ts or .js)')
      .description('check a job and show its plan, without a broker'),
  jsonFields: {
    job: 'name of the job',
    plan: 'the plan, as both threads build it',
    planHash: 'hash of what its state means',
    topics: 'names of all topics that it writes',
    paths: 'of each operator: operator, kind, path (fast, free, none), why',
  },
  async run([jobFile], _options, { terminal, isJson }) {
    const { plan } = (await loadJob(jobFile!)).job
    const paths = operatorPaths(plan)
    const topics = planTopics(plan).names
    if (!isJson) for (const line of planLines(plan, paths, topics)) terminal.data(line)
    return { command: 'plan', job: plan.job, planHash: planHash(plan), plan, topics, paths }
  },
}

/** The path of each operator, in the order of the chain. */
export function operatorPaths(plan: Plan): OperatorPath[] {
  /** The last operator that gives rows of its own; what follows reads those and not the source's bytes. */
  let givenBy: string | undefined
  return plan.operators.map((operator) => {
    const path = { operator: operator.name, kind: operator.kind, ...pathOf(operator, givenBy) }
    if (GIVES_ROWS.has(operator.kind)) givenBy = operator.name
    return path
  })
}

const GIVES_ROWS: ReadonlySet<OperatorPlan['kind']> = new Set(['map', 'flatMap', 'aggregate'])

function pathOf(operator: OperatorPlan, givenBy: string | undefined): Pick<OperatorPath, 'path' | 'why'> {
  switch (operator.kind) {
    case 'filter':
    case 'map':
      if (operator.fields === undefined) return { path: 'free', why: 'its function takes the whole record' }
      return fieldPath(operator.fields, givenBy)
    case 'flatMap':
      return { path: 'free', why: 'its function takes the whole record' }
    case 'keyBy':
      return fieldPath([operator.field], givenBy)
    case 'aggregate':
      return aggregatePath(operator, givenBy)
    case 'window':
      return { path: 'none', why: 'works on event time alone' }
    case 'late':
      return { path: 'none', why: 'passes the original bytes on' }
    case 'to':
    case 'view':
      return { path: 'none', why: 'encodes rows' }
  }
}

function aggregatePath(
  operator: Extract<OperatorPlan, { kind: 'aggregate' }>,
  givenBy: string | undefined,
): Pick<OperatorPath, 'path' | 'why'> {
  const whole = operator.aggregates.find((aggregate) => aggregate.kind === 'custom' && aggregate.fields === undefined)
  if (whole !== undefined) return { path: 'free', why: `${whole.as} takes the whole record` }
  const fields = operator.aggregates.flatMap((aggregate) => {
    if (aggregate.kind === 'count') return []
    if (aggregate.kind === 'custom') return aggregate.fields ?? []
    return aggregate.kind === 'weightedMean' ? [aggregate.field, aggregate.weightField] : [aggregate.field]
  })
  return fieldPath([...new Set(fields)], givenBy)
}

function fieldPath(fields: readonly string[], givenBy: string | undefined): Pick<OperatorPath, 'path' | 'why'> {
  const names = fields.length === 0 ? 'no field' : fields.join(', ')
  if (givenBy !== undefined) return { path: 'free', why: `takes ${names} from what ${givenBy} gave` }
  return { path: 'fast', why: `reads ${names} from the bytes` }
}

function planLines(plan: Plan, paths: readonly OperatorPath[], topics: readonly string[]): string[] {
  const { source } = plan
  const time = source.eventTime.kind === 'field' ? source.eventTime.field : source.eventTime.kind
  const width = Math.max(...paths.map((path) => path.operator.length), 6)
  const kindWidth = Math.max(...paths.map((path) => path.kind.length), 6)
  return [
    `job ${plan.job}`,
    `${'source'.padEnd(kindWidth)}  ${source.topic}, ${source.format}${source.shape === 'envelope' ? ' envelopes' : ''}, event time ${time}, out of order ${formatDuration(source.outOfOrderMs)}`,
    ...paths.map(({ kind, operator, path, why }) =>
      `${kind.padEnd(kindWidth)}  ${operator.padEnd(width)}  ${path === 'none' ? '    ' : path}  ${why}`.trimEnd(),
    ),
    `writes ${topics.join(', ')}`,
  ]
}
