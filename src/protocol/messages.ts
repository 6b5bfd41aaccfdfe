// The wire messages of push, version 1: what the server and its clients say to each other, the same as JSON and as msgpack. Pure;
// runs in the server, in Node clients and in browsers. docs/protocol.md tells it to people.
// Keeps SPEC: PUSH-1 (every update names the position before it), PUSH-10 (a close says whether to come back).

/** Subprotocols of a WebSocket: the version and the encoding. */
export const JSON_PROTOCOL = 'millrace.json.v1'
export const MSGPACK_PROTOCOL = 'millrace.msgpack.v1'

/** A row of a view as it travels; `row` null means that the key is no more, or is not selected any more. */
export interface WireRow {
  key: string
  partition: number
  /** In the partition of the view's topic; of one key they only grow. */
  offset: number
  /** Kafka timestamp of the row, ms since the epoch. */
  timestampMs: number
  /** Of a row of a history: the start of its window, without one the time of its record; ms since the epoch. */
  timeMs?: number
  row: unknown
  /** The window of the row is closed, it does not change any more. */
  isFinal?: true
  /**
   * Not committed yet: `partition` and `offset` are those of the committed row that it stands above, the offset -1 where there is
   * none. The next row of the key without the mark takes its place. `attempt` and `rev` grow in this order.
   */
  isProvisional?: true
  attempt?: number
  rev?: number
}

export type Scalar = string | number | boolean | null

/** What a field must be: all of it. Numbers are compared with numbers, texts with texts by their code units. */
export interface Condition {
  eq?: Scalar
  ne?: Scalar
  gt?: number | string
  gte?: number | string
  lt?: number | string
  lte?: number | string
  in?: readonly Scalar[]
}

/** By field; a scalar stands for `{ eq }`. */
export type Where = Readonly<Record<string, Scalar | Condition>>

/** Which rows, and what of them. Of `key`, `keys` and `prefix` there is at most one; without one it is all rows. */
export interface Selection {
  key?: string
  keys?: readonly string[]
  prefix?: string
  where?: Where
  /** Only these fields of each row. */
  fields?: readonly string[]
}

export interface Subscribe extends Selection {
  type: 'subscribe'
  /** Chosen by the client, told with every message; one that is in use starts over. */
  id: number
  view: string
  /** The last position that the client was told, by this server or another: what it missed comes as an update. */
  resume?: string
  /** Updates are at least so many ms apart; what changes meanwhile comes as its newest row. */
  minGapMs?: number
  /**
   * With `key` or `keys`, of a view with history: the snapshot has the newest so many rows of each key by time, and updates come of all
   * rows of the keys, the older ones too. A row is told apart by key and `timeMs`.
   */
  history?: number
  /** Rows before their commit too, marked, where this server has them. */
  provisional?: boolean
}

/** Client to server. */
export type ClientMessage = Subscribe | { type: 'unsubscribe'; id: number } | { type: 'ping' }

/** Why a subscription could not go on where it was. */
export type ResetReason = 'forgotten' | 'other-topic' | 'not-valid' | 'too-old'

/**
 * Whether the rows of a view are fresh: `quiet` none came for a while and all is read, `behind` the server has not read what there
 * is or rows are old, `cut` it cannot reach Kafka.
 */
export type FeedState = 'live' | 'quiet' | 'behind' | 'cut'

export const FEED_STATES: readonly FeedState[] = ['live', 'quiet', 'behind', 'cut']

/** How a view is fed. */
export interface Feed {
  state: FeedState
  /** Since when, ms since the epoch. Of `quiet` the last record. */
  sinceMs: number
  /** Offsets between what was read and the end of the topic, as far as it is known. */
  lagRecords: number
  /** How old the newest row is by its timestamp, null without one. */
  lagMs: number | null
  /** Of `quiet` and `behind`: whether the group of the job that writes the view has members. Absent: not known. */
  job?: 'running' | 'absent'
  /**
   * To a subscription that asked for such rows: whether there may be some, of the keys that the job works on in this server's
   * process. Absent to others.
   */
  provisional?: boolean
}

/** Server to client. `position` is opaque. */
export type ServerMessage =
  /** A part of all rows that are selected. The first part replaces all that was there; with the last it is whole. */
  | { type: 'snapshot'; id: number; position: string; isFirst: boolean; isLast: boolean; rows: WireRow[] }
  /**
   * What changed from `prev` to `position`, at most one row a key. Where both are the same it is of rows that are not committed. `prev` is the position told before, else something was missed.
   * Of several parts only the last moves it.
   */
  | { type: 'update'; id: number; prev: string; position: string; rows: WireRow[] }
  /** The position to resume at cannot be gone on from: a snapshot follows. */
  | { type: 'reset'; id: number; reason: ResetReason }
  /** With `id` the end of a subscription, without it of the connection. `canRetry`: asking again may help. */
  | { type: 'error'; id?: number; code: string; message: string; canRetry: boolean }
  /** How the view is fed from now on. A subscription that has been told nothing is `live`. */
  | ({ type: 'feed'; id: number } & Feed)
  /** Sent when nothing else was for a while, and as the answer to a client's ping. */
  | { type: 'ping'; timeMs: number }
  /** The server is about to stop: this connection is closed within the time, with 4009; until then all goes on. */
  | { type: 'drain'; withinMs: number }

/** Codes with which the server closes a WebSocket. Do not connect again after 4006 and 4403; after 4401 with a new token, after 4009 at once. */
export const CLOSE_CODES = {
  ...{ goingAway: 1001, slow: 4002, badMessage: 4006, full: 4007, tooFast: 4008, moves: 4009, unused: 4010 },
  ...{ tokenExpired: 4401, notPermitted: 4403 },
}

/** The codes after which connecting again may help. */
export function canRetry(closeCode: number): boolean {
  const { badMessage, notPermitted } = CLOSE_CODES
  return closeCode !== badMessage && closeCode !== notPermitted
}

/** An hour. */
const MIN_GAP_MS_MAX = 3_600_000
export const MIN_GAP_PROBLEM = `minGapMs must be a whole number from 0 to ${MIN_GAP_MS_MAX}`

/** True for a distance of updates that a server keeps. */
export function isMinGap(value: unknown): value is number {
  return isWhole(value) && value <= MIN_GAP_MS_MAX
}

/** Of one subscription. */
export interface SelectionLimits {
  keysMax: number
  fieldsMax: number
  conditionsMax: number
  /** Rows of a key in a snapshot with history. */
  historyMax: number
}

/**
 * Reads a client's message, which is decoded; a text says what is wrong with it.
 *
 * @example
 * readClientMessage({ type: 'subscribe', id: 1, view: 'candles', key: 'ABC' }, limits)
 */
export function readClientMessage(message: unknown, limits: SelectionLimits): ClientMessage | string {
  if (!isObject(message)) return 'it is no object'
  if (message.type === 'ping') return { type: 'ping' }
  if (message.type !== 'subscribe' && message.type !== 'unsubscribe')
    return 'type must be subscribe, unsubscribe or ping'
  if (!isWhole(message.id)) return 'id must be a whole number from 0 on'
  if (message.type === 'unsubscribe') return { type: 'unsubscribe', id: message.id }
  const { id, view, resume, minGapMs, history, provisional } = message
  if (typeof view !== 'string') return 'view must be a text'
  if (resume !== undefined && typeof resume !== 'string') return 'resume must be a position, a text'
  if (minGapMs !== undefined && !isMinGap(minGapMs)) return MIN_GAP_PROBLEM
  if (provisional !== undefined && typeof provisional !== 'boolean') return 'provisional must be true or false'
  const selection = readSelection(message, limits)
  if (typeof selection === 'string') return selection
  const count = history === undefined ? undefined : readHistoryCount(history, selection, limits)
  if (typeof count === 'string') return count
  return {
    type: 'subscribe',
    id,
    view,
    ...selection,
    ...(resume === undefined ? {} : { resume }),
    ...(minGapMs === undefined ? {} : { minGapMs }),
    ...(count === undefined ? {} : { history: count }),
    ...(provisional === undefined ? {} : { provisional }),
  }
}

/** How many rows of history are wanted of each key; a text says what is wrong. */
export function readHistoryCount(
  given: unknown,
  { key, keys }: Selection,
  { historyMax }: SelectionLimits,
): number | string {
  if (!isWhole(given) || given < 1 || given > historyMax)
    return `history must be a whole number from 1 to ${historyMax}`
  return key === undefined && keys === undefined ? 'history needs key or keys' : given
}

/** Reads which rows are wanted; a text says what is wrong. */
export function readSelection(given: Record<string, unknown>, limits: SelectionLimits): Selection | string {
  const { key, keys, prefix, where, fields } = given
  if ([key, keys, prefix].filter((each) => each !== undefined).length > 1)
    return 'key, keys and prefix exclude each other'
  if (key !== undefined && typeof key !== 'string') return 'key must be a text'
  if (prefix !== undefined && typeof prefix !== 'string') return 'prefix must be a text'
  const listed = textsProblem('keys', keys, limits.keysMax) ?? textsProblem('fields', fields, limits.fieldsMax)
  const problem = listed ?? whereProblem(where, limits.conditionsMax)
  if (problem !== undefined) return problem
  const selection = { key, keys, prefix, where, fields }
  return Object.fromEntries(Object.entries(selection).filter(([, value]) => value !== undefined))
}

function textsProblem(name: string, list: unknown, max: number): string | undefined {
  if (list === undefined) return undefined
  const isList = Array.isArray(list) && list.length > 0 && list.every((one) => typeof one === 'string')
  if (!isList) return `${name} must be a list of texts`
  return list.length > max ? `${name} may have ${max} texts` : undefined
}

const COMPARISONS = ['gt', 'gte', 'lt', 'lte']

function whereProblem(where: unknown, max: number): string | undefined {
  if (where === undefined) return undefined
  if (!isObject(where)) return 'where must be an object of fields'
  let count = 0
  for (const [field, condition] of Object.entries(where)) {
    if (isScalar(condition)) count++
    else if (!isObject(condition)) return `where.${field} must be a value or an object of conditions`
    else {
      for (const [name, value] of Object.entries(condition)) {
        count++
        const isRight =
          name === 'eq' || name === 'ne'
            ? isScalar(value)
            : name === 'in'
              ? Array.isArray(value) && value.every(isScalar)
              : COMPARISONS.includes(name) && (typeof value === 'number' || typeof value === 'string')
        if (!isRight) return `where.${field}.${name} is no condition`
        if (name === 'in') count += (value as unknown[]).length
      }
    }
  }
  return count > max ? `where may have ${max} values` : undefined
}

/** Takes a server's message, which is decoded; undefined when it is none of this version. */
export function readServerMessage(message: unknown): ServerMessage | undefined {
  if (!isObject(message)) return undefined
  const { type, id, position, prev, rows, timeMs, withinMs, code, reason, state } = message
  const isRight =
    type === 'snapshot'
      ? isWhole(id) && typeof position === 'string' && areRows(rows)
      : type === 'update'
        ? isWhole(id) && typeof prev === 'string' && typeof position === 'string' && areRows(rows)
        : type === 'reset'
          ? isWhole(id) && typeof reason === 'string'
          : type === 'error'
            ? typeof code === 'string'
            : type === 'feed'
              ? isWhole(id) && FEED_STATES.includes(state as FeedState)
              : (type === 'ping' && typeof timeMs === 'number') || (type === 'drain' && isWhole(withinMs))
  return isRight ? (message as unknown as ServerMessage) : undefined
}

/** What a text says as JSON; undefined: it is none, which the caller tells the other side. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function areRows(value: unknown): value is WireRow[] {
  return Array.isArray(value) && value.every((row) => isObject(row) && typeof row.key === 'string')
}
