// Follows one view over a WebSocket, in browsers and in Node: keeps its rows, notices gaps and starts over, connects
// again. Needs the protocol alone.
// Keeps SPEC: PUSH-1 (a gap is seen and mended, never shown).

import {
  type ClientMessage,
  canRetry,
  JSON_PROTOCOL,
  parsedJson,
  readServerMessage,
  type Selection,
  type ServerMessage,
  type WireRow,
} from '../protocol/messages.ts'

/** What is used of a WebSocket; the browser's and Node's (from 22 on) fit. */
export interface WebSocketLike {
  send(text: string): void
  close(code?: number): void
  onopen: ((event: unknown) => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number }) => void) | null
  onerror: ((event: unknown) => void) | null
}

export type ViewState = 'connecting' | 'loading' | 'live' | 'waiting' | 'closed'

export interface ViewClientOptions {
  /** Of the push server: `ws://host:port/live`. */
  url: string
  view: string
  /** Which rows; default: all. */
  select?: Selection
  /** Updates are at least so many ms apart. */
  minGapMs?: number
  /** Makes a connection; default: the global WebSocket. Node 20 has none, so give one there. */
  connect?: (url: string, protocol: string) => WebSocketLike
  /** The rows that changed, in order per key; `isSnapshot`: they are all there is. */
  onRows?: (changed: readonly WireRow[], isSnapshot: boolean) => void
  onState?: (state: ViewState) => void
  /** The server's last word before it closed: `MR7001 There is no view ...`. */
  onError?: (error: { code: string; message: string; canRetry: boolean }) => void
  /** First wait before connecting again, doubled up to 30 times this. Default 500 ms. */
  retryMs?: number
  /** Silence after which the connection is taken for dead; the server pings every 15 s. Default 40 s. */
  silenceMsMax?: number
}

export interface ViewClient {
  /** The rows by key, as of the last message. */
  readonly rows: ReadonlyMap<string, WireRow>
  /** The last that the server told: a client that begins with it goes on there. */
  readonly position: string | undefined
  readonly state: ViewState
  /** Gaps that were seen and mended by starting over. */
  readonly gapCount: number
  close(): void
}

/** The one subscription of the connection. */
const ID = 1

/**
 * Follows a view until `close`.
 *
 * @example
 * const view = followView({ url: 'ws://localhost:8080/live', view: 'candles', onRows: (rows) => draw(rows) })
 * view.rows.get('ABC')?.row
 */
export function followView(options: ViewClientOptions): ViewClient {
  return new Following(options)
}

class Following implements ViewClient {
  readonly #options: ViewClientOptions
  #rows = new Map<string, WireRow>()
  /** A snapshot that is arriving; it replaces the rows when it is whole. */
  #arriving = new Map<string, WireRow>()
  #socket: WebSocketLike | undefined
  #retryCount = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Updates of the old chain are of no use until the new snapshot is there. */
  #awaitsSnapshot = true
  /** The last subscription was. */
  #isRefused = false
  position: string | undefined
  state: ViewState = 'connecting'
  gapCount = 0

  constructor(options: ViewClientOptions) {
    this.#options = options
    this.#connect()
  }
  get rows(): ReadonlyMap<string, WireRow> {
    return this.#rows
  }
  close(): void {
    this.#setState('closed')
    clearTimeout(this.#timer)
    this.#socket?.close(1000)
  }

  #connect(): void {
    this.#setState('connecting')
    this.#awaitsSnapshot = true
    const { url, connect = globalSocket } = this.#options
    const socket = connect(url, JSON_PROTOCOL)
    this.#socket = socket
    socket.onopen = () => {
      if (this.#socket === socket) this.#subscribe(this.position)
    }
    socket.onmessage = (event) => {
      if (this.#socket === socket && this.state !== 'closed') this.#receive(event.data)
    }
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#lost(event.code)
    }
    socket.onerror = () => undefined // a close follows every error
    this.#watchSilence(socket)
  }

  #receive(data: unknown): void {
    this.#watchSilence(this.#socket!)
    const message = typeof data === 'string' ? readServerMessage(parsedJson(data)) : undefined
    if (message === undefined) this.#startOver()
    else if (message.type === 'snapshot') this.#takeSnapshot(message)
    else if (message.type === 'update') this.#takeUpdate(message)
    else if (message.type === 'reset') this.#awaitsSnapshot = true
    else if (message.type === 'error') this.#refused(message)
  }

  /** The end of the subscription is that of the client, unless it may ask again. */
  #refused(message: ServerMessage & { type: 'error' }): void {
    this.#options.onError?.(message)
    if (message.id === undefined) return
    if (!message.canRetry) {
      this.close()
      return
    }
    // Another server may be further; if that is behind the position as well, the rows that it has are all there are.
    if (this.#isRefused) this.position = undefined
    this.#isRefused = true
    this.#socket?.close(1000)
  }

  #takeSnapshot(message: ServerMessage & { type: 'snapshot' }): void {
    if (message.isFirst) {
      this.#arriving = new Map()
      this.#setState('loading')
    }
    for (const row of message.rows) this.#arriving.set(row.key, row)
    if (!message.isLast) return
    this.#rows = this.#arriving
    this.position = message.position
    this.#awaitsSnapshot = false
    this.#retryCount = 0
    this.#isRefused = false
    this.#setState('live')
    this.#options.onRows?.([...this.#rows.values()], true)
  }

  #takeUpdate(message: ServerMessage & { type: 'update' }): void {
    if (this.#awaitsSnapshot) return
    if (message.prev !== this.position) {
      this.gapCount++
      this.#startOver()
      return
    }
    this.#retryCount = 0
    this.#isRefused = false
    this.#setState('live')
    for (const row of message.rows) {
      if (row.row === null) this.#rows.delete(row.key)
      else this.#rows.set(row.key, row)
    }
    this.position = message.position
    if (message.rows.length > 0) this.#options.onRows?.(message.rows, false)
  }

  #startOver(): void {
    if (this.#awaitsSnapshot) return
    this.#awaitsSnapshot = true
    this.#subscribe(undefined)
  }

  /** `resume`: what was missed since a position comes as an update; without one all rows come. */
  #subscribe(resume: string | undefined): void {
    const { view, select, minGapMs } = this.#options
    this.#awaitsSnapshot = resume === undefined
    const message: ClientMessage = {
      type: 'subscribe',
      id: ID,
      view,
      ...select,
      ...(resume === undefined ? {} : { resume }),
      ...(minGapMs === undefined ? {} : { minGapMs }),
    }
    this.#socket?.send(JSON.stringify(message))
  }

  #lost(code: number): void {
    clearTimeout(this.#timer)
    if (this.state === 'closed') return
    if (!canRetry(code)) {
      this.#setState('closed')
      return
    }
    this.#setState('waiting')
    const waitMs = (this.#options.retryMs ?? 500) * Math.min(30, 2 ** this.#retryCount++)
    // Spread, so that the clients of a restarted server do not all come in the same instant.
    this.#timer = setTimeout(() => this.#connect(), waitMs * (0.5 + Math.random() / 2))
  }

  #watchSilence(socket: WebSocketLike): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#socket = undefined
      socket.close()
      this.#lost(1006)
    }, this.#options.silenceMsMax ?? 40_000)
  }

  #setState(state: ViewState): void {
    if (this.state === state) return
    this.state = state
    this.#options.onState?.(state)
  }
}

function globalSocket(url: string, protocol: string): WebSocketLike {
  const { WebSocket } = globalThis as { WebSocket?: new (url: string, protocol: string) => WebSocketLike }
  if (WebSocket === undefined) throw new TypeError('this runtime has no WebSocket: give `connect`')
  return new WebSocket(url, protocol)
}
