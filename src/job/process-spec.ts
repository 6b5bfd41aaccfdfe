// What the functions of a process are given: a record or a timer, and the context of its key. Runs on every thread; types only.
// Keeps SPEC: JOB-3 (illegal orders do not compile), PROCESS-1 (what a process is given).

import type { Duration } from './duration.ts'

/** A timer that has come. */
export interface ProcessTimer {
  /** The time that it was set for, ms since the epoch. */
  readonly timeMs: number
  /** What that time is told by: the watermark, or the clock of the instance. */
  readonly clock: 'event' | 'wall'
}

/** What a process knows of a key and may do for it. Valid until the function that it was given to returns; then all of it is done, or, when the function throws, nothing. */
export interface ProcessContext<S = unknown, U = unknown> {
  /** The key, as text. */
  readonly key: string
  /** Event time of the record; of a timer its own, or the watermark where that was past it when it was set; of a wall timer the greatest event time so far. */
  readonly timeMs: number
  /** The watermark at the place of the record; of an event timer, as if it had come to its time and no further. */
  readonly watermarkMs: number
  /** The clock of the instance. It lies outside of what can be computed again: good for wall timers alone. */
  readonly wallMs: number
  readonly state: {
    /** A copy of the state: what `set` was given last, or what the option `state` makes, or undefined. */
    get(): S
    /** Keeps a value, as msgpack: plain objects, arrays, numbers, texts, bytes. */
    set(value: Exclude<S, undefined>): void
    delete(): void
  }
  /** Times are ms since the epoch; a key has at most one timer at a time. */
  readonly timers: {
    /** `onTimer` is called when the watermark reaches the time; where it has, before the next record. From `onTimer`, later than the timer that has come. */
    at(timeMs: number): void
    cancel(timeMs: number): void
    /** `onTimer` is called when the clock of the instance reaches the time. */
    atWall(timeMs: number): void
    cancelWall(timeMs: number): void
  }
  /** Passes a row on, with this key and the context's time. The row itself, no copy of it: whoever changes it afterwards changes what is sent. */
  emit(row: U): void
}

export interface ProcessOptions<R, S, U> {
  /** Makes what `get` gives for a key that has no state. */
  readonly state?: () => S
  readonly onRecord: (record: R, ctx: ProcessContext<S, U>) => void
  readonly onTimer?: (timer: ProcessTimer, ctx: ProcessContext<S, U>) => void
  /** State is gone when the watermark is so long past the time of its last `set`. Default: it stays until it is deleted. */
  readonly ttl?: Duration
}
