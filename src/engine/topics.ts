// Checks and creates the topics of a job before it starts. Main thread.
// Keeps SPEC: TOPIC-1 (a missing or unfit topic is found at start, by name and with what to do), SECURE-4 (so is every
// right on a topic that is missing, all at once), ZSTD-1.

import { MillraceError } from '../core/errors.ts'
import { allOperators, type Plan, type PlanTopics } from '../job/plan.ts'
import { jobRights } from '../job/rights.ts'
import { globalSources, inputTopics, sourceTopics, topologyOf } from '../job/topology.ts'
import type { Admin, NewTopic, TopicDescription, TopicPartition } from '../kafka/port.ts'
import { type SinkTimes, sinkTimes } from './sink-times.ts'

const SEVEN_DAYS_MS = 7 * 24 * 3_600_000
/**
 * Rows carry event time, which may be ahead of the broker's clock (`maxFuture`, a day window that ends tonight). Brokers
 * refuse more than an hour of it by default, for good: the epoch would fail again and again.
 */
const AHEAD_MAX_MS = '9223372036854775807'
/** Kafka's default of max.message.bytes, where the broker does not tell. */
const MESSAGE_BYTES_DEFAULT = 1_048_588

export interface JobTopics {
  /** Partitions of the topic that tasks read, and so tasks, by sub-topology: of the source first. */
  partitionCounts: number[]
  /** Partitions of the topics that the job writes, by topic index of PlanTopics. */
  writtenPartitions: number[]
  /** By sub-topology. */
  changelogTopicIds: (string | undefined)[]
  /** max.message.bytes by topic index of PlanTopics. */
  messageBytesMax: number[]
  /** The least of them. */
  batchBytesMax: number
  /** Partitions of each topic that is read as a global table. */
  globalPartitions: TopicPartition[]
  sinkTimes: SinkTimes[]
}

export interface TopicsOptions {
  plan: Plan
  topics: PlanTopics
  /** Create sinks and source that are missing too, not only internal topics. */
  createTopics: boolean
  replicationFactor: number
  timeoutMs: number
  /** Compressions that this process cannot read; default: none. */
  unreadableCodecs?: readonly string[]
  /** The largest message that the client takes, whatever its topic does; default: no limit. */
  clientBytesMax?: number
}

const COMPACTED = { 'cleanup.policy': 'compact', 'delete.retention.ms': String(SEVEN_DAYS_MS) }

/** The settings a topic is created with: internal ones must never lose rows. */
function newTopic(name: string, partitionCount: number, options: TopicsOptions): NewTopic {
  const { plan, topics, replicationFactor } = options
  const isCompacted = isChangelog(topics, name) || isView(plan, name)
  return { name, partitionCount, replicationFactor, config: configOfNew(isCompacted) }
}

function configOfNew(isCompacted: boolean): Record<string, string> {
  const kept: Record<string, string> = isCompacted ? COMPACTED : { 'retention.ms': '-1' }
  return { ...kept, 'message.timestamp.after.max.ms': AHEAD_MAX_MS }
}

function isChangelog({ names, changelogs }: PlanTopics, topic: string): boolean {
  return changelogs.includes(names.indexOf(topic))
}

function isView(plan: Plan, topic: string): boolean {
  return allOperators(plan).some((operator) => operator.kind === 'view' && operator.topic === topic)
}

/** Topics that Millrace owns: always created when missing. */
function isInternal(options: TopicsOptions, name: string): boolean {
  const { plan, topics } = options
  const own = [...topics.changelogs, topics.dlq, ...topics.repartitions]
  return own.some((index) => name === topics.names[index]) || isView(plan, name)
}

/** Makes a changelog or a repartition topic alone, as the start of the job would. */
export async function ensureOwnTopic(
  admin: Admin,
  kind: 'changelog' | 'repartition',
  name: string,
  partitionCount: number,
  timeoutMs: number,
): Promise<void> {
  const config = configOfNew(kind === 'changelog')
  await admin.create([{ name, partitionCount, replicationFactor: -1, config }], timeoutMs)
}

/** All topics that must be there and are not, at once. */
function refuseMissing(options: TopicsOptions, known: ReadonlyMap<string, TopicDescription>): void {
  const { plan, topics, createTopics } = options
  const sinks = createTopics ? [] : topics.names.filter((name) => !isInternal(options, name))
  const globals = globalSources(plan).map(({ topic }) => topic)
  const missing = [...sourceTopics(plan), ...globals, ...sinks].filter((name) => !known.has(name))
  if (missing.length > 0) throw missingTopics(missing)
}

function missingTopics(names: string[]): MillraceError {
  return new MillraceError('MR4002', { topic: names.join(' and no topic ') })
}

async function createMissing(
  admin: Admin,
  options: TopicsOptions,
  known: Map<string, TopicDescription>,
  partitionCountOf: (name: string) => number,
): Promise<void> {
  const missing = options.topics.names.filter((name) => !known.has(name))
  if (missing.length === 0) return
  await admin.create(
    missing.map((name) => newTopic(name, partitionCountOf(name), options)),
    options.timeoutMs,
  )
}

/** Describes topics, waiting until the metadata of those just created has come round. */
async function describeAll(admin: Admin, names: string[], timeoutMs: number): Promise<Map<string, TopicDescription>> {
  const descriptions = await admin.describe(names, timeoutMs)
  return new Map(descriptions.map((description) => [description.name, description]))
}

/** Every right that this principal lacks on topics that are there; those on groups and transactions show at their use. */
function checkRights(plan: Plan, known: Map<string, TopicDescription>): void {
  const missing = jobRights(plan, { creates: 'none' }).flatMap(({ resource, name, operation }) => {
    const operations = resource === 'topic' ? known.get(name)?.operations : undefined
    if (operations === undefined || operations.includes(KAFKA_WORDS[operation])) return []
    return [`${operation} on topic ${name}`]
  })
  if (missing.length > 0) throw new MillraceError('MR4034', { rights: missing.join(', ') })
}

/** A topic that is read and whose own compression cannot be undone here. Batches of producers who chose it show when read. */
async function checkCompression(
  admin: Admin,
  options: TopicsOptions,
  configOf: ReadonlyMap<string, Record<string, string>>,
): Promise<void> {
  const { plan, topics, unreadableCodecs = [], timeoutMs } = options
  if (unreadableCodecs.length === 0) return
  const readBack = topics.names.filter((name) => isChangelog(topics, name) || isView(plan, name))
  for (const topic of [...sourceTopics(plan), ...readBack]) {
    const config = configOf.get(topic) ?? (await configIfAllowed(admin, topic, timeoutMs))
    const codec = config['compression.type'] ?? ''
    if (unreadableCodecs.includes(codec)) throw new MillraceError('MR4035', { topic, codec })
  }
}

/** A job needs no right to look at the settings of its source: without it, they are not known. */
async function configIfAllowed(admin: Admin, topic: string, timeoutMs: number): Promise<Record<string, string>> {
  try {
    return await admin.config(topic, timeoutMs)
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'MR4034') return {}
    throw error
  }
}

/** Operations as Kafka's descriptions have them. */
const KAFKA_WORDS = {
  Read: 'READ',
  Write: 'WRITE',
  DescribeConfigs: 'DESCRIBE_CONFIGS',
  Create: 'CREATE',
  Delete: 'DELETE',
} as const

/**
 * Partitions by sub-topology. Topics that meet must have equally many; a repartition topic that is there keeps its partitions, since
 * they are where the keys are, and one that is made has those of what it meets, else of what it is written from.
 */
export function countPartitions(plan: Plan, known: ReadonlyMap<string, number>): number[] {
  const { subs, units } = topologyOf(plan)
  const counts: number[] = []
  for (const unit of units) {
    const inputs = unit.subs.map((sub) => subs[sub]!)
    const there = inputs.flatMap(({ topic }) => {
      const count = known.get(topic)
      return count === undefined ? [] : [{ topic, count }]
    })
    const written = inputs.flatMap(({ from }) => (from === undefined ? [] : [counts[from]!]))
    const count = there[0]?.count ?? Math.max(...written)
    if (there.some((one) => one.count !== count)) {
      const topics = there.map(({ topic }) => topic).join(' and ')
      throw new MillraceError('MR4036', { topics, counts: there.map((one) => one.count).join(' and ') })
    }
    for (const sub of unit.subs) counts[sub] = count
  }
  return counts
}

/**
 * Makes sure that all topics of a job exist and fit. Throws MR4002 (missing), MR4003 and MR4036 (partition counts), MR4034 (a right is
 * missing), MR4035 (a topic is compressed with what this build cannot read).
 *
 * @example
 * const { partitionCounts } = await prepareTopics(admin, { plan, topics, createTopics: false, replicationFactor: 1, timeoutMs: 10_000 })
 */
export async function prepareTopics(admin: Admin, options: TopicsOptions): Promise<JobTopics> {
  const { plan, topics, timeoutMs } = options
  const globals = globalSources(plan).map(({ topic }) => topic)
  const known = await describeAll(admin, [...sourceTopics(plan), ...globals, ...topics.names], timeoutMs)
  checkRights(plan, known)
  refuseMissing(options, known)
  const partitionCounts = countPartitions(
    plan,
    new Map([...known].map(([name, { partitionCount }]) => [name, partitionCount])),
  )
  await createMissing(admin, options, known, (name) => {
    const sub = Math.max(inputTopics(plan).indexOf(name), topics.changelogs.indexOf(topics.names.indexOf(name)), 0)
    return partitionCounts[sub]!
  })
  const all = await describeAll(admin, topics.names, timeoutMs)
  checkRights(plan, all)
  const changelogTopicIds = topics.changelogs.map((index, sub) => {
    const changelog = all.get(topics.names[index] ?? '')
    const expected = partitionCounts[sub]!
    if (changelog !== undefined && changelog.partitionCount !== expected) {
      throw new MillraceError('MR4003', { topic: changelog.name, actual: changelog.partitionCount, expected })
    }
    return changelog?.topicId
  })
  const configs = await Promise.all(topics.names.map((name) => admin.config(name, timeoutMs)))
  const configOf = new Map(topics.names.map((name, index) => [name, configs[index]!]))
  await checkCompression(admin, options, configOf)
  const clientMax = options.clientBytesMax ?? Number.POSITIVE_INFINITY
  const messageBytesMax = configs.map((config) =>
    Math.min(Number(config['max.message.bytes'] ?? MESSAGE_BYTES_DEFAULT), clientMax),
  )
  return {
    partitionCounts,
    writtenPartitions: topics.names.map((name) => all.get(name)?.partitionCount ?? 0),
    changelogTopicIds,
    messageBytesMax,
    batchBytesMax: Math.min(...messageBytesMax),
    globalPartitions: globals.flatMap((topic) =>
      Array.from({ length: known.get(topic)?.partitionCount ?? 0 }, (_, partition) => ({ topic, partition })),
    ),
    sinkTimes: sinkTimes(plan, topics, configOf),
  }
}
