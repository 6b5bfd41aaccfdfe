// Follows one view over a WebSocket, in browsers and in Node: keeps its rows, notices gaps and starts over, connects
// again. Needs the protocol alone.
// Keeps SPEC: PUSH-1 (a gap is seen and mended, never shown).

import {
  advance,
  CLOSE_CODES,
  type ClientMessage,
  type Position,
  parseServerMessage,
  type ServerMessage,
  type WireRow,
} from '../protocol/messages.ts'

/** What is used of a WebSocket; the browser's and Node's (from 22 on) fit. */
export interface WebSocketLike {
  send(text: string): void
  close(code?: number): void
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number }) => void) | null
  onerror: ((event: unknown) => void) | null
}

export type ViewState = 'connecting' | 'loading' | 'live' | 'waiting' | 'closed'

export interface ViewClientOptions {
  /** Of the view: `ws://host:port/views/candles`. */
  url: string
  /** Follow this key alone. */
  key?: string
  /** Makes a connection; default: the global WebSocket. Node 20 has none, so give one there. */
  connect?: (url: string) => WebSocketLike
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
  readonly position: Position
  readonly state: ViewState
  /** Gaps that were seen and mended by starting over. */
  readonly gapCount: number
  close(): void
}

/** Server's closes after which connecting again cannot help. */
const FINAL_CODES: readonly number[] = [CLOSE_CODES.noView, CLOSE_CODES.viewFailed, CLOSE_CODES.badMessage]

/**
 * Follows a view until `close`.
 *
 * @example
 * const view = followView({ url: 'ws://localhost:8080/views/candles', onRows: (rows) => draw(rows) })
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
  position: Position = {}
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
    const { url, key } = this.#options
    const whole = key === undefined ? url : `${url}${url.includes('?') ? '&' : '?'}key=${encodeURIComponent(key)}`
    const socket = this.#options.connect === undefined ? globalSocket(whole) : this.#options.connect(whole)
    this.#socket = socket
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
    const message = typeof data === 'string' ? parseServerMessage(data) : undefined
    if (message === undefined) this.#startOver()
    else if (message.type === 'snapshot') this.#takeSnapshot(message)
    else if (message.type === 'update') this.#takeUpdate(message)
    else if (message.type === 'error') this.#options.onError?.(message)
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
    this.#setState('live')
    this.#options.onRows?.([...this.#rows.values()], true)
  }

  #takeUpdate(message: ServerMessage & { type: 'update' }): void {
    if (this.#awaitsSnapshot) return
    const position = advance(this.position, message.prev, message.position)
    if (position === undefined) {
      this.gapCount++
      this.#startOver()
      return
    }
    for (const row of message.rows) {
      if (row.row === null) this.#rows.delete(row.key)
      else this.#rows.set(row.key, row)
    }
    this.position = position
    this.#options.onRows?.(message.rows, false)
  }

  #startOver(): void {
    if (this.#awaitsSnapshot) return
    this.#awaitsSnapshot = true
    const { key } = this.#options
    const message: ClientMessage = { v: 1, type: 'subscribe', ...(key === undefined ? {} : { key }) }
    this.#socket?.send(JSON.stringify(message))
  }

  #lost(code: number): void {
    clearTimeout(this.#timer)
    if (this.state === 'closed') return
    if (FINAL_CODES.includes(code)) {
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

function globalSocket(url: string): WebSocketLike {
  const { WebSocket } = globalThis as { WebSocket?: new (url: string) => WebSocketLike }
  if (WebSocket === undefined) throw new TypeError('this runtime has no WebSocket: give `connect`')
  return new WebSocket(url)
}
