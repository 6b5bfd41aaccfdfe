// What a view gives to its subscribers, and what they may ask for. Types but for one value.
// Keeps SPEC: PUSH-13 (keys, prefix, where and fields), PUSH-17 (rows of a client's views are those of its job).

import type { Feed, Scalar } from '../protocol/messages.ts'
import type { ClientError } from './client-error.ts'
import type { Subscription } from './subscription.ts'

/**
 * - `final`: the window of the row is closed, it does not change any more
 * - `open`: the row is committed and may change
 * - `provisional`: the row is shown before its transaction is committed, and may be taken back
 *
 * Rows without a window (running results, tables, lists of topN) are `open` as long as they are there.
 */
export type RowState = 'provisional' | 'open' | 'final'

/** A row that a view has. */
export interface HeldRow<R> {
  readonly key: string
  readonly row: R
  readonly state: RowState
  /** Kafka timestamp of the row, ms since the epoch. */
  readonly timestampMs: number
  /** Where it lies in the view's topic; of one key, and of one time of a history, the offsets only grow. */
  readonly partition: number
  readonly offset: number
  /** Of a row of a history: the start of its window, without one the time of its record; ms since the epoch. */
  readonly timeMs?: number
}

/** Says that a key is no more, or that its row is not selected any more. */
export interface RemovedRow extends Omit<HeldRow<unknown>, 'row'> {
  readonly row: null
}
export type ChangedRow<R> = HeldRow<R> | RemovedRow

/**
 * Whether the rows of a view are fresh: its `state` is `live`, `quiet` (no rows for a while), `behind` (rows are old) or `cut` (the
 * server cannot reach Kafka), with `job`, `running` or `absent`, where that is known. `provisional`: whether there may be rows before
 * their commit, to those who asked. The other fields are there as far as the server has said them.
 */
export type ViewFeed = Readonly<Pick<Feed, 'state'> & Partial<Feed>>

/** A server that says nothing of it means this. */
export const LIVE: ViewFeed = { state: 'live' }

/** All rows that are selected, or what has changed since: at most one row a key. Or how the view is fed from now on. */
export type ViewEvent<R> =
  | { readonly type: 'snapshot'; readonly rows: readonly HeldRow<R>[] }
  | { readonly type: 'update'; readonly rows: readonly ChangedRow<R>[] }
  /** `rows` is empty: nothing has changed. */
  | { readonly type: 'feed'; readonly feed: ViewFeed; readonly rows: readonly ChangedRow<R>[] }

/**
 * - `connecting`: there is no connection yet
 * - `loading`: the rows are coming
 * - `live`: the rows are those of the view
 * - `waiting`: the connection is lost, the next try is due soon; the rows are those of before
 * - `closed`: it has ended, by `close()` or with an error
 */
export type ViewState = 'connecting' | 'loading' | 'live' | 'waiting' | 'closed'

export interface ViewHandlers<R> {
  /** All rows that are selected; they replace those of before. */
  onSnapshot?(rows: readonly HeldRow<R>[]): void
  /** What changed: at most one row a key, in the order of the changes. */
  onUpdate?(rows: readonly ChangedRow<R>[]): void
  onState?(state: ViewState): void
  /** How the view is fed from now on; `live` as long as nothing is said. */
  onFeed?(feed: ViewFeed): void
  /** What the server refuses or the client cannot do. Behind one with `canRetry` it tries again, behind another it is closed. */
  onError?(error: ClientError): void
}

/** Names of the fields of a row, of each kind of row that it may be. */
export type FieldOf<R> = R extends unknown ? keyof R & string : never

/** A row of which only the fields `F` were asked for. */
export type Picked<R, F extends string> = [FieldOf<R>] extends [F]
  ? R
  : R extends unknown
    ? Pick<R, F & keyof R>
    : never

type ValueOf<R, P extends string> = R extends unknown ? (P extends keyof R ? R[P] : never) : never

/** What a field must be: all of it. Numbers are compared with numbers, texts with texts by their code units. */
export interface ConditionOf<T> {
  readonly eq?: T & Scalar
  readonly ne?: T & Scalar
  readonly gt?: T & (number | string)
  readonly gte?: T & (number | string)
  readonly lt?: T & (number | string)
  readonly lte?: T & (number | string)
  readonly in?: readonly (T & Scalar)[]
}

/** One key, several, or those that begin with a text; all where none is said. */
export type KeyChoice =
  | { readonly key?: string; readonly keys?: never; readonly prefix?: never }
  | { readonly keys: readonly string[]; readonly key?: never; readonly prefix?: never }
  | { readonly prefix: string; readonly key?: never; readonly keys?: never }

/** Which rows, and what of them. */
export type ViewSelection<R, F extends string = FieldOf<R>> = KeyChoice & {
  /** A value or conditions for each field; a row must meet all. */
  readonly where?: { readonly [P in FieldOf<R>]?: (ValueOf<R, P> & Scalar) | ConditionOf<ValueOf<R, P>> }
  /** Only these fields of each row. */
  readonly fields?: readonly F[]
  /** Updates are at least so many ms apart; what changes meanwhile comes as its newest row. */
  readonly minGapMs?: number
  /**
   * With `key` or `keys`, of a view with history: first the newest so many rows of each key by time, then all of them that change or go.
   * A row is told apart by key and `timeMs`.
   */
  readonly history?: number
  /** Rows before their commit too, with the state `provisional`, where the job declares it and the server has them. */
  readonly provisional?: boolean
}

/** A view of the job by its name. */
export interface View<R> {
  readonly name: string
  /**
   * Follows the rows that are selected, until `close()`. What comes is told to the handlers, and to whoever iterates over it.
   *
   * @example
   * client.view('candles').subscribe({ key: 'BTC' }, { onUpdate: (rows) => draw(rows) })
   * for await (const { rows } of client.view('candles').subscribe({ prefix: 'BTC/', fields: ['close'] })) draw(rows)
   */
  subscribe<const F extends FieldOf<R> = FieldOf<R>>(
    selection?: ViewSelection<R, F>,
    handlers?: ViewHandlers<Picked<R, F>>,
  ): Subscription<Picked<R, F>>
}
