// Golden tables of jobs of several streams: interval joins, self joins, merge, rows that go on.
// Holds SPEC: JOIN-1, JOIN-2, JOIN-3, MERGE-1, ROWS-1, R3, R6, R8.
import { describe, expect, test } from 'vitest'
import { count, countWindow, type Duration, job, kafka, max, msgpack, stream, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { JoinType } from '../../src/job/stages.ts'
import { drive, type Row } from '../lane/lane-driver.ts'
import { fieldsOf, type Tick, ticksOf } from './golden.ts'
import { goldenStreams } from './streams.ts'

const topic = (name: string) => kafka(name, { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '4ms' })
const pairOf = (left: Tick | undefined, right: Tick | undefined) => ({
  left: left?.value ?? null,
  right: right?.value ?? null,
})

function joined(type: JoinType, grace: Duration = '0ms') {
  return job('g')
    .from(topic('l'))
    .keyBy('key')
    .join('j', stream(topic('r')).keyBy('key'), { within: { before: '5ms', after: '10ms' }, type, grace }, pairOf)
    .late(kafka('late'))
}
const joinJob = (type: JoinType, grace?: Duration): CompiledJob => joined(type, grace).to(kafka('out')).build()

/** `a@12 1-2`: key, time, values of both; `late r:a@3` for what came too late. */
function text(row: Row): string | undefined {
  const { left, right, key, ts } = fieldsOf(row)
  if (row.topic === 'late') return `late ${row.headers['millrace-source-topic']}:${key}@${ts}`
  return row.topic === 'out' ? `${row.key}@${row.timestampMs} ${left ?? '.'}-${right ?? '.'}` : undefined
}

/*
 *   before 5, after 10; both streams 4 out of order
 *
 *   90   95   100  105  110  115      event time
 *   ├────┼────┼────┼────┼────┤
 *        [────l─────────]             l at 100 meets r from 95 to 110, both included
 *   [────┼────r────]                  r at 100 meets l from 90 to 105
 */
describe('bounds', () => {
  goldenStreams(
    'a pair is a row at its later time when its second record comes, bounds included',
    joinJob('inner'),
    {
      input: 'l:a@100=1 r:a@94=1 r:a@95=2 r:a@110=3 r:a@111=4 r:b@100=5',
      rows: ['a@100 1-2', 'a@110 1-3'],
      expanded: 2,
    },
    text,
  )
  goldenStreams(
    'the left record may come second',
    joinJob('inner'),
    {
      input: 'r:a@94=1 r:a@95=2 r:a@110=3 r:a@111=4 l:a@100=1',
      rows: ['a@100 1-2', 'a@110 1-3'],
      expanded: 2,
    },
    text,
  )
  goldenStreams(
    'each record meets every one within the bounds, those of equal times too',
    joinJob('inner'),
    {
      input: 'l:a@100=1 l:a@100=2 r:a@100=3 r:a@100=4',
      rows: ['a@100 1-3', 'a@100 2-3', 'a@100 1-4', 'a@100 2-4'],
      expanded: 4,
    },
    text,
  )
})

/*
 *   l at 100 waits until 110 + grace; r at 200 until 205 + grace
 */
describe.each<[JoinType, string[]]>([
  ['inner', ['a@152 2-3']],
  ['left', ['a@100 1-.', 'a@152 2-3', 'a@200 4-.']],
  ['right', ['a@152 2-3', 'b@200 .-5']],
  ['outer', ['a@100 1-.', 'a@152 2-3', 'b@200 .-5', 'a@200 4-.']],
])('an %s join', (type, rows) => {
  goldenStreams(
    'gives rows of its own to records of its outer sides alone, once, at their time and by their deadline',
    joinJob(type),
    { input: 'l:a@100=1 l:a@150=2 r:a@152=3 l:a@200=4 r:b@200=5', rows, expanded: rows.length },
    text,
  )
})

describe('deadlines', () => {
  /*
   *   watermark 110 = 114 - 4 of both: not past the deadline of l at 100, so it is met; at 111 it is not any more
   */
  goldenStreams(
    'a record waits until the watermark of both streams is past its deadline',
    joinJob('left'),
    {
      input: 'l:a@100=1 l:b@114=2 r:b@114=3 r:a@110=4',
      rows: ['b@114 2-3', 'a@110 1-4'],
      expanded: 2,
    },
    text,
  )
  goldenStreams(
    'a match behind the deadline is none: the row without it is out, and the record waits or is late',
    joinJob('left'),
    {
      input: 'l:a@100=1 l:b@115=2 r:b@115=3 r:a@110=4 r:a@105=5',
      rows: ['a@100 1-.', 'b@115 2-3'],
      late: ['late r:a@105'],
      expanded: 2,
    },
    text,
  )
  goldenStreams(
    'grace moves the deadline, not the bounds',
    joinJob('left', '3ms'),
    {
      input: 'l:a@100=1 l:b@117=2 r:b@117=3 r:a@110=4 r:a@111=5',
      rows: ['b@117 2-3', 'a@110 1-4'],
      expanded: 2,
    },
    text,
  )
  goldenStreams(
    'a record of a time that is over has a row with those who still wait for it',
    joinJob('outer'),
    {
      // The watermark of both is 115. r waits until 123 + 5; l at 104 would have waited until 114.
      input: 'r:a@114=1 l:b@119=2 r:b@119=3 l:a@104=4 l:a@104=5',
      rows: ['b@119 2-3', 'a@114 4-1', 'a@114 5-1'],
      expanded: 3,
    },
    text,
  )
})

describe('self joins', () => {
  const same = topic('in')
  const selfJob = job('g')
    .from(same)
    .filter(['value'], (value) => value > 0)
    .keyBy('key')
    .join(
      'j',
      stream(same)
        .filter(['value'], (value) => value < 0)
        .keyBy('key'),
      { within: { after: '10ms' }, type: 'left' },
      pairOf,
    )
    .to(kafka('out'))
    .build()
  goldenStreams(
    'a topic is read once and each stream sees each of its records',
    selfJob,
    {
      input: 'in:a@100=1 in:a@105=-1 in:b@105=-2 in:a@111=-3 in:a@120=4',
      rows: ['a@105 1--1', 'a@120 4-.'],
      // Five records as ten, each of them filtered on one side, and two rows.
      expanded: 7,
      filtered: 5,
    },
    text,
  )
})

describe('merge', () => {
  const merged = job('g')
    .from(topic('l'))
    .keyBy('key')
    .merge(stream(topic('r')).keyBy('key'))
    .window('w', tumbling('10ms'))
    .aggregate({ n: count(), v: sum('value') })
    .late(kafka('late'))
    .to(kafka('out'))
    .build()
  /** `a[10,20] n2 v3`. */
  const windowText = (row: Row): string | undefined => {
    const { key, windowStart, windowEnd, n, v, ts } = fieldsOf(row)
    if (row.topic === 'late') return `late ${key}@${ts}`
    return row.topic === 'out' ? `${key}[${windowStart},${windowEnd}] n${n} v${v}` : undefined
  }
  /*
   *   0    10   20   30   40      event time
   *   ├────┼────┼────┼────┤
   *   l                  ●        l is far ahead; windows wait for r, whose watermark at 24 is 20
   *   r    ● ●      ●
   */
  goldenStreams(
    'windows close by the slower stream',
    merged,
    {
      input: 'l:a@5=1 l:a@40=2 r:a@6=4 r:a@12=8 r:a@24=16 r:a@19=32',
      rows: ['a[0,10] n2 v5', 'a[10,20] n1 v8', 'a[20,30] n1 v16', 'a[40,50] n1 v2'],
      late: ['late a@19'],
      expanded: 6,
    },
    windowText,
  )
})

describe('rows that go on', () => {
  const first = joined('inner').to(kafka('pairs')).window('w', tumbling('10ms'))
  const rowsJob = first
    .aggregate({ n: count() })
    .keyBy('key')
    .window('all', tumbling('50ms'))
    .aggregate({ windows: count(), most: max('n') })
    .to(kafka('out'))
    .build()
  /** `a[0,50] 2 windows, 3 at most`. */
  const rowText = (row: Row): string | undefined => {
    if (row.topic !== 'out') return undefined
    const { key, windowStart, windowEnd, windows, most } = fieldsOf(row)
    return `${key}[${windowStart},${windowEnd}] ${windows} windows, ${most} at most`
  }
  /*
   *   pairs at 100, 100, 102, 112, 150      windows of 10: 3, 1, 1      of 50: two in [100,150), one in [150,200)
   */
  goldenStreams(
    'a join, windows of its pairs, and windows of those',
    rowsJob,
    {
      input: 'l:a@100=1 l:a@100=2 r:a@100=3 l:a@102=4 l:a@150=5 r:a@112=6 r:a@150=7',
      rows: ['a[100,150] 2 windows, 3 at most', 'a[150,200] 1 windows, 1 at most'],
      // Pairs, and rows of their windows.
      expanded: 8,
    },
    rowText,
  )

  const counted = job('g')
    .from(topic('l'))
    .keyBy('key')
    .window('pairs', countWindow(2))
    .aggregate({ n: count() })
    .keyBy('key')
    .window('w', tumbling('10ms'))
    .aggregate({ windows: count(), most: max('n') })
    .to(kafka('out'))
    .build()
  goldenStreams(
    'the row of two records that are long gone has the watermark of its place, 27',
    counted,
    {
      input: 'l:a@5 l:a@8 l:b@3 l:a@20 l:a@31 l:b@4',
      rows: ['a[0,10] 1 windows, 2 at most', 'b[20,30] 1 windows, 2 at most', 'a[30,40] 1 windows, 2 at most'],
      expanded: 3,
    },
    rowText,
  )
})

test('late records of a join and of a window behind it go to their own topics', async () => {
  const both = joined('inner')
    .window('w', tumbling('10ms'))
    .aggregate({ n: count() })
    .late(kafka('window-late'))
    .to(kafka('out'))
    .build()
  const same = topic('in')
  expect(both.plan.operators.filter(({ kind }) => kind === 'late')).toHaveLength(2)
  const windowOnly = job('g')
    .from(same)
    .keyBy('key')
    .join('j', stream(same).keyBy('key'), { within: '5ms' }, (left) => left)
    .window('w', tumbling('10ms'))
    .aggregate({ n: count() })
    .late(kafka('window-late'))
    .to(kafka('out'))
    .build()
  const { rows, counts } = await drive(windowOnly, ticksOf('a@100 b@200 a@100'))
  // Late on both sides of the join, which has no topic for them.
  expect(counts.late).toBe(2)
  expect(rows.filter((row) => row.topic === 'window-late')).toEqual([])
})
