// What the engine knows of a task while an attempt runs. Main thread.

import type { TaskPosition } from '../core/message.ts'
import type { Plan } from '../job/plan.ts'
import { inputTopics } from '../job/topology.ts'

/** An offset of the changelog before which no row of an epoch newer than `epoch` lies. */
export interface ChangelogBound {
  offset: number
  epoch: number
}

export interface TaskState {
  readonly taskId: string
  /** Its sub-topology. */
  readonly sub: number
  /** It reads a topic of others, no repartition topic. */
  readonly isSource: boolean
  /** None of its records moves on through a repartition topic: it gives results of the job. */
  readonly isLast: boolean
  /** Others wait for it: those behind a repartition topic, or a stream that meets it. */
  readonly isHeard: boolean
  /** It has a store and a changelog. */
  readonly isStateful: boolean
  readonly topic: string
  readonly partition: number
  readonly lane: number
  /** Position as recovered or as of the last seal. */
  position: TaskPosition | undefined
  /** The greatest event time that was held against what topics take. */
  judgedTimeMs: number
  /**
   * Those who wait for it have to hear where it stands before its next record. They may take it for quiet, or begin anew
   * elsewhere and not know that it has ended.
   */
  mustAnnounce: boolean
  /** What the group has committed for it: as it was opened, then as this process committed. Undefined: nothing yet. */
  committedOffset: number | undefined
  /** Next offset to hand to the lane, and the one its answers have come to. */
  dispatchedOffset: number
  processedOffset: number
  /** High watermark of the input when last seen. */
  highWatermark: number
  /** With `untilEnd`: the offset fixed at start; the input ends before it. */
  endOffset: number | undefined
  isEndSent: boolean
  /** End of the input when the task was opened: who is joined with it as a table waits until it is read up to there. */
  readonly openedEnd: number
  /** Monotonic time of the last record, and whether the input's end has been seen since. */
  lastRecordMs: number
  isAtEnd: boolean
  /** Position at the last end that was seen; control records included. */
  endSeenOffset: number
  /** The lane knows that the input is quiet. */
  isIdleSent: boolean
  /** None of those who wait for it takes this partition for quiet, as far as this process knows. */
  isAwaited: boolean
  /** Monotonic time from which it is waited for, though its last record may be older. */
  awaitedSinceMs: number
  /** The lane says that its input has ended: for one that reads a repartition topic, by what its records carry. */
  isClockEnded: boolean
  /** The first time of the wall clock that the timers of its lane wait for, as far as it has said; +Infinity: none. */
  wallTimerMs: number
  /** The broker is being asked whether the end is still where it was. */
  isAskedIdle: boolean
  /** Where a later restore may start reading, once flushed; `measured` becomes it when its epoch is committed. */
  changelogOffset: number
  measured: ChangelogBound | undefined
  /** Last committed epoch that touched it, last one flushed. */
  committedEpoch: number
  flushedEpoch: number
}

/**
 * Records between the place that a task has come to and the end of its input. At the end there is none left, though an
 * offset may be: the last one of a transaction is its end, no record.
 */
export function lagOf(task: TaskState): number {
  const { highWatermark, processedOffset, dispatchedOffset, isAtEnd, endSeenOffset } = task
  const hasAll = isAtEnd && processedOffset === dispatchedOffset && endSeenOffset >= highWatermark
  return hasAll ? 0 : Math.max(0, highWatermark - processedOffset)
}

/** All that was there when the task was opened has been processed. */
export function isReadToOpenedEnd(task: TaskState): boolean {
  const { openedEnd, processedOffset, dispatchedOffset, isAtEnd, endSeenOffset, isEndSent } = task
  const isDone = isAtEnd && processedOffset === dispatchedOffset && endSeenOffset >= openedEnd
  return isEndSent || processedOffset >= openedEnd || isDone
}

/** The id of a task: its sub-topology and its partition. */
export function taskIdOf(sub: number, partition: number): string {
  return `${sub}_${partition}`
}

/** The sub-topology that reads a topic of the group. */
export function subOf(plan: Plan, topic: string): number {
  const sub = inputTopics(plan).indexOf(topic)
  if (sub < 0) throw new RangeError(`the job reads no topic ${topic}`)
  return sub
}

/** The lane of a partition; a task stays on it. */
export function laneOf(partition: number, laneCount: number): number {
  return partition % laneCount
}
