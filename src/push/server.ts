// The push server: views over WebSocket and SSE, the list of views, and the page. Main thread.
// Keeps SPEC: PUSH-1 to PUSH-16, PROV-1 to PROV-5.

import type { Clock, Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Kafka } from '../kafka/port.ts'
import type { Log } from '../ops/log.ts'
import type { Registry } from '../ops/metrics.ts'
import { systemClock, systemScheduler } from '../ops/system-clock.ts'
import { Connections } from './connections.ts'
import { LateUpgrade } from './late-upgrade.ts'
import { DEFAULT_PUSH_LIMITS, type PushLimits } from './limits.ts'
import { ownPage, type Page } from './page-assets.ts'
import type { ProvisionalHub } from './provisional-hub.ts'
import { pushMetrics } from './push-metrics.ts'
import { makeApp } from './routes.ts'
import { decodeJson } from './row-json.ts'
import { type AuthOptions, TokenCheck } from './token-check.ts'
import { limitUnsent } from './unsent-limit.ts'
import { type ListenSocket, loadUws, type Uws, type UwsApp } from './uws.ts'
import { type ServedView, startFeed, type ViewFeed } from './view-feed.ts'

export interface PushOptions {
  kafka: Kafka
  views: readonly ServedView[]
  /** Default 127.0.0.1. */
  host?: string
  /** 0 takes any free one. */
  port: number
  log: Log
  /** At `/`. Default: the page that Millrace has. */
  page?: Page | undefined
  /** Origins that may connect beside the page's own, e.g. `https://desk.example`; `*` allows all. */
  allowedOrigins?: readonly string[]
  /** Tokens are wanted of all who read the views; without it everybody may. */
  auth?: AuthOptions | undefined
  /** Proxies in front, whose `X-Forwarded-For` says whose connection it is. Default 0: it is not looked at. */
  trustedProxies?: number
  limits?: Partial<PushLimits>
  /** Folder for copies of the views, of this process alone: rows beyond memory, and a start that reads what came since. Default: none. */
  copyDir?: string | undefined
  /** Signs positions; the same on all servers of a view. Default: none, the id of the topic alone signs. */
  positionSecret?: string
  /** One call to Kafka; default 10 s. */
  callMs?: number
  /** Rows before their commit, of the engine in this process. */
  provisional?: ProvisionalHub | undefined
  /** Gets the counts of push. */
  metrics?: Registry
  clock?: Clock
  scheduler?: Scheduler
}

export interface PushServer {
  /** The port that was taken. */
  port: number
  urls: { page: string; views: string }
  /** True when every view that has not failed is read and served (PUSH-11), until `drain`. */
  isReady(): boolean
  /** Resolves when that is so, unless no view is served any more. */
  ready: Promise<void>
  /** Resolves with the last failure when no view is served any more. */
  failed: Promise<MillraceError>
  readonly isDraining: boolean
  /**
   * Takes no more clients, tells those that there are to move, and closes them spread over `limits.drainMs`; resolves when that is done.
   * Views are served until then. Idempotent.
   */
  drain(): Promise<void>
  /** Tells the clients to come back, at the end of a drain that has begun, stops listening and reading. Idempotent. */
  close(): Promise<void>
}

const CALL_MS_DEFAULT = 10_000
/**
 * Serves views. Throws MR3005 (uWebSockets or its own page cannot be loaded), MR4002 (no such topic), MR7005 (the port), MR7023
 * (the keys of tokens), MR7030 and MR7031 (the folder of copies).
 *
 * @example
 * const push = await startPush({ kafka, views: [{ name: 'candles', topic: 'job-view-candles' }], port: 0, log })
 * console.log(push.urls.page)
 * await push.close()
 */
export async function startPush(options: PushOptions): Promise<PushServer> {
  const { uws } = loadUws()
  const clock = options.clock ?? systemClock
  const scheduler = options.scheduler ?? systemScheduler
  const limits = { ...DEFAULT_PUSH_LIMITS, ...options.limits }
  const metrics = pushMetrics(options.metrics)
  const host = options.host ?? '127.0.0.1'
  const page = options.page ?? ownPage()
  const tokens = options.auth === undefined ? undefined : new TokenCheck(options.auth, clock)
  const { kafka, views, log } = options
  const feed = await startFeed({
    kafka,
    views,
    limits,
    copyDir: options.copyDir,
    positionSecret: options.positionSecret ?? '',
    callMs: options.callMs ?? CALL_MS_DEFAULT,
    metrics,
    log,
    clock,
    scheduler,
  })
  const lateUpgrade = tokens === undefined ? undefined : await openLateUpgrade(uws, scheduler, log)
  const decoders = new Map(views.map((view) => [view.name, view.decode ?? decodeJson]))
  const shown = feed.views.map((view) => ({ view, decode: decoders.get(view.name)! }))
  const detach = options.provisional?.attach(shown, clock, scheduler)
  const connections = new Connections({ limits, metrics, log, clock, scheduler }, feed.views)
  const byName = new Map(feed.views.map((view) => [view.name, view]))
  const app = makeApp(uws, {
    host,
    allowedOrigins: options.allowedOrigins ?? [],
    tokens,
    trustedProxies: options.trustedProxies ?? 0,
    runUpgrade: lateUpgrade === undefined ? (upgrade) => upgrade() : (upgrade) => lateUpgrade.run(upgrade),
    limits,
    views: byName,
    connections,
    page,
    metrics,
    log,
    wallMs: () => clock.wallMs(),
  })
  try {
    const socket = await listen(uws, app, host, options.port)
    limitUnsent({ port: uws.us_socket_local_port(socket), bytes: limits.unsentBytesMax, log })
    return pushServer({ uws, app, socket, feed, connections, lateUpgrade, host, detach, drainMs: limits.drainMs })
  } catch (error) {
    detach?.()
    connections.closeAll()
    lateUpgrade?.close()
    await feed.close()
    throw error
  }
}

async function openLateUpgrade(uws: Uws, scheduler: Scheduler, log: Log): Promise<LateUpgrade> {
  const lateUpgrade = new LateUpgrade()
  await lateUpgrade.open(uws, scheduler).catch((err: unknown) => {
    log.warn({ err }, 'uWebSockets will warn of each WebSocket with a token; they work')
  })
  return lateUpgrade
}

interface Running {
  uws: Uws
  app: UwsApp
  socket: ListenSocket
  feed: ViewFeed
  connections: Connections
  lateUpgrade: LateUpgrade | undefined
  host: string
  drainMs: number
  /** From the engine that gives rows before their commit. */
  detach: (() => void) | undefined
}

function pushServer({ uws, app, socket, feed, connections, lateUpgrade, host, detach, drainMs }: Running): PushServer {
  const port = uws.us_socket_local_port(socket)
  const page = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`
  let closing: Promise<void> | undefined
  let draining: Promise<void> | undefined
  let isListening = true
  const stopListening = (): void => {
    if (isListening) uws.us_listen_socket_close(socket)
    isListening = false
  }
  const drain = (): Promise<void> => {
    stopListening()
    draining ??= connections.drain(drainMs)
    return draining
  }
  const close = async (): Promise<void> => {
    stopListening()
    await draining
    detach?.()
    connections.closeAll()
    await feed.close()
    app.close()
    lateUpgrade?.close()
  }
  return {
    port,
    urls: { page, views: `${page}views` },
    ready: feed.ready,
    failed: feed.failed,
    get isDraining() {
      return connections.isDraining
    },
    drain,
    isReady: () => !connections.isDraining && feed.views.every((view) => view.isReady || view.failure !== undefined),
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

function listen(uws: Uws, app: UwsApp, host: string, port: number): Promise<ListenSocket> {
  return new Promise((resolve, reject) => {
    // Exclusive: else two servers of one user would share the port, and each get some of the clients.
    app.listen(host, port, uws.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
      if (socket) resolve(socket)
      else reject(new MillraceError('MR7005', { host, port, reason: 'it is in use or not of this machine' }))
    })
  })
}
