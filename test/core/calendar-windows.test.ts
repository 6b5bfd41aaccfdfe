// Where calendar windows begin and end: tables of dates by zone, and the tiling of time. Holds SPEC: R2, WIN-6, WIN-7.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CALENDAR_UNITS, type CalendarUnit, isTimeZone } from '../../src/core/calendar-unit.ts'
import { CalendarWindows } from '../../src/core/calendar-windows.ts'
import { EVENT_TIME_MS_LIMIT } from '../../src/core/watermark.ts'

const HOUR_MS = 3_600_000

/** `2026-03-28T23:00Z` of a time: without what is 0. */
function text(ms: number): string {
  return new Date(ms).toISOString().replace(/(:00)?\.000Z$/, 'Z')
}

/** The begins of the windows from the one that holds `from` on, `count` of them and one more. */
function begins(windows: CalendarWindows, from: string, count: number): string[] {
  let endMs = windows.firstEnd(Date.parse(from))
  const found = [text(windows.startOf(endMs))]
  for (let n = 0; n < count; n++) {
    found.push(text(endMs))
    const nextMs = windows.nextEnd(endMs)
    expect(text(windows.startOf(nextMs))).toBe(text(endMs))
    endMs = nextMs
  }
  return found
}

interface Row {
  what: string
  unit: CalendarUnit
  zone?: string
  offsetMs?: number
  from: string
  begins: string[]
}

const DAYS: Row[] = [
  { what: 'UTC', unit: 'day', from: '1969-12-31T23:59Z', begins: ['1969-12-31T00:00Z', '1970-01-01T00:00Z'] },
  {
    what: '23 hours where summer time begins',
    unit: 'day',
    zone: 'Europe/Berlin',
    from: '2026-03-28T12:00Z',
    begins: ['2026-03-27T23:00Z', '2026-03-28T23:00Z', '2026-03-29T22:00Z', '2026-03-30T22:00Z'],
  },
  {
    what: '25 hours where it ends',
    unit: 'day',
    zone: 'Europe/Berlin',
    from: '2026-10-24T12:00Z',
    begins: ['2026-10-23T22:00Z', '2026-10-24T22:00Z', '2026-10-25T23:00Z', '2026-10-26T23:00Z'],
  },
  {
    what: 'from 06:00',
    unit: 'day',
    zone: 'Europe/Berlin',
    offsetMs: 6 * HOUR_MS,
    from: '2026-03-28T12:00Z',
    begins: ['2026-03-28T05:00Z', '2026-03-29T04:00Z', '2026-03-30T04:00Z'],
  },
  {
    what: 'from 02:30, which the clock is put past: at 03:00',
    unit: 'day',
    zone: 'Europe/Berlin',
    offsetMs: 2.5 * HOUR_MS,
    from: '2026-03-28T12:00Z',
    begins: ['2026-03-28T01:30Z', '2026-03-29T01:00Z', '2026-03-30T00:30Z'],
  },
  {
    what: 'from 02:30, which comes twice: the first time',
    unit: 'day',
    zone: 'Europe/Berlin',
    offsetMs: 2.5 * HOUR_MS,
    from: '2026-10-25T01:10Z',
    begins: ['2026-10-25T00:30Z', '2026-10-26T01:30Z'],
  },
  {
    what: 'a midnight that there is not: the day begins at 01:00',
    unit: 'day',
    zone: 'America/Sao_Paulo',
    from: '2018-11-03T12:00Z',
    begins: ['2018-11-03T03:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z'],
  },
  {
    what: 'the hour before midnight comes twice',
    unit: 'day',
    zone: 'America/Sao_Paulo',
    from: '2018-02-18T02:30Z',
    begins: ['2018-02-17T02:00Z', '2018-02-18T03:00Z', '2018-02-19T03:00Z'],
  },
  {
    what: 'no midnight in spring',
    unit: 'day',
    zone: 'Asia/Beirut',
    from: '2022-03-26T12:00Z',
    begins: ['2022-03-25T22:00Z', '2022-03-26T22:00Z', '2022-03-27T21:00Z'],
  },
  {
    what: 'a midnight that comes twice: the first',
    unit: 'day',
    zone: 'America/Havana',
    from: '2021-11-07T05:30Z',
    begins: ['2021-11-07T04:00Z', '2021-11-08T05:00Z'],
  },
  {
    what: 'a change of half an hour',
    unit: 'day',
    zone: 'Australia/Lord_Howe',
    from: '2026-04-04T12:00Z',
    begins: ['2026-04-03T13:00Z', '2026-04-04T13:00Z', '2026-04-05T13:30Z'],
  },
  {
    what: 'a change at 23:30, past midnight',
    unit: 'day',
    zone: 'America/Toronto',
    from: '1919-03-30T12:00Z',
    begins: ['1919-03-30T05:00Z', '1919-03-31T04:30Z', '1919-04-01T04:00Z'],
  },
  {
    what: 'a day that was skipped has no window',
    unit: 'day',
    zone: 'Pacific/Apia',
    from: '2011-12-29T12:00Z',
    begins: ['2011-12-29T10:00Z', '2011-12-30T10:00Z', '2011-12-31T10:00Z'],
  },
  {
    what: 'a day that came twice is one window',
    unit: 'day',
    zone: 'Pacific/Kwajalein',
    from: '1969-09-29T13:30Z',
    begins: ['1969-09-29T13:00Z', '1969-10-01T12:00Z', '1969-10-02T12:00Z'],
  },
  {
    what: 'from 18:00, while the clock reads 12:00 for the second time',
    unit: 'day',
    zone: 'Pacific/Kwajalein',
    offsetMs: 18 * HOUR_MS,
    from: '1969-10-01T01:00Z',
    begins: ['1969-09-30T07:00Z', '1969-10-02T06:00Z', '1969-10-03T06:00Z'],
  },
  {
    what: 'local mean time, to the second',
    unit: 'day',
    zone: 'Europe/Berlin',
    from: '1893-03-31T12:00Z',
    begins: ['1893-03-30T23:06:32Z', '1893-03-31T23:06:32Z', '1893-04-01T23:00Z'],
  },
  {
    what: 'in centuries to come',
    unit: 'day',
    zone: 'Europe/Berlin',
    from: '2500-06-01T12:00Z',
    begins: ['2500-05-31T22:00Z', '2500-06-01T22:00Z'],
  },
]

const LONGER: Row[] = [
  {
    what: 'weeks begin on Monday',
    unit: 'week',
    zone: 'Europe/Berlin',
    from: '2026-03-29T21:59:59Z',
    begins: ['2026-03-22T23:00Z', '2026-03-29T22:00Z', '2026-04-05T22:00Z'],
  },
  {
    what: 'and on Sunday with an offset of 6 days',
    unit: 'week',
    zone: 'America/New_York',
    offsetMs: 6 * 24 * HOUR_MS,
    from: '2026-03-10T12:00Z',
    begins: ['2026-03-08T05:00Z', '2026-03-15T04:00Z', '2026-03-22T04:00Z'],
  },
  {
    what: 'months',
    unit: 'month',
    zone: 'Europe/Berlin',
    from: '2024-02-29T22:59:59Z',
    begins: ['2024-01-31T23:00Z', '2024-02-29T23:00Z', '2024-03-31T22:00Z', '2024-04-30T22:00Z'],
  },
  {
    what: 'months from the 5th at 06:00',
    unit: 'month',
    zone: 'Europe/Berlin',
    offsetMs: (4 * 24 + 6) * HOUR_MS,
    from: '2026-03-05T04:59Z',
    begins: ['2026-02-05T05:00Z', '2026-03-05T05:00Z', '2026-04-05T04:00Z'],
  },
  {
    what: 'quarters',
    unit: 'quarter',
    zone: 'Asia/Kolkata',
    from: '2026-05-15T00:00Z',
    begins: ['2026-03-31T18:30Z', '2026-06-30T18:30Z', '2026-09-30T18:30Z', '2026-12-31T18:30Z'],
  },
  {
    what: 'years, before 1970 too',
    unit: 'year',
    from: '1968-07-01T00:00Z',
    begins: ['1968-01-01T00:00Z', '1969-01-01T00:00Z', '1970-01-01T00:00Z'],
  },
]

const HOURS: Row[] = [
  {
    what: 'of a zone that is half an hour off',
    unit: 'hour',
    zone: 'Asia/Kolkata',
    from: '2026-01-01T00:00Z',
    begins: ['2025-12-31T23:30Z', '2026-01-01T00:30Z'],
  },
  {
    what: 'with an offset',
    unit: 'hour',
    offsetMs: HOUR_MS / 4,
    from: '2026-01-01T00:00Z',
    begins: ['2025-12-31T23:15Z', '2026-01-01T00:15Z'],
  },
  {
    what: 'an hour that comes twice is two windows',
    unit: 'hour',
    zone: 'Europe/Berlin',
    from: '2026-10-24T23:30Z',
    begins: ['2026-10-24T23:00Z', '2026-10-25T00:00Z', '2026-10-25T01:00Z', '2026-10-25T02:00Z'],
  },
  {
    what: 'one that is skipped has none',
    unit: 'hour',
    zone: 'Europe/Berlin',
    from: '2026-03-29T00:30Z',
    begins: ['2026-03-29T00:00Z', '2026-03-29T01:00Z', '2026-03-29T02:00Z'],
  },
  {
    what: 'half an hour that comes twice is in two windows',
    unit: 'hour',
    zone: 'Australia/Lord_Howe',
    from: '2026-04-04T14:30Z',
    begins: ['2026-04-04T14:00Z', '2026-04-04T15:00Z', '2026-04-04T15:30Z', '2026-04-04T16:30Z'],
  },
  {
    what: 'half an hour that is skipped is in none',
    unit: 'hour',
    zone: 'Australia/Lord_Howe',
    from: '2026-10-03T15:00Z',
    begins: ['2026-10-03T14:30Z', '2026-10-03T15:30Z', '2026-10-03T16:00Z', '2026-10-03T17:00Z'],
  },
  {
    what: 'three begins within half an hour',
    unit: 'hour',
    zone: 'Africa/Monrovia',
    offsetMs: 50 * 60_000,
    from: '1972-01-07T00:00Z',
    begins: [
      ...['1972-01-06T23:34:30Z', '1972-01-07T00:34:30Z', '1972-01-07T00:44:30Z', '1972-01-07T00:50Z'],
      '1972-01-07T01:50Z',
    ],
  },
]

describe.each([
  ['days', DAYS],
  ['weeks and longer', LONGER],
  ['hours', HOURS],
])('%s', (_name, rows) => {
  test.each(rows)('$what: $zone from $from', (row) => {
    const windows = new CalendarWindows(row.unit, row.zone ?? 'UTC', row.offsetMs ?? 0)
    expect(begins(windows, row.from, row.begins.length - 1)).toEqual(row.begins)
  })
})

const zones = Intl.supportedValuesOf('timeZone')

test('each time lies in one window, and the next begins where it ends, as far as dates go', () => {
  const farMs = fc.integer({ min: -EVENT_TIME_MS_LIMIT, max: EVENT_TIME_MS_LIMIT })
  const nearMs = fc.integer({ min: Date.UTC(1840, 0), max: Date.UTC(2100, 0) })
  const edgeMs = fc.constantFrom(
    ...[-EVENT_TIME_MS_LIMIT, EVENT_TIME_MS_LIMIT, Date.UTC(-271_000, 0), Date.UTC(275_000, 0)],
  )
  fc.assert(
    fc.property(
      fc.constantFrom(...CALENDAR_UNITS),
      fc.constantFrom(...zones),
      fc.constantFrom(0, HOUR_MS / 2),
      fc.oneof({ weight: 6, arbitrary: nearMs }, farMs, edgeMs),
      (unit, zone, offsetMs, timeMs) => {
        const windows = new CalendarWindows(unit, zone, offsetMs)
        const endMs = windows.firstEnd(timeMs)
        const startMs = windows.startOf(endMs)
        expect(startMs <= timeMs && timeMs < endMs).toBe(true)
        for (const inside of [startMs, endMs - 1, timeMs]) {
          expect(windows.lastEnd(inside)).toBe(endMs)
        }
        if (startMs > -EVENT_TIME_MS_LIMIT) expect(windows.lastEnd(startMs - 1)).toBe(startMs)
        if (endMs <= EVENT_TIME_MS_LIMIT) {
          expect(windows.nextEnd(endMs)).toBeGreaterThan(endMs)
          expect(windows.startOf(windows.nextEnd(endMs))).toBe(endMs)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('times between two milliseconds lie in the window of the one before', () => {
  const windows = new CalendarWindows('day', 'Europe/Berlin', 0)
  const midnight = Date.parse('2026-03-28T23:00Z')
  expect(windows.lastEnd(midnight - 0.5)).toBe(midnight)
  expect(windows.lastEnd(midnight + 0.5)).toBe(Date.parse('2026-03-29T22:00Z'))
  const hours = new CalendarWindows('hour', 'Africa/Monrovia', 50 * 60_000)
  expect(text(hours.lastEnd(Date.parse('1972-01-07T00:50Z') - 0.5))).toBe('1972-01-07T00:50Z')
  expect(text(hours.lastEnd(Date.parse('1972-01-07T00:50Z') + 0.5))).toBe('1972-01-07T01:50Z')
})

test('times far apart, more than are remembered, each find their window', () => {
  const windows = new CalendarWindows('hour', 'UTC', 0)
  for (let n = 10_000; n > 0; n -= 16) expect(windows.lastEnd(n * HOUR_MS)).toBe((n + 1) * HOUR_MS)
})

test('a window that ended elsewhere, by other data of the zone, begins where the one of its last moment does', () => {
  const windows = new CalendarWindows('day', 'Europe/Berlin', 0)
  expect(text(windows.startOf(Date.parse('2026-03-29T23:00Z')))).toBe('2026-03-29T22:00Z')
  expect(text(windows.startOf(Date.parse('2026-03-29T21:00Z')))).toBe('2026-03-28T23:00Z')
})

test('every zone that is one has windows', () => {
  // Names that are kept for old systems are names too.
  const names = [
    ...zones,
    'UTC',
    'Asia/Kolkata',
    'Asia/Calcutta',
    'US/Pacific',
    'Etc/GMT-14',
    'EST5EDT',
    'europe/berlin',
  ]
  for (const name of names) {
    expect(isTimeZone(name)).toBe(true)
    expect(new CalendarWindows('hour', name, 0).lastEnd(0)).toBeGreaterThan(0)
  }
  expect(['Europe/Berln', '+02:00', '', 'Mars/Base'].map(isTimeZone)).toEqual([false, false, false, false])
})
