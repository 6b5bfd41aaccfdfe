// Every limit of push, with its unit and reason. Main thread.

export interface PushLimits {
  /** Rows of a view in memory. */
  viewRowsMax: number
  /** Bytes of a view's rows in memory, counted as UTF-16. */
  viewBytesMax: number
  /** Recent changes that a view remembers; a client further behind gets a new snapshot. */
  recentRowsMax: number
  /** Connections, WebSocket and SSE together. */
  clientsMax: number
  /** Bytes that wait in the socket of one client before it is left alone until it has read them. */
  clientBytesMax: number
  /** A client that did not catch up within this time is closed. */
  slowClientMsMax: number
  /** Characters of one message, so that a large snapshot goes out in parts. One row may be larger. */
  messageCharsMax: number
  /** Bytes of a message from a client. */
  clientMessageBytesMax: number
  /** Something is sent to every client at least this often. */
  pingMs: number
  /** Clients that are served in one turn of the event loop. */
  clientsPerTurn: number
  /** Records and bytes of one poll. */
  pollRecordsMax: number
  pollBytesMax: number
}

export const DEFAULT_PUSH_LIMITS: PushLimits = {
  viewRowsMax: 1_000_000,
  viewBytesMax: 512 << 20,
  recentRowsMax: 1 << 16,
  clientsMax: 10_000,
  clientBytesMax: 1 << 20,
  slowClientMsMax: 30_000,
  messageCharsMax: 1 << 16,
  clientMessageBytesMax: 4096,
  pingMs: 15_000,
  clientsPerTurn: 500,
  pollRecordsMax: 5000,
  pollBytesMax: 4 << 20,
}
