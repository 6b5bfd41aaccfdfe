// Calendar windows against the wall clock as Intl tells it, minute by minute around a change of the clock. Holds SPEC: WIN-6, WIN-7.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CALENDAR_UNITS, type CalendarUnit } from '../../src/core/calendar-unit.ts'
import { CalendarWindows } from '../../src/core/calendar-windows.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** What the wall clock of a zone reads at a time, as if it were UTC. */
function wallClock(timeZone: string): (timeMs: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    ...({
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    } as const),
  })
  return (timeMs) => {
    const [month, day, year, hour, minute, second] = format.format(timeMs).match(/\d+/g)!.map(Number)
    return Date.UTC(year!, month! - 1, day!, hour!, minute!, second!)
  }
}

/** Which unit of the calendar a reading is in, by number: it grows from one to the next. */
function numberOf(unit: CalendarUnit, readingMs: number): number {
  const date = new Date(readingMs)
  const months = date.getUTCFullYear() * 12 + date.getUTCMonth()
  switch (unit) {
    case 'hour':
      return Math.floor(readingMs / HOUR_MS)
    case 'day':
      return Math.floor(readingMs / DAY_MS)
    case 'week':
      // The epoch began on a Thursday.
      return Math.floor((readingMs / DAY_MS + 3) / 7)
    case 'month':
      return months
    case 'quarter':
      return Math.floor(months / 3)
    case 'year':
      return date.getUTCFullYear()
  }
}

/** Minutes at which a window begins, the first one left out: what is read is new, or of hours that the clock was changed. */
function beginsByMinute(unit: CalendarUnit, zone: string, offsetMs: number, fromMs: number, toMs: number): number[] {
  const wall = wallClock(zone)
  const begins: number[] = []
  let last = numberOf(unit, wall(fromMs) - offsetMs)
  let aheadMs = wall(fromMs) - fromMs
  for (let timeMs = fromMs + MINUTE_MS; timeMs < toMs; timeMs += MINUTE_MS) {
    const reading = wall(timeMs)
    const number = numberOf(unit, reading - offsetMs)
    const isChanged = reading - timeMs !== aheadMs
    aheadMs = reading - timeMs
    if (unit === 'hour' ? number !== last || isChanged : number > last) begins.push(timeMs)
    last = unit === 'hour' ? number : Math.max(number, last)
  }
  return begins
}

/** The days of a year on which the clock of a zone is changed. */
function daysOfChange(zone: string, year: number): number[] {
  const wall = wallClock(zone)
  const days = Array.from({ length: 366 }, (_, n) => Date.UTC(year, 0, 1 + n))
  return days.filter((day) => wall(day) - day !== wall(day + DAY_MS) - (day + DAY_MS))
}

function beginsOf(unit: CalendarUnit, zone: string, offsetMs: number, fromMs: number, toMs: number): number[] {
  const windows = new CalendarWindows(unit, zone, offsetMs)
  const begins: number[] = []
  // By each minute's own look-up, not from window to window.
  for (let timeMs = fromMs + MINUTE_MS; timeMs < toMs; timeMs += MINUTE_MS) {
    const startMs = windows.startOf(windows.lastEnd(timeMs))
    if (startMs > timeMs - MINUTE_MS && startMs > fromMs) begins.push(startMs)
  }
  return begins
}

// All changes since then are on full minutes, but one of Monrovia's.
const zones = Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'Africa/Monrovia')

// The clock is changed at night: so are the units moved, and hours and days, which begin there, are drawn most.
const cases = fc.record({
  unit: fc.oneof({ weight: 3, arbitrary: fc.constantFrom('hour', 'day') }, fc.constantFrom(...CALENDAR_UNITS)),
  zone: fc.constantFrom(...zones),
  year: fc.integer({ min: 1973, max: 2060 }),
  quarters: fc.nat(14),
})

test('windows begin where the wall clock says, around the changes of any zone', () => {
  fc.assert(
    fc.property(cases, ({ unit, zone, year, quarters }) => {
      const days = daysOfChange(zone, year)
      fc.pre(days.length > 0)
      const offsetMs = (unit === 'hour' ? quarters % 4 : quarters) * 15 * MINUTE_MS
      for (const day of days) {
        const [fromMs, toMs] = [day - DAY_MS, day + 2 * DAY_MS]
        const expected = beginsByMinute(unit, zone, offsetMs, fromMs, toMs)
        expect(beginsOf(unit, zone, offsetMs, fromMs, toMs)).toEqual(expected)
      }
    }),
    { numRuns: 100 },
  )
}, 60_000)
