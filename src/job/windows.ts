// Windows as a job describes them.
// Runs on every thread; pure.
// Keeps SPEC: R2 (windows are [start, end), aligned to the Unix epoch plus an offset, or to a calendar: WIN-6, WIN-7),
// WIN-8 (windows by count), WIN-9 (the global window).

import type { CalendarUnit } from '../core/calendar-unit.ts'
import type { Duration } from './duration.ts'

export type { CalendarUnit } from '../core/calendar-unit.ts'

/** A window description, not yet checked; `job(...).window(name, here)` takes it. */
export type WindowSpec =
  | TumblingSpec
  | HoppingSpec
  | CumulateSpec
  | CalendarSpec
  | SessionSpec
  | SlidingSpec
  | CountSpec
  | GlobalSpec

export interface TumblingSpec extends Required<WindowOptions> {
  readonly kind: 'tumbling'
  readonly size: Duration
}
export interface HoppingSpec extends Required<WindowOptions> {
  readonly kind: 'hopping'
  readonly size: Duration
  readonly hop: Duration
}
export interface CumulateSpec extends Required<WindowOptions> {
  readonly kind: 'cumulate'
  readonly size: Duration
  readonly step: Duration
}
export interface CalendarSpec extends Required<CalendarOptions> {
  readonly kind: 'calendar'
  readonly unit: CalendarUnit
}

export interface SessionSpec extends Required<SessionOptions> {
  readonly kind: 'session'
  readonly gap: Duration
}

export interface CountSpec {
  readonly kind: 'count'
  readonly size: number
  readonly hop: number
}

export interface GlobalSpec {
  readonly kind: 'global'
}

export interface SlidingSpec extends Required<SlidingOptions> {
  readonly kind: 'sliding'
  readonly size: Duration
}

export interface WindowOptions {
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
export function tumbling(size: Duration, options: WindowOptions = {}): TumblingSpec {
  return { kind: 'tumbling', size, ...given(options) }
}

/**
 * Windows of one size, a new one every `hop`. They overlap: a record belongs to each that is open around its time. The hop is at
 * most the size, so that no record falls between two windows; it need not divide it.
 *
 * ```
 *   size 10s, hop 5s                event time ->
 *   |------ [0, 10) ------|
 *              |------ [5, 15) ------|        a record of second 7 is in both
 *                         |------ [10, 20) ------|
 * ```
 *
 * @example
 * .window('minute', hopping('60s', '1s'))
 */
export function hopping(size: Duration, hop: Duration, options: WindowOptions = {}): HoppingSpec {
  return { kind: 'hopping', size, hop, ...given(options) }
}

/**
 * Blocks of one size, and in each a window from its start to every `step`: the day so far, every hour. The step divides the size.
 *
 * ```
 *   size 1d, step 8h                event time ->
 *   |-- [0h, 8h) --|
 *   |-------- [0h, 16h) --------|
 *   |-------------- [0h, 24h) --------------|-- [24h, 32h) --| ...
 * ```
 *
 * @example
 * .window('today', cumulate('1d', '1h', { offset: '6h' }))
 */
export function cumulate(size: Duration, step: Duration, options: WindowOptions = {}): CumulateSpec {
  return { kind: 'cumulate', size, step, ...given(options) }
}

export interface CalendarOptions extends WindowOptions {
  /** A name of the time zone database, `'Europe/Berlin'`. Default `'UTC'`. */
  readonly timeZone?: string
  /**
   * Moves the begin of all windows, as the wall clock reads: a day with offset `6h` begins when it is 06:00, a week, which begins on
   * Monday, with offset `6d` on Sunday. Shorter than the shortest unit. Default `0ms`.
   */
  readonly offset?: Duration
}

/**
 * Hours, days, weeks (from Monday), months, quarters or years by the wall clock of a time zone. They lie back to back, and a day is
 * as long as it is there: 23 hours where summer time begins, 25 where it ends. A day that the zone skipped has no window.
 *
 * ```
 *   day, Europe/Berlin           event time ->
 *   |------ Saturday, 24h ------|----- Sunday, 23h -----|------ Monday, 24h ------|
 *   00:00 (23:00Z)              00:00 (23:00Z)          00:00 (22:00Z)            00:00 (22:00Z)
 * ```
 *
 * @example
 * .window('day', calendar('day', { timeZone: 'Europe/Berlin', offset: '6h', grace: '10m' }))
 */
export function calendar(unit: CalendarUnit, { timeZone = 'UTC', ...options }: CalendarOptions = {}): CalendarSpec {
  // Options that there are not come along, to be told when the job is built: `timezone` would mean UTC without a word.
  return { ...options, ...given(options), kind: 'calendar', unit, timeZone }
}

export interface SessionOptions {
  /** How much longer than the gap, in event time, a session waits for records. Default `0ms`. */
  readonly grace?: Duration
}

/**
 * Sessions: the records of a key that are no further apart than `gap`. A session is `[first, last]`, the times of its first and
 * its last record; it is closed when the watermark is past `last + gap + grace`. A record between two of them makes them one.
 *
 * ```
 *   gap 5s            event time ->
 *   ●--●----●            ●-●-----●               two sessions of one key
 *            |<- 5s ->|
 * ```
 *
 * @example
 * .window('visit', session('30m'))
 */
export function session(gap: Duration, { grace = '0ms' }: SessionOptions = {}): SessionSpec {
  return { kind: 'session', gap, grace }
}

export interface CountOptions {
  /** A new window begins every so many records of a key. At most the size. Default: the size, so that windows do not overlap. */
  readonly hop?: number
}

/**
 * Windows of `size` records of a key, in the order of the partition; a new one begins every `hop` records. A window is final as soon as
 * it is full, whatever the times of its records; those that are not full have their row at the end of the input.
 *
 * ```
 *   size 4, hop 2     ● ● ● ● ● ● ● ●             records of a key
 *                     └──#0─┘
 *                         └──#1─┘
 *                             └──#2─┘
 *                                 └──#3 ...       not full yet
 * ```
 *
 * A row's `windowStart` and `windowEnd` are the least and the greatest event time of its records. A key keeps what is not full for
 * ever: state grows with the number of keys.
 *
 * @example
 * .window('hundred-trades', countWindow(100))
 * .window('last-hundred', countWindow(100, { hop: 10 }))
 */
export function countWindow(size: number, { hop = size }: CountOptions = {}): CountSpec {
  return { kind: 'count', size, hop }
}

/**
 * One window for all time, a row for each key: a running result that has a final row, at the end of the input (`--until-end`), and that
 * later records are late for. Rows have no `windowStart` and `windowEnd`.
 *
 * ```
 *   ●  ● ●   ●     ●  ●●   ●  |       event time ->
 *   └──────── one row ────────┘ the input ends
 * ```
 *
 * @example
 * .window('all', globalWindow())
 */
export function globalWindow(): GlobalSpec {
  return { kind: 'global' }
}

export interface SlidingOptions {
  /** How long after its end, in event time, a window still takes records. Default `0ms`. */
  readonly grace?: Duration
}

/**
 * A look-back that moves with the records of a key: one window for each set of records that lie within `size` of each other. A
 * window is `[start, end]`, both in it, and `end - start` is the size. A record of time t makes the window that ends with it,
 * `[t - size, t]`, and the one that begins right after it, `[t + 1, t + 1 + size]`, which comes when it holds a record. A window is
 * closed when the watermark is past `end + grace`.
 *
 * ```
 *   size 5                event time ->
 *        a 10    b 13
 *   |-----●|      |       [5, 10]   a: ends with a
 *      |--●-------●|      [8, 13]   a b: ends with b
 *          |------●---|   [11, 16]  b: begins right after a
 * ```
 *
 * @example
 * .window('last-minute', sliding('1m', { grace: '5s' }))
 */
export function sliding(size: Duration, { grace = '0ms' }: SlidingOptions = {}): SlidingSpec {
  return { kind: 'sliding', size, grace }
}

function given({ grace = '0ms', offset = '0ms' }: WindowOptions): Required<WindowOptions> {
  return { grace, offset }
}
