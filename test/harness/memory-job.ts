// A job on memory-kafka with lanes in the calling thread: the whole engine in one test, no broker, no worker.
import type { Clock, Scheduler } from '../../src/core/clock.ts'
import { addCounts, noCounts } from '../../src/core/counts.ts'
import type { LaneSetup } from '../../src/core/message.ts'
import type { ProvisionalRows } from '../../src/core/provisional.ts'
import { Engine } from '../../src/engine/engine.ts'
import { inlineLanes, type Lanes } from '../../src/engine/lanes.ts'
import type { EngineLimits, EngineObserver } from '../../src/engine/options.ts'
import type { RestoreProgress } from '../../src/engine/restore-progress.ts'
import { prepareTopics } from '../../src/engine/topics.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import type { MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { Lane } from '../../src/lane/lane.ts'
import { systemClock, systemScheduler } from '../../src/ops/system-clock.ts'

export const TEST_ENGINE_LIMITS: EngineLimits = {
  commitMinMs: 1,
  commitMaxMs: 5,
  catchUpRecords: 100,
  catchUpMs: 5,
  flushEveryMs: 10,
  flushOnStopMs: 10_000,
  trimEveryMs: 20,
  unflushedBytesMax: 1 << 20,
  pollRecordsMax: 50,
  pollBytesMax: 1 << 20,
  laneBytesMax: 1 << 20,
  pendingOutputBytesMax: 1 << 20,
  deadShareMax: 0.5,
  deadWindow: 1_000,
  callMs: 1_000,
  connectMs: 1_000,
  attemptsMax: 20,
  backoffMaxMs: 20,
}

export interface MemoryJobOptions {
  kafka: MemoryKafka
  job: CompiledJob
  instanceId?: string
  /** Undefined: state in memory, restored from the changelog at each start. */
  stateDir?: string
  laneCount?: number
  untilEnd?: boolean
  limits?: Partial<EngineLimits>
  leavesOnStop?: boolean
  stateMemoryBytesMax?: number
  onRestoring?: (progress: RestoreProgress) => void
  clock?: Clock
  scheduler?: Scheduler
  /** Runs the lanes some other way; default: in the calling thread. */
  makeLanes?: (setups: LaneSetup[]) => Lanes
  /** Gets rows before their commit. */
  provisional?: ProvisionalRows
}

export interface MemoryJob {
  engine: Engine
  /** Resolves at a clean end, rejects with what stopped the job. */
  done: Promise<void>
  counts: ReturnType<typeof noCounts>
  rebuilds: string[]
  /** Tasks whose partitions were taken away. */
  released: string[]
  /** What it said, in order. */
  logged: Logged[]
}

export type Logged = Record<string, unknown> & { message: string }

/** Lanes of a job in the calling thread. */
export function lanesOf(job: CompiledJob, setups: LaneSetup[]): Lanes {
  return inlineLanes(setups.map((setup) => new Lane(job, setup, { nowMs: Date.now })))
}

/** Starts a job; stop it with `engine.stop()`. */
export async function startMemoryJob(options: MemoryJobOptions): Promise<MemoryJob> {
  const { kafka, job, instanceId = 'one', stateDir, laneCount = 2, untilEnd = true } = options
  const { clock = systemClock } = options
  const topics = planTopics(job.plan)
  const jobTopics = await prepareTopics(await kafka.openAdmin(), {
    plan: job.plan,
    topics,
    createTopics: true,
    replicationFactor: 1,
    timeoutMs: 1_000,
  })
  const setups = Array.from({ length: laneCount }, (_, lane) => {
    const limits = {
      stateMemoryBytesMax: options.stateMemoryBytesMax ?? 1 << 20,
      unflushedBytesMax: 1 << 20,
      valueBytesMax: 1 << 20,
      keyBytesMax: 1024,
      decodeDepthMax: 32,
      decodeNodesMax: 10_000,
    }
    return {
      lane,
      jobUrl: '',
      stateDir,
      instanceId,
      limits,
      messageBytesMax: jobTopics.messageBytesMax,
      partitionCounts: jobTopics.partitionCounts,
      writtenPartitions: jobTopics.writtenPartitions,
    }
  })
  const counts = noCounts()
  const rebuilds: string[] = []
  const released: string[] = []
  const logged: Logged[] = []
  const note = (details: object, message: string): void => void logged.push({ ...details, message })
  const observer: EngineObserver = {
    processed: (_partition, more) => addCounts(counts, more),
    committed: () => {},
    restoring: (progress) => options.onRestoring?.(progress),
    rebuilt: (_attempt, reason) => void rebuilds.push(reason),
    released: (taskId) => void released.push(taskId),
  }
  const engine = new Engine({
    plan: job.plan,
    topics,
    kafka,
    lanes: options.makeLanes === undefined ? lanesOf(job, setups) : options.makeLanes(setups),
    clock,
    scheduler: options.scheduler ?? systemScheduler,
    instanceId,
    limits: { ...TEST_ENGINE_LIMITS, ...options.limits },
    untilEnd,
    leavesOnStop: options.leavesOnStop ?? true,
    changelogTopicIds: jobTopics.changelogTopicIds,
    globalPartitions: jobTopics.globalPartitions,
    sinkTimes: jobTopics.sinkTimes,
    batchBytesMax: jobTopics.batchBytesMax,
    log: { info: note, warn: note, error: note },
    observer,
    provisional: options.provisional,
  })
  const done = engine.run()
  done.catch(() => {}) // whoever awaits `done` has the error
  return { engine, done, counts, rebuilds, released, logged }
}
