// Golden tables of sliding windows. Holds SPEC: R3, R4, R6, R8, R9, EMIT-1, EMIT-2, WIN-10.
import { describe, expect, test } from 'vitest'
import { count, custom, job, kafka, msgpack, sliding, sum } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'
import { fieldsOf, golden, type Tick, ticksOf } from './golden.ts'

type Emission = 'final' | 'updates' | { every: '10ms' }

const keyed = job('g')
  .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '4ms' }))
  .keyBy('key')

function slidingJob(emit: Emission = 'final', grace: '0ms' | '3ms' = '0ms'): CompiledJob {
  return keyed
    .window('w', sliding('5ms', { grace }))
    .aggregate({ n: count(), v: sum('value') })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

/** `a[5,10] n1 v7`; of rows that are not final with phase and rev, of final ones with the rev where it is not 1. */
function text(row: Row): string {
  const { key, windowStart, windowEnd, n, v } = fieldsOf(row)
  const [phase, rev] = [row.headers['millrace-phase'], row.headers['millrace-rev']]
  const which = phase === 'final' ? (rev === '1' ? '' : ` final ${rev}`) : ` ${phase} ${rev}`
  return `${key}[${windowStart},${windowEnd}] n${n} v${v}${which}`
}

/*
 *   size 5, the watermark is 4 behind the greatest time
 *
 *   5    10   15   20      event time
 *   ├────┼────┼────┤
 *        ●  ●              10 and 13
 *   ├────┤                 [5, 10] ends with 10
 *      ├────┤              [8, 13] ends with 13 and holds both
 *         ├────┤           [11, 16] begins right after 10; [14, 19] would be empty
 */
describe('sliding windows', () => {
  const plain = slidingJob()
  golden(
    'each record ends a window and begins one right after it, if that holds a record',
    plain,
    { input: 'a@10=1 a@13=2', rows: ['a[5,10] n1 v1', 'a[8,13] n2 v3', 'a[11,16] n1 v2'] },
    text,
  )
  golden(
    'both ends are in a window: records exactly the size apart are in one',
    plain,
    { input: 'a@10=1 a@15=2', rows: ['a[5,10] n1 v1', 'a[10,15] n2 v3', 'a[11,16] n1 v2'] },
    text,
  )
  golden(
    'windows with the same bounds are one: [11, 16] begins right after 10 and ends with 16',
    plain,
    { input: 'a@10=1 a@16=2', rows: ['a[5,10] n1 v1', 'a[11,16] n1 v2'] },
    text,
  )
  golden(
    'records further apart have nothing in common',
    plain,
    { input: 'a@10=1 a@17=2', rows: ['a[5,10] n1 v1', 'a[12,17] n1 v2'] },
    text,
  )
  golden('records of one time make one window', plain, { input: 'a@10=1 a@10=2', rows: ['a[5,10] n2 v3'] }, text)
  golden(
    'windows begin before 1970 too',
    plain,
    { input: 'a@2=1 a@-2=2', rows: ['a[-7,-2] n1 v2', 'a[-3,2] n2 v3', 'a[-1,4] n1 v1'] },
    text,
  )
  golden(
    'a record out of order changes windows that are there and makes its own',
    plain,
    {
      input: 'a@10=1 a@14=2 a@12=4',
      rows: ['a[5,10] n1 v1', 'a[7,12] n2 v5', 'a[9,14] n3 v7', 'a[11,16] n2 v6', 'a[13,18] n1 v2'],
    },
    text,
  )
  golden(
    'windows come by their end, then by key',
    plain,
    {
      input: 'b@10=1 a@11=2 c@10=4 b@9=8 a@40=16',
      rows: ['b[4,9] n1 v8', 'b[5,10] n2 v9', 'c[5,10] n1 v4', 'a[6,11] n1 v2', 'b[10,15] n1 v1', 'a[35,40] n1 v16'],
    },
    text,
  )
  /*
   *   watermark 10: [5, 10] is open and takes a record of time 10; at 11 it is closed
   */
  golden(
    'a window is open until the watermark is past its end',
    plain,
    {
      input: 'a@10=1 b@14=2 a@10=4 b@15=8 a@10=16',
      rows: ['a[5,10] n2 v5', 'b[9,14] n1 v2', 'b[10,15] n2 v10', 'b[15,20] n1 v8'],
      counts: { late: 1 },
    },
    text,
  )
  golden(
    'grace keeps a window open',
    slidingJob('final', '3ms'),
    {
      input: 'a@10=1 b@17=2 a@10=4 b@18=8 a@10=16',
      rows: ['a[5,10] n2 v5', 'b[12,17] n1 v2', 'b[13,18] n2 v10', 'b[18,23] n1 v8'],
      counts: { late: 1 },
    },
    text,
  )
})

/*
 *   size 5, the watermark is 17 after a record of time 21
 *
 *      10 13      18 20 21     10 is of no open window
 */
describe('a record that comes when some of its windows are closed', () => {
  const plain = slidingJob()
  const before = 'a@10=1 a@13=2 a@18=4 a@20=8 b@21=16'
  const closed = ['a[5,10] n1 v1', 'a[8,13] n2 v3', 'a[11,16] n1 v2']
  const b = 'b[16,21] n1 v16'
  golden(
    'is taken by the open ones and refused by the one that ends with it',
    plain,
    {
      input: `${before} a@14=32`,
      rows: [...closed, 'a[13,18] n3 v38', 'a[14,19] n2 v36', 'a[15,20] n2 v12', b, 'a[19,24] n1 v8'],
      counts: { refused: 1 },
    },
    text,
  )
  golden(
    'and by those that end with a later one',
    plain,
    {
      input: 'a@10=1 a@16=2 a@19=4 b@21=8 a@14=16',
      rows: [
        'a[5,10] n1 v1',
        'a[11,16] n1 v2',
        'a[14,19] n3 v22',
        'a[15,20] n2 v6',
        'b[16,21] n1 v8',
        'a[17,22] n1 v4',
      ],
      counts: { refused: 2 },
    },
    text,
  )
  golden(
    'is late when the open one that begins right after it is there without it',
    plain,
    {
      input: `${before} a@12=32`,
      rows: [...closed, 'a[13,18] n2 v6', 'a[14,19] n1 v4', 'a[15,20] n2 v12', b, 'a[19,24] n1 v8'],
      counts: { late: 1 },
    },
    text,
  )
  golden(
    'is accepted when it makes the one that begins right after it, which does not hold it',
    plain,
    {
      input: 'a@14=1 b@21=2 a@12=4',
      rows: ['a[9,14] n1 v1', 'a[13,18] n1 v1', 'b[16,21] n1 v2'],
      counts: { refused: 2 },
    },
    text,
  )
  golden(
    'is late when it would make an empty one',
    plain,
    { input: 'a@10=1 b@21=2 a@12=4', rows: ['a[5,10] n1 v1', 'b[16,21] n1 v2'], counts: { late: 1 } },
    text,
  )
})

describe('updates of sliding windows', () => {
  golden(
    'each record gives a row of each window that it changed or made, by end; the last one is final',
    slidingJob('updates'),
    {
      input: 'a@10=1 a@13=2 a@12=4',
      rows: [
        ...['a[5,10] n1 v1 early 1', 'a[8,13] n2 v3 early 1', 'a[11,16] n1 v2 early 1'],
        ...['a[7,12] n2 v5 early 1', 'a[8,13] n3 v7 early 2', 'a[11,16] n2 v6 early 2', 'a[13,18] n1 v2 early 1'],
        ...['a[5,10] n1 v1 final 2', 'a[7,12] n2 v5 final 2', 'a[8,13] n3 v7 final 3'],
        ...['a[11,16] n2 v6 final 3', 'a[13,18] n1 v2 final 2'],
      ],
    },
    text,
  )
  golden(
    'a window that a record ends which began right after another goes on with its revs',
    slidingJob('updates'),
    {
      input: 'a@10=1 a@13=2 a@16=4',
      rows: [
        ...['a[5,10] n1 v1 early 1', 'a[8,13] n2 v3 early 1', 'a[11,16] n1 v2 early 1'],
        ...['a[5,10] n1 v1 final 2', 'a[11,16] n2 v6 early 2', 'a[14,19] n1 v4 early 1'],
        ...['a[8,13] n2 v3 final 2', 'a[11,16] n2 v6 final 3', 'a[14,19] n1 v4 final 2'],
      ],
    },
    text,
  )
  /*
   *   ticks at 10, 20, 30: the record that passes one first makes the rows go out that changed
   */
  golden(
    'with every, the windows that changed come with the next tick, by end, then by key',
    slidingJob({ every: '10ms' }),
    {
      input: 'b@17=1 a@17=2 b@19=4 a@20=8 a@19=16 a@30=32',
      rows: [
        ...['a[12,17] n1 v2 early 1', 'b[12,17] n1 v1 early 1', 'b[14,19] n2 v5 early 1', 'b[18,23] n1 v4 early 1'],
        ...['a[14,19] n2 v18 early 1', 'a[15,20] n3 v26 early 1', 'a[18,23] n2 v24 early 1', 'a[20,25] n1 v8 early 1'],
        ...['a[12,17] n1 v2 final 2', 'b[12,17] n1 v1 final 2', 'a[14,19] n2 v18 final 2', 'b[14,19] n2 v5 final 2'],
        ...['a[15,20] n3 v26 final 2', 'a[18,23] n2 v24 final 2', 'b[18,23] n1 v4 final 2', 'a[20,25] n1 v8 final 2'],
        'a[25,30] n1 v32',
      ],
    },
    text,
  )
})

test('times count in whole milliseconds, those of the watermark too', async () => {
  const compiled = job('g')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts' }))
    .keyBy('key')
    .window('w', sliding('5ms'))
    .aggregate({ n: count(), v: sum('value') })
    .to(kafka('out', { value: msgpack() }))
    .build()
  const input = [10.7, 10.2, 13.9, 13.1].map((ts) => ({ key: 'a', value: { key: 'a', ts, value: 1 } }))
  for (const options of [{}, { frameRecords: 1, restart: 'store', store: 'lmdb' }] as DriveOptions[]) {
    const { rows } = await drive(compiled, input, options)
    expect(rows.map(text)).toEqual(['a[5,10] n2 v2', 'a[8,13] n4 v4', 'a[11,16] n2 v2'])
  }
})

test('the time of a final row is the end of its window, which is in it; of an early one that of its last record', async () => {
  const { rows } = await drive(slidingJob('updates'), ticksOf('a@10 a@13'))
  const times = rows.map(
    ({ headers, timestampMs }) => `${headers['millrace-id']} ${headers['millrace-phase']} ${timestampMs}`,
  )
  expect(times).toEqual([
    ...['w-aggregate:a:5 early 10', 'w-aggregate:a:8 early 13', 'w-aggregate:a:11 early 13'],
    ...['w-aggregate:a:5 final 10', 'w-aggregate:a:8 final 13', 'w-aggregate:a:11 final 16'],
  ])
})

test('a late record says the window that would end with it', async () => {
  const { rows } = await drive(slidingJob(), ticksOf('a@10 b@30 a@12'))
  const late = rows.filter(({ topic }) => topic === 'late')
  expect(late.map(({ headers }) => headers)).toMatchObject([
    {
      'millrace-late-window-start': '7',
      'millrace-late-window-end': '12',
      'millrace-late-watermark': '26',
      'millrace-late-by': '14',
    },
  ])
})

test('a merge that throws makes the row dead and no other, with many points as with few', async () => {
  // 1 and 2 cannot be in one window.
  const picky = custom<Tick, number[], number, readonly ['value']>({
    fields: ['value'],
    init: () => [],
    add: (state, value) => [...state, value],
    merge: (state, later) => {
      const both = [...state, ...later]
      if (both.includes(1) && both.includes(2)) throw new RangeError('1 and 2')
      return both
    },
    result: (state) => state.length,
  })
  const compiled = keyed
    .window('w', sliding('20ms'))
    .aggregate({ n: picky, v: count() })
    .to(kafka('out', { value: msgpack() }))
    .build()
  const dense = Array.from({ length: 30 }, (_, n) => `a@${10 + n}=${n === 0 ? 1 : n === 29 ? 2 : 0}`)
  const driven = await drive(compiled, ticksOf(dense.join(' ')))
  const finals = driven.rows.filter(({ topic }) => topic === 'out')
  // The 30 that end with a record and the 20 that begin right after one and end later; 1 and 2 are 29 apart.
  expect(finals).toHaveLength(50)
  expect(finals.every((row) => fieldsOf(row).n === fieldsOf(row).v)).toBe(true)
  const near = await drive(compiled, ticksOf('a@10=1 a@13=2'))
  expect(near.rows.filter(({ topic }) => topic === 'out').map(text)).toEqual(['a[-10,10] n1 v1', 'a[11,31] n1 v1'])
  expect(near.counts).toMatchObject({ accepted: 2, dead: 0 })
  expect(near.rows.filter(({ topic }) => topic.includes('dead') || topic.includes('dlq'))).toHaveLength(1)
})
