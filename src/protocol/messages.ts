// The wire messages of push, version 1, JSON: what the server and its clients say to each other. Pure; runs in the
// server, in Node clients and in browsers.
// Keeps SPEC: PUSH-1 (every update names the position before it), PUSH-10 (a close says whether to come back).

export const PROTOCOL_VERSION = 1

/** By partition (its number as text): the next Kafka offset of the view's topic to come. Gaps in offsets are normal. */
export type Position = Readonly<Record<string, number>>

/** A row of a view as it travels; `row` null means that the key was removed. */
export interface WireRow {
  key: string
  partition: number
  offset: number
  /** Kafka timestamp of the row, ms since the epoch. */
  timestampMs: number
  row: unknown
}

/** Server to client. */
export type ServerMessage =
  /** A part of the whole view (or of one key). The first part replaces all that was there; with the last it is whole. */
  | {
      v: 1
      type: 'snapshot'
      view: string
      position: Position
      isFirst: boolean
      isLast: boolean
      rows: WireRow[]
    }
  /** What changed from `prev` to `position`, at most one row a key. Both name the partitions that moved. */
  | { v: 1; type: 'update'; prev: Position; position: Position; rows: WireRow[] }
  /** The connection ends after it. `canRetry`: connecting again may help. */
  | { v: 1; type: 'error'; code: string; message: string; canRetry: boolean }
  /** Sent when nothing else was for a while, and as the answer to a client's ping. */
  | { v: 1; type: 'ping'; timeMs: number }

/** Client to server. */
export type ClientMessage =
  /** Starts over with a snapshot: of the key, or of all without one. */
  { v: 1; type: 'subscribe'; key?: string } | { v: 1; type: 'ping' }

/** Codes with which the server closes a WebSocket. Connect again after 1001, 4002 and 4007, not after the others. */
export const CLOSE_CODES = { goingAway: 1001, noView: 4001, slow: 4002, viewFailed: 4003, badMessage: 4006, full: 4007 }

/** The JSON of a WireRow whose row is JSON already, so that a row is encoded once for all its receivers. */
export function wireRowJson(row: Omit<WireRow, 'row'>, rowJson: string): string {
  const { key, partition, offset, timestampMs } = row
  return `{"key":${JSON.stringify(key)},"partition":${partition},"offset":${offset},"timestampMs":${timestampMs},"row":${rowJson}}`
}

/** A snapshot message from rows that are JSON already. */
export function snapshotJson(
  view: string,
  position: Position,
  rowJsons: readonly string[],
  isFirst: boolean,
  isLast: boolean,
): string {
  const head = `{"v":1,"type":"snapshot","view":${JSON.stringify(view)},"position":${JSON.stringify(position)}`
  return `${head},"isFirst":${isFirst},"isLast":${isLast},"rows":[${rowJsons.join(',')}]}`
}

/** An update message from rows that are JSON already. */
export function updateJson(prev: Position, position: Position, rowJsons: readonly string[]): string {
  return `{"v":1,"type":"update","prev":${JSON.stringify(prev)},"position":${JSON.stringify(position)},"rows":[${rowJsons.join(',')}]}`
}

export function errorJson(code: string, message: string, canRetry: boolean): string {
  return JSON.stringify({ v: PROTOCOL_VERSION, type: 'error', code, message, canRetry } satisfies ServerMessage)
}

export function pingJson(timeMs: number): string {
  return JSON.stringify({ v: PROTOCOL_VERSION, type: 'ping', timeMs } satisfies ServerMessage)
}

/**
 * Reads a client's message; a text says what is wrong with it.
 *
 * @example
 * parseClientMessage('{"v":1,"type":"subscribe","key":"ABC"}') // { v: 1, type: 'subscribe', key: 'ABC' }
 */
export function parseClientMessage(text: string): ClientMessage | string {
  const message = parseJson(text)
  if (!isObject(message)) return 'it is no JSON object'
  if (message.v !== PROTOCOL_VERSION) return `v must be ${PROTOCOL_VERSION}`
  if (message.type === 'ping') return { v: 1, type: 'ping' }
  if (message.type !== 'subscribe') return 'type must be subscribe or ping'
  if (message.key === undefined) return { v: 1, type: 'subscribe' }
  return typeof message.key === 'string' ? { v: 1, type: 'subscribe', key: message.key } : 'key must be a text'
}

/** Reads a server's message; undefined when it is none of this version. */
export function parseServerMessage(text: string): ServerMessage | undefined {
  const message = parseJson(text)
  if (!isObject(message) || message.v !== PROTOCOL_VERSION) return undefined
  switch (message.type) {
    case 'snapshot':
      return isPosition(message.position) && areRows(message.rows) ? (message as ServerMessage) : undefined
    case 'update': {
      const isWhole = isPosition(message.prev) && isPosition(message.position) && areRows(message.rows)
      return isWhole ? (message as ServerMessage) : undefined
    }
    case 'error':
      return typeof message.code === 'string' ? (message as ServerMessage) : undefined
    case 'ping':
      return typeof message.timeMs === 'number' ? (message as ServerMessage) : undefined
    default:
      return undefined
  }
}

/**
 * The position after an update, or undefined when it does not continue `held`: something was missed.
 *
 * @example
 * advance({ 0: 5, 1: 9 }, { 0: 5 }, { 0: 8 }) // { 0: 8, 1: 9 }
 * advance({ 0: 5, 1: 9 }, { 0: 6 }, { 0: 8 }) // undefined
 */
export function advance(held: Position, prev: Position, position: Position): Position | undefined {
  for (const partition of Object.keys(prev)) if (held[partition] !== prev[partition]) return undefined
  for (const partition of Object.keys(position)) if (prev[partition] === undefined) return undefined
  return { ...held, ...position }
}

/** The partitions of `to` that differ from `from`, as the pair that an update carries. */
export function positionStep(from: Position, to: Position): { prev: Position; position: Position } {
  const prev: Record<string, number> = {}
  const position: Record<string, number> = {}
  for (const partition of Object.keys(to)) {
    if (from[partition] === to[partition]) continue
    prev[partition] = from[partition] ?? 0
    position[partition] = to[partition]!
  }
  return { prev, position }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // no JSON: the caller says so to the other side
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isPosition(value: unknown): value is Position {
  return isObject(value) && Object.values(value).every((offset) => typeof offset === 'number')
}

function areRows(value: unknown): value is WireRow[] {
  return Array.isArray(value) && value.every((row) => isObject(row) && typeof row.key === 'string')
}
