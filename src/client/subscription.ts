// One subscription of a client: the rows that it holds, the chain of positions behind them, and who is told what. Runs in browsers and
// in Node.
// Keeps SPEC: PUSH-1 (a gap is seen and mended, never shown), PUSH-12 (it goes on at its last position), PUSH-20 (who reads slowly gets
// the newest row of each key), PUSH-24 (a row of a closed window says so), PROV-6 (rows before their commit never outlive their
// connection), PUSH-45 (how the view is fed).

import type { ServerMessage, Subscribe, WireRow } from '../protocol/messages.ts'
import type { ClientError } from './client-error.ts'
import type { Connection, Subscriber } from './connection.ts'
import { EventBuffer, idOf } from './event-buffer.ts'
import {
  type ChangedRow,
  type HeldRow,
  LIVE,
  type RowState,
  type ViewEvent,
  type ViewFeed,
  type ViewHandlers,
  type ViewState,
} from './view.ts'

/** What a client follows; it ends with `close()`, and with an error that no further try may mend. */
export interface Subscription<R> extends AsyncIterable<ViewEvent<R>> {
  /** The rows by key, those of a history by `<key>:<timeMs>`, as of the last message. While the connection is lost they are those of before. */
  readonly rows: ReadonlyMap<string, HeldRow<R>>
  readonly state: ViewState
  /** Whether the rows are fresh, as the server said last. */
  readonly feed: ViewFeed
  /** Why it has ended, where that was an error. */
  readonly error: ClientError | undefined
  /** How far it is, as the server said. Opaque. */
  readonly position: string | undefined
  /** Updates that were missed, seen and mended. */
  readonly gapCount: number
  /** Ends it. Idempotent. */
  close(): void
  /**
   * What comes, from all rows that there are now. Who takes long gets what changed meanwhile in one event, the newest row of each key;
   * the end of the loop is that of the subscription. Throws the error that ends it.
   */
  [Symbol.asyncIterator](): AsyncIterator<ViewEvent<R>, undefined>
}

export interface SubscriptionOptions<R> {
  connection: Connection
  request: Omit<Subscribe, 'type' | 'id' | 'resume'>
  handlers: ViewHandlers<R>
  /** Changed keys that wait for an iterator. */
  bufferRowsMax: number
  /** Called once, when it has ended. */
  ended: () => void
}

/** Parts of a snapshot and messages of one chain; gives the rows to handlers and iterators. */
export class ViewSubscription<R> implements Subscription<R>, Subscriber {
  readonly #options: SubscriptionOptions<R>
  #rows = new Map<string, HeldRow<R>>()
  /** A snapshot that is arriving; it replaces the rows when it is whole. */
  #arriving: Map<string, HeldRow<R>> | undefined
  /** By key of a provisional row: the committed one that it stands above, if there is one. */
  readonly #below = new Map<string, HeldRow<R> | undefined>()
  /** It was said anew, and the server has said nothing of the feed since. */
  #isFeedOld = false
  readonly #buffers = new Set<EventBuffer<R>>()
  /** The last message was a gap. */
  #isAstray = false
  position: string | undefined
  state: ViewState = 'connecting'
  feed = LIVE
  error: ClientError | undefined
  gapCount = 0

  constructor(options: SubscriptionOptions<R>) {
    this.#options = options
    options.connection.add(this)
  }

  get rows(): ReadonlyMap<string, HeldRow<R>> {
    return this.#rows
  }

  close(): void {
    if (this.state === 'closed') return
    this.#options.connection.remove(this)
    this.#end()
  }

  [Symbol.asyncIterator](): AsyncIterator<ViewEvent<R>, undefined> {
    const buffer = new EventBuffer<R>(this, this.#options.bufferRowsMax, () => {
      this.#buffers.delete(buffer)
      this.close()
    })
    if (this.position !== undefined) buffer.putAll()
    if (this.feed !== LIVE) buffer.putFeed()
    this.#buffers.add(buffer)
    return buffer
  }

  request(): Omit<Subscribe, 'type' | 'id'> {
    this.#arriving = undefined
    this.#isFeedOld = true
    this.#takeBack()
    const { request } = this.#options
    return this.position === undefined ? request : { ...request, resume: this.position }
  }

  forgetPosition(): void {
    this.position = undefined
  }

  moved(state: 'waiting' | 'connecting'): void {
    this.#takeBack()
    this.#setState(state)
  }

  told(error: ClientError): void {
    this.#tell((handlers) => handlers.onError?.(error))
  }

  failed(error: ClientError): void {
    this.error = error
    this.told(error)
    this.#end()
  }

  receive(message: ServerMessage & { id: number }): void {
    if (message.type === 'snapshot') this.#takeSnapshot(message)
    else if (message.type === 'update') this.#takeUpdate(message)
    else if (message.type === 'reset') this.position = undefined
    else if (message.type === 'feed') {
      const { type: _, id: __, ...feed } = message
      this.#setFeed(feed)
    }
  }

  #takeSnapshot(message: ServerMessage & { type: 'snapshot' }): void {
    if (message.isFirst) {
      this.#arriving = new Map()
      this.#setState('loading')
    }
    const arriving = this.#arriving
    if (arriving === undefined) {
      this.#mend()
      return
    }
    for (const row of message.rows) arriving.set(idOf(row), held<R>(row))
    if (!message.isLast) return
    this.#arriving = undefined
    this.#below.clear()
    this.#rows = arriving
    this.#reached(message.position)
    for (const buffer of this.#buffers) buffer.putAll()
    this.#tell((handlers) => handlers.onSnapshot?.([...arriving.values()]))
  }

  #takeUpdate(message: ServerMessage & { type: 'update' }): void {
    if (message.prev !== this.position || this.#arriving !== undefined) {
      this.#mend()
      return
    }
    const changed: ChangedRow<R>[] = []
    for (const row of message.rows) {
      const id = idOf(row)
      if (!row.isProvisional) this.#below.delete(id)
      else if (!this.#below.has(id)) this.#below.set(id, this.#rows.get(id))
      if (row.row === null) {
        this.#rows.delete(id)
        changed.push({ ...row, row: null, state: stateOf(row) })
      } else {
        const now = held<R>(row)
        this.#rows.set(id, now)
        changed.push(now)
      }
    }
    this.#reached(message.position)
    this.#changed(changed)
  }

  /** Nobody is there any more who would take back what is not committed. */
  #takeBack(): void {
    const changed: ChangedRow<R>[] = []
    for (const [id, committed] of this.#below) {
      const shown = this.#rows.get(id)
      if (committed !== undefined) {
        this.#rows.set(id, committed)
        changed.push(committed)
      } else if (shown !== undefined) {
        this.#rows.delete(id)
        const { key, partition, offset, timestampMs, timeMs } = shown
        const gone = { key, partition, offset, timestampMs, ...(timeMs === undefined ? {} : { timeMs }) }
        changed.push({ ...gone, row: null, state: 'open' })
      }
    }
    this.#below.clear()
    this.#changed(changed)
  }

  #changed(changed: readonly ChangedRow<R>[]): void {
    if (changed.length === 0) return
    for (const buffer of this.#buffers) buffer.put(changed)
    this.#tell((handlers) => handlers.onUpdate?.(changed))
  }

  #reached(position: string): void {
    this.position = position
    this.#isAstray = false
    // A server says how the view is fed before its rows, or that it is live by saying nothing.
    if (this.#isFeedOld && this.feed !== LIVE) this.#setFeed(LIVE)
    this.#setState('live')
  }

  #setFeed(feed: ViewFeed): void {
    this.#isFeedOld = false
    this.feed = feed
    for (const buffer of this.#buffers) buffer.putFeed()
    this.#tell((handlers) => handlers.onFeed?.(feed))
  }

  /** Something was missed: what is behind it is not shown. It goes on where it was, and if that does not help it starts over. */
  #mend(): void {
    this.gapCount++
    const { connection } = this.#options
    if (!this.#isAstray) {
      this.#isAstray = true
      connection.restart(this)
      return
    }
    this.position = undefined
    connection.reconnect()
  }

  #end(): void {
    this.#takeBack()
    this.#options.ended()
    this.#setState('closed')
    for (const buffer of this.#buffers) buffer.wake()
  }

  #setState(state: ViewState): void {
    if (this.state === state || this.state === 'closed') return
    this.state = state
    this.#tell((handlers) => handlers.onState?.(state))
  }

  /** What a handler throws is not ours: it is thrown where nobody else is in the way of it. */
  #tell(call: (handlers: ViewHandlers<R>) => void): void {
    try {
      call(this.#options.handlers)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}

function held<R>(row: WireRow): HeldRow<R> {
  return { ...row, row: row.row as R, state: stateOf(row) }
}

function stateOf({ isProvisional, isFinal }: WireRow): RowState {
  if (isProvisional) return 'provisional'
  return isFinal ? 'final' : 'open'
}
