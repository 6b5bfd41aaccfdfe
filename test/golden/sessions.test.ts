// Golden tables of session windows. Holds SPEC: R2, R3, R4, R6, R8, R9, R10, WIN-4, WIN-5.
import { describe, expect, test } from 'vitest'
import { count, custom, job, kafka, msgpack, session, sum } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { drive, type Row } from '../lane/lane-driver.ts'
import { fieldsOf, golden, type Tick, ticksOf } from './golden.ts'

type Emission = 'final' | 'updates' | { every: '10ms' }

const keyed = job('g')
  .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '4ms' }))
  .keyBy('key')

function sessionJob(emit: Emission = 'final', grace: '0ms' | '3ms' = '0ms'): CompiledJob {
  return keyed
    .window('w', session('5ms', { grace }))
    .aggregate({ n: count(), v: sum('value') })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

/** `a[10,15] n2 v7`; of rows that are not final with phase and rev. */
function text(row: Row): string {
  const { key, windowStart, windowEnd, n, v } = fieldsOf(row)
  const phase = row.headers['millrace-phase']
  return `${key}[${windowStart},${windowEnd}] n${n} v${v}${phase === 'final' ? '' : ` ${phase} ${row.headers['millrace-rev']}`}`
}

/*
 *   gap 5, the watermark is 4 behind the greatest time
 *
 *   0    5    10   15   20   25   30      event time
 *   ├────┼────┼────┼────┼────┼────┤
 *             ●────●                      [10, 15], closed when the watermark is past 20: by a record of time 25
 */
describe('session windows', () => {
  const plain = sessionJob()
  golden(
    'records exactly a gap apart are in one session',
    plain,
    { input: 'a@10=1 a@15=2', rows: ['a[10,15] n2 v3'] },
    text,
  )
  golden(
    'records further apart than the gap are in two',
    plain,
    { input: 'a@10=1 a@16=2', rows: ['a[10,10] n1 v1', 'a[16,16] n1 v2'] },
    text,
  )
  golden(
    'a record between two sessions makes them one',
    plain,
    { input: 'a@10=1 a@16=2 a@13=4', rows: ['a[10,16] n3 v7'] },
    text,
  )
  golden('a record before a session moves its start', plain, { input: 'a@12=1 a@10=2', rows: ['a[10,12] n2 v3'] }, text)
  golden(
    'keys have sessions of their own, which close by their last record and then by key',
    plain,
    {
      input: 'b@10=1 a@11=2 c@10=4 a@40=8',
      rows: ['b[10,10] n1 v1', 'c[10,10] n1 v4', 'a[11,11] n1 v2', 'a[40,40] n1 v8'],
    },
    text,
  )
  /*
   *   watermark 15 = 10 + 5: not past it, so [10, 10] is open and takes a record of time 12; at 16 it is closed
   */
  golden(
    'a session is open until the watermark is past its last record and the gap',
    plain,
    { input: 'a@10=1 b@19=2 a@12=4 a@40=8', rows: ['a[10,12] n2 v5', 'b[19,19] n1 v2', 'a[40,40] n1 v8'] },
    text,
  )
  golden(
    'a closed session takes no record: one near it opens a new session, or is late',
    plain,
    {
      input: 'a@10=1 b@20=2 a@12=4 a@10=8 a@6=16',
      // At watermark 16: 12 + 5 is not passed, so 12 opens a session; 10 is near that one; 6 is near it no more than its start.
      rows: ['a[10,10] n1 v1', 'a[6,12] n3 v28', 'b[20,20] n1 v2'],
    },
    text,
  )
  golden(
    'a record that is near no open session and too old for one of its own is late',
    plain,
    { input: 'a@10=1 b@20=2 a@10=4', rows: ['a[10,10] n1 v1', 'b[20,20] n1 v2'], counts: { late: 1 } },
    text,
  )
  golden(
    'grace keeps a session open',
    sessionJob('final', '3ms'),
    { input: 'a@10=1 b@22=2 a@11=4 b@23=8 a@30=16', rows: ['a[10,11] n2 v5', 'b[22,23] n2 v10', 'a[30,30] n1 v16'] },
    text,
  )
})

/** The records of a frame that spans many sessions: one is closed by judgement, the other by the end, both of one key. */
test('sessions of a key that are due at once all go out', async () => {
  const long = keyed
    .window('w', session('64ms'))
    .aggregate({ n: count() })
    .to(kafka('out', { value: msgpack() }))
    .build()
  const { rows, stats } = await drive(long, ticksOf('a@10 b@79 a@11 d@104 e@169 d@105'))
  const found = rows.map((row) => `${row.key}${row.timestampMs}`)
  expect(found.sort()).toEqual(['a10', 'a11', 'b79', 'd105', 'e169'])
  expect(stats.rowCount).toBe(0)
})

test('no two sessions of a key have one id', async () => {
  const { rows } = await drive(sessionJob(), ticksOf('a@10 a@20 a@14 a@10'))
  const ids = rows.map(({ headers }) => headers['millrace-id'])
  expect(rows.map(text)).toEqual(['a[10,10] n1 v1', 'a[10,14] n2 v2', 'a[20,20] n1 v1'])
  expect(new Set(ids).size).toBe(3)
})

describe('custom accumulators of sessions', () => {
  const list = (merge: (state: number[], later: number[]) => number[]) =>
    custom<Tick, number[], string, readonly ['value']>({
      fields: ['value'],
      init: () => [],
      add: (state, value) => {
        state.push(value)
        return state
      },
      merge,
      result: (state) => state.join(' '),
    })
  const jobOf = (merge: (state: number[], later: number[]) => number[], emit: 'final' | 'updates') =>
    keyed
      .window('w', session('5ms'))
      .aggregate({ n: count(), all: list(merge) })
      .to(kafka('out', { value: msgpack() }), { emit })
      .build()

  test('a merge that throws makes its record dead, and nothing else changes', async () => {
    const fails = jobOf(() => {
      throw new RangeError('cannot')
    }, 'updates')
    const { rows, counts } = await drive(fails, ticksOf('a@10=1 a@16=2 a@13=4'))
    expect(counts).toMatchObject({ accepted: 2, dead: 1 })
    const out = rows.filter(({ topic }) => topic === 'out')
    expect(out.map(({ headers }) => headers['millrace-phase'])).toEqual(['early', 'early', 'final', 'final'])
    expect(out.map((row) => fieldsOf(row).all)).toEqual(['1', '2', '1', '2'])
  })

  test('what is taken back is what was sent', async () => {
    const { rows } = await drive(
      jobOf((state, later) => [...state, ...later], 'updates'),
      ticksOf('a@10=1 a@16=2 a@13=4'),
    )
    expect(rows.map((row) => [row.headers['millrace-phase'], fieldsOf(row).n, fieldsOf(row).all])).toEqual([
      ['early', 1, '1'],
      ['early', 1, '2'],
      ['retracted', 1, '2'],
      ['retracted', 1, '1'],
      ['early', 3, '1 2 4'],
      ['final', 3, '1 2 4'],
    ])
  })
})

test('a sink with every takes back what it has had, whatever a filter would say by now, and no other sink does', async () => {
  const twice = keyed
    .window('w', session('5ms'))
    .aggregate({ n: count() })
    .to(kafka('slow', { value: msgpack() }), { emit: { every: '1s' } })
    .filter((row) => row.n < 2)
    .to(kafka('fast', { value: msgpack() }), { emit: { every: '10ms' } })
    .build()
  const { rows } = await drive(twice, ticksOf('a@12 b@20 a@11'))
  const of = (topic: string) =>
    rows.filter((row) => row.topic === topic && row.key === 'a').map((row) => row.headers['millrace-phase'])
  expect(of('fast')).toEqual(['early', 'retracted'])
  expect(of('slow')).toEqual(['final'])
})

describe('updates of sessions', () => {
  golden(
    'each record gives the row of its session; the last one is final',
    sessionJob('updates'),
    { input: 'a@10=1 a@12=2', rows: ['a[10,10] n1 v1 early 1', 'a[10,12] n2 v3 early 2', 'a[10,12] n2 v3'] },
    text,
  )
  golden(
    'a session that begins earlier: its row is taken back, the new one has the same id',
    sessionJob('updates'),
    {
      input: 'a@12=1 a@10=2',
      rows: ['a[12,12] n1 v1 early 1', 'a[12,12] n1 v1 retracted 2', 'a[10,12] n2 v3 early 3', 'a[10,12] n2 v3'],
    },
    text,
  )
  golden(
    'sessions that become one: the rows of both are taken back before the new one',
    sessionJob('updates'),
    {
      input: 'a@10=1 a@16=2 a@13=4',
      rows: [
        ...['a[10,10] n1 v1 early 1', 'a[16,16] n1 v2 early 1'],
        ...['a[16,16] n1 v2 retracted 2', 'a[10,10] n1 v1 retracted 2', 'a[10,16] n3 v7 early 3', 'a[10,16] n3 v7'],
      ],
    },
    text,
  )
  /*
   *   ticks at 10, 20, 30: the record that passes one first makes the rows go out that changed
   */
  golden(
    'with every, what was sent is taken back at once and the new row comes with the next tick',
    sessionJob({ every: '10ms' }),
    {
      input: 'a@12=1 a@18=2 b@20=4 a@15=8 b@30=16',
      rows: [
        ...[
          'a[12,12] n1 v1 early 1',
          'a[18,18] n1 v2 early 1',
          'a[18,18] n1 v2 retracted 2',
          'a[12,12] n1 v1 retracted 2',
        ],
        ...[
          'a[12,18] n3 v11 early 3',
          'b[20,20] n1 v4 early 1',
          'a[12,18] n3 v11',
          'b[20,20] n1 v4',
          'b[30,30] n1 v16',
        ],
      ],
    },
    text,
  )

  test('a view by a key of its own gets a tombstone for what is taken back, one by the row key just the new row', async () => {
    const viewJob = keyed
      .window('w', session('5ms'))
      .aggregate({ n: count() })
      .toView('by-session', { key: ({ key, windowStart }) => `${key}/${windowStart}` })
      .toView('by-key')
      .build()
    const { rows } = await drive(viewJob, ticksOf('a@12 a@10'))
    const of = (view: string): unknown[] =>
      rows.filter(({ topic }) => topic === `g-view-${view}`).map((row) => [row.key, row.value && fieldsOf(row).n])
    expect(of('by-session')).toEqual([
      ['a/12', 1],
      ['a/12', undefined],
      ['a/10', 2],
      ['a/10', 2],
    ])
    expect(of('by-key')).toEqual([
      ['a', 1],
      ['a', 2],
      ['a', 2],
    ])
  })

  test('the final row has the time of the last record', async () => {
    const { rows } = await drive(sessionJob(), ticksOf('a@10 a@13'))
    expect(rows.map(({ timestampMs, headers }) => [timestampMs, headers['millrace-id']])).toEqual([
      [13, 'w-aggregate:a:10'],
    ])
  })
})

test('late records say which session they would have been, and by how much they are late', async () => {
  const { rows } = await drive(sessionJob('final', '3ms'), ticksOf('b@30 a@10'))
  const late = rows.find(({ topic }) => topic === 'late')!
  expect(late.headers).toMatchObject({
    'millrace-late-window-start': '10',
    'millrace-late-window-end': '10',
    'millrace-late-watermark': '26',
    'millrace-late-by': '8',
  })
})
