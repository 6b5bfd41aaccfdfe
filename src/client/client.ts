// The client of the push server: views of a job by name, over one connection. Runs in browsers and in Node; needs the protocol alone.
// Keeps SPEC: PUSH-17 (names and rows of a client's views are those of its job), PUSH-18 (a client that was cut off comes back), PUSH-21
// (it is small).

import type { Selection } from '../protocol/messages.ts'
import { ownError } from './client-error.ts'
import { Connection } from './connection.ts'
import type { AnyJob, ViewsOf, WireForm } from './job-rows.ts'
import type { Transport } from './link.ts'
import { ViewSubscription } from './subscription.ts'
import type { FieldOf, Picked, View, ViewHandlers, ViewSelection } from './view.ts'
import type { WebSocketClass } from './web-socket-link.ts'

export interface ClientOptions {
  /** Of the push server: `https://push.example`. Default: where the page came from. */
  url?: string
  /** Of several servers; after a lost connection it is the next one's turn. */
  urls?: readonly string[]
  /** A JWT, or what gives one; it is asked anew for each connection. */
  token?: string | (() => string | Promise<string>)
  /** Default: the one of the runtime. Node 20 has none: give that of the package `ws` there, or go without. */
  WebSocket?: WebSocketClass
  /** `auto`, the default: a WebSocket, and events (SSE) where none gets through, or there is none. */
  transport?: Transport | 'auto'
  /** First wait before connecting again, doubled up to 30 times this. Default 500 ms. */
  retryMs?: number
  /** Silence after which a connection is taken for dead; the server says something every 15 s. Default 40 s. */
  silenceMsMax?: number
  /** A connection, with its token, is made in so long, or given up. Default 5 s. */
  openMsMax?: number
  /** Changed keys that wait for a loop that takes long; with more of them it gets all rows anew. Default 10,000. */
  bufferRowsMax?: number
}

/** Views `V`, by name. */
export interface Client<V> {
  /** A view of the client's job. The same one each time. */
  view<N extends keyof V & string>(name: N): View<WireForm<V[N]>>
  /** A view of another job, or for a client that was made without one. */
  view<J, N extends keyof ViewsOf<J> & string>(name: N): View<WireForm<ViewsOf<J>[N]>>
  /** What the connection is over; undefined: there is none. */
  readonly transport: Transport | undefined
  /** Ends all subscriptions, and with them the connection. */
  close(): void
}

const RETRY_MS = 500
const SILENCE_MS_MAX = 40_000
const OPEN_MS_MAX = 5000
const BUFFER_ROWS_MAX = 10_000

/**
 * A client of the views of a job, whose type says their names and rows; nothing of the job itself is needed. It connects with its
 * first subscription. Throws ClientError MR7041 where it has no address, or neither a WebSocket nor leave to go without.
 *
 * @example
 * import type job from './job.ts'
 * const client = createClient<typeof job>({ url: 'https://push.example' })
 * client.view('candles').subscribe({ key: 'BTC' }, { onUpdate: (rows) => draw(rows) })
 */
export function createClient<J = AnyJob>(options: ClientOptions = {}): Client<ViewsOf<J>> {
  return new ViewClient(options) as unknown as Client<ViewsOf<J>>
}

type Row = Record<string, unknown>

class ViewClient implements Client<Record<string, Row>> {
  readonly #connection: Connection
  readonly #bufferRowsMax: number
  readonly #views = new Map<string, View<Row>>()
  readonly #subscriptions = new Set<ViewSubscription<never>>()

  constructor(options: ClientOptions) {
    const { retryMs = RETRY_MS, silenceMsMax = SILENCE_MS_MAX, openMsMax = OPEN_MS_MAX } = options
    const { token, transport = 'auto', bufferRowsMax = BUFFER_ROWS_MAX } = options
    const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket
    if (transport === 'websocket' && WebSocket === undefined)
      throw ownError('MR7041', 'this runtime has no WebSocket, and none is given', false)
    const times = { retryMs, silenceMsMax, openMsMax }
    this.#bufferRowsMax = bufferRowsMax
    this.#connection = new Connection({ urls: urlsOf(options), token, WebSocket, transport, ...times })
  }

  get transport(): Transport | undefined {
    return this.#connection.transport
  }

  view(name: string): View<never> {
    let view = this.#views.get(name)
    if (view === undefined) {
      view = { name, subscribe: (selection, handlers) => this.#subscribe(name, selection, handlers) }
      this.#views.set(name, view)
    }
    return view as View<never>
  }

  #subscribe<F extends FieldOf<Row>>(
    view: string,
    selection: ViewSelection<Row, F> = {},
    handlers: ViewHandlers<Picked<Row, F>> = {},
  ): ViewSubscription<Picked<Row, F>> {
    const ended = (): void => {
      this.#subscriptions.delete(subscription as ViewSubscription<never>)
    }
    const subscription = new ViewSubscription<Picked<Row, F>>({
      connection: this.#connection,
      request: { view, ...(selection as Selection & { minGapMs?: number }) },
      handlers,
      bufferRowsMax: this.#bufferRowsMax,
      ended,
    })
    this.#subscriptions.add(subscription as ViewSubscription<never>)
    return subscription
  }

  close(): void {
    for (const subscription of [...this.#subscriptions]) subscription.close()
  }
}

function urlsOf({ url, urls }: ClientOptions): string[] {
  const { location } = globalThis as { location?: { origin: string } }
  const all = urls ?? [url ?? location?.origin ?? '']
  if (all.length === 0 || !all.every((one) => /^(http|ws)s?:\/\//.test(one)))
    throw ownError('MR7041', `url must be like https://push.example, not ${JSON.stringify(all)}`, false)
  // An address of a WebSocket and that of the server are told by each other.
  return all.map((one) => one.replace(/^ws/, 'http').replace(/\/+$/, ''))
}
