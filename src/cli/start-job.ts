// Wires a job: state folder, Kafka, lanes, engine, admin server, push. Main thread.
// Keeps SPEC: OPS-1 (ready when records flow).

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { LaneSetup } from '../core/message.ts'
import { Engine } from '../engine/engine.ts'
import type { EngineLimits } from '../engine/options.ts'
import { piscinaLanes } from '../engine/piscina-lanes.ts'
import { tooNearSinks } from '../engine/sink-times.ts'
import { type JobTopics, prepareTopics } from '../engine/topics.ts'
import { allOperators, type Plan, type PlanTopics } from '../job/plan.ts'
import { planTopics } from '../job/plan-topics.ts'
import type { Kafka } from '../kafka/port.ts'
import { openRdKafka } from '../kafka/rdkafka/rdkafka.ts'
import { clientBytesMax } from '../kafka/rdkafka/settings.ts'
import { startAdmin } from '../ops/admin-http.ts'
import type { Config } from '../ops/config.ts'
import type { Log } from '../ops/log.ts'
import { availableMemoryBytes } from '../ops/memory-plan.ts'
import { Registry } from '../ops/metrics.ts'
import { packageRoot } from '../ops/package-root.ts'
import { addProcessMetrics } from '../ops/process-metrics.ts'
import { systemClock, systemScheduler } from '../ops/system-clock.ts'
import type { Page } from '../push/page-assets.ts'
import { ProvisionalHub } from '../push/provisional-hub.ts'
import { lockStateDir } from '../state/state-dir.ts'
import { type Closings, liveJob, type OpenedJob } from './job-life.ts'
import { JobMonitor } from './job-monitor.ts'
import { type LoadedJob, loadJob } from './load-job.ts'
import { pageFor } from './page.ts'
import { startPushSide, viewsOf } from './push-side.ts'
import { readiness } from './readiness.ts'
import type { ReadyInfo, RunningJob } from './running-job.ts'

/** Of the time that a stop may take. One flush more may be under way when it is over. */
const FLUSH_SHARE_OF_STOP = 0.4

export interface StartOptions {
  jobFile: string
  config: Config
  /** Read to the end offsets seen at the start, commit, flush and finish. */
  untilEnd: boolean
  log: Log
}

/**
 * Starts a job from its file; `ready` and `done` tell what becomes of it, a start that fails too.
 *
 * @example
 * const job = startJob({ jobFile: 'job.ts', config: loadConfig({}), untilEnd: true, log })
 * await job.ready
 * const { records } = await job.done
 */
export function startJob(options: StartOptions): RunningJob {
  const registry = new Registry({ nowMs: systemClock.monotonicMs })
  const monitor = new JobMonitor(registry, systemClock)
  return liveJob({
    open: (stopping, closings) => open(options, registry, monitor, stopping, closings),
    snapshot: () => monitor.snapshot(),
    summary: () => monitor.summary(),
    log: options.log,
    stopMs: options.config.limits.stopMs,
  })
}

async function open(
  options: StartOptions,
  registry: Registry,
  monitor: JobMonitor,
  stopping: AbortSignal,
  closings: Closings,
): Promise<OpenedJob> {
  const { config, log } = options
  sayFitted(config, log)
  const loaded = await loadJob(options.jobFile)
  const { plan } = loaded.job
  const page = viewsOf(plan).length === 0 ? undefined : await pageFor(config.push.page, options.jobFile)
  stopping.throwIfAborted()
  const stateDir = join(config.stateDir, plan.job)
  const lock = await lockStateDir(stateDir, config.instanceId)
  closings.add('state folder', () => lock.release())
  const kafka = openRdKafka({
    brokers: config.brokers,
    settings: config.kafka,
    connectMs: config.limits.connectMs,
    fetchClients: config.fetchClients,
    stopping,
    onWarning: (text) => log.warn(text),
  })
  const topics = planTopics(plan)
  const jobTopics = await prepare(kafka, plan, topics, config)
  stopping.throwIfAborted()
  warnOfRefusals(plan, jobTopics, log)
  const laneCount = Math.min(config.lanes, mostTasks(jobTopics))
  const setups = laneSetups(loaded, laneCount, stateDir, lock.instanceId, config, jobTopics)
  const lanes = piscinaLanes({
    workerUrl: pathToFileURL(join(packageRoot(), 'dist', 'workers', 'lane.js')).href,
    setups,
    heapMegabytesMax: laneHeapMegabytes(config),
  })
  closings.add('lanes', () => lanes.close())
  closings.add('process metrics', addProcessMetrics(registry))
  const provisional = provisionalHub(plan, topics)
  const engine = new Engine({
    plan,
    topics,
    kafka,
    lanes,
    clock: systemClock,
    scheduler: systemScheduler,
    instanceId: lock.instanceId,
    limits: engineLimits(config),
    untilEnd: options.untilEnd,
    leavesOnStop: config.leaveOnStop,
    changelogTopicIds: jobTopics.changelogTopicIds,
    globalPartitions: jobTopics.globalPartitions,
    sinkTimes: jobTopics.sinkTimes,
    batchBytesMax: jobTopics.batchBytesMax,
    log,
    observer: monitor,
    provisional,
  })
  monitor.watch(engine)
  const urls = await startServers(
    plan,
    page,
    kafka,
    config,
    registry,
    monitor,
    engine,
    provisional,
    log,
    stopping,
    closings,
  )
  return { engine, info: { partitions: mostTasks(jobTopics), lanes: laneCount, urls } }
}

/** As V8 counts it, in MiB: custom state may lie on the heap. */
function laneHeapMegabytes({ limits }: Config): number {
  return Math.ceil((limits.stateMemoryBytesMax + limits.laneHeapBytesMax) / (1024 * 1024))
}

/** Says once what was made smaller to fit the memory. */
function sayFitted(config: Config, log: Log): void {
  const fitted = config.describe().filter(({ where }) => where === 'memory')
  if (fitted.length === 0) return
  const values = Object.fromEntries(fitted.map(({ key, value }) => [key, value]))
  log.info(
    { memoryBytes: config.limits.memoryBytesMax ?? availableMemoryBytes(), values },
    'limits fitted to the memory',
  )
}

/** The topics that Millrace makes take any time ahead; one that somebody else made takes an hour of it by default. */
function warnOfRefusals(plan: Plan, { sinkTimes }: JobTopics, log: Log): void {
  const near = tooNearSinks(plan, sinkTimes)
  if (near.length === 0) return
  const topics = near.map(({ topic, aheadMsMax }) => ({ topic, aheadMsMax }))
  log.warn(
    { topics, maxFutureMs: plan.source.maxFutureMs },
    'a row further ahead of the broker than its topic takes would stop the job (MR4015), and `maxFuture` of the source lets such rows through: set message.timestamp.after.max.ms of the topics to 9223372036854775807, or a smaller `maxFuture`',
  )
}

async function prepare(kafka: Kafka, plan: Plan, topics: PlanTopics, config: Config): Promise<JobTopics> {
  const admin = await kafka.openAdmin()
  try {
    return await prepareTopics(admin, {
      plan,
      topics,
      createTopics: config.createTopics,
      replicationFactor: -1,
      timeoutMs: config.limits.connectMs,
      unreadableCodecs: kafka.unreadableCodecs ?? [],
      clientBytesMax: clientBytesMax(config.kafka),
    })
  } finally {
    await admin.close()
  }
}

/** Lanes beyond this would have nothing to do. */
function mostTasks({ partitionCounts }: JobTopics): number {
  return Math.max(...partitionCounts)
}

function laneSetups(
  loaded: LoadedJob,
  laneCount: number,
  stateDir: string,
  instanceId: string,
  config: Config,
  jobTopics: JobTopics,
): LaneSetup[] {
  const { limits } = config
  return Array.from({ length: laneCount }, (_, lane) => ({
    lane,
    jobUrl: loaded.jobUrl,
    stateDir,
    instanceId,
    messageBytesMax: jobTopics.messageBytesMax,
    partitionCounts: jobTopics.partitionCounts,
    writtenPartitions: jobTopics.writtenPartitions,
    limits: {
      stateMemoryBytesMax: limits.stateMemoryBytesMax,
      unflushedBytesMax: limits.unflushedBytesMax,
      valueBytesMax: limits.valueBytesMax,
      keyBytesMax: limits.keyBytesMax,
      decodeDepthMax: limits.decodeDepthMax,
      decodeNodesMax: limits.decodeNodesMax,
    },
  }))
}

function engineLimits(config: Config): EngineLimits {
  const { commit, flush, limits, repartition } = config
  return {
    commitMinMs: commit.minMs,
    commitMaxMs: commit.maxMs,
    catchUpRecords: commit.catchUpRecords,
    catchUpMs: commit.catchUpMs,
    flushEveryMs: flush.everyMs,
    flushOnStopMs: limits.stopMs * FLUSH_SHARE_OF_STOP,
    trimEveryMs: repartition.trimEveryMs,
    unflushedBytesMax: limits.unflushedBytesMax,
    pollRecordsMax: limits.pollRecordsMax,
    pollBytesMax: limits.pollBytesMax,
    laneBytesMax: limits.laneBytesMax,
    pendingOutputBytesMax: limits.pendingOutputBytesMax,
    deadShareMax: limits.deadShareMax,
    deadWindow: limits.deadWindow,
    callMs: limits.callMs,
    connectMs: limits.connectMs,
    attemptsMax: limits.attemptsMax,
    backoffMaxMs: limits.backoffMaxMs,
  }
}

async function startServers(
  plan: Plan,
  page: Page | undefined,
  kafka: Kafka,
  config: Config,
  registry: Registry,
  monitor: JobMonitor,
  engine: Engine,
  provisional: ProvisionalHub | undefined,
  log: Log,
  stopping: AbortSignal,
  closings: Closings,
): Promise<ReadyInfo['urls']> {
  registry.onCollect(() => monitor.refresh())
  let viewsStatus = (): string | undefined => undefined
  const admin = await startAdmin({
    host: config.http.host,
    port: config.http.port,
    registry,
    ready: () => readiness(engine, monitor.restore, viewsStatus()),
    config: () => config.describe(),
    nowMs: systemClock.monotonicMs,
  })
  closings.add('admin server', () => admin.close())
  const views = viewsOf(plan)
  if (views.length === 0) return { admin: admin.url, push: undefined }
  const push = await startPushSide({ kafka, views, config, registry, log, page, provisional })
  closings.add('push server', () => push.close())
  viewsStatus = () =>
    push.isDraining ? 'clients move to another server' : push.isReady() ? undefined : 'views are being read'
  // While the engine commits what it has; the close waits for it.
  stopping.addEventListener('abort', () => void push.drain(), { once: true })
  return { admin: admin.url, push: push.urls.page }
}

/** Undefined: no view of the job shows rows before their commit. */
function provisionalHub(plan: Plan, topics: PlanTopics): ProvisionalHub | undefined {
  const views = allOperators(plan).flatMap((operator) =>
    operator.kind === 'view' && operator.isProvisional
      ? [[topics.byOperator[operator.name]!, operator.topic] as const]
      : [],
  )
  return views.length === 0 ? undefined : new ProvisionalHub(new Map(views))
}
