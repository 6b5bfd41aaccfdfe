// Running aggregates, ticks, functions over rows and custom accumulators, in every mode.
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { count, custom, first, job, json, kafka, last, msgpack, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type InputRecord } from './lane-driver.ts'

interface Order {
  user: string
  amount: number
  ts: number
}

const source = kafka('orders', { value: msgpack<Order>(), key: 'user', eventTime: 'ts', outOfOrder: '100ms' })

/** `A@12=3`: user, event time, amount. */
function orders(...texts: string[]): InputRecord[] {
  return texts.map((text) => {
    const [, user, ts, amount] = /^(\w+)@(-?\d+)=(.+)$/.exec(text)!
    return { key: user!, value: { user, amount: Number(amount), ts: Number(ts) } }
  })
}

const MODES: [name: string, options: DriveOptions][] = [
  ['all in one frame', {}],
  ['one a frame', { frameRecords: 1 }],
  ['a restart from the changelog after each', { frameRecords: 1, restart: 'changelog' }],
  ['a restart from LMDB after each', { frameRecords: 2, restart: 'store', store: 'lmdb' }],
]

/** `A=3 early#1 @12`: key, total, phase and rev, Kafka timestamp. */
function seen(driven: Driven): string[] {
  return driven.rows.map(({ key, value, headers: h, timestampMs }) => {
    const { total } = unpack(value!) as { total: number }
    return `${key}=${total} ${h['millrace-phase']}#${h['millrace-rev']} @${timestampMs}`
  })
}

function running(emit: 'updates' | { every: '10ms' }): CompiledJob {
  return job('r')
    .from(source)
    .keyBy('user')
    .aggregate({ total: sum('amount'), n: count() })
    .to(kafka('out'), { emit })
    .build()
}

describe.each(MODES)('running totals, %s', (_mode, options) => {
  test('give a row a record, and the final ones at the end of input', async () => {
    const driven = await drive(running('updates'), orders('B@5=1', 'A@7=2', 'B@3=4'), options)
    expect(seen(driven)).toEqual([
      'B=1 early#1 @5',
      'A=2 early#1 @7',
      'B=5 early#2 @5',
      'A=2 final#2 @7',
      'B=5 final#3 @5',
    ])
    // The totals stay: they are what a running aggregate is for.
    expect(driven.counts).toMatchObject({ in: 3, accepted: 3, results: 5 })
  })

  /*
   *  0         10        20        30     event time; every 10 ms
   *  │ B A B   │ C A     │         │ B
   */
  test('every 10 ms: rows that changed, before the record that passes the tick', async () => {
    const driven = await drive(
      running({ every: '10ms' }),
      orders('B@5=1', 'A@7=2', 'B@9=4', 'A@12=8', 'B@35=16'),
      options,
    )
    expect(seen(driven)).toEqual([
      'A=2 early#1 @7',
      'B=5 early#1 @9',
      'A=10 early#2 @12',
      'A=10 final#3 @12',
      'B=21 final#2 @35',
    ])
  })

  test('windows every 10 ms: changed rows by window end, then key, and one final row each', async () => {
    const compiled = job('r')
      .from(source)
      .keyBy('user')
      .window('w', tumbling('20ms'))
      .aggregate({ total: sum('amount') })
      .to(kafka('out'), { emit: { every: '10ms' } })
      .build()
    const driven = await drive(compiled, orders('B@25=1', 'A@5=2', 'B@3=4', 'A@31=8', 'A@33=1', 'A@200=9'), options)
    expect(seen(driven)).toEqual([
      'A=2 early#1 @5',
      'B=4 early#1 @3',
      'B=1 early#1 @25',
      'A=9 early#1 @33',
      'A=2 final#2 @19',
      'B=4 final#2 @19',
      'A=9 final#2 @39',
      'B=1 final#2 @39',
      'A=9 final#1 @219',
    ])
    expect(driven.stats).toMatchObject({ rowCount: 0, keyCount: 0 })
  })

  test('several sinks each have their own emission', async () => {
    const compiled = job('r')
      .from(source)
      .keyBy('user')
      .window('w', tumbling('10ms'))
      .aggregate({ total: sum('amount') })
      .to(kafka('finals'))
      .toView('live', { emit: 'updates' })
      .build()
    const { rows } = await drive(compiled, orders('A@1=1', 'A@2=2'), options)
    expect(rows.map(({ topic, headers: h }) => `${topic} ${h['millrace-phase']}#${h['millrace-rev']}`)).toEqual([
      'r-view-live early#1',
      'r-view-live early#2',
      'finals final#1',
      'r-view-live final#3',
    ])
  })

  test('custom accumulators and picks of any value keep their state', async () => {
    const compiled = job('r')
      .from(source)
      .keyBy('user')
      .window('w', tumbling('10ms'))
      .aggregate({
        all: custom({
          fields: ['amount'],
          init: () => [] as number[],
          add: (list, amount) => [...list, amount],
          result: (list) => list.join('+'),
        }),
        newest: custom({
          init: () => ({ ts: 0 }),
          add: (state, order: Order) => (order.ts > state.ts ? { ts: order.ts } : state),
          result: (state) => state.ts,
        }),
        who: first('user'),
        lastAmount: last('amount'),
      })
      .to(kafka('out', { value: json() }))
      .build()
    const { rows } = await drive(compiled, orders('A@1=1', 'B@2=2', 'A@3=3', 'A@2=5'), options)
    expect(rows.map(({ value }) => JSON.parse(new TextDecoder().decode(value)))).toEqual([
      { user: 'A', windowStart: 0, windowEnd: 10, all: '1+3+5', newest: 3, who: 'A', lastAmount: 3 },
      { user: 'B', windowStart: 0, windowEnd: 10, all: '2', newest: 2, who: 'B', lastAmount: 2 },
    ])
  })

  test('a record that a custom accumulator throws on is dead and leaves no row', async () => {
    const compiled = job('r')
      .from(source)
      .keyBy('user')
      .window('w', tumbling('10ms'))
      .aggregate({
        n: count(),
        picky: custom({
          fields: ['amount'],
          init: () => 0,
          add: (state: number, amount) => {
            if (amount < 0) throw new Error('negative')
            return state + amount
          },
          result: (state) => state,
        }),
      })
      .to(kafka('out'))
      .build()
    const { rows, counts } = await drive(compiled, orders('A@1=-1', 'B@2=2', 'B@3=-3', 'B@4=4'), options)
    expect(counts).toMatchObject({ in: 4, accepted: 2, dead: 2 })
    const out = rows.filter(({ topic }) => topic === 'out').map(({ value }) => unpack(value!))
    expect(out).toEqual([{ user: 'B', windowStart: 0, windowEnd: 10, n: 2, picky: 6 }])
  })

  test('fields are taken from what a map made, and its key stays', async () => {
    const compiled = job('r')
      .from(source)
      .keyBy('user')
      .map(['amount'], (amount) => ({ cents: amount * 100 }))
      .flatMap((row) => [row, row])
      .filter(['cents'], (cents) => cents > 100)
      .window('w', tumbling('10ms'))
      .aggregate({ total: sum('cents') })
      .late(kafka('late'))
      .to(kafka('out'))
      .build()
    const { rows, counts } = await drive(compiled, orders('A@1=1', 'A@2=2', 'A@500=5', 'A@3=3'), options)
    expect(rows.filter(({ topic }) => topic === 'out').map(({ value }) => unpack(value!).total)).toEqual([400, 1_000])
    expect(counts).toMatchObject({ in: 4, expanded: 4, accepted: 4, late: 2, filtered: 2, dead: 0 })
  })
})

test('functions over rows filter, change, key and head them; one that throws makes a dead letter of the row', async () => {
  const compiled = job('r')
    .from(source)
    .keyBy('user')
    .window('w', tumbling('10ms'))
    .aggregate({ total: sum('amount') })
    .filter(['total'], (total) => total > 1)
    .map((row) => {
      if (row.total === 13) throw new Error('unlucky row')
      return { who: row.user, doubled: row.total * 2 }
    })
    .to(kafka('out', { key: (row) => `<${row.who}>`, headers: (row) => ({ doubled: String(row.doubled) }) }))
    .build()
  const { rows, counts } = await drive(compiled, orders('A@1=1', 'B@1=2', 'C@1=13'))
  expect(counts).toMatchObject({ in: 3, accepted: 3, dead: 0, results: 1 })
  const [out, letter] = rows
  expect(out).toMatchObject({
    topic: 'out',
    key: '<B>',
    headers: { doubled: '4', 'millrace-id': 'w-aggregate:B:0', 'millrace-rev': '1' },
  })
  expect(unpack(out!.value!)).toEqual({ who: 'B', doubled: 4 })
  expect(letter).toMatchObject({ topic: 'r-dlq', key: 'C' })
  expect(letter!.headers).toMatchObject({
    'millrace-error-code': 'MR2008',
    'millrace-operator': 'w-aggregate',
    'millrace-id': 'w-aggregate:C:0',
  })
  expect(unpack(letter!.value!)).toEqual({ user: 'C', windowStart: 0, windowEnd: 10, total: 13 })
})

test('state larger than memory gives the same rows', async () => {
  const many = Array.from({ length: 600 }, (_, i) => `u${(i * 7) % 199}@${i}=${i}`)
  const compiled = running({ every: '10ms' })
  const roomy = await drive(compiled, orders(...many), { frameRecords: 47 })
  const tight = await drive(compiled, orders(...many), {
    frameRecords: 47,
    store: 'lmdb',
    flushEach: true,
    limits: { stateMemoryBytesMax: 4_096 },
  })
  expect(tight.stats.evictedRowCount).toBeGreaterThan(0)
  expect(seen(tight)).toEqual(seen(roomy))
})
