// Views over WebSockets: the upgrade, the subprotocols, what clients say. Main thread.
// Keeps SPEC: PUSH-10 (connections and messages have limits), PUSH-14 (JSON and msgpack), PUSH-26 (rights).

import { MillraceError } from '../core/errors.ts'
import { CLOSE_CODES, readClientMessage } from '../protocol/messages.ts'
import { clientAddress } from './client-address.ts'
import { WebSocketLink } from './client-link.ts'
import type { Connection } from './connections.ts'
import { forBearers } from './gate.ts'
import type { HttpReply } from './http-reply.ts'
import type { HttpRequest } from './http-request.ts'
import { protocolsOf } from './request-token.ts'
import { refusalOf } from './rights.ts'
import { noView, type Serving } from './serving.ts'
import type { Grant } from './token-check.ts'
import type { UwsApp, UwsSocket } from './uws.ts'
import { jsonCodec, msgpackCodec, type WireCodec } from './wire-codec.ts'

/** Seconds without a byte from a WebSocket client; pings keep a living one. uWebSockets takes 0 or 8 to 960. */
const IDLE_TIMEOUT_S = 60

/** What a WebSocket carries before and after it becomes a connection. */
interface SocketData {
  codec: WireCodec
  /** The client's. */
  address: string
  grant: Grant
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
    upgrade: forBearers(serving, upgrade),
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

function upgrade(
  serving: Serving,
  reply: HttpReply,
  request: HttpRequest,
  grant: Grant,
  context: object | undefined,
): void {
  // uWebSockets takes any, and closes one with `close` as soon as it is upgraded.
  if (!/\bupgrade\b/i.test(request.header('connection')))
    throw new MillraceError('MR7006', { reason: 'Connection must be Upgrade' })
  const asked = protocolsOf(request)
  const codec = codecOf(request, asked)
  if (codec === undefined)
    throw new MillraceError('MR7006', { reason: `no subprotocol of ${asked.join(', ') || 'none'} is known` })
  const data: SocketData = { codec, address: clientAddress(request, serving.trustedProxies), grant }
  serving.runUpgrade(() => reply.upgrade(data, asked.length === 0 ? '' : codec.protocol, request, context!))
}

/** The first of the subprotocols that is known; JSON for one who asks for none, not even to carry its token. */
function codecOf(request: HttpRequest, asked: readonly string[]): WireCodec | undefined {
  if (request.header('sec-websocket-protocol') === '') return jsonCodec
  const codecs = asked.map((name) => CODECS.get(name))
  return codecs.find((codec) => codec !== undefined)
}

const CODECS = new Map([jsonCodec, msgpackCodec].map((codec) => [codec.protocol, codec]))

function opened(serving: Serving, socket: UwsSocket<SocketData>): void {
  const data = socket.getUserData()
  data.link = new WebSocketLink(socket, data.codec, serving.limits.clientBytesMax)
  data.connection = serving.connections.open(data.link, data.address, data.grant)
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
    const { rights } = connection.grant
    const view = views.get(message.view)
    const denied = refusalOf(rights, message.view, message)
    if (denied !== undefined) connections.refuse(connection, message.id, denied, false)
    else if (view === undefined)
      connections.refuse(connection, message.id, noView(serving, message.view, rights), false)
    else connections.subscribe(connection, view, message)
  }
}
