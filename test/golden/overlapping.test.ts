// Golden tables of hopping and cumulate windows. Holds SPEC: R2, R3, R4, R6, R9, WIN-1, WIN-2, WIN-3.
import { describe, expect, test } from 'vitest'
import { count, cumulate, custom, hopping, job, kafka, msgpack, sum, type WindowSpec } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { drive, type Row } from '../lane/lane-driver.ts'
import { fieldsOf, golden, type Tick, ticksOf } from './golden.ts'

function windowJob(spec: WindowSpec, emit: 'final' | 'updates' = 'final'): CompiledJob {
  return job('g')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts' }))
    .keyBy('key')
    .window('w', spec)
    .aggregate({ n: count(), v: sum('value') })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

/** `a[0,6) n2 v7`, with rev and phase where a row is early. */
function text(row: Row): string {
  const { key, windowStart, windowEnd, n, v } = fieldsOf(row)
  const early = row.headers['millrace-phase'] === 'early' ? ` early ${row.headers['millrace-rev']}` : ''
  return `${key}[${windowStart},${windowEnd}) n${n} v${v}${early}`
}

/*
 *   hopping 6 by 2
 *
 *   0   2   4   6   8   10  12       event time; no record is out of order: the watermark is the last one's time
 *   ├───┼───┼───┼───┼───┼───┤
 *   └───────────┘   [0,6) closes when 6 comes
 *       └───────────┘   [2,8)
 */
describe('hopping windows', () => {
  const six = windowJob(hopping('6ms', '2ms'))
  golden(
    'a record is in every window around it, and each gives one row',
    six,
    { input: 'a@4=5', rows: ['a[0,6) n1 v5', 'a[2,8) n1 v5', 'a[4,10) n1 v5'] },
    text,
  )
  golden(
    'a record on the boundary is in the windows that begin there, not in those that end there',
    six,
    {
      input: 'a@4=1 a@6=2',
      rows: ['a[0,6) n1 v1', 'a[2,8) n2 v3', 'a[4,10) n2 v3', 'a[6,12) n1 v2'],
    },
    text,
  )
  golden(
    'what comes after a close is refused by the closed window and taken by those that are open',
    six,
    {
      input: 'a@4=1 a@6=2 a@5=4',
      rows: ['a[0,6) n1 v1', 'a[2,8) n3 v7', 'a[4,10) n3 v7', 'a[6,12) n1 v2'],
      counts: { refused: 1 },
    },
    text,
  )
  golden(
    'a record is late when all its windows are closed',
    six,
    { input: 'a@10=1 a@4=1 a@5=9', rows: ['a[6,12) n1 v1', 'a[8,14) n1 v1', 'a[10,16) n1 v1'], counts: { late: 2 } },
    text,
  )
  golden(
    'a gap in time leaves no rows, and a far jump closes all windows in their order',
    six,
    {
      input: 'b@0=1 a@1=2 a@1000=3',
      rows: [
        ...['a[-4,2) n1 v2', 'b[-4,2) n1 v1', 'a[-2,4) n1 v2', 'b[-2,4) n1 v1', 'a[0,6) n1 v2', 'b[0,6) n1 v1'],
        ...['a[996,1002) n1 v3', 'a[998,1004) n1 v3', 'a[1000,1006) n1 v3'],
      ],
    },
    text,
  )
  /*
   *   hopping 5 by 3, offset 1: panes of 1
   *   -2  -1   0   1   2   3   4   5   6   7   8   9
   *    [-2 ─────────────── 3)
   *                [1 ─────────────── 6)
   *                            [4 ─────────────── 9)
   */
  golden(
    'the hop need not divide the size, and an offset moves the starts',
    windowJob(hopping('5ms', '3ms', { offset: '1ms' })),
    {
      input: 'a@0=1 a@2=2 a@3=4 a@5=8 a@8=16',
      rows: ['a[-2,3) n2 v3', 'a[1,6) n3 v14', 'a[4,9) n2 v24', 'a[7,12) n1 v16'],
    },
    text,
  )
  golden(
    'grace keeps windows open',
    windowJob(hopping('4ms', '2ms', { grace: '3ms' })),
    {
      input: 'a@3=1 a@6=2 a@1=4 a@9=8 a@3=16',
      rows: ['a[0,4) n2 v5', 'a[2,6) n1 v1', 'a[4,8) n1 v2', 'a[6,10) n2 v10', 'a[8,12) n1 v8'],
      counts: { late: 1, refused: 1 },
    },
    text,
  )
  golden(
    'with updates each record gives a row for each of its windows',
    windowJob(hopping('4ms', '2ms'), 'updates'),
    {
      input: 'a@2=1 a@3=2 a@4=4',
      rows: [
        ...['a[0,4) n1 v1 early 1', 'a[2,6) n1 v1 early 1', 'a[0,4) n2 v3 early 2', 'a[2,6) n2 v3 early 2'],
        ...['a[0,4) n2 v3', 'a[2,6) n3 v7 early 3', 'a[4,8) n1 v4 early 1', 'a[2,6) n3 v7', 'a[4,8) n1 v4'],
      ],
    },
    text,
  )
})

/*
 *   cumulate 6 by 2
 *
 *   0   2   4   6   8   10  12       event time
 *   ├───┼───┼───┼───┼───┼───┤
 *   └───┘       └───┘
 *   └───────┘   └───────┘
 *   └───────────┘───────────┘
 */
describe('cumulate windows', () => {
  const day = windowJob(cumulate('6ms', '2ms'))
  golden(
    'the windows of a block all begin with it and grow by a step',
    day,
    {
      input: 'a@1=1 a@3=2 a@6=4 a@11=8',
      rows: ['a[0,2) n1 v1', 'a[0,4) n2 v3', 'a[0,6) n2 v3', 'a[6,8) n1 v4', 'a[6,10) n1 v4', 'a[6,12) n2 v12'],
    },
    text,
  )
  golden(
    'what comes after a step is in the later windows of the block',
    day,
    {
      input: 'a@1=1 a@4=2 a@0=4 a@3=8',
      rows: ['a[0,2) n1 v1', 'a[0,4) n1 v1', 'a[0,6) n4 v15'],
      counts: { refused: 4 - 1 },
    },
    text,
  )

  test('the id of a row has both bounds: several windows have one start', async () => {
    const { rows } = await drive(day, ticksOf('a@1=1'))
    expect(rows.map(({ headers }) => headers['millrace-id'])).toEqual([
      'w-aggregate:a:0:2',
      'w-aggregate:a:0:4',
      'w-aggregate:a:0:6',
    ])
  })
})

describe('custom accumulators of shared panes', () => {
  const build = (merge: (a: number, b: number) => number): CompiledJob =>
    job('g')
      .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts' }))
      .keyBy('key')
      .window('w', hopping('100ms', '2ms'))
      .aggregate({
        v: custom<Tick, number, number, readonly ['value']>({
          fields: ['value'],
          init: () => 0,
          add: (state, value) => {
            if (value === 13) throw new RangeError('no luck')
            return state + value
          },
          result: (state) => state,
          merge,
        }),
      })
      .to(kafka('out', { value: msgpack() }))
      .build()

  test('a key whose only record was dead gives its place to another', async () => {
    const { rows, counts } = await drive(
      build((a, b) => a + b),
      ticksOf('m@0 m@5 aa@5=13 m@7 z@7 m@9'),
      { frameRecords: 1 },
    )
    const order = rows.filter(({ topic }) => topic === 'out').map((row) => fieldsOf(row))
    const both = order.filter(({ windowEnd }) => windowEnd === 8).map(({ key }) => key)
    expect(both).toEqual(['m', 'z'])
    expect(counts).toMatchObject({ accepted: 5, dead: 1 })
  })

  test('a merge that gives back what it was given shares nothing with it', async () => {
    const jobOf = (merge: ((state: number[], later: number[]) => number[]) | undefined) =>
      job('g')
        .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts' }))
        .keyBy('key')
        .window('w', hopping('6ms', '2ms'))
        .aggregate({
          all: custom<Tick, number[], string, readonly ['value']>({
            fields: ['value'],
            init: () => [],
            add: (state, value) => [...state, value],
            result: (state) => state.join(' '),
            ...(merge && { merge }),
          }),
        })
        .to(kafka('out', { value: msgpack() }))
        .build()
    const input = ticksOf('a@1=10 a@3=20 a@5=30 a@7=40 a@9=50 a@20=60')
    const lazily = jobOf((state, later) => {
      if (state.length === 0) return later
      state.push(...later)
      return state
    })
    const rows = async (one: CompiledJob) => (await drive(one, input)).rows.map((row) => fieldsOf(row).all)
    expect(await rows(lazily)).toEqual(await rows(jobOf(undefined)))
  })

  test('a merge that throws makes the row a dead letter, window by window', async () => {
    const merge = (a: number, b: number): number => {
      if (b === 2) throw new RangeError('not this one')
      return a + b
    }
    const { rows } = await drive(build(merge), ticksOf('a@0=1 a@2=2 b@2=5'))
    const letters = rows.filter(({ topic }) => topic === 'g-dlq')
    // [-98,2) has one pane; the windows from [-96,4) to [0,100) have both.
    expect(letters).toHaveLength(49)
    expect(letters[0]!.headers['millrace-error-text']).toContain('not this one')
    const results = rows.filter(({ topic }) => topic === 'out').map((row) => fieldsOf(row))
    expect(results.filter(({ key }) => key === 'b')).toHaveLength(50)
    expect(results.filter(({ key }) => key === 'a').map(({ windowEnd, v }) => [windowEnd, v])).toEqual([
      [2, 1],
      [102, 2],
    ])
  })
})
