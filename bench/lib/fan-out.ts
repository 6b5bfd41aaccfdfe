// What the servers and the clients of the push bench agree on. Pure.

/** `batched`: all rows of a tick in one message, made once for all clients, by hand; else a message a row, as these libraries are used. */
export const KINDS = ['millrace', 'ws', 'socket.io', 'ws-batched', 'socket.io-batched'] as const
export type Kind = (typeof KINDS)[number]

/** Rows are published so often. */
export const TICK_MS = 10

/** A row: `n` counts from 1, `t` is the wall clock in ms at which it was published. */
export interface FanOutRow {
  sym: string
  n: number
  t: number
  price: number
}

/** Its last row is followed by one of this key, with the number of rows in all. */
export const END_KEY = 'end'

export interface ServerResult {
  rows: number
  publishMs: number
  rssBytesMax: number
  conflated: number
  cpuMs: number
}

export interface ClientsResult {
  /** Rows that came, of all clients. */
  deliveries: number
  /** Messages that did not go on where the one before ended. */
  gaps: number
  /** Messages behind which a row was missing, or came again. */
  missing: number
  latencyMsP50: number
  latencyMsP95: number
  latencyMsP99: number
  /** From the first to the last delivery. */
  deliveryMs: number
  cpuMs: number
}

export interface IdleResult {
  clients: number
  /** Resident memory of the server before they came, and with them. */
  baseBytes: number
  bytes: number
  bytesPerClient: number
}
