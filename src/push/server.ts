// The push server: views over WebSocket and SSE, the list of views, and the page. Main thread.
// Keeps SPEC: PUSH-1 to PUSH-11.

import type { Clock, Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Kafka } from '../kafka/port.ts'
import type { Log } from '../ops/log.ts'
import type { Registry } from '../ops/metrics.ts'
import { systemClock, systemScheduler } from '../ops/system-clock.ts'
import { CLOSE_CODES, parseClientMessage, pingJson } from '../protocol/messages.ts'
import { EventStreamLink, WebSocketLink } from './client-link.ts'
import { type Client, Clients } from './clients.ts'
import { guarded, type HttpReply } from './http-reply.ts'
import { DEFAULT_PUSH_LIMITS, type PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import { isAllowed } from './origin-check.ts'
import { type Asset, loadAssets } from './page-assets.ts'
import { pushMetrics } from './push-metrics.ts'
import { type ListenSocket, loadUws, type Uws, type UwsApp, type UwsRequest, type UwsSocket } from './uws.ts'
import { type ServedView, startFeed, type ViewFeed } from './view-feed.ts'

export interface PushOptions {
  kafka: Kafka
  views: readonly ServedView[]
  /** Default 127.0.0.1. */
  host?: string
  /** 0 takes any free one. */
  port: number
  log: Log
  /** Origins that may connect beside the page's own, e.g. `https://desk.example`; `*` allows all. */
  allowedOrigins?: readonly string[]
  limits?: Partial<PushLimits>
  /** One call to Kafka; default 10 s. */
  callMs?: number
  /** Gets the counts of push. */
  metrics?: Registry
  clock?: Clock
  scheduler?: Scheduler
}

export interface PushServer {
  /** The port that was taken. */
  port: number
  urls: { page: string; views: string }
  /** True when every view that has not failed was read to its end once. */
  isReady(): boolean
  /** Tells the clients to come back, stops listening and reading. Idempotent. */
  close(): Promise<void>
}

const CALL_MS_DEFAULT = 10_000
/** Seconds without a byte from a WebSocket client; pings keep a living one. uWebSockets takes 0 or 8 to 960. */
const IDLE_TIMEOUT_S = 60

/** What a connection carries before and after it becomes a client. */
interface SocketData {
  /** Undefined: there is no such view. */
  view: LiveView | undefined
  viewName: string
  key: string | undefined
  link?: WebSocketLink<SocketData>
  client?: Client | undefined
}

interface Serving {
  options: PushOptions
  host: string
  limits: PushLimits
  views: Map<string, LiveView>
  clients: Clients
  assets: Map<string, Asset>
}

/**
 * Serves views. Throws MR3005 (uWebSockets or the page cannot be loaded), MR4002 (no such topic), MR7005 (the port).
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
  const assets = loadAssets()
  const { kafka, views, log } = options
  const feed = await startFeed({
    kafka,
    views,
    limits,
    callMs: options.callMs ?? CALL_MS_DEFAULT,
    metrics,
    log,
    scheduler,
  })
  const clients = new Clients({ limits, metrics, log, clock, scheduler }, feed.views)
  const byName = new Map(feed.views.map((view) => [view.name, view]))
  const app = makeApp(uws, { options, host, limits, views: byName, clients, assets })
  try {
    const socket = await listen(uws, app, host, options.port)
    return pushServer({ uws, app, socket, feed, clients, host })
  } catch (error) {
    clients.closeAll()
    await feed.close()
    throw error
  }
}

interface Running {
  uws: Uws
  app: UwsApp
  socket: ListenSocket
  feed: ViewFeed
  clients: Clients
  host: string
}

function pushServer({ uws, app, socket, feed, clients, host }: Running): PushServer {
  const port = uws.us_socket_local_port(socket)
  const page = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    uws.us_listen_socket_close(socket)
    clients.closeAll()
    await feed.close()
    app.close()
  }
  return {
    port,
    urls: { page, views: `${page}views` },
    isReady: () => feed.views.every((view) => view.isReady || view.failure !== undefined),
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

function makeApp(uws: Uws, serving: Serving): UwsApp {
  const { log } = serving.options
  const guard = (handler: (serving: Serving, reply: HttpReply, req: UwsRequest) => void) =>
    guarded(log, (reply, req) => {
      if (refuseForeign(serving, reply, req)) return
      handler(serving, reply, req)
    })
  const app = uws.App()
  addSockets(app, serving)
  app.get('/views', guard(listViews))
  app.get('/views/:view/events', guard(streamEvents))
  app.get('/views/:view', guard(wantUpgrade))
  for (const path of serving.assets.keys()) app.get(path, guard(sendAsset))
  app.any('/*', guard(nothingThere))
  return app
}

/** Answers 403 to requests that come from a foreign page. */
function refuseForeign(serving: Serving, reply: HttpReply, req: UwsRequest): boolean {
  const headers = { origin: req.getHeader('origin'), host: req.getHeader('host') }
  if (isAllowed(headers, serving.host, serving.options.allowedOrigins ?? [])) return false
  reply.error(403, new MillraceError('MR7008', { origin: headers.origin || 'none', host: headers.host }))
  return true
}

function addSockets(app: UwsApp, serving: Serving): void {
  const { limits } = serving
  app.ws<SocketData>('/views/:view', {
    maxPayloadLength: limits.clientMessageBytesMax,
    // Above what is ever buffered on purpose, plus one row of any size: a refused message ends the connection.
    maxBackpressure: 4 * limits.clientBytesMax,
    idleTimeout: IDLE_TIMEOUT_S,
    sendPingsAutomatically: true,
    upgrade: (res, req, context) => {
      guarded(serving.options.log, (reply) => {
        if (!refuseForeign(serving, reply, req)) reply.upgrade(socketData(serving, req), req, context)
      })(res, req)
    },
    open: (socket) => opened(serving, socket),
    message: (socket, message) => received(serving, socket.getUserData(), message),
    drain: (socket) => {
      const { client } = socket.getUserData()
      if (client !== undefined) serving.clients.serve(client)
    },
    close: (socket) => {
      const data = socket.getUserData()
      if (data.link !== undefined) data.link.isClosed = true
      if (data.client !== undefined) serving.clients.remove(data.client)
    },
  })
}

function socketData(serving: Serving, req: UwsRequest): SocketData {
  const viewName = viewNameOf(req)
  return { viewName, view: serving.views.get(viewName), key: req.getQuery('key') }
}

function opened(serving: Serving, socket: UwsSocket<SocketData>): void {
  const data = socket.getUserData()
  data.link = new WebSocketLink(socket, serving.limits.clientBytesMax)
  if (data.view === undefined) data.link.end(CLOSE_CODES.noView, noView(serving, data.viewName))
  else data.client = serving.clients.add(data.view, data.link, data.key)
}

function received(serving: Serving, { client, link }: SocketData, bytes: ArrayBuffer): void {
  if (client === undefined || link === undefined || link.isClosed) return
  const message = parseClientMessage(new TextDecoder().decode(bytes))
  if (typeof message === 'string') {
    serving.clients.end(client, CLOSE_CODES.badMessage, new MillraceError('MR7006', { reason: message }))
    return
  }
  if (message.type === 'ping') {
    if (link.isOpen()) link.send(pingJson((serving.options.clock ?? systemClock).wallMs()))
    return
  }
  client.subscription.restart(message.key)
  serving.clients.serve(client)
}

function streamEvents(serving: Serving, reply: HttpReply, req: UwsRequest): void {
  const viewName = viewNameOf(req)
  const view = serving.views.get(viewName)
  if (view === undefined) {
    reply.error(404, noView(serving, viewName))
    return
  }
  const refusal = refusalOf(serving, view)
  if (refusal !== undefined) {
    reply.error(503, refusal)
    return
  }
  const key = req.getQuery('key')
  const link = new EventStreamLink(reply)
  let client: Client | undefined
  reply.onAborted = () => {
    if (client !== undefined) serving.clients.remove(client)
  }
  reply.stream('text/event-stream', () => {
    link.becameWritable()
    if (client !== undefined) serving.clients.serve(client)
  })
  client = serving.clients.add(view, link, key)
}

function refusalOf(serving: Serving, view: LiveView): MillraceError | undefined {
  const { clientsMax } = serving.limits
  if (serving.clients.count >= clientsMax) return new MillraceError('MR7007', { limit: clientsMax })
  return view.failure
}

function listViews(serving: Serving, reply: HttpReply): void {
  const views = [...serving.views.values()].map((view) => ({
    name: view.name,
    topic: view.topic,
    rows: view.store.rows.size,
    isReady: view.isReady,
    ...(view.failure === undefined ? {} : { failure: view.failure.code }),
  }))
  reply.json(200, { views })
}

function wantUpgrade(serving: Serving, reply: HttpReply, req: UwsRequest): void {
  const viewName = viewNameOf(req)
  if (!serving.views.has(viewName)) reply.error(404, noView(serving, viewName))
  else reply.json(426, { webSocket: `/views/${viewName}`, events: `/views/${viewName}/events` })
}

function sendAsset(serving: Serving, reply: HttpReply, req: UwsRequest): void {
  const { contentType, body } = serving.assets.get(req.getUrl())!
  reply.send(200, contentType, body)
}

function nothingThere(_serving: Serving, reply: HttpReply, req: UwsRequest): void {
  reply.error(404, new MillraceError('MR7009', { path: req.getUrl() }))
}

function noView(serving: Serving, view: string): MillraceError {
  return new MillraceError('MR7001', { view, views: [...serving.views.keys()].join(', ') })
}

/** The name in the path; what is not well encoded stays as it came and names no view. */
function viewNameOf(req: UwsRequest): string {
  const raw = req.getParameter(0) ?? ''
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw // the answer to it is 404, with the name as it was sent
  }
}
