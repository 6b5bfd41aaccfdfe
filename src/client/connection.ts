// The connection of a client: which server it is to, over what, when the next try is, and whom a message is for. Runs in browsers and
// in Node.
// Keeps SPEC: PUSH-10 (it comes back where the server says that it may), PUSH-18 (a client that was cut off comes back), PUSH-19
// (where there is no WebSocket, events say the same), PUSH-32 (who is sent away goes on elsewhere at once).

import { CLOSE_CODES, canRetry, type ServerMessage, type Subscribe } from '../protocol/messages.ts'
import { ClientError, ownError } from './client-error.ts'
import { EventStreamLink } from './event-stream-link.ts'
import { type Link, type LinkEvents, LOST_CODE, type Transport } from './link.ts'
import { openWebSocket, type WebSocketClass } from './web-socket-link.ts'

/*
 *   idle ── first subscription ──> connecting ── ready ──> open ── closed ──> waiting ── time is up ──> connecting
 *     ^                                │                                        ^
 *     │                                └──────── refused, no answer in time ────┘
 *     └── no subscription any more
 */

/** Says that a server is not as far as a position; another may be. */
const BEHIND = 'MR7013'
const GOING_AWAY = 1001
/** The greatest wait is so many times the first one. */
const WAIT_FACTOR_MAX = 30
/** A connection without a subscription is kept so long: the next one is often about to come. */
const LINGER_MS = 1000

/** A subscription, as its connection sees it. */
export interface Subscriber {
  /** What is said of it, besides its id. */
  request(): Omit<Subscribe, 'type' | 'id'>
  receive(message: ServerMessage & { id: number }): void
  /** `waiting`: the connection is lost; `connecting`: it is tried again. */
  moved(state: 'waiting' | 'connecting'): void
  told(error: ClientError): void
  /** The end of it. */
  failed(error: ClientError): void
  /** Begins with a snapshot the next time. */
  forgetPosition(): void
}

export interface ConnectionOptions {
  urls: readonly string[]
  token: string | (() => string | Promise<string>) | undefined
  /** Undefined: there is none. */
  WebSocket: WebSocketClass | undefined
  transport: Transport | 'auto'
  retryMs: number
  silenceMsMax: number
  openMsMax: number
}

export class Connection {
  readonly #options: ConnectionOptions
  /** With the id that the server knows it by; 0 as long as it knows nothing of it. */
  readonly #subscribers = new Map<Subscriber, number>()
  readonly #byId = new Map<number, Subscriber>()
  /** None is used twice: what still comes for an old one is for nobody. */
  #idLast = 0
  #link: Link | undefined
  #isReady = false
  /** Something was heard on this link. */
  #isHeard = false
  /** Undefined: there is no link and none is being made. */
  transport: Transport | undefined
  #usesEvents: boolean
  #urlAt = 0
  #retryCount = 0
  /** The last link ended since a server was behind a position. */
  #wasBehind = false
  /** What the server said before it closes the connection. */
  #lastError: ClientError | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Grows whenever a link is made or given up. */
  #attempt = 0

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#usesEvents = options.transport === 'sse' || options.WebSocket === undefined
  }

  add(subscriber: Subscriber): void {
    this.#subscribers.set(subscriber, 0)
    if (this.#isReady) this.#say(subscriber)
    if (this.#subscribers.size > 1) return
    if (this.transport === undefined) void this.#connect()
    else if (this.#isReady) clearTimeout(this.#timer)
  }

  remove(subscriber: Subscriber): void {
    this.#unsay(subscriber)
    if (!this.#subscribers.delete(subscriber) || this.#subscribers.size > 0) return
    if (this.#isReady) this.#timer = setTimeout(() => this.#drop(), LINGER_MS)
    else this.#drop()
  }

  /** Says a subscription anew, from where it is. */
  restart(subscriber: Subscriber): void {
    this.#unsay(subscriber)
    if (this.#isReady) this.#say(subscriber)
  }

  /** Gives the link up and makes another. */
  reconnect(): void {
    this.#lost(LOST_CODE)
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt
    const { urls, WebSocket, openMsMax, silenceMsMax } = this.#options
    this.transport = this.#usesEvents ? 'sse' : 'websocket'
    this.#isHeard = false
    this.#lastError = undefined
    this.#timer = setTimeout(() => this.#lost(LOST_CODE), openMsMax)
    for (const subscriber of [...this.#subscribers.keys()]) subscriber.moved('connecting')
    const token = await this.#token()
    if (attempt !== this.#attempt) return
    if (token instanceof ClientError) {
      this.#giveUp(token)
      return
    }
    const link = { url: urls[this.#urlAt]!, token, silenceMsMax }
    try {
      const events = this.#eventsOf(attempt)
      this.#link = this.#usesEvents ? new EventStreamLink(link, events) : openWebSocket(WebSocket!, link, events)
    } catch (error) {
      this.#giveUp(ownError('MR7041', textOf(error), true))
    }
  }

  async #token(): Promise<string | undefined | ClientError> {
    const { token } = this.#options
    if (typeof token !== 'function') return token
    try {
      return await token()
    } catch (error) {
      return ownError('MR7042', textOf(error), true)
    }
  }

  /** There is no link this time. */
  #giveUp(error: ClientError): void {
    for (const subscriber of [...this.#subscribers.keys()]) subscriber.told(error)
    this.#lost(LOST_CODE)
  }

  #eventsOf(attempt: number): LinkEvents {
    const isOurs = (): boolean => attempt === this.#attempt
    return {
      onReady: () => {
        if (!isOurs()) return
        clearTimeout(this.#timer)
        this.#isReady = true
        for (const subscriber of [...this.#subscribers.keys()]) this.#say(subscriber)
      },
      onMessage: (message) => {
        if (isOurs()) this.#receive(message)
      },
      onClose: (code) => {
        if (isOurs()) this.#lost(code)
      },
    }
  }

  #receive(message: ServerMessage): void {
    this.#isHeard = true
    if (message.type === 'ping' || message.type === 'drain') return
    if (message.type === 'snapshot' || message.type === 'update') this.#retryCount = 0
    if (message.type !== 'error') {
      this.#byId.get(message.id)?.receive(message)
      return
    }
    const error = new ClientError(message.code, message.message, message.canRetry)
    const subscriber = message.id === undefined ? undefined : this.#byId.get(message.id)
    if (subscriber !== undefined) this.#refused(subscriber, error)
    else if (message.id === undefined) {
      this.#lastError = error
      for (const each of [...this.#subscribers.keys()]) if (error.canRetry) each.told(error)
    }
  }

  #refused(subscriber: Subscriber, error: ClientError): void {
    if (!error.canRetry) {
      this.remove(subscriber)
      subscriber.failed(error)
      return
    }
    subscriber.told(error)
    const isBehind = error.code === BEHIND
    if (isBehind && this.#wasBehind) {
      // Two servers are behind the position: the rows that they have are all there are.
      subscriber.forgetPosition()
      this.restart(subscriber)
      return
    }
    this.#lost(GOING_AWAY)
    this.#wasBehind = isBehind
  }

  #say(subscriber: Subscriber): void {
    const id = ++this.#idLast
    this.#subscribers.set(subscriber, id)
    this.#byId.set(id, subscriber)
    this.#link!.subscribe({ type: 'subscribe', id, ...subscriber.request() })
  }

  #unsay(subscriber: Subscriber): void {
    const id = this.#subscribers.get(subscriber)
    if (!id || !this.#byId.delete(id)) return
    this.#subscribers.set(subscriber, 0)
    this.#link?.unsubscribe(id)
  }

  /** Ends the link, if there is one. */
  #drop(): void {
    this.#attempt++
    clearTimeout(this.#timer)
    this.#byId.clear()
    this.#isReady = false
    this.transport = undefined
    this.#link?.close()
    this.#link = undefined
  }

  #lost(code: number): void {
    this.#drop()
    const subscribers = [...this.#subscribers.keys()]
    if (this.#subscribers.size === 0) return
    this.#wasBehind = false
    const error = this.#lastError
    if (error?.canRetry === false || !canRetry(code)) {
      this.#subscribers.clear()
      for (const each of subscribers) each.failed(error ?? ownError('MR7043', code, false))
      return
    }
    this.#choose()
    // The server has spread those that it sends away; where there is no other, the next try waits.
    const isMoved = code === CLOSE_CODES.moves && this.#retryCount === 0
    const waitMs = isMoved ? 0 : this.#options.retryMs * Math.min(WAIT_FACTOR_MAX, 2 ** this.#retryCount)
    this.#retryCount++
    // Spread, so that the clients of a restarted server do not all come in the same instant.
    this.#timer = setTimeout(() => void this.#connect(), waitMs * (0.5 + Math.random() / 2))
    for (const each of subscribers) each.moved('waiting')
  }

  /** Where a WebSocket says nothing, events of the same server are tried; whatever else fails, the next server is. */
  #choose(): void {
    const { urls, transport, WebSocket } = this.#options
    const isRefused = !this.#isHeard && transport === 'auto' && WebSocket !== undefined
    if (isRefused && !this.#usesEvents) {
      this.#usesEvents = true
      return
    }
    this.#urlAt = (this.#urlAt + 1) % urls.length
    if (transport === 'auto' && WebSocket !== undefined) this.#usesEvents = false
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
