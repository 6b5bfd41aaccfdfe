// The stages of a job as types: each offers what may come next, so that an illegal order does not compile.
// Runs on every thread; types only.
// Keeps SPEC: JOB-3 (illegal orders do not compile; results are inferred).

/*
 *   job ── from ──> Stream ── keyBy ──> KeyedStream ── window ──> WindowedStream
 *                     │                     │                           │
 *                     │                 aggregate                   aggregate
 *                     │                     v                           v
 *                     │             ResultStream (running)      WindowResultStream ── late ──> ResultStream
 *                     └── to ──> complete   └── to, toView ──> complete ──> build
 */

import type { AggregateOf, AggregateResult, Field, FieldValues, NumericField } from './aggregate-spec.ts'
import type { Duration } from './duration.ts'
import type { Format } from './format.ts'
import type { BranchViews, NoViews, WithView } from './job-views.ts'
import type { CompiledJob, GapValue } from './plan.ts'
import type { ProcessOptions } from './process-spec.ts'
import type { Ranked, RankedStream, TopNOptions } from './ranked-stages.ts'
import type { KafkaTopic, SinkTopic } from './source.ts'
import type { GlobalJoinOptions, GlobalTable, Table, TableJoinOptions, TableJoinType } from './table-stages.ts'
import type { GlobalSpec, TumblingSpec, WindowSpec } from './windows.ts'

/** Shown by `millrace plan`; also marks what a job file exports. */
export interface Complete<out V = unknown> {
  /**
   * The plan of the job and its functions. Throws MR1002 with every problem of the job.
   */
  build(): CompiledJob<V>
}

/** At each multiple of the interval in event time, the latest row of each result that changed since the last one. */
export interface Every {
  readonly every: Duration
}
/** When a sink gets a running result: one row a record, or coalesced. There is no end, so there is no `final`. */
export type RunningEmit = 'updates' | Every
/**
 * When a sink gets a window's result: once at its close, or one row a record, or coalesced; the last two get the row of the close
 * as well.
 */
export type WindowEmit = 'final' | RunningEmit

export interface ToOptions<E> {
  /** Default: `final` for windows, `updates` for running results. */
  readonly emit?: E
}

export interface ViewOptions<R, E> {
  /** Default `updates`. */
  readonly emit?: E
  /** How rows are stored in the view's topic. Default: msgpack. */
  readonly value?: Format<R>
  /** The key that clients subscribe to. Default: the row's key. */
  readonly key?: (row: R) => string | Uint8Array
  /**
   * How long a row stays, in event time: when the watermark is so far past its time and its key has no other row, the job removes it.
   * The time of a row is the end of its window, without one the time of the record that made it. Default: it stays.
   */
  readonly keep?: Duration
  /**
   * The view keeps a row of each key and time: that of each window by its start, without a window each by the time of its record. For
   * so long in event time, or `true`, as long as `keep` says. For rows of an aggregate.
   */
  readonly history?: Duration | true
  /**
   * Clients that ask for it see rows before their commit too, marked, as soon as they are computed; what is not committed in the end
   * is taken back. Default false. Of a view with `history` those see them that follow the history of keys.
   */
  readonly provisional?: boolean
}

export interface JobOptions {
  /** Where dead records go. Default: the topic `<job>-dlq`. */
  readonly deadLetters?: SinkTopic<never>
}

export interface JobStart {
  /** Reads a topic. Event types come from its format or its schema. */
  from<T, K extends string>(source: KafkaTopic<T, K>): Stream<[T] extends [never] ? unknown : T, K>
  /** Reads a topic as a table; see `table`. */
  table<T, K extends string>(source: KafkaTopic<T, K>): Table<[T] extends [never] ? unknown : T, K>
}

/** One of the ways that records of a stream `S` may take. */
export interface Branch<R, S> {
  /** The records for which it gives true, and that no branch before it has taken. Default: all that are left. */
  readonly when?: (record: R) => boolean
  /** What becomes of them. */
  readonly into: (records: S) => Complete
}

/** Records as they are read, or as functions made them. */
export interface Stream<R, K extends string, V = NoViews> {
  /** Keeps the records for which `keep` gives true; it gets just the named fields (fast path). */
  filter<const F extends readonly Field<R>[]>(
    fields: F,
    keep: (...values: FieldValues<R, F>) => boolean,
  ): Stream<R, K, V>
  /** Keeps the records for which `keep` gives true (free path: the whole record is decoded). */
  filter(keep: (record: R) => boolean): Stream<R, K, V>
  /** Turns each record into another; the function gets just the named fields (fast path). */
  map<const F extends readonly Field<R>[], U>(
    fields: F,
    change: (...values: FieldValues<R, F>) => U,
  ): Stream<U, never, V>
  /** Turns each record into another (free path). */
  map<U>(change: (record: R) => U): Stream<U, never, V>
  /** Turns each record into any number of others (free path). None: the record counts as filtered. */
  flatMap<U>(change: (record: R) => readonly U[]): Stream<U, never, V>
  /**
   * Groups by a field. By the declared key of the source the records stay where they are: those of a key are in one
   * partition already, in order. By any other field, or after a `map`, they move through a topic of the job's own,
   * `<job>-repartition`.
   */
  keyBy<F extends Field<R> | K>(field: F): KeyedStream<R, F, V>
  /**
   * Each record goes the way of the first branch that is for it; one that is for none is filtered. What keeps state belongs behind
   * it, into a branch. Free path.
   *
   * @example
   * .branch(
   *   { when: (order) => order.amount > 1_000, into: (large) => large.to(kafka('large-orders')) },
   *   { into: (rest) => rest.keyBy('user').aggregate({ n: count() }).to(kafka('small-orders')) },
   * )
   */
  branch<const B extends readonly Branch<R, Stream<R, K>>[]>(...branches: B): Complete<V & BranchViews<B>>
  /**
   * The records of two streams as one, in no order between them. Those of each are judged by a clock that takes the slower of
   * both. Free path.
   */
  merge<R2, K2 extends string, V2>(other: Stream<R2, K2, V2>): Stream<R | R2, K & K2, V & V2>
  /**
   * Joins each record with the row of a global table that a field of the record names, as the row is when the record is read. Free
   * path. See `globalTable`.
   */
  joinTable<R2, U, const T extends TableJoinType = 'inner'>(
    name: string,
    table: GlobalTable<R2>,
    options: GlobalJoinOptions<R, T>,
    row: (record: R, row: RightOf<R2, T>) => U,
  ): Stream<U, never, V>
  /** Writes each record to a topic. */
  to(sink: SinkTopic<R>): Stream<R, K, V> & Complete<V>
}

/** The key of a result row: text, since it is read back from the Kafka key. */
export type KeyText<V> = [V] extends [string] ? V : string

/** The row of a running aggregate: the key and the results. */
export type RunningRow<R, K extends string, A> = Flat<KeyPart<R, K> & ResultPart<R, A>>
/** The row of windows `W`: that of the global window has no bounds. */
export type RowOf<R, K extends string, A, W extends WindowSpec, G = never> = W extends GlobalSpec
  ? RunningRow<R, K, A>
  : WindowRow<R, K, A, G>
/** The row of a window: the key, `[windowStart, windowEnd)` in ms since the epoch, and the results. */
export type WindowRow<R, K extends string, A, G = never> = Flat<
  KeyPart<R, K> & { windowStart: number; windowEnd: number } & FilledPart<R, A, G>
>
type KeyPart<R, K extends string> = { [P in K]: P extends keyof R ? KeyText<R[P]> : string }
type ResultPart<R, A> = { -readonly [P in keyof A]: AggregateResult<R, A[P]> }
type FilledPart<R, A, G> = { -readonly [P in keyof A]: Filled<G, P, AggregateResult<R, A[P]>> }
type Flat<T> = { [P in keyof T]: T[P] }

/** Which records have a row of their own when none of the other side meets them. */
export type JoinType = 'inner' | 'left' | 'right' | 'outer'
/** A bound that the left record says itself: a field with a time in ms since the epoch, at most `max` from its own time. */
export interface FieldBound<L> {
  readonly field: NumericField<L>
  readonly max: Duration
}
/** How far the right record may be before and after the left one; a bound that is not said is 0. Both bounds are included. */
export interface JoinBounds<L> {
  readonly before?: Duration | FieldBound<L>
  readonly after?: Duration | FieldBound<L>
}
export interface JoinOptions<L, T extends JoinType> {
  /** One duration is both bounds. */
  readonly within: Duration | JoinBounds<L>
  /** Default: `inner`. */
  readonly type?: T
  /** How long after its bounds have passed a record still waits for others. Default `0ms`. */
  readonly grace?: Duration
}
/** What a join's function gets for a side that may be missing. */
export type LeftOf<L, T extends JoinType> = T extends 'right' | 'outer' ? L | undefined : L
export type RightOf<R, T extends JoinType> = T extends 'left' | 'outer' ? R | undefined : R

export interface DedupOptions {
  /** How long an id is remembered, in event time. */
  readonly within: Duration
  /** Name of the state. Default: `dedup`. Charset `[a-z0-9-]`. */
  readonly name?: string
}

export interface AggregateOptions {
  /** Name of the state. Default: `<window>-aggregate`, or `aggregate` without a window. Charset `[a-z0-9-]`. */
  readonly name?: string
}

/**
 * Rows for windows in which a key had no record, from its first window on until it has had none for `for`. What stands in them
 * is `null`, `zero` or the `last` value; `null` where nothing is said.
 */
export interface GapFill<N extends PropertyKey> {
  readonly for: Duration
  readonly fill?: { readonly [P in N]?: GapValue }
}

export interface WindowAggregateOptions<G> extends AggregateOptions {
  /** For tumbling windows. */
  readonly gapFill?: G
}

/** A result that a row of an empty window may not have. */
type Filled<G, P, T> = [G] extends [never]
  ? T
  : G extends { fill: { readonly [Q in P & string]: 'last' | 'zero' } }
    ? T
    : T | null

/** Records grouped by their key. */
export interface KeyedStream<R, K extends string, V = NoViews> {
  /** See `Stream.filter`. */
  filter<const F extends readonly Field<R>[]>(
    fields: F,
    keep: (...values: FieldValues<R, F>) => boolean,
  ): KeyedStream<R, K, V>
  filter(keep: (record: R) => boolean): KeyedStream<R, K, V>
  /** See `Stream.map`. The key stays what it was. */
  map<const F extends readonly Field<R>[], U>(
    fields: F,
    change: (...values: FieldValues<R, F>) => U,
  ): KeyedStream<U, K, V>
  map<U>(change: (record: R) => U): KeyedStream<U, K, V>
  /** See `Stream.flatMap`. The key stays what it was. */
  flatMap<U>(change: (record: R) => readonly U[]): KeyedStream<U, K, V>
  /** Groups by another field: the records move again, through another topic of the job's own. */
  keyBy<F extends Field<R>>(field: F): KeyedStream<R, F, V>
  /**
   * Drops a record whose id came before for its key; it counts as filtered. An id is remembered until the watermark is `within` past
   * the time of the first record that had it.
   *
   * @example
   * .keyBy('account').dedup('paymentId', { within: '1h' })
   */
  dedup(field: Field<R>, options: DedupOptions): KeyedStream<R, K, V>
  /** See `Stream.branch`. The key stays what it was. */
  branch<const B extends readonly Branch<R, KeyedStream<R, K>>[]>(...branches: B): Complete<V & BranchViews<B>>
  /**
   * Joins the records of another stream with the same key that are within bounds of event time. A row for each pair, at once; its
   * time is the later one of both. In an outer join a record that met none has a row with `undefined` for the other side, once, when
   * none can come any more. Both streams have to be keyed, and their topics to have the same partitions.
   *
   * @example
   * .keyBy('orderId').join('paid', payments, { within: { after: '10m' }, type: 'left' }, (order, payment) => ({
   *   orderId: order.orderId, paid: payment?.amount ?? 0,
   * }))
   */
  join<R2, K2 extends string, V2, U, const T extends JoinType = 'inner'>(
    name: string,
    other: KeyedStream<R2, K2, V2>,
    options: JoinOptions<R, T>,
    row: (left: LeftOf<R, T>, right: RightOf<R2, T>) => U,
  ): JoinedStream<U, K, V & V2>
  /**
   * Joins each record with the row of a table that has its key. The topics have to have the same partitions. Free path.
   *
   * @example
   * .keyBy('user').joinTable('who', users, { type: 'left' }, (click, user) => ({ ...click, name: user?.name ?? 'unknown' }))
   */
  joinTable<R2, K2 extends string, V2, U, const T extends TableJoinType = 'inner'>(
    name: string,
    table: Table<R2, K2, V2>,
    options: TableJoinOptions<T>,
    row: (record: R, row: RightOf<R2, T>) => U,
  ): JoinedStream<U, K, V & V2>
  /** See `Stream.joinTable`. The key stays what it was. */
  joinTable<R2, U, const T extends TableJoinType = 'inner'>(
    name: string,
    table: GlobalTable<R2>,
    options: GlobalJoinOptions<R, T>,
    row: (record: R, row: RightOf<R2, T>) => U,
  ): KeyedStream<U, K, V>
  /** See `Stream.merge`. Both streams have to be keyed, and their topics to have the same partitions. */
  merge<R2, K2 extends string, V2>(other: KeyedStream<R2, K2, V2>): KeyedStream<R | R2, K, V & V2>
  /**
   * Functions of your own, called for each record of a key and for its timers, with state by key: what they emit are the records behind
   * it, with the same key. Each call takes effect as a whole, in the transaction of its record. The name is that of the state.
   *
   * @example
   * .keyBy('account').process('second', {
   *   onRecord(payment, ctx: ProcessContext<boolean | undefined, Payment>) {
   *     ctx.state.get() ? ctx.emit(payment) : ctx.state.set(true)
   *   },
   * })
   */
  process<S, U>(name: string, options: ProcessOptions<R, S, U>): KeyedStream<U, K, V>
  /**
   * The best `n` rows of each group, which is the key, with their `rank` from 1 on: a row of phase `early` for each that comes into the
   * list or changes in it, after one of phase `retracted` for each that leaves it or changes its rank. The newest row of a `rowKey` is
   * that which counts; of equal ones the first to come is the better. The name is that of the state.
   *
   * @example
   * .aggregate({ total: sum('amount'), country: last('country') }).keyBy('country')
   * .topN('best', { n: 3, by: 'total', rowKey: 'city' })
   * .toView('best', { key: (row) => `${row.country} ${row.rank}` })
   */
  topN(name: string, options: TopNOptions<R>): RankedStream<Ranked<R>, V>
  /** Puts records into windows. The name is part of the state's name. */
  window<W extends WindowSpec>(name: string, window: W): WindowedStream<R, K, W, V>
  /** A running result by key, without a window and without an end. */
  aggregate<const A extends Record<string, AggregateOf<R>>>(
    aggregates: A,
    options?: AggregateOptions,
  ): ResultStream<RunningRow<R, K, A>, RunningEmit, V>
  /**
   * One record by key: the first, then what the function makes of it and each that comes, which is a record of the same kind. It must
   * not change what it is given. The name is that of the state, default `reduce`.
   *
   * @example
   * .keyBy('sensor').reduce((highest, reading) => (reading.celsius > highest.celsius ? reading : highest))
   */
  reduce(reduce: (before: R, record: R) => R): ResultStream<R, RunningEmit, V>
  reduce(name: string, reduce: (before: R, record: R) => R): ResultStream<R, RunningEmit, V>
  /** Writes each record to a topic. */
  to(sink: SinkTopic<R>): KeyedStream<R, K, V> & Complete<V>
}

/** Rows of a join, keyed as its records, before it is said where late records go. */
export interface JoinedStream<R, K extends string, V = NoViews> extends KeyedStream<R, K, V> {
  /** Records that are too late for the join go here as they came, with headers that say why. Without it they are counted and dropped. */
  late(target: SinkTopic<never>): KeyedStream<R, K, V>
}

/** Records in windows, to be aggregated or reduced. */
export interface WindowedStream<R, K extends string, W extends WindowSpec = TumblingSpec, V = NoViews> {
  /** One row for each key and window. */
  aggregate<const A extends Record<string, AggregateOf<R>>, const G extends GapFill<keyof A> = never>(
    aggregates: A,
    options?: WindowAggregateOptions<G>,
  ): WindowResultStream<RowOf<R, K, A, W, G>, V>
  /**
   * One record by key and window, as `KeyedStream.reduce`. Where rows of windows are merged, the function makes one of what it has
   * made of two parts; those of the second come after those of the first. The name is by default `<window>-reduce`.
   *
   * @example
   * .window('1m', tumbling('1m')).reduce((first, reading) => ({ ...first, celsius: Math.max(first.celsius, reading.celsius) }))
   */
  reduce(reduce: (before: R, record: R) => R): WindowResultStream<R, V>
  reduce(name: string, reduce: (before: R, record: R) => R): WindowResultStream<R, V>
}

/** Rows of an aggregate; `E` says when a sink may get them. */
export interface ResultStream<R, E, V = NoViews> {
  /** See `Stream.filter`. */
  filter<const F extends readonly Field<R>[]>(
    fields: F,
    keep: (...values: FieldValues<R, F>) => boolean,
  ): ResultStream<R, E, V>
  filter(keep: (row: R) => boolean): ResultStream<R, E, V>
  /** See `Stream.map`. The row's key stays what it was. */
  map<const F extends readonly Field<R>[], U>(
    fields: F,
    change: (...values: FieldValues<R, F>) => U,
  ): ResultStream<U, E, V>
  map<U>(change: (row: R) => U): ResultStream<U, E, V>
  /**
   * The rows go on as records, grouped by a field: final rows of windows, at the time of their last moment; of a running result
   * each row as it changes. By the key that they have they stay where they are, by any other field they move through a topic of
   * the job's own.
   */
  keyBy<F extends Field<R>>(field: F): KeyedStream<R, F, V>
  /** Writes rows to a topic. */
  to(sink: SinkTopic<R>, options?: ToOptions<E>): ResultStream<R, E, V> & Complete<V>
  /** Keeps the latest row per key in a view (topic `<job>-view-<name>`) that clients subscribe to. */
  toView<const N extends string>(
    name: N,
    options?: ViewOptions<R, E>,
  ): ResultStream<R, E, WithView<V, N, R>> & Complete<WithView<V, N, R>>
}

/** Rows of a windowed aggregate, before it is said where late records go. */
export interface WindowResultStream<R, V = NoViews> extends ResultStream<R, WindowEmit, V> {
  /** Late records go here as they came, with headers that say why. Without it they are counted and dropped. */
  late(target: SinkTopic<never>): ResultStream<R, WindowEmit, V>
}
