// Views over WebSockets: the upgrade, the subprotocols, what clients say. Main thread.
// Keeps SPEC: PUSH-10 (connections and messages have limits), PUSH-14 (JSON and msgpack).

import { MillraceError } from '../core/errors.ts'
import { CLOSE_CODES, readClientMessage } from '../protocol/messages.ts'
import { WebSocketLink } from './client-link.ts'
import type { Connection } from './connections.ts'
import { refuseForeign } from './gate.ts'
import { guarded, type HttpReply } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import { deny, noView, type Serving } from './serving.ts'
import type { UwsApp, UwsSocket } from './uws.ts'
import { jsonCodec, msgpackCodec, type WireCodec } from './wire-codec.ts'

/** Seconds without a byte from a WebSocket client; pings keep a living one. uWebSockets takes 0 or 8 to 960. */
const IDLE_TIMEOUT_S = 60

/** What a WebSocket carries before and after it becomes a connection. */
interface SocketData {
  codec: WireCodec
  /** The client's. */
  address: string
  link?: WebSocketLink<SocketData>
  connection?: Connection | undefined
}

export function addSockets(app: UwsApp, serving: Serving): void {
  const { limits } = serving
  app.ws<SocketData>('/live', {
    maxPayloadLength: limits.clientMessageBytesMax,
    // Above what is ever buffered on purpose, plus one row of any size: a refused message ends the connection.
    maxBackpressure: 4 * limits.clientBytesMax,
    idleTimeout: IDLE_TIMEOUT_S,
    sendPingsAutomatically: true,
    upgrade: guarded(serving.log, (reply, request, context) => upgrade(serving, reply, request, context!)),
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

function upgrade(serving: Serving, reply: HttpReply, request: HttpRequest, context: object): void {
  if (refuseForeign(serving, reply, request)) return
  const asked = request.header('sec-websocket-protocol')
  const codec = codecOf(asked)
  if (codec === undefined) {
    deny(serving, reply, 400, new MillraceError('MR7006', { reason: `no subprotocol of ${asked} is known` }))
    return
  }
  const data: SocketData = { codec, address: request.peer }
  reply.upgrade(data, asked === '' ? '' : codec.protocol, request, context)
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
  data.connection = serving.connections.open(data.link, data.address)
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
  if (message.type === 'ping') link.ping(serving.wallMs())
  else if (message.type === 'unsubscribe') connections.unsubscribe(connection, message.id)
  else {
    const view = views.get(message.view)
    if (view === undefined) connections.refuse(connection, message.id, noView(serving, message.view), false)
    else connections.subscribe(connection, view, message)
  }
}
