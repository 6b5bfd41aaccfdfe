// The metrics of push. Main thread.

import type { Cell, Registry } from '../ops/metrics.ts'
import { FEED_STATES, type FeedState } from '../protocol/messages.ts'
import type { Outcome } from './provisional-slots.ts'

/** The numbers of one view. */
export interface ViewCounts {
  rowsRead: { add(amount: number): void }
  rowsPushed: { add(amount: number): void }
  /** Messages with rows, and their size as they were sent: bytes, of JSON characters. */
  messages: { add(amount: number): void }
  bytes: { add(amount: number): void }
  /** ms from the time of a row's record to the socket, and from when it was read. Of the newest row of an update. */
  rowDelay: { record(value: number): void }
  readDelay: { record(value: number): void }
  rowsConflated: { add(amount: number): void }
  undecodable: { add(amount: number): void }
  copy: CopyCounts
  /** What became of a row that was shown before its commit, or not. */
  provisional(outcome: Outcome): void
}

/** The numbers of a view's copy on disk. */
export interface CopyCounts {
  /** Of rows in memory. */
  memoryBytes: Pick<Cell, 'set'>
  rowsWritten: Pick<Cell, 'add'>
  /** Rows that were read from the copy because they are not in memory. */
  rowsReadBack: Pick<Cell, 'add'>
}

export interface PushMetrics {
  ofView(view: string): ViewCounts
  /** Clients that were closed because of `code`. */
  closed(code: string): Pick<Cell, 'add'>
  /** Requests and subscriptions that were refused or ended because of `code`. */
  refused(code: string): Pick<Cell, 'add'>
  /** How a view is fed. */
  feed(view: string, state: FeedState, lagRecords: number): void
  clients: Pick<Cell, 'set'>
  subscriptions: Pick<Cell, 'set'>
}

/** Registers the metrics of push; without a registry they are counted nowhere. */
export function pushMetrics(registry: Registry | undefined): PushMetrics {
  if (registry === undefined) return NO_METRICS
  const read = registry.counter('millrace_push_rows_read_total', 'Rows and removals read from the topic of a view.')
  const pushed = registry.counter('millrace_push_rows_total', 'Rows sent to clients, once for each client.')
  const messages = registry.counter('millrace_push_messages_total', 'Messages with rows sent to clients.')
  const bytes = registry.counter('millrace_push_bytes_total', 'Bytes of those messages; of JSON its characters.')
  const rowDelay = registry.summary(
    'millrace_push_row_delay_ms',
    'From the timestamp of the newest row of an update to the socket: true where rows are stamped by the clock.',
  )
  const readDelay = registry.summary(
    'millrace_push_read_delay_ms',
    'From Kafka to the socket, of the newest row of an update.',
  )
  const conflated = registry.counter(
    'millrace_push_conflated_total',
    'Changes that a client was not sent because a newer one of the same key replaced them.',
  )
  const undecodable = registry.counter('millrace_push_undecodable_total', 'Records of a view that are no row of it.')
  const memoryBytes = registry.gauge(
    'millrace_push_memory_bytes',
    'Rows of a view with a copy that are in memory, as their limit counts them.',
  )
  const written = registry.counter('millrace_push_copy_rows_written_total', 'Rows and removals written to the copy.')
  const readBack = registry.counter('millrace_push_copy_rows_read_total', 'Rows read from the copy, beyond memory.')
  const provisional = registry.counter(
    'millrace_push_provisional_total',
    'Rows of a view before their commit, by what became of them.',
  )
  const dropped = registry.counter('millrace_push_dropped_total', 'Clients closed by the server, by error code.')
  const refused = registry.counter(
    'millrace_push_refused_total',
    'Requests and subscriptions refused or ended, by error code.',
  )
  const feed = registry.gauge('millrace_push_feed', 'How a view is fed: 1 of the state that it is in, 0 of the others.')
  const lag = registry.gauge(
    'millrace_push_lag_records',
    'Offsets of the topic of a view that are not read, as far as known.',
  )
  const clients = registry.gauge('millrace_push_clients', 'Connected clients, WebSocket and SSE.').with()
  const subscriptions = registry.gauge('millrace_push_subscriptions', 'Subscriptions of all clients.').with()
  return {
    ofView: (view) => ({
      rowsRead: read.with({ view }),
      rowsPushed: pushed.with({ view }),
      messages: messages.with({ view }),
      bytes: bytes.with({ view }),
      rowDelay: rowDelay.with({ view }),
      readDelay: readDelay.with({ view }),
      rowsConflated: conflated.with({ view }),
      undecodable: undecodable.with({ view }),
      copy: {
        memoryBytes: memoryBytes.with({ view }),
        rowsWritten: written.with({ view }),
        rowsReadBack: readBack.with({ view }),
      },
      provisional: (outcome) => provisional.with({ view, outcome }).add(1),
    }),
    closed: (code) => dropped.with({ code }),
    refused: (code) => refused.with({ code }),
    feed: (view, state, lagRecords) => {
      for (const each of FEED_STATES) feed.with({ view, state: each }).set(each === state ? 1 : 0)
      lag.with({ view }).set(lagRecords)
    },
    clients,
    subscriptions,
  }
}

const NO_CELL = { add: () => undefined, set: () => undefined, record: () => undefined }
const NO_METRICS: PushMetrics = {
  ofView: () => ({
    ...{ rowsRead: NO_CELL, rowsPushed: NO_CELL, rowsConflated: NO_CELL, undecodable: NO_CELL },
    ...{ messages: NO_CELL, bytes: NO_CELL, rowDelay: NO_CELL, readDelay: NO_CELL },
    copy: { memoryBytes: NO_CELL, rowsWritten: NO_CELL, rowsReadBack: NO_CELL },
    provisional: () => undefined,
  }),
  closed: () => NO_CELL,
  refused: () => NO_CELL,
  feed: () => undefined,
  clients: NO_CELL,
  subscriptions: NO_CELL,
}
