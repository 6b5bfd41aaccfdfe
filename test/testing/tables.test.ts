// Tables: joins of streams with them, as they are and as they were, and of tables with each other.
// Holds SPEC: TABLE-1, TABLE-2, TABLE-3, TABLE-4, TABLE-5, COUNT-1.
import { afterEach, describe, expect, test } from 'vitest'
import { globalTable, job, json, kafka, msgpack, stream, sum, table } from '../../src/index.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Click {
  user: string
  ts: number
  n: number
}
interface User {
  id: string
  name: string
  ts?: number
}

const clicks = kafka('clicks', { value: msgpack<Click>(), key: 'user', eventTime: 'ts', outOfOrder: '100ms' })
const users = kafka('users', { value: msgpack<User>(), key: 'id' })

const opened: TestJob[] = []
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})
function open(built: Parameters<typeof testJob>[0], options: Parameters<typeof testJob>[1] = {}): TestJob {
  const t = testJob(built, options)
  opened.push(t)
  return t
}
function click(t: TestJob, ts: number, n: number, user = 'a'): void {
  t.send('clicks', { value: { user, ts, n } })
}
function user(t: TestJob, name: string | undefined, timestampMs: number, id = 'a'): void {
  t.send('users', { key: id, value: name === undefined ? undefined : { id, name }, timestampMs })
}
const values = (t: TestJob, topic = 'out') => t.outputs(topic).map(({ value }) => value)

describe('a stream with a table as it is', () => {
  const joined = (type: 'inner' | 'left') =>
    open(
      job('visits')
        .from(clicks)
        .keyBy('user')
        .joinTable('who', table(users), { type }, (one, who) => ({ n: one.n, name: who?.name ?? null }))
        .to(kafka('out')),
    )

  test.each([
    [
      'inner',
      [
        { n: 2, name: 'Ada' },
        { n: 3, name: 'Bob' },
      ],
    ],
    [
      'left',
      [
        { n: 1, name: null },
        { n: 2, name: 'Ada' },
        { n: 3, name: 'Bob' },
        { n: 4, name: null },
      ],
    ],
  ] as const)(
    '%s: a record has the row that is there when it is read; a null value deletes it',
    async (type, expected) => {
      const t = joined(type)
      click(t, 1_000, 1)
      user(t, 'Ada', 5_000)
      click(t, 1_001, 2)
      user(t, 'Bob', 4_000)
      click(t, 1_002, 3)
      user(t, undefined, 3_000)
      click(t, 1_003, 4)
      click(t, 900, 5, 'z')
      await t.flush()
      expect(values(t)).toEqual(type === 'left' ? [...expected, { n: 5, name: null }] : expected)
      expect(t.counts).toMatchObject({ in: 8, dead: 0, late: 0, filtered: type === 'left' ? 0 : 3 })
      expect(t.state()).toEqual({ who: [] })
    },
  )

  test('the table is there again after a restart and after a crash, in memory and on disk', async () => {
    for (const store of ['memory', 'lmdb'] as const) {
      const t = open(
        job('visits')
          .from(clicks)
          .keyBy('user')
          .joinTable('who', table(users), {}, (one, who) => ({ n: one.n, name: who.name }))
          .to(kafka('out')),
        { store, partitions: 2 },
      )
      for (let i = 0; i < 50; i++) user(t, `u${i}`, 1_000, `k${i}`)
      await t.flush()
      await t.restart()
      t.crashAt('after-marker')
      for (let i = 0; i < 50; i++) click(t, 1_000 + i, i, `k${i}`)
      await t.flush()
      const sorted = (values(t) as { n: number; name: string }[]).sort((x, y) => x.n - y.n)
      expect(sorted).toEqual(Array.from({ length: 50 }, (_, i) => ({ n: i, name: `u${i}` })))
      expect(t.state().who).toHaveLength(50)
    }
  })

  test('filters and maps of the table are of its rows: a row that is dropped is as if it were not there', async () => {
    const adults = table(kafka('users', { value: msgpack<User & { age: number }>(), key: 'id' }))
      .filter((row) => row.age >= 18)
      .map((row) => ({ label: `${row.name} (${row.age})` }))
    const t = open(
      job('visits')
        .from(clicks)
        .keyBy('user')
        .joinTable('who', adults, { type: 'left' }, (one, who) => ({ n: one.n, label: who?.label ?? null }))
        .to(kafka('out')),
    )
    t.send('users', { value: { id: 'a', name: 'Ada', age: 20 } })
    click(t, 1_000, 1)
    t.send('users', { value: { id: 'a', name: 'Ada', age: 17 } })
    click(t, 1_001, 2)
    t.send('users', { key: 'a', value: undefined })
    click(t, 1_002, 3)
    await t.flush()
    expect(values(t)).toEqual([
      { n: 1, label: 'Ada (20)' },
      { n: 2, label: null },
      { n: 3, label: null },
    ])
  })
})

describe('a stream with a table as of the time of the record', () => {
  const timed = kafka('users', { value: msgpack<User>(), key: 'id', outOfOrder: '50ms' })
  const asOf = (grace: '0ms' | '200ms' = '0ms', type: 'inner' | 'left' = 'left') =>
    open(
      job('visits')
        .from(clicks)
        .keyBy('user')
        .joinTable('who', table(timed), { type, asOf: { grace } }, (one, who) => ({
          n: one.n,
          name: who?.name ?? null,
        }))
        .late(kafka('late'))
        .to(kafka('out')),
    )

  test('it has the row that was there then, however the topics were read', async () => {
    const rows = [
      { n: 0, name: null },
      { n: 1, name: 'Ada' },
      { n: 2, name: 'Ada' },
      { n: 3, name: 'Bob' },
      { n: 4, name: null },
    ]
    for (const isStreamFirst of [true, false]) {
      const t = asOf()
      const sendClicks = (): void => {
        for (const [n, ts] of [999, 1_000, 1_999, 2_000, 3_000].entries()) click(t, ts, n)
      }
      const sendUsers = (): void => {
        user(t, 'Ada', 1_000)
        user(t, 'Bob', 2_000)
        user(t, undefined, 3_000)
      }
      if (isStreamFirst) sendClicks()
      sendUsers()
      if (!isStreamFirst) sendClicks()
      await t.end()
      expect(values(t)).toEqual(rows)
      expect(t.state()).toEqual({ who: [] })
    }
  })

  test('it waits until both clocks are past its time and the grace, and updates that late still count', async () => {
    const t = asOf('200ms')
    user(t, 'Ada', 1_000)
    click(t, 2_000, 1)
    click(t, 2_400, 2)
    user(t, 'Bob', 2_249)
    await t.flush()
    // Both clocks are at 2,199 at least: 2,000 and 200 are not past.
    expect(values(t)).toEqual([])
    user(t, 'Cyd', 1_950)
    user(t, 'Dan', 2_500)
    await t.flush()
    expect(values(t)).toEqual([{ n: 1, name: 'Cyd' }])
    await t.end()
    expect(values(t)).toEqual([
      { n: 1, name: 'Cyd' },
      { n: 2, name: 'Bob' },
    ])
  })

  test('a record whose wait is over is late, and so is a version that no record can have any more', async () => {
    const t = asOf()
    user(t, 'Ada', 1_000)
    user(t, 'Bob', 5_000)
    click(t, 5_000, 1)
    await t.flush()
    // The clock of both is 4,900. No click before it is joined any more, and Ada is there for those after it.
    click(t, 4_899, 2)
    user(t, 'Old', 900)
    user(t, 'Cyd', 4_899)
    await t.flush()
    await t.end()
    expect(values(t)).toEqual([{ n: 1, name: 'Bob' }])
    expect(t.late().map(({ value }) => value)).toEqual([
      { user: 'a', ts: 4_899, n: 2 },
      { id: 'a', name: 'Old' },
    ])
  })

  test('versions that nobody can ask for are gone, and the last one stays', async () => {
    const t = asOf()
    for (let i = 0; i < 50; i++) user(t, `v${i}`, 1_000 + i * 10)
    user(t, 'gone', 1_000, 'b')
    user(t, undefined, 1_100, 'b')
    click(t, 9_000, 1)
    user(t, 'other', 9_000, 'c')
    await t.flush()
    await t.advanceTo(20_000)
    const [a, c] = t.state().who!
    expect(t.state().who!.map(({ key }) => key)).toEqual(['a', 'c'])
    expect([a!.cells.length, c!.cells.length]).toEqual([2, 2])
  })
})

describe('two tables', () => {
  const both = (type: 'inner' | 'left' | 'outer') =>
    open(
      job('accounts')
        .table(users)
        .join(
          'profile',
          table(kafka('cities', { value: msgpack<{ id: string; city: string }>(), key: 'id' })),
          { type },
          (who, where) => ({
            name: (who as User | undefined)?.name ?? null,
            city: (where as { city: string } | undefined)?.city ?? null,
          }),
        )
        .to(kafka('out'))
        .toView('accounts'),
    )
  const city = (t: TestJob, name: string | undefined, timestampMs: number): void =>
    t.send('cities', { key: 'a', value: name === undefined ? undefined : { id: 'a', city: name }, timestampMs })

  test.each([
    ['inner', ['Ada-Rome', 'Bob-Rome', null]],
    ['left', ['Ada-null', 'Ada-Rome', 'Bob-Rome', 'Bob-null', null]],
    ['outer', ['Ada-null', 'Ada-Rome', 'Bob-Rome', 'Bob-null', null, 'null-Oslo', null]],
  ] as const)(
    '%s: a change of either is one of the result, and what is no more a tombstone',
    async (type, expected) => {
      const t = both(type)
      user(t, 'Ada', 1_000)
      city(t, 'Rome', 3_000)
      user(t, 'Bob', 2_000)
      city(t, undefined, 4_000)
      user(t, undefined, 5_000)
      city(t, 'Oslo', 6_000)
      city(t, undefined, 7_000)
      city(t, undefined, 8_000)
      await t.flush()
      const texts = (t.outputs('out') as { value: { name: string | null; city: string | null } | undefined }[]).map(
        ({ value }) => (value === undefined ? null : `${value.name}-${value.city}`),
      )
      expect(texts).toEqual(expected)
      expect(
        t
          .outputs('out')
          .slice(0, 2)
          .map(({ timestampMs }) => timestampMs),
      ).toEqual(type === 'inner' ? [3_000, 3_000] : [1_000, 3_000])
      expect([...t.view('accounts').keys()]).toEqual([])
      expect(t.state()).toEqual({ profile: [] })
    },
  )
})

test('a table may come of a join of tables, and a stream be joined with it', async () => {
  const cities = table(kafka('cities', { value: msgpack<{ id: string; city: string }>(), key: 'id' }))
  const profiles = table(users).join('profile', cities, {}, (who, where) => ({ name: who.name, city: where.city }))
  const t = open(
    job('visits')
      .from(clicks)
      .keyBy('user')
      .joinTable('who', profiles, { type: 'left' }, (one, who) => ({
        n: one.n,
        who: who === undefined ? null : `${who.name} of ${who.city}`,
      }))
      .to(kafka('out')),
  )
  user(t, 'Ada', 1_000)
  click(t, 1_000, 1)
  t.send('cities', { value: { id: 'a', city: 'Rome' } })
  click(t, 1_001, 2)
  user(t, undefined, 1_002)
  click(t, 1_003, 3)
  await t.flush()
  expect(values(t)).toEqual([
    { n: 1, who: null },
    { n: 2, who: 'Ada of Rome' },
    { n: 3, who: null },
  ])
  expect(stream(clicks)).toBeDefined()
})

describe('a global table', () => {
  interface Order {
    id: string
    ts: number
    currency?: string
  }
  const orders = kafka('orders', { value: msgpack<Order>(), key: 'id', eventTime: 'ts' })
  const rates = kafka('rates', { value: json<{ currency: string; eur: number }>(), key: 'currency' })
  const priced = (type: 'inner' | 'left', options: Parameters<typeof testJob>[1] = {}) =>
    open(
      job('priced')
        .from(orders)
        .joinTable(
          'rate',
          globalTable(rates).filter((rate) => rate.eur > 0),
          { on: 'currency', type },
          (order, rate) => ({
            id: order.id,
            eur: rate?.eur ?? null,
          }),
        )
        .to(kafka('out')),
      options,
    )

  test.each(['inner', 'left'] as const)(
    '%s: a record has the row that its field names, as it is when it is read',
    async (type) => {
      const t = priced(type)
      t.send('rates', { value: { currency: 'USD', eur: 0.9 } }, { value: { currency: 'ZZZ', eur: 0 } })
      t.send('orders', { value: { id: 'a', ts: 1, currency: 'USD' } }, { value: { id: 'b', ts: 2, currency: 'ZZZ' } })
      t.send('orders', { value: { id: 'c', ts: 3 } })
      t.send('rates', { value: { currency: 'USD', eur: 0.8 } })
      t.send('orders', { value: { id: 'd', ts: 4, currency: 'USD' } })
      t.send('rates', { key: 'USD', value: undefined })
      t.send('orders', { value: { id: 'e', ts: 5, currency: 'USD' } })
      await t.flush()
      const all = [
        { id: 'a', eur: 0.9 },
        { id: 'b', eur: null },
        { id: 'c', eur: null },
        { id: 'd', eur: 0.8 },
        { id: 'e', eur: null },
      ]
      expect(values(t)).toEqual(type === 'left' ? all : all.filter(({ eur }) => eur !== null))
      expect(t.counts).toMatchObject({ in: 5, dead: 0, filtered: type === 'left' ? 0 : 3 })
    },
  )

  test('every lane and every instance has all of it, before its first record, also after a restart and a crash', async () => {
    const t = priced('inner', { partitions: 3, lanes: 2 })
    for (let i = 0; i < 30; i++) t.send('rates', { value: { currency: `c${i}`, eur: i + 1 } })
    const send = (round: number): void => {
      for (let i = 0; i < 30; i++) t.send('orders', { value: { id: `${round}-${i}`, ts: i, currency: `c${29 - i}` } })
    }
    send(0)
    await t.flush()
    await t.restart()
    send(1)
    await t.rebalance()
    t.crashAt('after-produce')
    send(2)
    await t.flush()
    const rows = values(t) as { id: string; eur: number }[]
    expect(rows).toHaveLength(90)
    for (const { id, eur } of rows) expect(eur).toBe(30 - Number(id.split('-')[1]))
  })

  test('a job is joined with it behind keyBy as well, and goes on by its key', async () => {
    const t = open(
      job('sums')
        .from(orders)
        .keyBy('id')
        .joinTable('rate', globalTable(rates), { on: 'currency' }, (_order, rate) => ({ eur: rate.eur }))
        .aggregate({ eur: sum('eur') })
        .to(kafka('out')),
    )
    t.send('rates', { value: { currency: 'USD', eur: 2 } })
    for (const ts of [1, 2, 3]) t.send('orders', { value: { id: 'a', ts, currency: 'USD' } })
    await t.flush()
    expect(values(t).at(-1)).toEqual({ id: 'a', eur: 6 })
  })

  test('one that is larger than the memory for state stops the job, and says by how much', async () => {
    const t = priced('inner', { limits: { stateMemoryBytesMax: 1_000 } })
    for (let i = 0; i < 30; i++) t.send('rates', { value: { currency: `c${i}`, eur: 1 } })
    await expect(t.flush()).rejects.toMatchObject({ code: 'MR4038', details: { topic: 'rates', limit: 1_000 } })
  })
})
