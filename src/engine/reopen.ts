// Opens the tasks of an attempt: local state, then the changelog, then the place in the input. Main thread.
// Keeps SPEC: RECOVER-1, RECOVER-2, RECOVER-3, RECOVER-5 (lost input is told, not skipped), GROUP-3 (a dead owner's transaction
// is ended), RESTORE-2.

import { MillraceError } from '../core/errors.ts'
import type { TaskClock, TaskPosition } from '../core/message.ts'
import { inputTopics, statefulSub } from '../job/sub-plans.ts'
import { type GroupConsumer, KafkaError, type PollResult, type Reader, type TopicPartition } from '../kafka/port.ts'
import { endsFetching } from './epoch/failure.ts'
import { decideRecovery, type RecoveryDecision, resumeNote } from './epoch/recovery.ts'
import { readOffsetMetadata } from './offset-metadata.ts'
import type { EngineOptions } from './options.ts'
import { RestoreWatch } from './restore-progress.ts'
import { StableOffsets } from './stable-offsets.ts'
import { Takeover } from './takeover.ts'
import { laneOf, subOf, type TaskState, taskIdOf } from './task-state.ts'

export interface ReopenOptions {
  engine: EngineOptions
  attempt: number
  consumer: GroupConsumer
  /** Reads the changelog; undefined for a job without state. */
  reader: Reader | undefined
  changelogTopicId: string | undefined
  partitions: TopicPartition[]
  /** With `untilEnd`: where the input of a partition ends; asked for once a run, kept over attempts. */
  endOffsets: Map<number, number>
  /** The tasks are not wanted any more: the opening ends as soon as it can. */
  isCancelled: () => boolean
}

/** One changelog partition being read back. */
interface Restore {
  taskId: string
  sub: number
  topic: string
  partition: number
  /** Its state is read back from the changelog. */
  isStateful: boolean
  lane: number
  committedOffset: number | undefined
  position: TaskPosition | undefined
  /** Of a task without state, whose clock no marker keeps. */
  clock: TaskClock | undefined
  readOffset: number
  changelogEnd: number
  /** Since when the reader has stood at the last stable offset; undefined while it moves. */
  stableEndMs: number | undefined
  rowCount: number
}

const POLL_WAIT_MS = 100
/** Held back by somebody else's transaction for longer than this, the tasks' last owners are looked at. */
const BLOCKED_MS = 500

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
  for (const restore of restores) refuseLostOffset(engine.plan.job, restore, stateful)
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
  return {
    taskId: taskIdOf(sub, partition),
    sub,
    topic,
    partition,
    isStateful: sub === statefulSub(plan),
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

/** Those who wrote the last markers that were read. */
function ownersOf(restores: readonly Restore[]): string[] {
  return restores.flatMap(({ position }) => (position === undefined ? [] : [position.instanceId]))
}

/** Reads every changelog partition to its end at once: the end as it is now that the offsets are decided. */
async function readChangelog(
  options: ReopenOptions,
  reader: Reader,
  restores: Restore[],
  takeover: Takeover,
): Promise<void> {
  const { engine } = options
  const topic = changelogOf(engine)
  await Promise.all(
    restores.map(async (restore) => {
      const { partition } = restore
      restore.changelogEnd = (await reader.watermarks({ topic, partition }, engine.limits.callMs)).high
    }),
  )
  const mustRead = (restore: Restore): boolean => decide(engine, restore).kind === 'read'
  const endBlocking = (): Promise<void> =>
    takeover.endDead(
      ownersOf(restores.filter((restore) => mustRead(restore) && stalledMs(engine, restore) >= BLOCKED_MS)),
    )
  const behind = restores.filter(mustRead)
  if (behind.length === 0) return
  const watch = new RestoreWatch(engine.clock, engine.log, (...now) => engine.observer.restoring(...now), behind)
  await readWhile(options, reader, behind, mustRead, endBlocking, watch).finally(() => watch.end())
}

function changelogOf({ topics }: EngineOptions): string {
  return topics.names[topics.changelog]!
}

async function openStateful(options: ReopenOptions, reader: Reader, restore: Restore): Promise<Restore> {
  const { engine, attempt, changelogTopicId } = options
  const topic = changelogOf(engine)
  const { taskId, sub, partition } = restore
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

/** Reads for as long as one of them has to be read; `afterPoll` sees to what holds the reading back. */
async function readWhile(
  options: ReopenOptions,
  reader: Reader,
  restores: Restore[],
  mustRead: (restore: Restore) => boolean,
  afterPoll: () => Promise<void>,
  watch?: RestoreWatch,
): Promise<void> {
  const { limits } = options.engine
  const topic = changelogOf(options.engine)
  const behind = restores.filter(mustRead)
  if (behind.length === 0) return
  reader.assign(behind.map(({ partition, readOffset }) => ({ topic, partition, offset: readOffset })))
  while (!options.isCancelled() && behind.some(mustRead)) {
    const result = await reader.poll({
      recordsMax: limits.pollRecordsMax,
      bytesMax: limits.pollBytesMax,
      waitMs: POLL_WAIT_MS,
    })
    await take(options, result, behind, watch)
    await afterPoll()
  }
  reader.assign([])
}

async function take(
  options: ReopenOptions,
  result: PollResult,
  restores: Restore[],
  watch: RestoreWatch | undefined,
): Promise<void> {
  const { engine, attempt } = options
  const { clock, lanes } = engine
  const byPartition = new Map(restores.map((restore) => [restore.partition, restore]))
  await Promise.all(
    result.batches.map(async (batch) => {
      const restore = byPartition.get(batch.partition)
      if (restore === undefined) return
      const { taskId, lane } = restore
      const answer = await lanes.send(lane, { op: 'restore', taskId, attempt, frame: batch.frame })
      restore.position = answer.position ?? restore.position
      restore.rowCount = answer.rowCount
      moveTo(restore, batch.nextOffset)
      watch?.took(taskId, answer.rowCount, answer.byteCount, restore.readOffset)
    }),
  )
  for (const end of result.ends) {
    const restore = byPartition.get(end.partition)
    if (restore === undefined) continue
    moveTo(restore, end.offset)
    watch?.reached(restore.taskId, restore.readOffset)
    restore.stableEndMs ??= clock.monotonicMs()
  }
  for (const failure of result.errors) {
    engine.log.warn({ kafka: failure }, 'reading the changelog reported an error')
    if (endsFetching(failure)) throw new KafkaError(failure)
  }
}

function moveTo(restore: Restore, offset: number): void {
  if (offset <= restore.readOffset) return
  restore.readOffset = offset
  restore.stableEndMs = undefined
}

function decide(engine: EngineOptions, restore: Restore): RecoveryDecision {
  return decideRecovery({
    committedOffset: restore.committedOffset,
    markerOffset: restore.position?.inputOffset,
    readOffset: restore.readOffset,
    changelogEnd: restore.changelogEnd,
    stalledMs: stalledMs(engine, restore),
  })
}

/** How long the reader has stood at the last stable offset. */
function stalledMs({ clock }: EngineOptions, { stableEndMs }: Restore): number {
  return stableEndMs === undefined ? 0 : clock.monotonicMs() - stableEndMs
}

/**
 * A task before a repartition topic has its place from the group alone. Without it, it would send everything once more; the
 * clocks of the tasks behind the topic tell whether it has ever sent anything.
 */
function refuseLostOffset(
  job: string,
  { sub, topic, partition, committedOffset }: Restore,
  stateful: readonly Restore[],
) {
  if (sub > 0 || committedOffset !== undefined) return
  const hasSent = stateful.some(({ position }) => {
    const clock = position?.clocks?.[partition]
    return clock !== undefined && (clock.watermarkMs !== Number.NEGATIVE_INFINITY || clock.isIdle)
  })
  if (hasSent) throw new MillraceError('MR5006', { job, topic, partition })
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
  const isSource = sub === 0
  if (engine.untilEnd && isSource && !options.endOffsets.has(partition)) {
    options.endOffsets.set(partition, input.high)
  }
  if (position?.isEnded && !engine.untilEnd) {
    engine.log.warn(
      { task: taskId },
      'an earlier run with --until-end has ended this input for the job: all records are late',
    )
  }
  const isLast = sub === inputTopics(engine.plan).length - 1
  // With records waiting, it may have been told to be quiet before.
  const mustAnnounce = isSource && !isLast && restore.committedOffset !== undefined && inputOffset < input.high
  const known = position ?? clock
  await engine.lanes.send(lane, { op: 'ready', taskId, attempt, position, inputOffset, clock: known })
  return {
    taskId,
    sub,
    isLast,
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
    endOffset: isSource ? options.endOffsets.get(partition) : undefined,
    isEndSent: false,
    isIdleSent: false,
    isAwaited: mustAnnounce || restore.committedOffset === undefined,
    awaitedSinceMs: Number.NEGATIVE_INFINITY,
    isClockEnded: position?.isEnded === true,
    lastRecordMs: engine.clock.monotonicMs(),
    isAtEnd: false,
    endSeenOffset: -1,
    isAskedIdle: false,
    changelogOffset: restore.readOffset,
    measured: undefined,
    // Rows that were read back are on disk with the first flush, whether or not records come: the next start is warm.
    committedEpoch: position?.epoch ?? 0,
    flushedEpoch: restore.rowCount > 0 ? 0 : (position?.epoch ?? 0),
  }
}
