// The push side alone: views of a job or of plain topics, with health and metrics as a job has them. Any number of these processes
// serve the same views, on any machines, beside the job. Main thread.
// Keeps SPEC: PUSH-22 (views are served without their job), STOP-1.

import { type Clock, delay, type Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Admin, Kafka } from '../kafka/port.ts'
import { openRdKafka } from '../kafka/rdkafka/rdkafka.ts'
import { type AdminServer, type Readiness, startAdmin } from '../ops/admin-http.ts'
import type { Config } from '../ops/config.ts'
import type { Log } from '../ops/log.ts'
import { Registry } from '../ops/metrics.ts'
import { addProcessMetrics } from '../ops/process-metrics.ts'
import { systemClock, systemScheduler } from '../ops/system-clock.ts'
import type { Page } from '../push/page-assets.ts'
import type { PushServer } from '../push/server.ts'
import type { ServedView } from '../push/view-feed.ts'
import { type Closings, type LivingEngine, live, type Opened } from './job-life.ts'
import { startPushSide } from './push-side.ts'
import type { Life } from './running-job.ts'

const LOOK_EVERY_MS = 500

export interface ServeOptions {
  views: readonly ServedView[]
  config: Config
  /** Undefined: the page that Millrace has. */
  page?: Page | undefined
  /** How long topics that are missing are waited for. */
  waitMs: number
  log: Log
}

export interface ServingInfo {
  /** From the start of the process to ready. */
  millis: number
  views: readonly string[]
  urls: { admin: string; push: string }
}

/** Counts since the start of the process. */
export interface ServingSnapshot {
  clients: number
  subscriptions: number
  /** Records read from the topics of the views. */
  rowsRead: number
  /** Rows sent, once for each client. */
  rowsPushed: number
}

export interface ServingSummary extends ServingSnapshot {
  elapsedMs: number
  /** Greatest resident memory of the process since its start. */
  rssBytesMax: number
}

export interface ServingViews extends Life<ServingInfo, ServingSummary> {
  snapshot(): ServingSnapshot
}

/**
 * Serves views until it is stopped, or until none of them can be served any more: then `done` rejects with why.
 *
 * @example
 * const serving = serveViews({ views: [{ name: 'prices', topic: 'prices' }], config: loadConfig({}), waitMs: 0, log })
 * const { urls } = await serving.ready
 * await serving.stop('SIGTERM')
 */
export function serveViews(options: ServeOptions): ServingViews {
  const registry = new Registry({ nowMs: systemClock.monotonicMs })
  const startMs = systemClock.monotonicMs()
  const snapshot = (): ServingSnapshot => ({
    clients: registry.total('millrace_push_clients'),
    subscriptions: registry.total('millrace_push_subscriptions'),
    rowsRead: registry.total('millrace_push_rows_read_total'),
    rowsPushed: registry.total('millrace_push_rows_total'),
  })
  const life = live<ServingInfo, ServingSummary>({
    open: (stopping, closings) => open(options, registry, stopping, closings),
    summary: () => ({
      ...snapshot(),
      elapsedMs: Math.round(systemClock.monotonicMs() - startMs),
      // Kilobytes, whatever the platform says in its manual: libuv evens it out.
      rssBytesMax: process.resourceUsage().maxRSS * 1024,
    }),
    log: options.log,
    stopMs: options.config.limits.stopMs,
  })
  return { ...life, snapshot }
}

async function open(
  options: ServeOptions,
  registry: Registry,
  stopping: AbortSignal,
  closings: Closings,
): Promise<Opened<ServingInfo>> {
  const { config, log, views, waitMs, page } = options
  const kafka = openRdKafka({
    brokers: config.brokers,
    settings: config.kafka,
    connectMs: config.limits.connectMs,
    stopping,
    onWarning: (text) => log.warn(text),
  })
  const topics = [...new Set(views.map(({ topic }) => topic))]
  const serving = new Serving(log, topics)
  closings.add('process metrics', addProcessMetrics(registry))
  const admin = await openAdminServer(config, registry, () => serving.readiness())
  closings.add('admin server', () => admin.close())
  const callMs = config.limits.callMs
  const times = { waitMs, callMs, clock: systemClock, scheduler: systemScheduler, stopping }
  await untilThere(kafka, topics, times, (missing) => serving.missing(missing))
  stopping.throwIfAborted()
  const push = await startPushSide({ kafka, views, config, registry, log, page })
  closings.add('push server', () => push.close())
  serving.serve(push)
  // The close waits for it.
  stopping.addEventListener('abort', () => void push.drain(), { once: true })
  const names = views.map(({ name }) => name)
  return { engine: serving, info: { views: names, urls: { admin: admin.url, push: push.urls.page } } }
}

function openAdminServer(config: Config, registry: Registry, ready: () => Readiness): Promise<AdminServer> {
  const { host, port } = config.http
  return startAdmin({ host, port, registry, ready, config: () => config.describe(), nowMs: systemClock.monotonicMs })
}

export interface WaitTimes {
  waitMs: number
  /** One call to Kafka. */
  callMs: number
  clock: Clock
  scheduler: Scheduler
  stopping: AbortSignal
}

/** Waits until all topics are there; `tell` hears of those that are missing when they change. Throws MR4002 after the time. */
export async function untilThere(
  kafka: Kafka,
  topics: readonly string[],
  { waitMs, callMs, clock, scheduler, stopping }: WaitTimes,
  tell: (missing: readonly string[]) => void,
): Promise<void> {
  const endMs = clock.monotonicMs() + waitMs
  const admin = await kafka.openAdmin()
  try {
    let told = ''
    for (;;) {
      const missing = await missingOf(admin, topics, callMs)
      if (missing.length === 0 || stopping.aborted) return
      const leftMs = endMs - clock.monotonicMs()
      if (leftMs <= 0) throw new MillraceError('MR4002', { topic: missing.join(' and no topic ') })
      const names = missing.join(', ')
      if (names !== told) tell(missing)
      told = names
      await delay(scheduler, Math.min(leftMs, LOOK_EVERY_MS))
    }
  } finally {
    await admin.close()
  }
}

async function missingOf(admin: Admin, topics: readonly string[], callMs: number): Promise<string[]> {
  const found = new Set((await admin.describe([...topics], callMs)).map(({ name }) => name))
  return topics.filter((topic) => !found.has(topic))
}

/** What `live` runs: it is there until it is stopped, or until no view is served any more. */
class Serving implements LivingEngine {
  readonly #log: Log
  #push: PushServer | undefined
  #missing: readonly string[]
  #end: () => void = () => undefined
  readonly #stopped = new Promise<void>((resolve) => (this.#end = resolve))

  constructor(log: Log, topics: readonly string[]) {
    this.#log = log
    this.#missing = topics
  }

  get status(): string {
    return this.readiness().reasons[0] ?? 'serving views'
  }

  readiness(): Readiness {
    const reasons: string[] = []
    if (this.#push === undefined) reasons.push(`waiting for Kafka and the topics ${this.#missing.join(', ')}`)
    else if (this.#push.isDraining) reasons.push('clients move to another server')
    else if (!this.#push.isReady()) reasons.push('views are being read')
    return { isReady: reasons.length === 0, reasons }
  }

  missing(topics: readonly string[]): void {
    this.#missing = topics
    this.#log.info({ topics }, 'topics of views are missing, waiting for them')
  }

  serve(push: PushServer): void {
    this.#push = push
  }

  stop(): void {
    this.#end()
  }

  async run(): Promise<void> {
    const failure = await Promise.race([this.#stopped, this.#push!.failed])
    if (failure !== undefined) throw failure
  }

  onRunning(listener: () => void): void {
    void this.#push!.ready.then(listener)
  }
}
