// What a reset of a job concerns: its topics, where they stand, and where each partition goes. Main thread.
// Keeps SPEC: RESET-1 (input, state and views move together), RESET-4 (a place that is not there is refused).

import { MillraceError } from '../core/errors.ts'
import { countPartitions, ensureOwnTopic } from '../engine/topics.ts'
import { allOperators, type Plan } from '../job/plan.ts'
import { planTopics } from '../job/plan-topics.ts'
import { inputTopics, sourceTopics } from '../job/topology.ts'
import type { Admin, Reader } from '../kafka/port.ts'
import { type InputBounds, type ResetTarget, resolveTarget } from './target.ts'

/** A compacted topic whose rows a reset deletes. */
export interface ResetTopic {
  name: string
  kind: 'changelog' | 'view'
  /** Name of the view, undefined for a changelog. */
  view: string | undefined
  partitionCount: number
}

export interface ResetTopics {
  /** What the job reads of others, the main source first. */
  sources: TopicPartitions[]
  /** Those of units with state; none in a dry run of a job that never ran. */
  changelogs: (ResetTopic & { sub: number })[]
  /** Views whose topic is there. */
  views: ResetTopic[]
  /** Topics that records move through to another key: what is in them is left out; none in a dry run of a job that never ran. */
  repartitions: TopicPartitions[]
}

export interface TopicPartitions {
  topic: string
  partitionCount: number
}

export interface ScopeOptions {
  admin: Admin
  plan: Plan
  isDryRun: boolean
  timeoutMs: number
}

/**
 * Finds the topics of a job; makes changelogs and repartition topics that are missing, unless it is a dry run.
 *
 * @throws MillraceError MR4002 when a source is missing, MR4003 when a changelog does not fit what it is of, MR4036 when topics that
 *   meet have other partitions
 */
export async function findTopics(options: ScopeOptions): Promise<ResetTopics> {
  const { admin, plan, isDryRun, timeoutMs } = options
  const { names, changelogs, repartitions } = planTopics(plan)
  const inputs = inputTopics(plan)
  const sources = sourceTopics(plan)
  const views = viewTopics(plan)
  const described = await admin.describe([...sources, ...names], timeoutMs)
  const known = new Map(described.map((one) => [one.name, one.partitionCount]))
  for (const topic of sources) if (!known.has(topic)) throw new MillraceError('MR4002', { topic })
  const counts = countPartitions(plan, known)
  const made = async (kind: 'changelog' | 'repartition', name: string, count: number): Promise<boolean> => {
    if (known.has(name)) return true
    if (isDryRun) return false
    await ensureOwnTopic(admin, kind, name, count, timeoutMs)
    return true
  }
  const found: ResetTopics = {
    sources: sources.map((topic) => ({ topic, partitionCount: known.get(topic)! })),
    changelogs: [],
    repartitions: [],
    views: [...views].flatMap(([name, view]) => {
      const count = known.get(name)
      return count === undefined ? [] : [{ name, kind: 'view' as const, view, partitionCount: count }]
    }),
  }
  for (const index of repartitions) {
    const topic = names[index]!
    const partitionCount = counts[inputs.indexOf(topic)]!
    if (await made('repartition', topic, partitionCount)) found.repartitions.push({ topic, partitionCount })
  }
  for (const [sub, index] of changelogs.entries()) {
    if (index < 0) continue
    const name = names[index]!
    const expected = counts[sub]!
    const actual = known.get(name) ?? expected
    if (actual !== expected) throw new MillraceError('MR4003', { topic: name, actual, expected })
    const topic = { name, kind: 'changelog' as const, view: undefined, partitionCount: expected, sub }
    if (await made('changelog', name, expected)) found.changelogs.push(topic)
  }
  return found
}

/** Topic to name of the views of a plan. */
function viewTopics(plan: Plan): Map<string, string> {
  const views = allOperators(plan).flatMap((one) => (one.kind === 'view' ? [[one.topic, one.view] as const] : []))
  return new Map(views)
}

/** Where every partition of the input goes, and its bounds. Throws MR3002 for a place that is not there. */
export async function findPlaces(
  reader: Reader,
  topic: string,
  partitionCount: number,
  target: ResetTarget,
  timeoutMs: number,
): Promise<{ bounds: InputBounds[]; places: Map<number, number> }> {
  const partitions = Array.from({ length: partitionCount }, (_, partition) => partition)
  const marks = await Promise.all(partitions.map((partition) => reader.watermarks({ topic, partition }, timeoutMs)))
  const timeOffsets = await offsetsOfTime(reader, topic, partitions, target, timeoutMs)
  const bounds = partitions.map((partition) => {
    return { partition, ...marks[partition]!, timeOffset: timeOffsets.get(partition) }
  })
  return { bounds, places: resolveTarget(target, topic, bounds) }
}

async function offsetsOfTime(
  reader: Reader,
  topic: string,
  partitions: readonly number[],
  target: ResetTarget,
  timeoutMs: number,
): Promise<Map<number, number | undefined>> {
  if (target.kind !== 'time') return new Map()
  const { timestampMs } = target
  const times = partitions.map((partition) => ({ topic, partition, timestampMs }))
  const found = await reader.offsetsForTimes(times, timeoutMs)
  return new Map(found.map(({ partition, offset }) => [partition, offset]))
}
