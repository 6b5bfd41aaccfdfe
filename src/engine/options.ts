// What an engine is given: everything it touches is an argument. Main thread.

import type { Clock, Scheduler } from '../core/clock.ts'
import type { TaskCounts } from '../core/message.ts'
import type { ProvisionalRows } from '../core/provisional.ts'
import type { Plan, PlanTopics } from '../job/plan.ts'
import type { Kafka, TopicPartition } from '../kafka/port.ts'
import type { Lanes } from './lanes.ts'
import type { RestoreProgress } from './restore-progress.ts'
import type { SinkTimes } from './sink-times.ts'
import type { TaskState } from './task-state.ts'

/** Every wait, queue and pace of the engine; the defaults and reasons are in ops/config-table.ts. */
export interface EngineLimits {
  commitMinMs: number
  commitMaxMs: number
  catchUpRecords: number
  catchUpMs: number
  flushEveryMs: number
  /** What a stop spends on flushes; what is left then is read from the changelog at the next start. */
  flushOnStopMs: number
  /** The repartition topic is trimmed behind the commit this often. */
  trimEveryMs: number
  unflushedBytesMax: number
  pollRecordsMax: number
  pollBytesMax: number
  /** Frame bytes that a lane may hold unprocessed. */
  laneBytesMax: number
  /** Result bytes that wait for their transaction. */
  pendingOutputBytesMax: number
  /** Dead records among the last `deadWindow` that stop the job, as a share (0 to 1). */
  deadShareMax: number
  deadWindow: number
  /** One Kafka call. */
  callMs: number
  /** The first answer of a broker. */
  connectMs: number
  /** New attempts in a row without a commit between them. */
  attemptsMax: number
  /** The pause before a new attempt doubles from 20 ms up to this. */
  backoffMaxMs: number
}

export interface EngineLog {
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** What the engine tells its surroundings (metrics, status line). Called on the main thread; must not throw. */
export interface EngineObserver {
  /**
   * Records of a frame of a task were processed; `counts` are its share of those of the job, samples are Kafka timestamps, each
   * standing for `weight` records.
   */
  processed(task: TaskState, counts: TaskCounts, timestampsMs: readonly number[], weight: number): void
  /** An epoch is committed and visible; samples as before, of all its records. */
  committed(epoch: number, commitMs: number, samples: readonly LatencySample[]): void
  /** A restore from the changelog goes on, or (`isOver`) has ended. */
  restoring(progress: RestoreProgress, isOver: boolean): void
  rebuilt(attempt: number, reason: string): void
  /** A partition was taken from this process, with its task. */
  released(taskId: string, partition: TopicPartition): void
}

export interface LatencySample {
  timestampMs: number
  weight: number
}

export interface EngineOptions {
  plan: Plan
  topics: PlanTopics
  kafka: Kafka
  lanes: Lanes
  clock: Clock
  scheduler: Scheduler
  instanceId: string
  limits: EngineLimits
  sinkTimes: readonly SinkTimes[]
  /** Least max.message.bytes of the topics that are written: no batch may be larger. */
  batchBytesMax: number
  /** Read to the end offsets seen at the start, commit, flush and finish. */
  untilEnd: boolean
  /** A clean end leaves the group at once; false: it keeps its place for a restart within the session. */
  leavesOnStop: boolean
  log: EngineLog
  observer: EngineObserver
  /** Who shows rows before their commit; undefined: nobody. */
  provisional?: ProvisionalRows | undefined
}
