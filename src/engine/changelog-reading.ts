// Reads the changelogs of tasks back, all at once. Main thread.
// Keeps SPEC: RECOVER-2 (nothing is believed before the end of the changelog), GROUP-3 (a dead owner's transaction is ended),
// RESTORE-2.

import type { ChainClock, TaskClock, TaskPosition } from '../core/message.ts'
import { KafkaError, type PollResult, partitionKey, type Reader } from '../kafka/port.ts'
import { endsFetching } from './epoch/failure.ts'
import { decideRecovery, type RecoveryDecision } from './epoch/recovery.ts'
import type { EngineOptions } from './options.ts'
import { RestoreWatch } from './restore-progress.ts'
import type { Takeover } from './takeover.ts'

/** What reading needs of an opening. */
export interface ReadingOptions {
  engine: EngineOptions
  attempt: number
  /** The tasks are not wanted any more: the reading ends as soon as it can. */
  isCancelled: () => boolean
}

/** One changelog partition being read back. */
export interface Restore {
  taskId: string
  sub: number
  /** The sub-topology whose task keeps the state of its unit. */
  home: number
  topic: string
  partition: number
  /** Its state is read back from the changelog. */
  isStateful: boolean
  lane: number
  committedOffset: number | undefined
  position: TaskPosition | undefined
  /** Of a task without a marker of its own: what is kept with its offset, or in the marker of the one that keeps its state. */
  clock: TaskClock | ChainClock | undefined
  readOffset: number
  changelogEnd: number
  /** Since when the reader has stood at the last stable offset; undefined while it moves. */
  stableEndMs: number | undefined
  rowCount: number
}

const POLL_WAIT_MS = 100
/** Held back by somebody else's transaction for longer than this, the tasks' last owners are looked at. */
export const BLOCKED_MS = 500

/** Those who wrote the last markers that were read. */
export function ownersOf(restores: readonly Restore[]): string[] {
  return restores.flatMap(({ position }) => (position === undefined ? [] : [position.instanceId]))
}

/** Reads every changelog partition to its end at once: the end as it is now that the offsets are decided. */
export async function readChangelog(
  options: ReadingOptions,
  reader: Reader,
  restores: Restore[],
  takeover: Takeover,
): Promise<void> {
  const { engine } = options
  await Promise.all(
    restores.map(async (restore) => {
      const { partition } = restore
      const topic = changelogOf(engine, restore)
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

export function changelogOf({ topics }: EngineOptions, { sub }: Restore): string {
  return topics.names[topics.changelogs[sub]!]!
}

/** Reads for as long as one of them has to be read; `afterPoll` sees to what holds the reading back. */
export async function readWhile(
  options: ReadingOptions,
  reader: Reader,
  restores: Restore[],
  mustRead: (restore: Restore) => boolean,
  afterPoll: () => Promise<void>,
  watch?: RestoreWatch,
): Promise<void> {
  const { engine } = options
  const { limits } = engine
  const behind = restores.filter(mustRead)
  if (behind.length === 0) return
  reader.assign(
    behind.map((restore) => ({
      topic: changelogOf(engine, restore),
      partition: restore.partition,
      offset: restore.readOffset,
    })),
  )
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
  options: ReadingOptions,
  result: PollResult,
  restores: Restore[],
  watch: RestoreWatch | undefined,
): Promise<void> {
  const { engine, attempt } = options
  const { clock, lanes } = engine
  const byPartition = new Map(
    restores.map((restore) => [
      partitionKey({ topic: changelogOf(engine, restore), partition: restore.partition }),
      restore,
    ]),
  )
  await Promise.all(
    result.batches.map(async (batch) => {
      const restore = byPartition.get(partitionKey(batch))
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
    const restore = byPartition.get(partitionKey(end))
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

export function decide(engine: EngineOptions, restore: Restore): RecoveryDecision {
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
