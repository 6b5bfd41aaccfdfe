// The rows of a job's views as types: what `typeof job` says, as it travels. Types only, and none of them needs the job at run time.
// Keeps SPEC: PUSH-17 (names and rows of a client's views are those of its job).

/**
 * The views of a job by name, with the rows that `toView` writes. `J` is the type of what a job file exports: a stage that may be
 * built, or what `build()` gives.
 *
 * @example
 * import type job from './job.ts'
 * type Views = ViewsOf<typeof job>
 */
export type ViewsOf<J> = unknown extends J
  ? NoViews
  : J extends { build(): { readonly views?: infer V } }
    ? Known<V>
    : J extends { readonly views?: infer V }
      ? Known<V>
      : NoViews

/** What has no views has none by any name. */
type NoViews = Record<never, never>
type Known<V> = unknown extends V ? NoViews : Exclude<V, undefined>

/** For a client that is not told its job: any name, any fields. */
export interface AnyJob {
  readonly views?: Record<string, Record<string, unknown>>
}

/**
 * A row when it has travelled: big integers are text, bytes are base64, dates are ISO texts, and what was undefined is null or not
 * there. A number that is NaN or infinite comes as null, which no type says.
 */
export type WireForm<T> = 0 extends 1 & T
  ? T
  : T extends string | number | boolean | null
    ? T
    : T extends undefined
      ? T | null
      : T extends bigint | Uint8Array | Date
        ? string
        : T extends object
          ? { [P in keyof T]: WireForm<T[P]> }
          : T
