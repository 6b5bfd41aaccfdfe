// Windows as a job describes them.
// Runs on every thread; pure.
// Keeps SPEC: R2 (windows are [start, end), aligned to the Unix epoch plus an offset).

import type { Duration } from './duration.ts'

/** A window description, not yet checked; `job(...).window(name, here)` takes it. */
export interface WindowSpec {
  readonly kind: 'tumbling'
  readonly size: Duration
  readonly offset: Duration
  readonly grace: Duration
}

export interface TumblingOptions {
  /** How long after its end, in event time, a window still takes records. Default `0ms`. */
  readonly grace?: Duration
  /** Moves all windows: with size `1d` and offset `6h` a day begins at 06:00 UTC. Default `0ms`. */
  readonly offset?: Duration
}

/**
 * Windows of one size, back to back. A record belongs to exactly one of them.
 *
 * ```
 *   size 1s, grace 500ms            event time ->
 *   |--- [0, 1000) ---|--- [1000, 2000) ---|--- ...
 *                     |<-grace->| the first is closed when the watermark reaches 1500
 * ```
 *
 * @example
 * .window('1s', tumbling('1s', { grace: '500ms' }))
 */
export function tumbling(size: Duration, options: TumblingOptions = {}): WindowSpec {
  return { kind: 'tumbling', size, offset: options.offset ?? '0ms', grace: options.grace ?? '0ms' }
}
