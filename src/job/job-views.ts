// The views of a job as a type: what each `toView` adds, so that a client can be typed from the job. Runs on every thread; types only.
// Keeps SPEC: PUSH-17 (names and rows of a client's views are those of its job).

import type { CompiledJob } from './plan.ts'

/** Of a job that has said none yet. A type of views has the row of each view by its name. */
export type NoViews = Record<never, never>

/** The views `V` and one more, `N`, whose rows are `R`. */
export type WithView<V, N extends string, R> = V & { readonly [P in N]: R }

/** Those of all branches, each of which ends with a stage that has its own. */
export type BranchViews<B> = B extends readonly [infer First, ...infer Rest]
  ? EndViews<First> & BranchViews<Rest>
  : NoViews

type EndViews<B> = B extends { readonly into: (...records: never[]) => { build(): CompiledJob<infer V> } } ? V : NoViews
