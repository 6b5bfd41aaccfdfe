// Golden tables of calendar windows. Holds SPEC: R2, R3, R4, R6, R8, R9, WIN-6, WIN-7.
import { expect, test } from 'vitest'
import { type CalendarOptions, calendar, count, job, kafka, msgpack, sum } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { drive, type Row } from '../lane/lane-driver.ts'
import { fieldsOf, golden, type Tick, ticksOf } from './golden.ts'

const BERLIN = 'Europe/Berlin'

function windowJob(
  unit: 'hour' | 'day' | 'week',
  options: CalendarOptions,
  emit: 'final' | 'updates' = 'final',
): CompiledJob {
  return (
    job('g')
      // The records of tables are of 1970.
      .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', maxFuture: '36500d' }))
      .keyBy('key')
      .window('w', calendar(unit, options))
      .aggregate({ n: count(), v: sum('value') })
      .late(kafka('late'))
      .to(kafka('out', { value: msgpack() }), { emit })
      .build()
  )
}

/** Records with dates, `a@03-28T22:59=5` of 2026 in UTC, as the tables of times have them. */
function of2026(text: string): string {
  return text.replace(/\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?/g, (date) => String(Date.parse(`2026-${date}Z`)))
}

/** `a[03-28T23:00,03-29T22:00) n2 v7`, with rev and phase where a row is early. */
function text(row: Row): string {
  const { key, windowStart, windowEnd, n, v } = fieldsOf(row)
  const [start, end] = [windowStart, windowEnd].map((ms) => new Date(ms as number).toISOString().slice(5, 16))
  const early = row.headers['millrace-phase'] === 'early' ? ` early ${row.headers['millrace-rev']}` : ''
  return `${key}[${start},${end}) n${n} v${v}${early}`
}

/*
 *   day, Europe/Berlin, 2026: no record is out of order, the watermark is the last one's time
 *
 *   03-27T23:00Z       03-28T23:00Z      03-29T22:00Z       03-30T22:00Z
 *   ├────── Sat 24 h ──────┼───── Sun 23 h ─────┼────── Mon 24 h ──────┤
 */
golden(
  'a day of 23 hours: its last record, the first of the next, and one of an hour that the day has not',
  windowJob('day', { timeZone: BERLIN }),
  {
    input: of2026('a@03-28T22:59:59.999=1 a@03-28T23:00=2 a@03-29T21:59:59.999=4 b@03-29T12:00=8 a@03-29T22:00=16'),
    rows: [
      'a[03-27T23:00,03-28T23:00) n1 v1',
      'a[03-28T23:00,03-29T22:00) n2 v6',
      'b[03-28T23:00,03-29T22:00) n1 v8',
      'a[03-29T22:00,03-30T22:00) n1 v16',
    ],
  },
  text,
)

golden(
  'a day of 25 hours, with grace: records go back and forth over midnight until it is closed',
  windowJob('day', { timeZone: BERLIN, grace: '10m' }),
  {
    input: of2026(
      'a@10-25T22:59=1 a@10-25T23:00=2 a@10-25T22:30=4 a@10-25T23:09=8 a@10-24T22:00=16 a@10-25T23:10=32 a@10-25T22:59=64',
    ),
    rows: ['a[10-24T22:00,10-25T23:00) n3 v21', 'a[10-25T23:00,10-26T23:00) n3 v42'],
    counts: { late: 1 },
  },
  text,
)

golden(
  'business days from 06:00',
  windowJob('day', { timeZone: BERLIN, offset: '6h' }),
  {
    input: of2026('a@03-29T03:59=1 a@03-29T04:00=2 a@03-30T03:59=4'),
    rows: ['a[03-28T05:00,03-29T04:00) n1 v1', 'a[03-29T04:00,03-30T04:00) n2 v6'],
  },
  text,
)

golden(
  'the hour that comes twice is two windows, and a jump closes all in their order',
  windowJob('hour', { timeZone: BERLIN }),
  {
    input: of2026('a@10-25T00:59=1 a@10-25T01:00=2 b@10-25T01:59=4 a@12-01T00:00=8'),
    rows: [
      'a[10-25T00:00,10-25T01:00) n1 v1',
      'a[10-25T01:00,10-25T02:00) n1 v2',
      'b[10-25T01:00,10-25T02:00) n1 v4',
      'a[12-01T00:00,12-01T01:00) n1 v8',
    ],
  },
  text,
)

golden(
  'weeks that begin on Sunday, with updates',
  windowJob('week', { timeZone: BERLIN, offset: '6d' }, 'updates'),
  {
    input: of2026('a@03-28T22:59=1 a@03-28T23:00=2 a@04-04T21:59=4 a@04-04T22:00=8'),
    rows: [
      'a[03-21T23:00,03-28T23:00) n1 v1 early 1',
      'a[03-21T23:00,03-28T23:00) n1 v1',
      'a[03-28T23:00,04-04T22:00) n1 v2 early 1',
      'a[03-28T23:00,04-04T22:00) n2 v6 early 2',
      'a[03-28T23:00,04-04T22:00) n2 v6',
      'a[04-04T22:00,04-11T22:00) n1 v8 early 1',
      'a[04-04T22:00,04-11T22:00) n1 v8',
    ],
  },
  text,
)

test('a row has the id of its start and the time of the last moment of its window, a late record both bounds', async () => {
  const { rows } = await drive(
    windowJob('day', { timeZone: BERLIN }),
    ticksOf(of2026('a@03-29T12:00 b@03-30T12:00 a@03-29T13:00')),
  )
  const [startMs, endMs] = [Date.UTC(2026, 2, 28, 23), Date.UTC(2026, 2, 29, 22)]
  const [first] = rows.filter(({ topic }) => topic === 'out')
  expect(first).toMatchObject({ headers: { 'millrace-id': `w-aggregate:a:${startMs}` }, timestampMs: endMs - 1 })
  const [late] = rows.filter(({ topic }) => topic === 'late')
  expect(late!.headers).toMatchObject({
    'millrace-late-window-start': String(startMs),
    'millrace-late-window-end': String(endMs),
    'millrace-late-by': String(14 * 3_600_000),
  })
})
