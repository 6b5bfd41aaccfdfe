// Clients over a push server that is real, with sockets that can be cut, and over one that a test plays.
import type { ClientOptions } from '../../src/client/client.ts'
import { createClient } from '../../src/client/client.ts'
import type { ViewHandlers, ViewSelection, ViewState } from '../../src/client/view.ts'
import type { WebSocketClass, WebSocketLike } from '../../src/client/web-socket-link.ts'
import { RawWebSocket } from '../harness/raw-web-socket.ts'
import { eventually } from '../push/push-fixture.ts'

export type Row = Record<string, unknown>

/** Makes real sockets and keeps them. */
export function rawSockets(): { sockets: RawWebSocket[]; WebSocket: WebSocketClass } {
  const sockets: RawWebSocket[] = []
  class WebSocket extends RawWebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, { 'sec-websocket-protocol': protocols.join(', ') })
      sockets.push(this)
    }
  }
  return { sockets, WebSocket }
}

/** A client that follows one view of a real server, and what it was told. */
export function follow(url: string, selection: ViewSelection<Row> = {}, options: ClientOptions = {}, view = 'candles') {
  const { sockets, WebSocket } = rawSockets()
  const states: ViewState[] = []
  const errors: string[] = []
  const client = createClient({ url, WebSocket, retryMs: 20, ...options })
  const subscription = client.view(view).subscribe(selection, {
    onState: (state) => states.push(state),
    onError: ({ code }) => errors.push(code),
  })
  const rowOf = (key: string): unknown => subscription.rows.get(key)?.row
  return { client, subscription, sockets, states, errors, rowOf }
}

/** A socket whose other end is the test. */
export class ScriptedSocket implements WebSocketLike {
  onopen: ((event: unknown) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  onerror: ((event: unknown) => void) | null = null
  readonly url: string
  readonly protocols: string[]
  /** What the client said. */
  readonly sent: Row[] = []
  isClosed = false

  constructor(url: string, protocols: string[]) {
    this.url = url
    this.protocols = protocols
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }
  close(): void {
    this.isClosed = true
  }
  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify({ id: this.id, ...message }) })
  }
  /** Of the last subscription. */
  get id(): unknown {
    return this.sent.findLast(({ type }) => type === 'subscribe')?.id
  }
}

export const row = (key: string, value: unknown, more: object = {}) => {
  return { key, partition: 0, offset: 0, timestampMs: 0, row: value, ...more }
}
export const snapshot = (position: number, ...rows: object[]) => {
  return { type: 'snapshot', position: String(position), isFirst: true, isLast: true, rows }
}
export const update = (prev: number, position: number, ...rows: object[]) => {
  return { type: 'update', prev: String(prev), position: String(position), rows }
}

export function scripted(options: ClientOptions = {}) {
  const sockets: ScriptedSocket[] = []
  class WebSocket extends ScriptedSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      sockets.push(this)
    }
  }
  const client = createClient({ url: 'http://x', WebSocket, transport: 'websocket', retryMs: 1, ...options })
  /** The socket `n`, when it is there and open. */
  const opened = async (n: number): Promise<ScriptedSocket> => {
    await eventually(() => sockets.length > n)
    sockets[n]!.onopen?.({})
    return sockets[n]!
  }
  const subscribe = (selection: ViewSelection<Row> = {}, handlers: ViewHandlers<Row> = {}) =>
    client.view('v').subscribe(selection, handlers)
  return { client, sockets, opened, subscribe }
}
