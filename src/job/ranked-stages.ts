// The stages behind topN as types: rows that come and go by their rank. Runs on every thread; types only.
// Keeps SPEC: JOB-3 (illegal orders do not compile; results are inferred), TOPN-1 (what is ranked, and by what).

import type { Field } from './aggregate-spec.ts'
import type { Duration } from './duration.ts'
import type { NoViews, WithView } from './job-views.ts'
import type { SinkTopic } from './source.ts'
import type { Complete, ViewOptions } from './stages.ts'

/** A row with its place in the list, from 1 on. */
export type Ranked<R> = { [P in keyof R | 'rank']: P extends 'rank' ? number : P extends keyof R ? R[P] : never }
export interface TopNOptions<R> {
  readonly n: number
  /** Fields that are ranked by, the first one first: numbers or texts. */
  readonly by: Field<R> | readonly Field<R>[]
  /** Default `desc`: the greatest is the best. */
  readonly order?: 'desc' | 'asc'
  /** The field that says what a row is of: a text or a whole number. */
  readonly rowKey: Field<R>
  /** Rows of a group that are kept, the best ones, so that they come up when others go down: n to 10,000. Default 1,000, or n. */
  readonly keep?: number
  /** A group is forgotten when the watermark is so long past its last record. Default: it stays. */
  readonly ttl?: Duration
}

/** Rows that come and go by their rank. */
export interface RankedStream<R, V = NoViews> {
  filter(keep: (row: R) => boolean): RankedStream<R, V>
  map<U>(change: (row: R) => U): RankedStream<U, V>
  /** Writes each row, and each that is taken back, with the key of its group. */
  to(sink: SinkTopic<R>): RankedStream<R, V> & Complete<V>
  /** Keeps the rows of the lists: what is taken back is deleted. The key tells the rows of all groups apart. */
  toView<const N extends string>(
    name: N,
    options: Pick<ViewOptions<R, never>, 'value' | 'keep' | 'provisional'> & { key: (row: R) => string | Uint8Array },
  ): RankedStream<R, WithView<V, N, R>> & Complete<WithView<V, N, R>>
}
