// The connected clients and their subscriptions: serving them in turns of the event loop, signs of life, and the end of those that do
// not read. Main thread.
// Keeps SPEC: PUSH-2 (the newest row of a key is always delivered), PUSH-9 (a client that does not read is closed, the
// others do not notice), PUSH-10 (limits), PUSH-15 (updates keep their distance), PUSH-28 (no connection outlives its token), PUSH-30 (nor
// goes on for long without a subscription), PUSH-32 (a server that stops sends its clients away one after the other).

import type { Clock, Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Log } from '../ops/log.ts'
import { CLOSE_CODES, type Subscribe } from '../protocol/messages.ts'
import type { Link } from './client-link.ts'
import type { Follower } from './follower.ts'
import { HistorySubscription } from './history-subscription.ts'
import type { PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import type { PushMetrics } from './push-metrics.ts'
import { permitsNothing } from './rights.ts'
import { Subscription } from './subscription.ts'
import type { Grant } from './token-check.ts'

const TICK_MS = 250
/**
 * After the rows of a moment went to all, the next ones wait so many times as long as that took: what comes meanwhile goes out in one
 * message a client. With few clients that is nothing; with many a message costs more than a row in it.
 */
const REST_FACTOR = 3
const REST_MS_MAX = 25
const SECOND_MS = 1000
/** So often those are closed whose time has come. */
const DRAIN_STEP_MS = 20

export interface Connection {
  readonly link: Link
  /** The client's, as far as the server sees it. */
  readonly address: string
  /** What it may read, and until when. */
  readonly grant: Grant
  /** By id. */
  readonly subscriptions: Map<number, Follower>
  /** Monotonic; undefined while it keeps up. */
  blockedSinceMs: number | undefined
  pingedMs: number
  /** Messages of the client since a monotonic time. */
  messageCount: number
  readonly openedMs: number
  /** Some subscription was accepted. */
  hasSubscribed: boolean
  messagesSinceMs: number
}

export interface ConnectionsOptions {
  limits: PushLimits
  metrics: PushMetrics
  log: Log
  clock: Clock
  scheduler: Scheduler
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #all = new Set<Connection>()
  readonly #byAddress = new Map<string, number>()
  readonly #owners = new Map<Follower, Connection>()
  /** Subscriptions that have something to be told. */
  readonly #due = new Set<Follower>()
  /** Those that may be told later only. */
  readonly #waiting = new Set<Follower>()
  #cancelTurn: (() => void) | undefined
  #cancelWait: (() => void) | undefined
  /** When it ends, monotonic ms. */
  #waitUntilMs = 0
  #cancelTick: () => void
  #isClosed = false
  #isDraining = false
  /** Monotonic ms: the next turn begins then, and how long those since the last rest took. */
  #restUntilMs = Number.NEGATIVE_INFINITY
  #workMs = 0

  constructor(options: ConnectionsOptions, views: readonly LiveView[]) {
    this.#options = options
    for (const view of views) view.onChange = (due) => this.#changed(view, due)
    this.#cancelTick = options.scheduler.after(TICK_MS, () => this.#tick())
  }

  /** What is served is being closed. */
  get isClosed(): boolean {
    return this.#isClosed
  }
  /** Clients are sent away, and no more are taken. */
  get isDraining(): boolean {
    return this.#isDraining
  }

  /** Why there is no room for one more from an address. */
  refusalOf(address: string): MillraceError | undefined {
    if (this.#isDraining || this.#isClosed) return new MillraceError('MR7021')
    const { connectionsMax, connectionsPerAddressMax } = this.#options.limits
    if (this.#all.size >= connectionsMax) return new MillraceError('MR7007', { limit: connectionsMax, of: 'all' })
    const ofAddress = this.#byAddress.get(address) ?? 0
    if (ofAddress < connectionsPerAddressMax) return undefined
    return new MillraceError('MR7007', { limit: connectionsPerAddressMax, of: 'your address' })
  }

  /** Takes a connection; one too many, and one that may read nothing, is told so and closed (undefined). */
  open(link: Link, address: string, grant: Grant): Connection | undefined {
    if (permitsNothing(grant.rights)) {
      const error = new MillraceError('MR7020', { what: 'to read any view', permitted: 'none' })
      this.#close(link, CLOSE_CODES.notPermitted, error)
      return undefined
    }
    const refusal = this.refusalOf(address)
    if (refusal !== undefined) {
      this.#close(link, this.#isDraining ? CLOSE_CODES.moves : CLOSE_CODES.full, refusal)
      return undefined
    }
    const nowMs = this.#options.clock.monotonicMs()
    const times = {
      openedMs: nowMs,
      blockedSinceMs: undefined,
      pingedMs: nowMs,
      messageCount: 0,
      messagesSinceMs: nowMs,
    }
    const connection: Connection = { link, address, grant, subscriptions: new Map(), hasSubscribed: false, ...times }
    this.#all.add(connection)
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1)
    this.#options.metrics.clients.set(this.#all.size)
    return connection
  }

  /** The connection is gone. Idempotent. */
  remove(connection: Connection): void {
    if (!this.#all.delete(connection)) return
    for (const id of [...connection.subscriptions.keys()]) this.unsubscribe(connection, id)
    const left = this.#byAddress.get(connection.address)! - 1
    if (left === 0) this.#byAddress.delete(connection.address)
    else this.#byAddress.set(connection.address, left)
    this.#options.metrics.clients.set(this.#all.size)
  }

  /** Ends a connection for a reason. */
  end(connection: Connection, closeCode: number, error: MillraceError | undefined): void {
    this.remove(connection)
    this.#close(connection.link, closeCode, error)
  }

  /** Counts a message of the client; false: it was one too many, and the connection has ended. */
  countMessage(connection: Connection): boolean {
    const { clock, limits } = this.#options
    const nowMs = clock.monotonicMs()
    if (nowMs - connection.messagesSinceMs >= SECOND_MS) {
      connection.messagesSinceMs = nowMs
      connection.messageCount = 0
    }
    if (++connection.messageCount <= limits.clientMessagesPerSecondMax) return true
    const error = new MillraceError('MR7011', { limit: limits.clientMessagesPerSecondMax })
    this.end(connection, CLOSE_CODES.tooFast, error)
    return false
  }

  /** Starts a subscription, over one with its id. */
  subscribe(connection: Connection, view: LiveView, request: Subscribe): void {
    const { limits, metrics } = this.#options
    this.unsubscribe(connection, request.id)
    if (view.failure !== undefined) {
      this.refuse(connection, request.id, view.failure, false)
      return
    }
    if (connection.subscriptions.size >= limits.subscriptionsMax) {
      this.refuse(connection, request.id, new MillraceError('MR7012', { limit: limits.subscriptionsMax }), false)
      return
    }
    const { history } = view
    if (request.history !== undefined && history === undefined) {
      this.refuse(connection, request.id, new MillraceError('MR7026', { view: view.name }), false)
      return
    }
    const options = { view, outlet: connection.link, request, messageCharsMax: limits.messageCharsMax }
    const subscription =
      request.history === undefined
        ? new Subscription(options)
        : new HistorySubscription({ ...options, history: history! })
    connection.subscriptions.set(request.id, subscription)
    connection.hasSubscribed = true
    this.#owners.set(subscription, connection)
    view.add(subscription)
    metrics.subscriptions.set(this.#owners.size)
    this.#serve(subscription)
  }

  unsubscribe(connection: Connection, id: number): void {
    const subscription = connection.subscriptions.get(id)
    if (subscription === undefined) return
    connection.subscriptions.delete(id)
    this.#owners.delete(subscription)
    this.#due.delete(subscription)
    this.#waiting.delete(subscription)
    subscription.view.remove(subscription)
    this.#options.metrics.subscriptions.set(this.#owners.size)
  }

  /** Tells that a subscription is not, or not any more. */
  refuse(connection: Connection, id: number, { code, message }: MillraceError, canRetry: boolean): void {
    const { link } = connection
    this.unsubscribe(connection, id)
    this.#options.metrics.refused(code).add(1)
    // Also where much waits to be read: nobody would know that it has ended. A stream tells by its end.
    if (link.isOpen() || !link.isSingle) link.send(link.codec.message({ type: 'error', id, code, message, canRetry }))
    if (link.isBroken) this.#endSlow(connection)
    else if (link.isSingle) this.end(connection, CLOSE_CODES.goingAway, undefined)
  }

  /** The client has read: tells it what it can take now. */
  drained(connection: Connection): void {
    for (const subscription of connection.subscriptions.values()) this.#serve(subscription)
  }

  /**
   * Tells every client by when it is closed, and closes them spread over the time. Resolves when none is left, after `withinMs` at the
   * latest.
   */
  drain(withinMs: number): Promise<void> {
    const { clock, scheduler } = this.#options
    this.#isDraining = true
    const all = [...this.#all]
    const endOf = (i: number): number => (withinMs * (i + 1)) / all.length
    for (const [i, { link }] of all.entries()) {
      if (link.isOpen()) link.send(link.codec.message({ type: 'drain', withinMs: Math.ceil(endOf(i)) }))
    }
    const startMs = clock.monotonicMs()
    let next = 0
    return new Promise((resolve) => {
      const step = (): void => {
        const passedMs = clock.monotonicMs() - startMs
        while (next < all.length && endOf(next) <= passedMs) this.#move(all[next++]!)
        if (this.#all.size === 0 || next === all.length || this.#isClosed) resolve()
        else scheduler.after(DRAIN_STEP_MS, step)
      }
      step()
    })
  }

  #move(connection: Connection): void {
    if (this.#all.has(connection)) this.end(connection, CLOSE_CODES.moves, undefined)
  }

  closeAll(): void {
    this.#isClosed = true
    this.#cancelTick()
    this.#cancelTurn?.()
    this.#cancelWait?.()
    for (const connection of [...this.#all]) this.end(connection, CLOSE_CODES.goingAway, undefined)
  }

  #close(link: Link, closeCode: number, error: MillraceError | undefined): void {
    if (error !== undefined) this.#options.metrics.closed(error.code).add(1)
    link.end(closeCode, error)
  }

  #serve(subscription: Follower): void {
    const connection = this.#owners.get(subscription)
    if (connection === undefined) return
    const { link } = connection
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs < subscription.dueMs) this.#wait(subscription)
    else subscription.view.reading(() => subscription.flush(nowMs))
    if (link.isBroken) this.#endSlow(connection)
    else if (link.isOpen()) connection.blockedSinceMs = undefined
    else connection.blockedSinceMs ??= nowMs
  }

  /** Serves it when its distance is kept. */
  #wait(subscription: Follower): void {
    this.#waiting.add(subscription)
    if (this.#cancelWait !== undefined && this.#waitUntilMs <= subscription.dueMs) return
    const { clock, scheduler } = this.#options
    this.#cancelWait?.()
    this.#waitUntilMs = subscription.dueMs
    const waitMs = Math.max(1, subscription.dueMs - clock.monotonicMs())
    this.#cancelWait = scheduler.after(waitMs, () => this.#waited())
  }

  #waited(): void {
    this.#cancelWait = undefined
    const all = [...this.#waiting]
    this.#waiting.clear()
    const nowMs = this.#options.clock.monotonicMs()
    for (const subscription of all) if (nowMs >= subscription.dueMs) this.#serve(subscription)
    const later = all.filter((each) => nowMs < each.dueMs && this.#owners.has(each))
    later.sort((a, b) => a.dueMs - b.dueMs)
    for (const subscription of later) this.#wait(subscription)
  }

  #changed(view: LiveView, due: Iterable<Follower>): void {
    const { failure } = view
    if (failure !== undefined) {
      for (const subscription of [...due]) {
        const connection = this.#owners.get(subscription)!
        this.refuse(connection, subscription.id, failure, false)
      }
      return
    }
    for (const subscription of due) this.#due.add(subscription)
    if (this.#cancelTurn !== undefined) return
    const restMs = this.#restUntilMs - this.#options.clock.monotonicMs()
    if (restMs <= 0) this.#turn()
    else this.#cancelTurn = this.#options.scheduler.after(restMs, () => this.#turn())
  }

  /** Serves some now and the rest in turns to come, so that a burst does not hold the event loop. */
  #turn(): void {
    const { clock, limits, scheduler } = this.#options
    this.#cancelTurn = undefined
    const startMs = clock.monotonicMs()
    let left = limits.clientsPerTurn
    for (const subscription of this.#due) {
      if (left-- === 0) break
      this.#due.delete(subscription)
      this.#serve(subscription)
    }
    const nowMs = clock.monotonicMs()
    this.#workMs += nowMs - startMs
    if (this.#due.size === 0) {
      this.#restUntilMs = nowMs + Math.min(REST_MS_MAX, this.#workMs * REST_FACTOR)
      this.#workMs = 0
    } else if (!this.#isClosed) this.#cancelTurn = scheduler.after(0, () => this.#turn())
  }

  #tick(): void {
    const { clock, limits, scheduler } = this.#options
    const nowMs = clock.monotonicMs()
    const wallMs = clock.wallMs()
    for (const connection of [...this.#all]) {
      const { blockedSinceMs, grant, link } = connection
      // Looked at instead of waited for: no timer is too long, and a clock that is set counts.
      if (wallMs >= grant.expiresMs) this.end(connection, CLOSE_CODES.tokenExpired, new MillraceError('MR7018'))
      else if (!connection.hasSubscribed && nowMs - connection.openedMs >= limits.subscribeMsMax)
        this.end(connection, CLOSE_CODES.unused, new MillraceError('MR7022', { limitMs: limits.subscribeMsMax }))
      else if (blockedSinceMs !== undefined && nowMs - blockedSinceMs >= limits.slowClientMsMax)
        this.#endSlow(connection)
      else if (nowMs - connection.pingedMs >= limits.pingMs) {
        connection.pingedMs = nowMs
        for (const subscription of connection.subscriptions.values()) {
          subscription.view.reading(() => subscription.touch(nowMs))
        }
        link.ping(wallMs)
      }
      this.#endBehind(connection, nowMs)
    }
    this.#cancelTick = scheduler.after(TICK_MS, () => this.#tick())
  }

  /** Those who are to go on where this server is not yet may find another. */
  #endBehind(connection: Connection, nowMs: number): void {
    for (const subscription of [...connection.subscriptions.values()]) {
      const { behindSinceMs, view, id } = subscription
      if (behindSinceMs === undefined || nowMs - behindSinceMs < this.#options.limits.behindMsMax) continue
      this.refuse(connection, id, new MillraceError('MR7013', { view: view.name }), true)
    }
  }

  /** It is told why, behind what it has not read; what it still does not read within the time is dropped. */
  #endSlow(connection: Connection): void {
    const { link, address } = connection
    const error = new MillraceError('MR7002', { bytes: link.waitingBytes() })
    this.#options.log.info({ address, bytes: link.waitingBytes() }, error.message)
    this.end(connection, CLOSE_CODES.slow, error)
    this.#options.scheduler.after(this.#options.limits.slowClientMsMax, () => link.destroy())
  }
}
