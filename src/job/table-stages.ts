// Tables as stages of a job, and what a join with one takes. Runs on every thread; types only.
// Keeps SPEC: JOB-3 (illegal orders do not compile; results are inferred), TABLE-1, TABLE-3, TABLE-5.

import type { Field } from './aggregate-spec.ts'
import type { Duration } from './duration.ts'
import type { NoViews, WithView } from './job-views.ts'
import type { SinkTopic } from './source.ts'
import type { Complete, RightOf, ViewOptions } from './stages.ts'

/** A row of a table join that lacks its other side. */
export type TableJoinType = 'inner' | 'left'

export interface TableJoinOptions<T extends TableJoinType> {
  /** `left`: a record without a row has `undefined` for it; `inner` (default): it is filtered. */
  readonly type?: T
  /**
   * Joins with the row as it was at the time of the record. A record waits until both clocks have passed its time and `grace`, for
   * updates of the table that come late. Without it a record is joined at once, with the row as it is when the record is read.
   */
  readonly asOf?: { readonly grace?: Duration }
}

export interface TablesJoinOptions<T extends 'inner' | 'left' | 'outer'> {
  /** `left`: every row of the left table has one; `outer`: those of both; `inner` (default): those that are in both. */
  readonly type?: T
}

/**
 * Rows by key. What is written of it are changes: the new row of a key, or none (a null value) when the key has no row any more.
 */
export interface Table<R, K extends string, V = NoViews> {
  /** Keeps the rows for which `keep` gives true; the others are as if they were not there. */
  filter(keep: (row: R) => boolean): Table<R, K, V>
  /** Turns each row into another. */
  map<U>(change: (row: R) => U): Table<U, K, V>
  /**
   * The rows of two tables with one key, anew when either changes; the time of a change is the later one of both rows. The topics
   * have to have the same partitions.
   *
   * @example
   * job('accounts').table(users).join('profile', table(addresses), { type: 'left' }, (user, address) => ({ ...user, ...address }))
   */
  join<R2, K2 extends string, V2, U, const T extends 'inner' | 'left' | 'outer' = 'inner'>(
    name: string,
    other: Table<R2, K2, V2>,
    options: TablesJoinOptions<T>,
    row: (left: T extends 'outer' ? R | undefined : R, right: RightOf<R2, T>) => U,
  ): Table<U, K, V & V2>
  /** Writes each change to a topic. */
  to(sink: SinkTopic<R>): Table<R, K, V> & Complete<V>
  /** Keeps the rows in a view (topic `<job>-view-<name>`) that clients subscribe to. */
  toView<const N extends string>(
    name: N,
    options?: Pick<ViewOptions<R, never>, 'value' | 'keep' | 'provisional'>,
  ): Table<R, K, WithView<V, N, R>> & Complete<WithView<V, N, R>>
}

/** Rows by key, all of them on every instance. */
export interface GlobalTable<R> {
  /** Keeps the rows for which `keep` gives true; the others are as if they were not there. */
  filter(keep: (row: R) => boolean): GlobalTable<R>
  /** Turns each row into another. */
  map<U>(change: (row: R) => U): GlobalTable<U>
  /** Carries a type only; never set. */
  readonly isGlobal?: true
}

export interface GlobalJoinOptions<R, T extends TableJoinType> {
  /** The field whose text, or whole number, is the key of the row. */
  readonly on: Field<R>
  /** `left`: a record without a row has `undefined` for it; `inner` (default): it is filtered. */
  readonly type?: T
}
