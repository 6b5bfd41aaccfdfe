// What a calendar counts in, and whether a time zone is one. Runs on every thread; pure but for the time zone data of the Node at
// hand. Apart from the windows themselves: those load a calendar, which a description of a job has no use for.
// Keeps SPEC: JOB-4 (units and zones that there are not are told with the nearest one).

export type CalendarUnit = 'hour' | 'day' | 'week' | 'month' | 'quarter' | 'year'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** The shortest that a unit is by the calendar, whatever the clock does; an offset is less. */
export const UNIT_MS_MIN: Readonly<Record<CalendarUnit, number>> = {
  hour: HOUR_MS,
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 28 * DAY_MS,
  quarter: 90 * DAY_MS,
  year: 365 * DAY_MS,
}

export const CALENDAR_UNITS = Object.keys(UNIT_MS_MIN) as CalendarUnit[]

/**
 * True for a name of the time zone database, as this Node knows it. A distance from UTC (`+02:00`) is none.
 *
 * @example
 * isTimeZone('Europe/Berlin') // true
 */
export function isTimeZone(name: string): boolean {
  if (!/^[a-z]/i.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
