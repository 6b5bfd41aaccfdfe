// Every aggregate in a job: the two paths, frames and restarts give the same rows, and records that do not fit are dead.
// Holds SPEC: AGG-1, AGG-2, AGG-5, AGG-6, PATH-1.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import {
  type AggregateOf,
  approxDistinctCount,
  argMax,
  argMin,
  collect,
  correlation,
  count,
  covariance,
  custom,
  decimalSum,
  distinctCount,
  histogram,
  hopping,
  job,
  json,
  kafka,
  msgpack,
  quantile,
  quantiles,
  stddev,
  stddevSample,
  sum,
  topK,
  tumbling,
  varianceSample,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type DriveOptions, drive, type InputRecord } from './lane-driver.ts'

interface Order {
  user: string
  item: string
  paid: string
  price: number
  qty: number
  ts: number
}

const ALL = {
  n: count(),
  items: distinctCount('item', { limit: 3 }),
  aboutItems: approxDistinctCount('item', { precision: 6 }),
  top: topK('item', 2, { capacity: 3 }),
  last3: collect('item', { limit: 3 }),
  cheapest: argMin('item', 'price'),
  dearest: argMax('price', 'qty'),
  median: quantile('price', 0.5),
  spread: quantiles('price', [0, 0.9], { accuracy: 0.05 }),
  sizes: histogram('qty', [2, 4]),
  deviation: stddev('price'),
  sample: varianceSample('price'),
  sampleDeviation: stddevSample('price'),
  together: covariance('price', 'qty'),
  alike: correlation('price', 'qty'),
  paid: decimalSum('paid'),
  // A custom accumulator beside them has a cell of its own.
  longest: custom({
    fields: ['item'],
    init: () => 0,
    add: (state, item) => Math.max(state, item.length),
    result: (state) => state,
    merge: (state, later) => Math.max(state, later),
  }),
} satisfies Record<string, AggregateOf<Order>>

interface Shape {
  emit: 'final' | 'updates'
  isWindowed?: boolean
  before?: 'map' | 'whole'
}

function build({ emit, isWindowed = true, before }: Shape): CompiledJob {
  const source = job('a').from(
    kafka('in', { value: msgpack<Order>(), key: 'user', eventTime: 'ts', outOfOrder: '5ms' }),
  )
  const keyed = source.keyBy('user')
  const read =
    before === 'map' ? keyed.map((order) => ({ ...order })) : before === 'whole' ? keyed.filter(() => true) : keyed
  return isWindowed
    ? read
        .window('w', tumbling('10ms'))
        .aggregate(ALL)
        .to(kafka('out', { value: emit === 'final' ? msgpack() : json() }), { emit })
        .build()
    : read
        .aggregate(ALL)
        .to(kafka('out', { value: emit === 'final' ? msgpack() : json() }), { emit: 'updates' })
        .build()
}

const order: fc.Arbitrary<Order> = fc.record({
  user: fc.constantFrom('a', 'b'),
  item: fc.constantFrom('tea', 'té', 'cup', 'a pot of a longer name than fits a short text of msgpack', 'x'),
  paid: fc.constantFrom('0.10', '1', '-3.5', '9007199254740993', '123456789012345678901234567890.123'),
  price: fc.oneof(fc.integer({ min: -9, max: 99 }), fc.constantFrom(0.1, 1e3, -1e-3)),
  qty: fc.integer({ min: 0, max: 5 }),
  ts: fc.nat(30),
})
const inputOf = (orders: readonly { user: unknown }[]): InputRecord[] =>
  orders.map((value) => ({ key: String(value.user), value, timestampMs: 1_000 }))
const byTopic = (rows: { topic: string }[]): unknown =>
  ['out', 'a-dlq'].map((t) => rows.filter(({ topic }) => topic === t))

describe.each([{ emit: 'final' }, { emit: 'updates' }, { emit: 'updates', isWindowed: false }] satisfies Shape[])(
  'all aggregates, %j',
  (shape) => {
    test('give the same rows from bytes, from records and behind a map, whatever the frames and restarts', async () => {
      const restart = fc.constantFrom('changelog', 'store')
      await fc.assert(
        fc.asyncProperty(fc.array(order, { maxLength: 25 }), restart, async (orders, mode) => {
          const records = inputOf(orders)
          const fast = await drive(build(shape), records)
          const others = [
            await drive(build(shape), records, { path: 'free', frameRecords: 7 }),
            await drive(build({ ...shape, before: 'whole' }), records, { frameRecords: 4 }),
            await drive(build({ ...shape, before: 'map' }), records),
            await drive(build(shape), records, {
              frameRecords: 5,
              restart: mode,
              store: mode === 'store' ? 'lmdb' : 'memory',
            }),
          ]
          for (const other of others) {
            expect(byTopic(other.rows)).toEqual(byTopic(fast.rows))
            expect(other.counts).toEqual(fast.counts)
          }
          expect(fast.counts.dead).toBe(0)
        }),
        { numRuns: 15 },
      )
    })
  },
)

/** As the fields of a value are, with numbers that may be off by rounding. */
const about = (value: unknown): unknown =>
  typeof value === 'number'
    ? expect.closeTo(value, 5)
    : typeof value === 'object' && value !== null
      ? Array.isArray(value)
        ? value.map(about)
        : Object.fromEntries(Object.entries(value).map(([name, each]) => [name, about(each)]))
      : value

test('windows that share panes give what windows that take each record themselves give', async () => {
  const windows = (emit: 'final' | 'updates'): CompiledJob =>
    job('a')
      .from(kafka('in', { value: msgpack<Order>(), key: 'user', eventTime: 'ts', outOfOrder: '9ms' }))
      .keyBy('user')
      .window('w', hopping('10ms', '2ms'))
      .aggregate(ALL)
      .to(kafka('out'), { emit })
      .build()
  await fc.assert(
    fc.asyncProperty(fc.array(order, { maxLength: 25 }), async (orders) => {
      const records = inputOf(orders)
      const finals = async (emit: 'final' | 'updates', options: DriveOptions): Promise<unknown[]> => {
        const { rows } = await drive(windows(emit), records, options)
        return rows.filter(({ headers }) => headers['millrace-phase'] === 'final').map(({ value }) => unpack(value!))
      }
      const shared = await finals('final', { frameRecords: 6, restart: 'changelog' })
      expect(shared).toEqual((await finals('updates', {})).map(about))
    }),
    { numRuns: 25 },
  )
})

test('a row has the results of its records', async () => {
  const orders = [
    { user: 'a', item: 'tea', paid: '0.10', price: 3, qty: 1, ts: 4 },
    { user: 'a', item: 'cup', paid: '2', price: 5, qty: 2, ts: 2 },
    { user: 'a', item: 'tea', paid: '0.205', price: 10, qty: 4, ts: 3 },
  ]
  const { rows } = await drive(build({ emit: 'final' }), inputOf(orders))
  expect(unpack(rows.find(({ topic }) => topic === 'out')!.value!)).toEqual({
    user: 'a',
    windowStart: 0,
    windowEnd: 10,
    n: 3,
    items: 2,
    aboutItems: 2,
    top: [
      { value: 'tea', count: 2, error: 0 },
      { value: 'cup', count: 1, error: 0 },
    ],
    last3: { values: ['cup', 'tea', 'tea'], dropped: 0 },
    cheapest: 'tea',
    dearest: 10,
    median: expect.closeTo(5, 1),
    spread: [3, expect.closeTo(5, 0)],
    sizes: [1, 1, 1],
    deviation: expect.closeTo(2.944, 3),
    sample: 13,
    sampleDeviation: expect.closeTo(3.606, 3),
    together: expect.closeTo(11 / 3, 9),
    alike: expect.closeTo(0.99897, 3),
    paid: '2.305',
    longest: 3,
  })
})

/** Values of every kind in every field. */
const messy = fc.oneof(
  fc.constantFrom<unknown>(1, -0, 0.5, 'a', '1', '12.30', '1e3', '', null, true, false, undefined),
  fc.constantFrom<unknown>(
    2n ** 60n,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    new Date(5),
    [1],
    { a: 1 },
    new Uint8Array([1]),
  ),
)
const messyOrder = fc.record({
  user: fc.constantFrom('a', 'b'),
  item: messy,
  paid: fc.oneof(messy, fc.constant('1.5')),
  price: fc.oneof(messy, fc.constant(2)),
  qty: fc.oneof(messy, fc.constant(3)),
  ts: fc.nat(30),
})

test('of records that do not fit, every path refuses the same ones for the same reasons', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(messyOrder, { maxLength: 30 }), async (orders) => {
      const records = inputOf(orders)
      const fast = await drive(build({ emit: 'final' }), records)
      const free = await drive(build({ emit: 'final' }), records, { path: 'free', frameRecords: 7 })
      const whole = await drive(build({ emit: 'final', before: 'whole' }), records)
      for (const other of [free, whole]) {
        expect(byTopic(other.rows)).toEqual(byTopic(fast.rows))
        expect(other.counts).toEqual(fast.counts)
      }
      expect(fast.counts.accepted + fast.counts.dead + fast.counts.late).toBe(orders.length)
    }),
    { numRuns: 40 },
  )
})

describe('a record is dead', () => {
  const source = kafka('in', { value: msgpack<Order>(), key: 'user', eventTime: 'ts' })
  const keyed = job('a').from(source).keyBy('user')
  const cases: [
    what: string,
    aggregate: AggregateOf<Order>,
    good: unknown,
    bad: unknown,
    code: string,
    text: string,
  ][] = [
    [
      'null, not counted',
      distinctCount('item'),
      'a',
      null,
      'MR2006',
      'item is missing or is not a text, number or boolean',
    ],
    ['NaN, not counted', distinctCount('item'), 1, Number.NaN, 'MR2006', 'not a text, number or boolean'],
    ['a list, not counted', approxDistinctCount('item'), true, [1], 'MR2006', 'not a text, number or boolean'],
    ['a large integer, not counted', topK('item', 1), 'a', 2n ** 60n, 'MR2009', 'integer in item is outside'],
    ['nothing, not counted', topK('item', 1), 'a', undefined, 'MR2006', 'item is missing'],
    ['an exponent, no decimal', decimalSum('item'), '5', '1e3', 'MR2006', "not a decimal as text, e.g. '12.30'"],
    ['a number, no decimal', decimalSum('item'), '5', 12.3, 'MR2006', "not a decimal as text, e.g. '12.30'"],
    [
      'nothing, not collected',
      collect('item', { limit: 1 }),
      null,
      undefined,
      'MR2006',
      'item is missing or is not a value',
    ],
    ['nothing, no least', argMin('item', 'price'), null, undefined, 'MR2006', 'item is missing or is not a value'],
    ['text, not compared', argMin('ts', 'item' as 'price'), 5, 'x', 'MR2006', 'item is missing or is not a number'],
    ['text, no y', covariance('price', 'item' as 'qty'), 5, '1', 'MR2006', 'item is missing or is not a number'],
  ]
  test.each(cases)('for %s, and no aggregate of the row sees it', async (_what, aggregate, good, bad, code, text) => {
    const compiled = keyed
      .aggregate({ bad: aggregate, n: sum('price') })
      .to(kafka('out'))
      .build()
    const records = inputOf(
      [good, bad, good].map((item) => ({ user: 'a', price: 1, ts: 1, ...(item === undefined ? {} : { item }) })),
    )
    const { rows, counts } = await drive(compiled, records, { isEnded: false })
    expect(counts).toMatchObject({ accepted: 2, dead: 1 })
    const [letter] = rows.filter(({ topic }) => topic === 'a-dlq')
    expect(letter!.headers).toMatchObject({
      'millrace-error-code': code,
      'millrace-error-text': expect.stringContaining(text),
      'millrace-source-offset': '1',
    })
    const results = rows.filter(({ topic }) => topic === 'out').map((row) => unpack(row.value!))
    expect(results.map(({ n }) => n)).toEqual([1, 2])
  })

  test('but one beyond a limit is not: the row says so', async () => {
    const compiled = keyed
      .aggregate({ n: count(), items: distinctCount('item', { limit: 2 }), list: collect('item', { limit: 2 }) })
      .to(kafka('out'))
      .build()
    const records = inputOf(['a', 'b', 'c', 'c'].map((item) => ({ user: 'a', item, ts: 1 })))
    const { rows, counts } = await drive(compiled, records, { isEnded: false, frameRecords: 3, restart: 'changelog' })
    expect(counts).toMatchObject({ accepted: 4, dead: 0 })
    expect(rows.map((row) => unpack(row.value!)).map(({ items, list }) => [items, list.dropped])).toEqual([
      [1, 0],
      [2, 0],
      [null, 1],
      [null, 2],
    ])
    expect(unpack(rows.at(-1)!.value!)).toEqual({
      user: 'a',
      n: 4,
      items: null,
      list: { values: ['a', 'b'], dropped: 2 },
    })
  })
})
