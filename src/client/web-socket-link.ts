// A connection over a WebSocket, which carries all subscriptions of a client. Runs in browsers and in Node.
// Keeps SPEC: PUSH-18 (a client that was cut off comes back).

import { JSON_PROTOCOL, parsedJson, readServerMessage } from '../protocol/messages.ts'
import { type Link, type LinkEvents, type LinkOptions, LOST_CODE, Silence } from './link.ts'

/** Takes handlers of more special events, too, as the types of WebSockets have them. */
type Handler<E> = { handle(event: E): void }['handle'] | null

/** What is used of a WebSocket; those of browsers, of Node from 22 on and of the package `ws` fit. */
export interface WebSocketLike {
  send(text: string): void
  close(code?: number): void
  onopen: Handler<unknown>
  onmessage: Handler<{ data: unknown }>
  onclose: Handler<{ code: number }>
  onerror: Handler<unknown>
}

/** Makes a WebSocket. */
export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike

/** Before the token, in the list of subprotocols: a browser can give a WebSocket nothing else. */
const TOKEN_PREFIX = 'bearer.'

/** Throws what the WebSocket throws: an address that is none, or one that this page may not use. */
export function openWebSocket(
  WebSocket: WebSocketClass,
  { url, token, silenceMsMax }: LinkOptions,
  events: LinkEvents,
): Link {
  const protocols = token === undefined ? [JSON_PROTOCOL] : [JSON_PROTOCOL, TOKEN_PREFIX + token]
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/live`, protocols)
  let isDone = false
  const close = (): void => {
    isDone = true
    silence.stop()
    socket.close(1000)
  }
  const end = (code: number): void => {
    if (isDone) return
    close()
    events.onClose(code)
  }
  const silence = new Silence(silenceMsMax, () => end(LOST_CODE))
  socket.onopen = () => {
    if (!isDone) events.onReady()
  }
  socket.onmessage = ({ data }) => {
    if (isDone) return
    silence.touch()
    // What is not of this version is for others; where it was an update of ours, the next one shows the gap.
    const message = typeof data === 'string' ? readServerMessage(parsedJson(data)) : undefined
    if (message !== undefined) events.onMessage(message)
  }
  socket.onclose = ({ code }) => end(code)
  socket.onerror = () => undefined // a close follows every error
  return {
    subscribe: (message) => socket.send(JSON.stringify(message)),
    unsubscribe: (id) => socket.send(JSON.stringify({ type: 'unsubscribe', id })),
    close,
  }
}
