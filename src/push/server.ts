// The push server: views over WebSocket and SSE, the list of views, and the page. Main thread.
// Keeps SPEC: PUSH-1 to PUSH-16.

import type { Clock, Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Kafka } from '../kafka/port.ts'
import type { Log } from '../ops/log.ts'
import type { Registry } from '../ops/metrics.ts'
import { systemClock, systemScheduler } from '../ops/system-clock.ts'
import { CLOSE_CODES, isWhole, readClientMessage, type Subscribe } from '../protocol/messages.ts'
import { EventStreamLink, WebSocketLink } from './client-link.ts'
import { type Connection, Connections } from './connections.ts'
import { guarded, type HttpReply } from './http-reply.ts'
import { DEFAULT_PUSH_LIMITS, type PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import { isAllowed } from './origin-check.ts'
import { type Asset, loadAssets } from './page-assets.ts'
import { pushMetrics } from './push-metrics.ts'
import { readRow, readRows, selectionOf } from './reads.ts'
import { addressOf, type ListenSocket, loadUws, type Uws, type UwsApp, type UwsRequest, type UwsSocket } from './uws.ts'
import { type ServedView, startFeed, type ViewFeed } from './view-feed.ts'
import { jsonCodec, msgpackCodec, type WireCodec } from './wire-codec.ts'

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
  /** Signs positions; the same on all servers of a view. Default: none, the id of the topic alone signs. */
  positionSecret?: string
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
  /** Resolves when that is so, unless no view is served any more. */
  ready: Promise<void>
  /** Resolves with the last failure when no view is served any more. */
  failed: Promise<MillraceError>
  /** Tells the clients to come back, stops listening and reading. Idempotent. */
  close(): Promise<void>
}

const CALL_MS_DEFAULT = 10_000
/** Seconds without a byte from a WebSocket client; pings keep a living one. uWebSockets takes 0 or 8 to 960. */
const IDLE_TIMEOUT_S = 60

/** What a WebSocket carries before and after it becomes a connection. */
interface SocketData {
  codec: WireCodec
  link?: WebSocketLink<SocketData>
  connection?: Connection | undefined
}

interface Serving {
  options: PushOptions
  host: string
  limits: PushLimits
  views: Map<string, LiveView>
  connections: Connections
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
    positionSecret: options.positionSecret ?? '',
    callMs: options.callMs ?? CALL_MS_DEFAULT,
    metrics,
    log,
    clock,
    scheduler,
  })
  const connections = new Connections({ limits, metrics, log, clock, scheduler }, feed.views)
  const byName = new Map(feed.views.map((view) => [view.name, view]))
  const app = makeApp(uws, { options, host, limits, views: byName, connections, assets })
  try {
    const socket = await listen(uws, app, host, options.port)
    return pushServer({ uws, app, socket, feed, connections, host })
  } catch (error) {
    connections.closeAll()
    await feed.close()
    throw error
  }
}

interface Running {
  uws: Uws
  app: UwsApp
  socket: ListenSocket
  feed: ViewFeed
  connections: Connections
  host: string
}

function pushServer({ uws, app, socket, feed, connections, host }: Running): PushServer {
  const port = uws.us_socket_local_port(socket)
  const page = `http://${host.includes(':') ? `[${host}]` : host}:${port}/`
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    uws.us_listen_socket_close(socket)
    connections.closeAll()
    await feed.close()
    app.close()
  }
  return {
    port,
    urls: { page, views: `${page}views` },
    isReady: () => feed.views.every((view) => view.isReady || view.failure !== undefined),
    ready: feed.ready,
    failed: feed.failed,
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
  app.get('/events/:view', guard(streamEvents))
  app.get('/views', guard(listViews))
  app.get('/views/:view', guard(withView((view, reply, req) => readRows(view, serving.limits, reply, req))))
  app.get(
    '/views/:view/:key',
    guard(withView((view, reply, req) => readRow(view, parameter(req, 1), serving.limits, reply, req))),
  )
  for (const path of serving.assets.keys()) app.get(path, guard(sendAsset))
  app.any('/*', guard(nothingThere))
  return app
}

type ViewHandler = (view: LiveView, reply: HttpReply, req: UwsRequest) => void

/** For a view that is there and can be served. */
function withView(handle: ViewHandler) {
  return (serving: Serving, reply: HttpReply, req: UwsRequest): void => {
    const name = parameter(req, 0)
    const view = serving.views.get(name)
    if (view === undefined) reply.error(404, noView(serving, name))
    else if (view.failure !== undefined) reply.error(503, view.failure)
    else if (!view.isReady) reply.error(503, new MillraceError('MR7015', { view: name }))
    else answerWrong(reply, () => handle(view, reply, req))
  }
}

/** What is wrong with a request (MR7006) is answered with 400. */
function answerWrong(reply: HttpReply, handle: () => void): void {
  try {
    handle()
  } catch (error) {
    if (!(error instanceof MillraceError && error.code === 'MR7006')) throw error
    reply.error(400, error)
  }
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
  app.ws<SocketData>('/live', {
    maxPayloadLength: limits.clientMessageBytesMax,
    // Above what is ever buffered on purpose, plus one row of any size: a refused message ends the connection.
    maxBackpressure: 4 * limits.clientBytesMax,
    idleTimeout: IDLE_TIMEOUT_S,
    sendPingsAutomatically: true,
    upgrade: (res, req, context) => {
      guarded(serving.options.log, (reply) => {
        if (refuseForeign(serving, reply, req)) return
        const asked = req.getHeader('sec-websocket-protocol')
        const codec = codecOf(asked)
        if (codec === undefined)
          reply.error(400, new MillraceError('MR7006', { reason: `no subprotocol of ${asked} is known` }))
        else reply.upgrade<SocketData>({ codec }, asked === '' ? '' : codec.protocol, req, context)
      })(res, req)
    },
    open: (socket) => opened(serving, socket),
    message: (socket, message) => received(serving, socket.getUserData(), message),
    drain: (socket) => {
      const { connection } = socket.getUserData()
      if (connection !== undefined) serving.connections.drained(connection)
    },
    close: (socket) => {
      const data = socket.getUserData()
      if (data.link !== undefined) data.link.isClosed = true
      if (data.connection !== undefined) serving.connections.remove(data.connection)
    },
  })
}

/** By the subprotocols that a client asks for: the first that is known; JSON for one who asks for none. */
function codecOf(asked: string): WireCodec | undefined {
  if (asked === '') return jsonCodec
  const codecs = asked.split(',').map((name) => CODECS.get(name.trim()))
  return codecs.find((codec) => codec !== undefined)
}

const CODECS = new Map([jsonCodec, msgpackCodec].map((codec) => [codec.protocol, codec]))

function opened(serving: Serving, socket: UwsSocket<SocketData>): void {
  const data = socket.getUserData()
  data.link = new WebSocketLink(socket, data.codec, serving.limits.clientBytesMax)
  data.connection = serving.connections.open(data.link, addressOf(socket))
}

function received(serving: Serving, { codec, connection, link }: SocketData, bytes: ArrayBuffer): void {
  if (connection === undefined || link === undefined || link.isClosed) return
  const { connections, limits, views } = serving
  if (!connections.countMessage(connection)) return
  const message = readClientMessage(codec.read(bytes), limits)
  if (typeof message === 'string') {
    connections.end(connection, CLOSE_CODES.badMessage, new MillraceError('MR7006', { reason: message }))
    return
  }
  if (message.type === 'ping') link.ping((serving.options.clock ?? systemClock).wallMs())
  else if (message.type === 'unsubscribe') connections.unsubscribe(connection, message.id)
  else {
    const view = views.get(message.view)
    if (view === undefined) connections.refuse(connection, message.id, noView(serving, message.view), false)
    else connections.subscribe(connection, view, message)
  }
}

/** The subscription of a stream of events, which has one. */
const EVENTS_ID = 0

function streamEvents(serving: Serving, reply: HttpReply, req: UwsRequest): void {
  const { connections, limits, views } = serving
  const name = parameter(req, 0)
  const view = views.get(name)
  const refusal = view === undefined ? undefined : (view.failure ?? connections.refusalOf(reply.address))
  if (view === undefined) reply.error(404, noView(serving, name))
  else if (refusal !== undefined) reply.error(503, refusal)
  else answerWrong(reply, () => follow(serving, view, eventsRequest(req, limits), reply))
}

function follow({ connections }: Serving, view: LiveView, request: EventsRequest, reply: HttpReply): void {
  const link = new EventStreamLink(reply)
  const connection = connections.open(link, reply.address)!
  reply.onAborted = () => connections.remove(connection)
  reply.stream('text/event-stream', () => {
    link.becameWritable()
    connections.drained(connection)
  })
  connections.subscribe(connection, view, { type: 'subscribe', id: EVENTS_ID, view: view.name, ...request })
}

type EventsRequest = Omit<Subscribe, 'type' | 'id' | 'view'>

/** A browser that connects again says the id of the last event; anyone may say `resume` and `minGapMs`. Throws MR7006. */
function eventsRequest(req: UwsRequest, limits: PushLimits): EventsRequest {
  const query = new URLSearchParams(req.getQuery())
  const resume = req.getHeader('last-event-id') || query.get('resume')
  const minGapMs = Number(query.get('minGapMs') ?? 0)
  if (!isWhole(minGapMs)) throw new MillraceError('MR7006', { reason: 'minGapMs must be a whole number from 0 on' })
  return { ...selectionOf(req, limits), ...(resume ? { resume } : {}), minGapMs }
}

function listViews(serving: Serving, reply: HttpReply): void {
  const views = [...serving.views.values()].map((view) => ({
    name: view.name,
    topic: view.topic.name,
    rows: view.store.rows.size,
    isReady: view.isReady,
    ...(view.failure === undefined ? {} : { failure: view.failure.code }),
  }))
  reply.json(200, { views })
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

/** A part of the path; what is not well encoded stays as it came and names nothing. */
function parameter(req: UwsRequest, index: number): string {
  const raw = req.getParameter(index) ?? ''
  try {
    return decodeURIComponent(raw)
  } catch {
    return raw // the answer to it is 404, with the name as it was sent
  }
}
