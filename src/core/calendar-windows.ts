// Windows of the calendar: hours, days, weeks and longer by the wall clock of a time zone, summer time and all. Runs on a lane;
// pure but for the time zone data of the Node at hand. Hot where it finds a window again.
// Keeps SPEC: R2 ([start, end), closed when watermark >= end + grace), WIN-6 (where windows begin), WIN-7 (hours).

/*
 * day, Europe/Berlin        wall clock of the last Sunday of March: 01:59 is followed by 03:00
 *
 *   22:00Z     23:00Z                     22:00Z                  22:00Z     event time ->
 *  ────[──────────[──────── 23 h ───────────[──────── 24 h ──────────[────
 *     ...     Sun 00:00                 Mon 00:00               Tue 00:00     wall clock
 */
import { Temporal } from 'temporal-polyfill'
import { type CalendarUnit, UNIT_MS_MIN } from './calendar-unit.ts'
import { EVENT_TIME_MS_LIMIT } from './watermark.ts'
import { type AlignedWindows, windowStart } from './window.ts'

const HOUR_MS = 3_600_000

interface Period {
  step: Temporal.DurationLike
  begin: (date: Temporal.PlainDate) => Temporal.PlainDate
}

/** Units from a day on: where the one of a date begins, and what leads to the next. Weeks begin on Monday. */
const PERIODS: Readonly<Record<Exclude<CalendarUnit, 'hour'>, Period>> = {
  day: { step: { days: 1 }, begin: (date) => date },
  week: { step: { days: 7 }, begin: (date) => date.subtract({ days: date.dayOfWeek - 1 }) },
  month: { step: { months: 1 }, begin: (date) => date.with({ day: 1 }) },
  quarter: {
    step: { months: 3 },
    begin: (date) => date.with({ month: date.month - ((date.month - 1) % 3), day: 1 }),
  },
  year: { step: { years: 1 }, begin: (date) => date.with({ month: 1, day: 1 }) },
}

/** Stretches whose boundaries are remembered, in 128 KiB: 85 days of hours, 5 years of days. A power of two. */
const STRETCHES = 4096

/** Outside of these, dates come to the end of what a calendar can count: before and after lies one long window each. */
const FIRST_MS = Date.UTC(-271_000, 0, 1)
const LAST_MS = Date.UTC(275_000, 0, 1)

type Bounds = [startMs: number, endMs: number]

/**
 * Windows of a calendar, back to back. Finding one by the calendar takes 25 to 400 us, so time is cut into stretches of half a unit,
 * and each remembers the window that holds its begin and the one after it, so that records that go back and forth find theirs by two
 * comparisons.
 */
export class CalendarWindows implements AlignedWindows {
  readonly #unit: CalendarUnit
  readonly #timeZone: string
  readonly #offsetMs: number
  readonly #stretchMs: number
  /** Which stretch has which place; NaN: none yet. */
  readonly #stretches = new Float64Array(STRETCHES).fill(Number.NaN)
  /** Of each place the start of its first window, its end, and the end of the next. */
  readonly #bounds = new Float64Array(STRETCHES * 3)

  constructor(unit: CalendarUnit, timeZone: string, offsetMs: number) {
    this.#unit = unit
    this.#timeZone = timeZone
    this.#offsetMs = offsetMs
    this.#stretchMs = UNIT_MS_MIN[unit] / 2
  }

  firstEnd(timeMs: number): number {
    return this.lastEnd(timeMs)
  }
  lastEnd(timeMs: number): number {
    const at = this.#placeOf(timeMs)
    if (timeMs < this.#bounds[at + 1]!) return this.#bounds[at + 1]!
    return timeMs < this.#bounds[at + 2]! ? this.#bounds[at + 2]! : this.#around(timeMs)[1]
  }
  nextEnd(endMs: number): number {
    return this.lastEnd(endMs)
  }
  /** Of the window that holds the last moment before `endMs`, also where the zone has changed since and it ends elsewhere now. */
  startOf(endMs: number): number {
    const timeMs = endMs - 1
    const at = this.#placeOf(timeMs)
    if (timeMs < this.#bounds[at + 1]!) return this.#bounds[at]!
    return timeMs < this.#bounds[at + 2]! ? this.#bounds[at + 1]! : this.#around(timeMs)[0]
  }

  /** Where the bounds of the stretch of a time are. */
  #placeOf(timeMs: number): number {
    const stretch = Math.floor(timeMs / this.#stretchMs)
    const place = stretch & (STRETCHES - 1)
    if (this.#stretches[place] !== stretch) this.#remember(stretch, place)
    return place * 3
  }

  #remember(stretch: number, place: number): void {
    const [startMs, endMs] = this.#around(stretch * this.#stretchMs)
    this.#bounds.set([startMs, endMs, this.#around(endMs)[1]], place * 3)
    this.#stretches[place] = stretch
  }

  /** The window that holds a time, by the calendar. */
  #around(timeMs: number): Bounds {
    if (timeMs < FIRST_MS) return [-EVENT_TIME_MS_LIMIT, FIRST_MS]
    if (timeMs >= LAST_MS) return [LAST_MS, EVENT_TIME_MS_LIMIT + 1]
    const wholeMs = Math.floor(timeMs)
    const [startMs, endMs] = this.#unit === 'hour' ? this.#hourAround(wholeMs) : this.#periodAround(wholeMs, this.#unit)
    return [Math.max(startMs, FIRST_MS), Math.min(endMs, LAST_MS)]
  }

  #periodAround(timeMs: number, unit: keyof typeof PERIODS): Bounds {
    const { step, begin } = PERIODS[unit]
    const wall = this.#zoned(timeMs).toPlainDateTime().subtract({ milliseconds: this.#offsetMs })
    let date = begin(wall.toPlainDate())
    let startMs = this.#firstReadingMs(date)
    // More than one step where the clock was put back over a beginning: it reads a time of the period before once more.
    for (;;) {
      date = date.add(step)
      const endMs = this.#firstReadingMs(date)
      if (endMs > timeMs) return [startMs, endMs]
      startMs = endMs
    }
  }

  /** When the wall clock reads a date's midnight plus the offset for the first time, or is put past it. */
  #firstReadingMs(date: Temporal.PlainDate): number {
    const reading = date.toPlainDateTime().add({ milliseconds: this.#offsetMs })
    const zoned = reading.toZonedDateTime(this.#timeZone, { disambiguation: 'earlier' })
    // What is never read comes out as a time before the change that skips it.
    const isRead = zoned.toPlainDateTime().equals(reading)
    return (isRead ? zoned : zoned.getTimeZoneTransition('next')!).epochMilliseconds
  }

  #hourAround(timeMs: number): Bounds {
    const aheadMs = this.#aheadMs(timeMs)
    const startMs = windowStart(timeMs + aheadMs, HOUR_MS, this.#offsetMs) - aheadMs
    const endMs = startMs + HOUR_MS
    if (this.#aheadMs(startMs) === aheadMs && this.#aheadMs(endMs - 1) === aheadMs) return [startMs, endMs]
    const changed = this.#zoned(timeMs + 1).getTimeZoneTransition('previous')
    const changes = this.#zoned(timeMs).getTimeZoneTransition('next')
    return [
      Math.max(startMs, changed?.epochMilliseconds ?? startMs),
      Math.min(endMs, changes?.epochMilliseconds ?? endMs),
    ]
  }

  /** How far the wall clock is ahead of UTC. */
  #aheadMs(timeMs: number): number {
    return this.#zoned(timeMs).offsetNanoseconds / 1e6
  }

  #zoned(timeMs: number): Temporal.ZonedDateTime {
    return Temporal.Instant.fromEpochMilliseconds(timeMs).toZonedDateTimeISO(this.#timeZone)
  }
}
