// Opens the tasks of an attempt: local state, then the changelog, then the place in the input. Main thread.
// Keeps SPEC: RECOVER-1, RECOVER-2, RECOVER-3, RECOVER-5 (lost input is told, not skipped).

import { MillraceError } from '../core/errors.ts'
import type { Plan } from '../job/plan.ts'
import { topologyOf } from '../job/topology.ts'
import { type GroupConsumer, partitionKey, type Reader, type TopicPartition } from '../kafka/port.ts'
import {
  BLOCKED_MS,
  changelogOf,
  decide,
  ownersOf,
  type ReadingOptions,
  type Restore,
  readChangelog,
  readWhile,
} from './changelog-reading.ts'
import { resumeNote } from './epoch/recovery.ts'
import { readOffsetMetadata } from './offset-metadata.ts'
import type { EngineOptions } from './options.ts'
import { StableOffsets } from './stable-offsets.ts'
import { Takeover } from './takeover.ts'
import { laneOf, subOf, type TaskState, taskIdOf } from './task-state.ts'

export interface ReopenOptions extends ReadingOptions {
  consumer: GroupConsumer
  /** Reads the changelog; undefined for a job without state. */
  reader: Reader | undefined
  /** By sub-topology. */
  changelogTopicIds: readonly (string | undefined)[]
  partitions: TopicPartition[]
  /** With `untilEnd`: where the input of a partition ends; asked for once a run, kept over attempts. */
  endOffsets: Map<string, number>
}

/**
 * Opens a task for each partition and brings it to the last commit. The transactional id must have been initialised before,
 * so that no transaction of an earlier life is open. Throws MR5004 when the offsets are ahead of the changelog. Undefined
 * when it was cancelled.
 */
export async function reopenTasks(options: ReopenOptions): Promise<TaskState[] | undefined> {
  const { engine, reader } = options
  const { clock, scheduler, limits } = engine
  const { consumer, partitions, isCancelled } = options
  const offsets = new StableOffsets({ consumer, partitions, clock, scheduler, callMs: limits.callMs, isCancelled })
  const restores = await allEnded(
    partitions.map((partition) => {
      const restore = newRestore(engine, partition)
      return restore.isStateful ? openStateful(options, reader!, restore) : openStateless(options, restore)
    }),
  )
  const takeover = new Takeover(engine)
  await takeOffsets(options, offsets, restores, takeover)
  if (isCancelled()) return undefined
  const stateful = restores.filter((restore) => restore.isStateful)
  if (reader !== undefined) await readChangelog(options, reader, stateful, takeover)
  if (isCancelled()) return undefined
  for (const restore of restores) takeFeed(restore, stateful)
  for (const restore of restores) refuseLostOffset(engine.plan, restore, stateful)
  return allEnded(restores.map((restore) => makeReady(options, restore)))
}

/** Like Promise.all, but when it rejects, nothing of it goes on: it would meet the tasks of the next attempt. */
async function allEnded<T>(running: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(running)
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}

async function openStateless(options: ReopenOptions, restore: Restore): Promise<Restore> {
  const { engine, attempt } = options
  const { taskId, sub, partition } = restore
  const changelog = { changelogTopicId: undefined, changelogLow: 0 }
  await engine.lanes.send(restore.lane, { op: 'open', taskId, sub, partition, attempt, ...changelog })
  return restore
}

function newRestore({ plan, lanes }: EngineOptions, { topic, partition }: TopicPartition): Restore {
  const sub = subOf(plan, topic)
  const { home, isStateful } = topologyOf(plan).subs[sub]!
  return {
    taskId: taskIdOf(sub, partition),
    sub,
    home,
    topic,
    partition,
    isStateful,
    lane: laneOf(partition, lanes.count),
    committedOffset: undefined,
    position: undefined,
    clock: undefined,
    readOffset: 0,
    changelogEnd: 0,
    stableEndMs: undefined,
    rowCount: 0,
  }
}

/**
 * Waits for the group's offsets. A transaction that is not ours may hold them back: whose it is, the markers of the changelog
 * tell, so what is committed of it is read meanwhile.
 */
async function takeOffsets(
  options: ReopenOptions,
  offsets: StableOffsets,
  restores: Restore[],
  takeover: Takeover,
): Promise<void> {
  const { reader, isCancelled } = options
  if (!(await offsets.knownWithin(BLOCKED_MS))) {
    const isReadable = (restore: Restore): boolean =>
      restore.isStateful && restore.readOffset < restore.changelogEnd && restore.stableEndMs === undefined
    if (reader !== undefined) await readWhile(options, reader, restores, isReadable, () => Promise.resolve())
    do await takeover.endDead(ownersOf(restores))
    while (!isCancelled() && !(await offsets.knownWithin(BLOCKED_MS)))
  }
  if (isCancelled()) return
  for (const restore of restores) {
    const committed = offsets.of(restore)
    restore.committedOffset = committed?.offset
    if (!restore.isStateful) restore.clock = readOffsetMetadata(committed?.metadata ?? '')?.clock
  }
}

async function openStateful(options: ReopenOptions, reader: Reader, restore: Restore): Promise<Restore> {
  const { engine, attempt, changelogTopicIds } = options
  const topic = changelogOf(engine, restore)
  const { taskId, sub, partition } = restore
  const changelogTopicId = changelogTopicIds[sub]
  const { low, high } = await reader.watermarks({ topic, partition }, engine.limits.callMs)
  const changelog = { changelogTopicId, changelogLow: low, changelogHigh: high }
  const request = { op: 'open' as const, taskId, sub, partition, attempt, ...changelog }
  const { stored } = await engine.lanes.send(restore.lane, request)
  if (stored.wiped !== undefined) {
    engine.log.warn({ task: taskId, reason: stored.wiped }, 'local state was wiped and is restored from the changelog')
  }
  restore.position = stored.position
  restore.readOffset = Math.max(stored.changelogOffset, low)
  restore.changelogEnd = high
  return restore
}

/**
 * A task before a repartition topic has its place from the group alone. Without it, it would send everything once more; the
 * clocks of the tasks behind the topic tell whether it has ever sent anything.
 */
function refuseLostOffset(
  plan: Plan,
  { sub, home, topic, partition, committedOffset }: Restore,
  stateful: readonly Restore[],
): void {
  const { job } = plan
  const { subs, units } = topologyOf(plan)
  const { unit, movesOn } = subs[sub]!
  if (!movesOn || units[unit]!.isStateful || committedOffset !== undefined) return
  const hasSent = stateful.some(({ sub: behind, position }) => {
    if (subs[behind]!.from !== home) return false
    const clock = position?.clocks?.[partition]
    return clock !== undefined && (clock.watermarkMs !== Number.NEGATIVE_INFINITY || clock.isIdle)
  })
  if (hasSent) throw new MillraceError('MR5006', { job, topic, partition })
}

/**
 * The place and the clock of a task whose state another keeps are in that one's marker too, of the same transaction. A group that has lost its
 * offset, or has an older one, is not believed.
 */
function takeFeed(restore: Restore, stateful: readonly Restore[]): void {
  const { taskId, sub, home, partition, committedOffset } = restore
  if (home === sub) return
  const feed = stateful.find((one) => one.sub === home && one.partition === partition)?.position?.feeds?.[sub]
  if (feed === undefined) return
  const { inputOffset: marker } = feed
  if (committedOffset !== undefined && committedOffset > marker) {
    throw new MillraceError('MR5004', { task: taskId, committed: committedOffset, marker })
  }
  restore.committedOffset = marker
  restore.clock = feed
}

/** Where a task goes on: the decision for a stateful one, the group's offset for a stateless one. */
function resumeOffset(options: ReopenOptions, restore: Restore): number | undefined {
  if (!restore.isStateful) return restore.committedOffset
  const decision = decide(options.engine, restore)
  if (decision.kind === 'resume') {
    const { taskId, rowCount } = restore
    const { inputOffset, note } = decision
    options.engine.log.info({ task: taskId, inputOffset, rowCount }, `task opened: ${resumeNote(note)}`)
    return inputOffset
  }
  if (decision.kind !== 'stop') {
    throw new MillraceError('MR4013', { task: restore.taskId, offset: restore.readOffset, end: restore.changelogEnd })
  }
  throw new MillraceError('MR5004', {
    task: restore.taskId,
    committed: restore.committedOffset ?? 'none',
    marker: restore.position?.inputOffset ?? 'none',
  })
}

async function makeReady(options: ReopenOptions, restore: Restore): Promise<TaskState> {
  const { engine, consumer, attempt } = options
  const { taskId, sub, topic, partition, lane, position, clock } = restore
  if (position !== undefined && position.source !== topic) {
    throw new MillraceError('MR1006', { job: engine.plan.job, stored: position.source, topic })
  }
  const input = await consumer.watermarks({ topic, partition }, engine.limits.callMs)
  const resumed = resumeOffset(options, restore)
  if (resumed !== undefined && resumed < input.low) {
    throw new MillraceError('MR4010', { topic, partition, offset: resumed, low: input.low })
  }
  if (resumed !== undefined && resumed > input.high) {
    throw new MillraceError('MR4012', { topic, partition, offset: resumed, high: input.high })
  }
  const inputOffset = resumed ?? input.low
  const { isSource, movesOn, isHeard } = topologyOf(engine.plan).subs[sub]!
  const place = partitionKey({ topic, partition })
  if (engine.untilEnd && isSource && !options.endOffsets.has(place)) {
    options.endOffsets.set(place, input.high)
  }
  const known = position ?? clock
  const isEnded = known !== undefined && 'isEnded' in known && known.isEnded === true
  if (isEnded && !engine.untilEnd) {
    engine.log.warn(
      { task: taskId },
      'an earlier run with --until-end has ended this input for the job: all records are late',
    )
  }
  const isLast = !movesOn
  // With records waiting, it may have been told to be quiet before.
  const mustAnnounce = isSource && isHeard && restore.committedOffset !== undefined && inputOffset < input.high
  await engine.lanes.send(lane, { op: 'ready', taskId, attempt, position, inputOffset, clock: known })
  return {
    taskId,
    sub,
    isSource,
    isLast,
    isHeard,
    isStateful: restore.isStateful,
    topic,
    partition,
    lane,
    position,
    judgedTimeMs: known?.eventTimeMsMax ?? Number.NEGATIVE_INFINITY,
    mustAnnounce,
    committedOffset: restore.committedOffset,
    dispatchedOffset: inputOffset,
    processedOffset: inputOffset,
    highWatermark: input.high,
    openedEnd: input.high,
    endOffset: isSource ? options.endOffsets.get(place) : undefined,
    isEndSent: false,
    isIdleSent: false,
    isAwaited: mustAnnounce || restore.committedOffset === undefined,
    awaitedSinceMs: Number.NEGATIVE_INFINITY,
    isClockEnded: isEnded,
    lastRecordMs: engine.clock.monotonicMs(),
    isAtEnd: false,
    endSeenOffset: -1,
    wallTimerMs: Number.POSITIVE_INFINITY,
    isAskedIdle: false,
    changelogOffset: restore.readOffset,
    measured: undefined,
    // Rows that were read back are on disk with the first flush, whether or not records come: the next start is warm.
    committedEpoch: position?.epoch ?? 0,
    flushedEpoch: restore.rowCount > 0 ? 0 : (position?.epoch ?? 0),
  }
}
