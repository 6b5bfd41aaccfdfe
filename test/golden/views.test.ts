// Golden tables of views that keep their rows for a time. Holds SPEC: VIEW-1, VIEW-2, VIEW-3, R3, R9.
import { testJob } from 'millrace/test'
import { unpack } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { partitionOfKey } from '../../src/core/murmur2.ts'
import {
  cumulate,
  type Duration,
  hopping,
  job,
  kafka,
  msgpack,
  session,
  sum,
  table,
  tumbling,
  type WindowSpec,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { ViewOptions, WindowEmit } from '../../src/job/stages.ts'
import type { TumblingSpec } from '../../src/job/windows.ts'
import type { Row } from '../lane/lane-driver.ts'
import { golden, type Tick } from './golden.ts'
import { goldenTopics, type Line } from './golden-topics.ts'

const TOPIC = 'g-view-v'
const ticks = (outOfOrder: Duration = '0ms') =>
  job('g')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder }))
    .keyBy('key')

/** `a=5 @9`: key, value, Kafka timestamp; `a - @30` for a row that was removed by its time, `a x @30` by something else. */
function text({ key, value, timestampMs, headers }: Row): string {
  if (value === undefined) return `${key} ${headers['millrace-phase'] === 'expired' ? '-' : 'x'} @${timestampMs}`
  return `${key}=${(unpack(value) as { v: number }).v} @${timestampMs}`
}

/*
 *   a    ●1                                   windows of 10, rows stay for 20
 *   b                  ●12      ●25
 *   ├─────────┼─────────┼─────────┼─────────> the watermark: the row of a, whose window ends at 10, is older than 20 from 31 on
 */
describe('rows of windows', () => {
  const windowed = (emit: 'final' | 'updates' | { every: Duration }, keep: Duration = '20ms'): CompiledJob =>
    ticks()
      .window('w', tumbling('10ms'))
      .aggregate({ v: sum('value') })
      .toView('v', { emit, keep })
      .build()

  golden(
    'each record a row: older than the time that they stay, they are removed before the record that says so',
    windowed('updates'),
    {
      topic: TOPIC,
      input: 'a@1=5 b@12=1 b@25=2 c@30=1 c@31=1 b@31=4',
      rows: [
        'a=5 @1',
        'a=5 @9',
        'b=1 @12',
        'b=1 @19',
        'b=2 @25',
        'b=2 @29',
        'c=1 @30',
        'a - @30',
        'c=2 @31',
        'b=4 @31',
        'b=4 @39',
        'c=2 @39',
      ],
    },
    text,
  )
  golden(
    'final rows alone: what is due goes in the order of time, and the last of a key counts',
    windowed('final'),
    {
      topic: TOPIC,
      input: 'a@1=5 b@12=1 a@25=2 c@61=1 b@62=1',
      rows: ['a=5 @9', 'b=1 @19', 'a=2 @29', 'b - @40', 'a - @50', 'b=1 @69', 'c=1 @69'],
    },
    text,
  )
  golden(
    'a jump removes what it has closed before',
    windowed('final', '5ms'),
    { topic: TOPIC, input: 'a@1=5 b@12=1 c@99=1', rows: ['a=5 @9', 'a - @15', 'b=1 @19', 'b - @25', 'c=1 @99'] },
    text,
  )
  golden(
    'windows that share panes: what is due before a close goes before it',
    ticks()
      .window('w', hopping('20ms', '10ms'))
      .aggregate({ v: sum('value') })
      .toView('v', { emit: 'final', keep: '7ms' })
      .build(),
    {
      topic: TOPIC,
      input: 'a@1=5 b@25=1 c@35=1',
      rows: ['a=5 @9', 'a - @17', 'a=5 @19', 'a - @27', 'b=1 @29', 'b=1 @39', 'c=1 @39', 'c=1 @49'],
    },
    text,
  )
  golden(
    'at ticks',
    windowed({ every: '10ms' }),
    {
      topic: TOPIC,
      input: 'a@1=5 b@12=1 b@35=2 b@36=2',
      rows: ['a=5 @1', 'a=5 @9', 'b=1 @12', 'b=1 @19', 'a - @30', 'b=4 @39'],
    },
    text,
  )
  golden(
    'a late row of an older window has its own time',
    ticks()
      .window('w', tumbling('10ms', { grace: '15ms' }))
      .aggregate({ v: sum('value') })
      .toView('v', { keep: '15ms' })
      .build(),
    {
      topic: TOPIC,
      // At 24 a has the row of the window that ends at 10: it is removed at 26, though one of a later window came before it.
      input: 'a@1=5 a@12=1 b@24=1 a@2=2 b@26=1',
      rows: ['a=5 @1', 'a=1 @12', 'b=1 @24', 'a=7 @2', 'a=7 @9', 'a - @25', 'b=2 @26', 'a=1 @19', 'b=2 @29'],
    },
    text,
  )
  golden(
    'functions and a key of its own: what a session took back waits for nothing',
    ticks()
      .window('s', session('5ms'))
      .aggregate({ v: sum('value') })
      .map((row) => ({ v: row.v, id: `${row.key}/${row.windowStart}` }))
      .toView('v', { keep: '10ms', key: ({ id }) => id })
      .build(),
    {
      topic: TOPIC,
      input: 'a@10=1 a@13=1 b@30=1 b@99=1',
      rows: [
        'a/10=1 @10',
        'a/10=2 @13',
        'a/10=2 @13',
        'a/10 - @23',
        'b/30=1 @30',
        'b/30=1 @30',
        'b/30 - @40',
        'b/99=1 @99',
        'b/99=1 @99',
      ],
    },
    text,
  )
})

/*
 *   a    ●1        ●12  ●2 late             a row of each window: `a:0` is that of [0, 10)
 *   ├─────────┼─────────┼─────────>
 */
describe('history', () => {
  const history = (
    options: Pick<ViewOptions<never, WindowEmit>, 'emit' | 'keep' | 'history'>,
    window: WindowSpec,
  ): CompiledJob =>
    ticks()
      .window('w', window as TumblingSpec)
      .aggregate({ v: sum('value') })
      .toView('v', options)
      .build()

  golden(
    'each window has a row of its own, and an older one may change',
    history({ history: true }, tumbling('10ms', { grace: '15ms' })),
    {
      topic: TOPIC,
      input: 'a@1=5 a@12=1 a@2=2',
      rows: ['a:0=5 @1', 'a:10=1 @12', 'a:0=7 @2', 'a:0=7 @9', 'a:10=1 @19'],
    },
    text,
  )
  golden(
    'for a time: each row goes when it is older',
    history({ history: '20ms', emit: 'final', keep: '1h' }, tumbling('10ms')),
    {
      topic: TOPIC,
      input: 'a@1=5 a@12=1 b@45=1',
      rows: ['a:0=5 @9', 'a:10=1 @19', 'a:0 - @30', 'a:10 - @40', 'b:40=1 @49'],
    },
    text,
  )
  golden(
    'a session has the time that it was opened at; one that another takes up is no more',
    history({ history: '50ms' }, session('5ms', { grace: '20ms' })),
    {
      topic: TOPIC,
      input: 'a@10=1 a@18=2 a@14=4 a@7=8',
      rows: [
        'a:10=1 @10',
        'a:18=2 @18',
        'a:18 x @18',
        'a:10 x @10',
        'a:10=7 @18',
        'a:10 x @18',
        'a:10=15 @18',
        'a:10=15 @18',
      ],
    },
    text,
  )
  golden(
    'windows that begin together have the times of their ends',
    history({ history: true, emit: 'final' }, cumulate('20ms', '10ms')),
    { topic: TOPIC, input: 'a@1=5 a@12=1', rows: ['a:10=5 @9', 'a:20=6 @19'] },
    text,
  )
  golden(
    'with a key of its own, which may have colons',
    ticks()
      .window('w', tumbling('10ms'))
      .aggregate({ v: sum('value') })
      .map(({ key, v }) => ({ id: `${key}:x`, v }))
      .toView('v', { history: '10ms', emit: 'final', key: ({ id }) => id })
      .build(),
    { topic: TOPIC, input: 'a@1=5 b@31=1', rows: ['a:x:0=5 @9', 'a:x:0 - @20', 'b:x:30=1 @39'] },
    text,
  )

  it('is in the partition of the key of the view, removed rows too', async () => {
    const t = testJob(history({ history: '20ms' }, tumbling('10ms')), { partitions: 3 })
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (const ts of [1, 11, 52]) t.send('in', ...keys.map((key) => ({ value: { key, ts, value: 1 } })))
    await t.end()
    const rows = t.outputs('v')
    expect(rows.filter(({ value }) => value === undefined)).toHaveLength(10)
    for (const { key, partition } of rows) {
      expect(partition).toBe(partitionOfKey(new TextEncoder().encode(key!.split(':')[0]), 3))
    }
    expect(new Set(rows.map(({ partition }) => partition)).size).toBeGreaterThan(1)
    expect(t.state()['view-v']).toEqual([])
  })

  it('of a running result has a row for the time of each record', async () => {
    const running = ticks()
      .aggregate({ v: sum('value') })
      .toView('v', { history: true })
    const t = testJob(running)
    t.send('in', ...[1, 5, 5, 3].map((ts) => ({ value: { key: 'a', ts, value: 1 } })))
    await t.flush()
    expect(t.outputs<{ v: number }>('v').map(({ key, value }) => `${key}=${value.v}`)).toEqual([
      'a:1=1',
      'a:5=2',
      'a:5=3',
      'a:5=4',
    ])
  })
})

describe('rows without a window', () => {
  golden(
    'of a list: each has the time of its record, and what is taken back waits for nothing',
    ticks('5ms')
      .topN('t', { n: 1, by: 'value', rowKey: 'key', ttl: '1000ms' })
      .map(({ key, value, rank }) => ({ key, v: value, rank }))
      .toView('v', { keep: '20ms', key: ({ key }) => key })
      .build(),
    {
      topic: TOPIC,
      // The watermark is 5 behind.
      input: 'a@1=5 b@12=1 a@20=4 c@27=1 b@38=2 d@46=1',
      rows: [
        'a=5 @1',
        'b=1 @12',
        'a x @20',
        'a=4 @20',
        'c=1 @27',
        'b - @32',
        'b x @38',
        'b=2 @38',
        'a - @40',
        'd=1 @46',
      ],
      counts: { expanded: 8 },
    },
    text,
  )
})

describe('rows of a table', () => {
  const topic = (name: string, value: Parameters<Parameters<typeof goldenTopics>[1]>[0]) =>
    kafka(name, { value, key: 'key', outOfOrder: '0ms', idleAfter: '1d' })
  goldenTopics(
    'a row that is deleted is not removed again; the others go in the order of their times',
    (value) =>
      job('g')
        .table(topic('s', value))
        .map(({ key, v }) => ({ key, text: String(v) }))
        .toView('v', { keep: '20ms' })
        .build(),
    {
      topic: TOPIC,
      input: 's:a@1=5 s:b@2=6 s:c@3=7 s:b@4=- s:a@9=8 s:d@24=1 s:e@30=1',
      rows: ['a@1 5', 'b@2 6', 'c@3 7', 'b@4 -', 'a@9 8', 'c@23 -', 'd@24 1', 'a@29 -', 'e@30 1'],
    },
  )
  goldenTopics(
    'bytes that nobody has changed go on as they are',
    (value) => job('g').table(topic('s', value)).toView('v', { keep: '20ms', value }).build(),
    { topic: TOPIC, input: 's:a@1=5 s:a@2=- s:b@3=1 s:c@24=1', rows: ['a@1 5', 'a@2 -', 'b@3 1', 'b@23 -', 'c@24 1'] },
    (row) => (row === undefined ? '-' : String((row as unknown as Line).v)),
  )
  goldenTopics(
    'of two tables: a row has the later time of both',
    (value) =>
      job('g')
        .table(topic('s', value))
        .join('j', table(topic('t', value)), {}, (left, right) => ({ text: `${left.v}+${right.v}` }))
        .toView('v', { keep: '20ms' })
        .build(),
    {
      topic: TOPIC,
      input: 's:a@1=5 t:a@4=6 s:b@20=1 t:b@24=1 s:c@30=1 t:c@30=2',
      rows: ['a@4 5+6', 'b@24 1+1', 'a@24 -', 'c@30 1+2'],
      state: ['a', 'b', 'c', 'a', 'b', 'c'],
    },
  )
})
