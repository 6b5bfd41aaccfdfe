// Interval joins through the whole job: which pairs are rows, when records without a match are, which are late.
// Holds SPEC: JOIN-1, JOIN-2, JOIN-3, JOIN-4, COUNT-1.
import { unpack } from 'msgpackr'
import { afterEach, describe, expect, test } from 'vitest'
import { type Duration, job, kafka, msgpack, stream } from '../../src/index.ts'
import type { JoinBounds, JoinType } from '../../src/job/stages.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Order {
  id: string
  ts: number
  n: number
  until?: number
}

const OUT_OF_ORDER = '1s'
const orders = kafka('orders', { value: msgpack<Order>(), key: 'id', eventTime: 'ts', outOfOrder: OUT_OF_ORDER })
const payments = kafka('payments', { value: msgpack<Order>(), key: 'id', eventTime: 'ts', outOfOrder: OUT_OF_ORDER })

const opened: TestJob[] = []
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})

function joined(within: Duration | JoinBounds<Order>, type: JoinType = 'inner', grace: Duration = '0ms'): TestJob {
  const t = testJob(
    job('paid')
      .from(orders)
      .keyBy('id')
      .join('paid', stream(payments).keyBy('id'), { within, type, grace } as never, (order, payment) => [
        (order as Order | undefined)?.n ?? null,
        (payment as Order | undefined)?.n ?? null,
      ])
      .late(kafka('late'))
      .to(kafka('out')),
  )
  opened.push(t)
  return t
}

function order(t: TestJob, ts: number, n: number, more: Partial<Order> = {}): void {
  t.send('orders', { value: { id: 'a', ts, n, ...more } })
}
function payment(t: TestJob, ts: number, n: number, id = 'a'): void {
  t.send('payments', { value: { id, ts, n } })
}
/** The rows so far: left, right, time. */
function rows(t: TestJob): unknown[][] {
  return t.outputs<unknown[]>('out').map(({ value, timestampMs }) => [...value, timestampMs])
}

describe('pairs', () => {
  test('a payment meets the orders of its key within the bounds, both included, at the later time', async () => {
    const t = joined({ before: '10ms', after: '20ms' })
    order(t, 1_000, 1)
    for (const [i, ts] of [989, 990, 1_000, 1_020, 1_021].entries()) payment(t, ts, i)
    payment(t, 1_000, 9, 'b')
    await t.flush()
    expect(rows(t)).toEqual([
      [1, 1, 1_000],
      [1, 2, 1_000],
      [1, 3, 1_020],
    ])
  })

  test('an order that comes second meets the payments before it', async () => {
    const t = joined({ before: '10ms', after: '20ms' })
    for (const [i, ts] of [989, 990, 1_000, 1_020, 1_021].entries()) payment(t, ts, i)
    await t.flush()
    order(t, 1_000, 1)
    await t.flush()
    expect(rows(t)).toEqual([
      [1, 1, 1_000],
      [1, 2, 1_000],
      [1, 3, 1_020],
    ])
  })

  test('one duration is both bounds; none is equal times', async () => {
    const t = joined('0ms')
    for (const ts of [999, 1_000, 1_001]) payment(t, ts, ts)
    order(t, 1_000, 1)
    await t.flush()
    expect(rows(t)).toEqual([[1, 1_000, 1_000]])
  })

  test('a bound may be a field of the order', async () => {
    const t = joined({ after: { field: 'until', max: '1m' } as never })
    order(t, 1_000, 1, { until: 1_500 })
    order(t, 1_000, 2, { until: 31_000 })
    for (const ts of [1_500, 1_501, 31_000, 31_001]) payment(t, ts, ts)
    await t.flush()
    expect(rows(t)).toEqual([
      [1, 1_500, 1_500],
      [2, 1_500, 1_500],
      [2, 1_501, 1_501],
      [2, 31_000, 31_000],
    ])
  })

  test('a bound that is no time, or one beyond its limit, makes the record dead', async () => {
    const t = joined({ after: { field: 'until', max: '1s' } as never })
    order(t, 1_000, 1)
    order(t, 1_000, 2, { until: 2_001 })
    order(t, 1_000, 3, { until: 2_000 })
    await t.flush()
    expect(t.dead().map(({ code, text }) => [code, text.includes('needs a time in until')])).toEqual([
      ['MR2008', true],
      ['MR2008', true],
    ])
    expect(t.counts).toMatchObject({ in: 3, accepted: 1, dead: 2 })
  })

  test('a function that throws makes a dead result of the pair and leaves its records as they are', async () => {
    const t = testJob(
      job('paid')
        .from(orders)
        .keyBy('id')
        .join('paid', stream(payments).keyBy('id'), { within: '1s' }, (left, right) => {
          if (left.n === right.n) throw new TypeError('equal')
          return left.n + right.n
        })
        .map((sum) => ({ sum }))
        .to(kafka('out')),
    )
    opened.push(t)
    order(t, 1_000, 1)
    payment(t, 1_000, 1)
    payment(t, 1_000, 2)
    await t.flush()
    expect(t.outputs('out').map(({ value }) => value)).toEqual([{ sum: 3 }])
    expect(t.dead().map(({ code, value }) => [code, value])).toEqual([
      ['MR2008', { left: { id: 'a', ts: 1_000, n: 1 }, right: { id: 'a', ts: 1_000, n: 1 } }],
    ])
  })
})

describe('records without a match', () => {
  test.each([
    ['inner', []],
    ['left', [[1, null, 1_000]]],
    ['right', [[null, 2, 5_000]]],
    [
      'outer',
      [
        [1, null, 1_000],
        [null, 2, 5_000],
      ],
    ],
  ] as const)('of an %s join', async (type, expected) => {
    const t = joined('10ms', type)
    order(t, 1_000, 1)
    payment(t, 5_000, 2)
    await t.end()
    expect(rows(t)).toEqual(expected)
    expect(t.state()).toEqual({ paid: [] })
  })

  test('are shown by state() until then, each with its times and its bytes', async () => {
    const t = joined({ before: '10ms', after: '20ms' }, 'inner', '5ms')
    order(t, 1_000, 1)
    payment(t, 1_500, 2)
    await t.flush()
    const shown = t.state().paid!.map(({ key, slots, cells }) => [key, slots, unpack(cells[0] as Uint8Array)])
    // Event time, deadline, the first time that it meets.
    expect(shown).toEqual([
      ['a', [1_000, 1_025, 990], { id: 'a', ts: 1_000, n: 1 }],
      ['a', [1_500, 1_515, 1_480], { id: 'a', ts: 1_500, n: 2 }],
    ])
  })

  test('come once both streams have passed the deadline, and not before', async () => {
    const t = joined({ after: '10ms' }, 'left', '5ms')
    order(t, 1_000, 1)
    order(t, 2_016, 2)
    // The watermark of payments is 1,015: the deadline of the first order, not past it.
    payment(t, 2_015, 3, 'b')
    await t.flush()
    expect(rows(t)).toEqual([])
    payment(t, 2_016, 4, 'b')
    await t.flush()
    expect(rows(t)).toEqual([[1, null, 1_000]])
  })

  test('are none when a match comes at the last moment, by the place of the record', async () => {
    const t = joined({ after: '10ms' }, 'left')
    order(t, 1_000, 1)
    order(t, 3_000, 2)
    payment(t, 2_010, 3, 'b')
    payment(t, 1_010, 4)
    await t.flush()
    expect(rows(t)).toEqual([[1, 4, 1_010]])
    await t.end()
    expect(rows(t)).toEqual([
      [1, 4, 1_010],
      [2, null, 3_000],
    ])
  })

  test('come by deadline, then key, then in the order they came', async () => {
    const t = joined('10ms', 'outer')
    t.send('orders', { value: { id: 'b', ts: 1_000, n: 1 } }, { value: { id: 'a', ts: 1_000, n: 2 } })
    t.send('orders', { value: { id: 'a', ts: 1_000, n: 3 } }, { value: { id: 'c', ts: 999, n: 4 } })
    payment(t, 1_020, 5, 'd')
    await t.end()
    expect(rows(t).map(([left, right]) => left ?? right)).toEqual([4, 2, 3, 1, 5])
  })
})

test('a record that is past its deadline and meets nobody who waits is late', async () => {
  const t = joined({ before: '5s', after: '10ms' }, 'left')
  payment(t, 3_000, 1)
  order(t, 10_000, 2)
  payment(t, 9_000, 3)
  await t.flush()
  // The watermark of both is 8,000. The order is late by its own deadline, and the first payment has waited for it until then.
  order(t, 7_000, 4)
  order(t, 7_989, 5, { id: 'b' })
  order(t, 7_990, 6)
  await t.flush()
  expect(
    t
      .late()
      .map(({ value, windowStartMs, windowEndMs, watermarkMs }) => [value, windowStartMs, windowEndMs, watermarkMs]),
  ).toEqual([[{ id: 'b', ts: 7_989, n: 5 }, 2_989, 7_999, 8_000]])
  expect(rows(t)).toEqual([
    [2, 3, 10_000],
    [4, 1, 7_000],
    [6, 1, 7_990],
  ])
})
