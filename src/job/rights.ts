// The rights that a job needs at Kafka, the fewest with which it runs: from its plan alone. Any thread; pure.
// Keeps SPEC: SECURE-5 (with exactly these a job runs, and each of them is needed).
import { allOperators, type Plan, type PlanTopics } from './plan.ts'
import { planTopics } from './plan-topics.ts'
import { globalSources, sourceTopics } from './topology.ts'

export type Operation = 'Read' | 'Write' | 'DescribeConfigs' | 'Create' | 'Delete'

/** One right on one resource. `Describe` is in `Read` and `Write`, as brokers have it. */
export interface Right {
  resource: 'topic' | 'group' | 'transactional-id'
  name: string
  pattern: 'literal' | 'prefixed'
  operation: Operation
  why: string
}

export interface RightsOptions {
  /** Undefined: every process makes its own, and the right is on the prefix. */
  instanceId?: string | undefined
  /** Whose topics are made by the job: none, changelog, views and dead letters (its default), or all it writes. */
  creates: 'none' | 'internal' | 'all'
}

/**
 * All rights of a job, in a fixed order.
 *
 * @example
 * jobRights(plan, { creates: 'none' })
 * // [{ resource: 'topic', name: 'trades', pattern: 'literal', operation: 'Read', why: 'the source' }, ...]
 */
export function jobRights(plan: Plan, options: RightsOptions): Right[] {
  const topics = planTopics(plan)
  const sources = sourceTopics(plan)
  const ofTopics = topics.names.flatMap((name) => writtenTopicRights(plan, topics, name, options))
  const { job } = plan
  const transactional: Pick<Right, 'name' | 'pattern'> =
    options.instanceId === undefined
      ? { name: `${job}-`, pattern: 'prefixed' }
      : { name: `${job}-${options.instanceId}`, pattern: 'literal' }
  return [
    ...sources.map((topic) => right(topic, 'Read', 'the source')),
    ...globalSources(plan).map(({ topic }) => right(topic, 'Read', 'a global table')),
    ...ofTopics.filter((one) => !sources.includes(one.name) || one.operation !== 'Read'),
    {
      resource: 'group',
      name: job,
      pattern: 'literal',
      operation: 'Read',
      why: 'the consumer group, named as the job',
    },
    { resource: 'transactional-id', ...transactional, operation: 'Write', why: 'the transactions of each process' },
  ]
}

function writtenTopicRights(plan: Plan, topics: PlanTopics, name: string, { creates }: RightsOptions): Right[] {
  const { what, isInternal, isReadBack, isTrimmed = false } = roleOf(plan, topics, name)
  const rights: Right[] = []
  if (isReadBack !== undefined) rights.push(right(name, 'Read', `${what}: ${isReadBack}`))
  rights.push(right(name, 'Write', what))
  rights.push(right(name, 'DescribeConfigs', `${what}: max.message.bytes and retention are looked at`))
  if (isTrimmed) rights.push(right(name, 'Delete', `${what}: records behind the commit are deleted`))
  const isMade = creates === 'all' || (creates === 'internal' && isInternal)
  if (isMade) rights.push(right(name, 'Create', `${what}: made at the first start`))
  return rights
}

interface Role {
  what: string
  isInternal: boolean
  /** Why it is read, too. */
  isReadBack: string | undefined
  isTrimmed?: boolean
}

function roleOf(plan: Plan, topics: PlanTopics, name: string): Role {
  const index = topics.names.indexOf(name)
  if (topics.changelogs.includes(index)) {
    return { what: 'the changelog', isInternal: true, isReadBack: 'state is restored from it' }
  }
  if (topics.repartitions.includes(index)) {
    const isReadBack = 'the tasks behind it read it'
    return { what: 'the repartition topic', isInternal: true, isReadBack, isTrimmed: true }
  }
  const operators = allOperators(plan).filter((one) => 'topic' in one && one.topic === name)
  const view = operators.find((one) => one.kind === 'view')
  if (view !== undefined) {
    return { what: `the view ${view.view}`, isInternal: true, isReadBack: 'the push server serves it' }
  }
  if (name === topics.names[topics.dlq]) return { what: 'the dead letters', isInternal: true, isReadBack: undefined }
  const isLate = operators.some((one) => one.kind === 'late')
  return { what: isLate ? 'the late records' : 'a sink', isInternal: false, isReadBack: undefined }
}

function right(name: string, operation: Operation, why: string): Right {
  return { resource: 'topic', name, pattern: 'literal', operation, why }
}

/**
 * The rights as command lines of Kafka's own tool: as few as say the same. `BROKERS` and `ADMIN_CONFIG` (a file with the
 * credentials of an administrator) are left to the shell.
 */
export function aclCommands(rights: readonly Right[], principal: string): string[] {
  const lines = new Map<string, { head: string; names: Set<string> }>()
  for (const [resource, operations] of operationsByResource(rights)) {
    const key = `${resource.resource} ${resource.pattern} ${operations.join()}`
    const flags = operations.map((operation) => `--operation ${operation}`).join(' ')
    const pattern = resource.pattern === 'prefixed' ? ' --resource-pattern-type prefixed' : ''
    const line = lines.get(key) ?? { head: `${flags}${pattern}`, names: new Set<string>() }
    line.names.add(`--${resource.resource} ${quoted(resource.name)}`)
    lines.set(key, line)
  }
  const tool = 'kafka-acls.sh --bootstrap-server "$BROKERS" --command-config "$ADMIN_CONFIG" --add'
  return [...lines.values()].map(
    ({ head, names }) => `${tool} --allow-principal ${quoted(principal)} ${head} ${[...names].join(' ')}`,
  )
}

function operationsByResource(rights: readonly Right[]): [Right, Operation[]][] {
  const byResource = new Map<string, [Right, Operation[]]>()
  for (const one of rights) {
    const key = `${one.resource} ${one.name} ${one.pattern}`
    const known = byResource.get(key)
    if (known === undefined) byResource.set(key, [one, [one.operation]])
    else known[1].push(one.operation)
  }
  return [...byResource.values()]
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return /^[\w.:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
