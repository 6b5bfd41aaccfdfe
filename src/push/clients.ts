// The connected clients: who follows which view, serving them in turns of the event loop, pings, and the end of those
// that do not read. Main thread.
// Keeps SPEC: PUSH-2 (the newest row of a key is always delivered), PUSH-9 (a client that does not read is closed, the
// others do not notice).

import type { Clock, Scheduler } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { Log } from '../ops/log.ts'
import { CLOSE_CODES } from '../protocol/messages.ts'
import type { Link } from './client-link.ts'
import type { PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import type { PushMetrics } from './push-metrics.ts'
import { Subscription } from './subscription.ts'

const TICK_MS = 250

export interface Client {
  readonly link: Link & { readonly isBroken: boolean }
  readonly subscription: Subscription
  /** Monotonic; undefined while it keeps up. */
  blockedSinceMs: number | undefined
  pingedMs: number
}

export interface ClientsOptions {
  limits: PushLimits
  metrics: PushMetrics
  log: Log
  clock: Clock
  scheduler: Scheduler
}

export class Clients {
  readonly #options: ClientsOptions
  readonly #clients = new Map<Subscription, Client>()
  /** Subscriptions that have something to be told. */
  #due = new Set<Subscription>()
  #cancelTurn: (() => void) | undefined
  #cancelTick: () => void
  #isClosed = false

  constructor(options: ClientsOptions, views: readonly LiveView[]) {
    this.#options = options
    for (const view of views) view.onChange = () => this.#changed(view)
    this.#cancelTick = options.scheduler.after(TICK_MS, () => this.#tick())
  }

  get count(): number {
    return this.#clients.size
  }

  /** Starts to serve a view to a connection; one too many is told so and closed (undefined). */
  add(view: LiveView, link: Client['link'], key: string | undefined): Client | undefined {
    const { limits, clock } = this.#options
    if (this.#clients.size >= limits.clientsMax) {
      this.#end(link, CLOSE_CODES.full, new MillraceError('MR7007', { limit: limits.clientsMax }))
      return undefined
    }
    if (view.failure !== undefined) {
      this.#end(link, CLOSE_CODES.viewFailed, view.failure)
      return undefined
    }
    const subscription = new Subscription(view, link, key, limits.messageCharsMax)
    const client: Client = { link, subscription, blockedSinceMs: undefined, pingedMs: clock.monotonicMs() }
    this.#clients.set(subscription, client)
    view.subscriptions.add(subscription)
    this.#options.metrics.clients.set(this.#clients.size)
    this.serve(client)
    return client
  }

  /** The connection is gone. */
  remove(client: Client): void {
    this.#clients.delete(client.subscription)
    this.#due.delete(client.subscription)
    client.subscription.view.subscriptions.delete(client.subscription)
    this.#options.metrics.clients.set(this.#clients.size)
  }

  /** Ends a connection for a reason; also one that is not a client yet. */
  end(client: Client, closeCode: number, error: MillraceError | undefined): void {
    this.remove(client)
    this.#end(client.link, closeCode, error)
  }

  /** Tells a client what it can take now. */
  serve(client: Client): void {
    if (!this.#clients.has(client.subscription)) return
    client.subscription.flush()
    if (client.link.isBroken) this.#endSlow(client)
    else if (client.link.isOpen()) client.blockedSinceMs = undefined
    else client.blockedSinceMs ??= this.#options.clock.monotonicMs()
  }

  closeAll(): void {
    this.#isClosed = true
    this.#cancelTick()
    this.#cancelTurn?.()
    for (const client of [...this.#clients.values()]) this.end(client, CLOSE_CODES.goingAway, undefined)
  }

  #end(link: Link, closeCode: number, error: MillraceError | undefined): void {
    if (error !== undefined) this.#options.metrics.closed(error.code).add(1)
    link.end(closeCode, error)
  }

  #changed(view: LiveView): void {
    const { failure } = view
    if (failure !== undefined) {
      for (const subscription of [...view.subscriptions]) {
        this.end(this.#clients.get(subscription)!, CLOSE_CODES.viewFailed, failure)
      }
      return
    }
    for (const subscription of view.subscriptions) this.#due.add(subscription)
    if (this.#cancelTurn === undefined) this.#turn()
  }

  /** Serves some clients now and the rest in turns to come, so that a burst does not hold the event loop. */
  #turn(): void {
    this.#cancelTurn = undefined
    let left = this.#options.limits.clientsPerTurn
    for (const subscription of this.#due) {
      if (left-- === 0) break
      this.#due.delete(subscription)
      this.serve(this.#clients.get(subscription)!)
    }
    if (this.#due.size > 0 && !this.#isClosed) this.#cancelTurn = this.#options.scheduler.after(0, () => this.#turn())
  }

  #tick(): void {
    const { clock, limits, scheduler } = this.#options
    const nowMs = clock.monotonicMs()
    for (const client of [...this.#clients.values()]) {
      const { blockedSinceMs } = client
      if (blockedSinceMs !== undefined && nowMs - blockedSinceMs >= limits.slowClientMsMax) this.#endSlow(client)
      else if (nowMs - client.pingedMs >= limits.pingMs) {
        client.pingedMs = nowMs
        client.link.ping(clock.wallMs())
      }
    }
    this.#cancelTick = scheduler.after(TICK_MS, () => this.#tick())
  }

  /** It is told why, behind what it has not read; what it still does not read within the time is dropped. */
  #endSlow(client: Client): void {
    const error = new MillraceError('MR7002', { bytes: client.link.waitingBytes() })
    this.#options.log.info({ view: client.subscription.view.name, bytes: client.link.waitingBytes() }, error.message)
    this.end(client, CLOSE_CODES.slow, error)
    this.#options.scheduler.after(this.#options.limits.slowClientMsMax, () => client.link.destroy())
  }
}
