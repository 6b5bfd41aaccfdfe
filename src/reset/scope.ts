// What a reset of a job concerns: its topics, where they stand, and where each partition goes. Main thread.
// Keeps SPEC: RESET-1 (input, state and views move together), RESET-4 (a place that is not there is refused).

import { MillraceError } from '../core/errors.ts'
import { ensureOwnTopic } from '../engine/topics.ts'
import type { Plan } from '../job/plan.ts'
import { planTopics } from '../job/plan.ts'
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
  partitionCount: number
  /** Undefined: a job without state, or (in a dry run) one that never ran. */
  changelog: ResetTopic | undefined
  /** Views whose topic is there. */
  views: ResetTopic[]
  /**
   * The topic that records move through to another key: what is in it is left out. Undefined: a job without one, or (in a dry
   * run) one that never ran.
   */
  repartition: { topic: string; partitionCount: number } | undefined
}

export interface ScopeOptions {
  admin: Admin
  plan: Plan
  isDryRun: boolean
  timeoutMs: number
}

/**
 * Finds the topics of a job; makes the changelog and the repartition topic if they are missing, unless it is a dry run.
 *
 * @throws MillraceError MR4002 when the source is missing, MR4003 when the changelog does not fit it
 */
export async function findTopics(options: ScopeOptions): Promise<ResetTopics> {
  const { admin, plan, isDryRun, timeoutMs } = options
  const { names, changelog: index, repartition } = planTopics(plan)
  const changelogName = names[index]
  const movedName = names[repartition]
  const views = viewTopics(plan)
  const wanted = [
    plan.source.topic,
    ...views.keys(),
    ...[changelogName, movedName].filter((name) => name !== undefined),
  ]
  const known = new Map((await admin.describe(wanted, timeoutMs)).map((one) => [one.name, one.partitionCount]))
  const partitionCount = known.get(plan.source.topic)
  if (partitionCount === undefined) throw new MillraceError('MR4002', { topic: plan.source.topic })
  // As a start does it: a repartition topic that is there has the partitions that it has.
  const taskCount = known.get(movedName ?? '') ?? partitionCount
  return {
    partitionCount,
    repartition: movedName === undefined ? undefined : await repartitionTopic(movedName),
    changelog: changelogName === undefined ? undefined : await changelogTopic(changelogName),
    views: [...views].flatMap(([name, view]) => {
      const count = known.get(name)
      return count === undefined ? [] : [{ name, kind: 'view' as const, view, partitionCount: count }]
    }),
  }

  async function repartitionTopic(topic: string): Promise<ResetTopics['repartition']> {
    if (!known.has(topic) && isDryRun) return undefined
    if (!known.has(topic)) await ensureOwnTopic(admin, 'repartition', topic, taskCount, timeoutMs)
    return { topic, partitionCount: taskCount }
  }

  async function changelogTopic(name: string): Promise<ResetTopic | undefined> {
    const actual = known.get(name)
    if (actual !== undefined && actual !== taskCount) {
      throw new MillraceError('MR4003', { topic: name, actual, expected: taskCount })
    }
    if (actual === undefined && isDryRun) return undefined
    if (actual === undefined) await ensureOwnTopic(admin, 'changelog', name, taskCount, timeoutMs)
    return { name, kind: 'changelog', view: undefined, partitionCount: taskCount }
  }
}

/** Topic to name of the views of a plan. */
function viewTopics(plan: Plan): Map<string, string> {
  const views = plan.operators.flatMap((one) => (one.kind === 'view' ? [[one.topic, one.view] as const] : []))
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
