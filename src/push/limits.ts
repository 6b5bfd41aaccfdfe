// Every limit of push, with its unit and reason. Main thread.
import type { SelectionLimits } from '../protocol/messages.ts'
import type { FeedLimits } from './feed-facts.ts'
import type { ProvisionalLimits } from './provisional-slots.ts'

export interface PushLimits extends SelectionLimits, FeedLimits, ProvisionalLimits {
  /** Rows of a view in memory. */
  viewRowsMax: number
  /** Bytes of a view's rows in memory, counted as UTF-16. */
  viewBytesMax: number
  /** Recent changes that a view remembers; a client further behind gets a new snapshot. */
  recentRowsMax: number
  /** Connections, WebSocket and SSE together. */
  connectionsMax: number
  /** Connections from one address: browsers behind one proxy have the same. */
  connectionsPerAddressMax: number
  /** A WebSocket whose client has not subscribed to anything within this time is closed. */
  subscribeMsMax: number
  /** Subscriptions of one connection. */
  subscriptionsMax: number
  /** Bytes that wait in the socket of one client before it is left alone until it has read them. */
  clientBytesMax: number
  /**
   * Bytes that the kernel takes for one client beyond what is on its way to it. More waits here, where it is counted and newer rows
   * take the place of older ones.
   */
  unsentBytesMax: number
  /** A client that did not catch up within this time is closed. */
  slowClientMsMax: number
  /** A subscription that waits so long for this server to be where it is to go on is refused. */
  behindMsMax: number
  /** Characters of one message, so that a large snapshot goes out in parts. One row may be larger. */
  messageCharsMax: number
  /** Bytes of a message from a client. */
  clientMessageBytesMax: number
  clientMessagesPerSecondMax: number
  /** Something is sent to every client at least this often. */
  pingMs: number
  /** A server that stops spreads the end of its connections over this time. */
  drainMs: number
  /** Subscriptions that are served in one turn of the event loop. */
  clientsPerTurn: number
  /** Records and bytes of one poll. */
  pollRecordsMax: number
  pollBytesMax: number
  /** Rows of an answer to a plain request. */
  readRowsMax: number
}

export const DEFAULT_PUSH_LIMITS: PushLimits = {
  viewRowsMax: 1_000_000,
  viewBytesMax: 512 << 20,
  recentRowsMax: 1 << 16,
  connectionsMax: 10_000,
  connectionsPerAddressMax: 10_000,
  subscribeMsMax: 30_000,
  subscriptionsMax: 100,
  keysMax: 1000,
  fieldsMax: 100,
  conditionsMax: 100,
  historyMax: 10_000,
  clientBytesMax: 1 << 20,
  unsentBytesMax: 128 << 10,
  slowClientMsMax: 30_000,
  behindMsMax: 10_000,
  messageCharsMax: 1 << 16,
  clientMessageBytesMax: 1 << 16,
  clientMessagesPerSecondMax: 200,
  pingMs: 15_000,
  drainMs: 2_000,
  clientsPerTurn: 500,
  pollRecordsMax: 5000,
  pollBytesMax: 4 << 20,
  readRowsMax: 10_000,
  staleAfterMs: 30_000,
  behindAfterMs: 10_000,
  rowLagMsMax: 0,
  provisionalRowsMax: 10_000,
  provisionalBytesMax: 16 << 20,
  provisionalMsMax: 60_000,
}
