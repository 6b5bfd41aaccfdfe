// Jobs whose records move to other partitions, in the test driver: both sub-topologies on a real lane.
// Holds SPEC: REPART-1 (keyBy on any field), R1 (the watermark goes with the records), R6 (nothing vanishes), DLQ-1.
import { count, envelope, job, json, kafka, last, msgpack, sum, tumbling } from 'millrace'
import { testJob } from 'millrace/test'
import { describe, expect, test } from 'vitest'

interface Order {
  id: string
  user: string | number | null
  amount: number
  ts: number
}

const orders = kafka('orders', { value: json<Order>(), key: 'id', eventTime: 'ts', outOfOrder: '100ms' })
const byUser = job('totals')
  .from(orders)
  .filter((order) => order.amount > 0)
  .keyBy('user')
  .window('1s', tumbling('1s'))
  .aggregate({ total: sum('amount'), n: count(), lastId: last('id') })
  .late(kafka('late'))
  .to(kafka('totals', { value: json() }))

const order = (id: string, user: Order['user'], amount: number, ts: number) => ({ value: { id, user, amount, ts } })

describe('records that are keyed by another field', () => {
  test('are aggregated by it, and the rows have it as their key', async () => {
    const t = testJob(byUser)
    t.send('orders', order('a', 'ann', 5, 100), order('b', 'bob', 7, 200), order('c', 'ann', 1, 300))
    t.send('orders', order('d', 7, 2, 1_100), order('e', 'ann', 4, 1_200))
    await t.flush()
    const rows = t.outputs('totals')
    expect(rows.map(({ key, value }) => [key, value])).toEqual([
      ['ann', { user: 'ann', windowStart: 0, windowEnd: 1_000, total: 6, n: 2, lastId: 'c' }],
      ['bob', { user: 'bob', windowStart: 0, windowEnd: 1_000, total: 7, n: 1, lastId: 'b' }],
    ])
    await t.end()
    expect(
      t
        .outputs('totals')
        .slice(2)
        .map(({ key, value }) => [key, value.total]),
    ).toEqual([
      ['7', 2],
      ['ann', 4],
    ])
  })

  test('keep every letter of their key, short or long, after a map too', async () => {
    const keys = ['a', '', 'é', 'abc😀', 'ż'.repeat(300), 'x'.repeat(500), 'b']
    const moved = job('moved')
      .from(orders)
      .map(['user'], (user) => ({ user: String(user) }))
      .keyBy('user')
      .to(kafka('out', { value: json() }))
    for (const built of [byUser, moved]) {
      const t = testJob(built)
      t.send('orders', ...keys.map((user, i) => order(`o${i}`, user, 1, 100)))
      await t.end()
      const rows = t.outputs<{ user: string }>()
      expect(rows.map(({ key, value }) => [key, value.user]).sort()).toEqual(keys.map((key) => [key, key]).sort())
    }
  })

  test('are counted once on their way through both tasks', async () => {
    const t = testJob(byUser)
    t.send('orders', order('a', 'ann', 5, 100), order('b', 'bob', -1, 2_000), order('c', null, 1, 2_100))
    t.send('orders', order('d', 'ann', 1, 500), { key: 'other', ...order('e', 'ann', 1, 2_200) })
    await t.end()
    expect(t.counts).toEqual({ in: 5, expanded: 0, accepted: 1, late: 1, dead: 2, filtered: 1, refused: 0, results: 1 })
  })

  test('are dead when their new value cannot be encoded, and the others go on', async () => {
    const wide = job('wide')
      .from(orders)
      .map((order) => ({ ...order, wei: order.amount > 10 ? 2n ** 80n : 1 }))
      .keyBy('user')
      .aggregate({ n: count() })
      .to(kafka('totals', { value: json() }))
    const t = testJob(wide)
    t.send('orders', order('a', 'ann', 5, 100), order('b', 'bob', 70, 200), order('c', 'ann', 1, 300))
    await t.flush()
    expect(t.counts).toMatchObject({ in: 3, accepted: 2, dead: 1, late: 0, filtered: 0 })
    expect(t.dead()).toMatchObject([{ code: 'MR2008' }])
    expect(t.outputs('totals').map(({ key, value }) => [key, value.n])).toEqual([
      ['ann', 1],
      ['ann', 2],
    ])
  })

  test('say where they came from first when they are late or dead', async () => {
    const t = testJob(byUser)
    t.send('orders', order('a', 'ann', 5, 2_100), { ...order('b', 'ann', 1, 500), headers: { trace: 'x' } })
    t.send('orders', order('c', null, 1, 2_200))
    await t.flush()
    const [late] = t.late()
    expect(late).toMatchObject({ key: 'b', value: { id: 'b', user: 'ann', amount: 1, ts: 500 } })
    expect(late!.headers).toMatchObject({
      trace: 'x',
      'millrace-source-topic': 'orders',
      'millrace-source-partition': '0',
      'millrace-source-offset': '1',
      'millrace-late-window-end': '1000',
      'millrace-late-watermark': '2000',
    })
    expect(t.dead()).toMatchObject([{ key: 'c', code: 'MR2006' }])
    expect(t.dead()[0]!.text).toContain('user')
  })

  test('go on after a restart where they were, wherever it comes', async () => {
    const records = Array.from({ length: 40 }, (_, i) =>
      order(`o${i}`, `u${i % 3}`, 1 + (i % 5), i * 90 - (i % 7) * 60),
    )
    const straight = testJob(byUser)
    straight.send('orders', ...records)
    await straight.end()
    const restarted = testJob(byUser)
    for (const record of records) {
      restarted.send('orders', record)
      await restarted.restart()
    }
    await restarted.end()
    expect(restarted.outputs('totals')).toEqual(straight.outputs('totals'))
    expect(restarted.late().map(({ value }) => value)).toEqual(straight.late().map(({ value }) => value))
    expect(restarted.counts).toEqual(straight.counts)
  })

  test('are told of an input that is quiet, and of one that closes its windows then', async () => {
    const closing = job('totals')
      .from(
        kafka('orders', { value: json<Order>(), eventTime: 'ts', idleAfter: '1s', closeOnIdle: { maxDelay: '1s' } }),
      )
      .keyBy('user')
      .window('1s', tumbling('1s'))
      .aggregate({ n: count() })
      .to(kafka('totals', { value: json() }))
    const t = testJob(closing)
    t.send('orders', order('a', 'ann', 5, 100))
    await t.advanceWall(1_800)
    expect(t.outputs('totals')).toEqual([])
    await t.advanceWall(100)
    expect(t.outputs('totals').map(({ value }) => value)).toEqual([
      { user: 'ann', windowStart: 0, windowEnd: 1_000, n: 1 },
    ])
  })
})

describe('what a function or a source makes of records', () => {
  test('moves as it is: the rows of a map, with their own fields', async () => {
    const t = testJob(
      job('totals')
        .from(kafka('orders', { value: msgpack<Order>(), eventTime: 'ts' }))
        .map(({ user, amount, ts }) => ({ who: `user-${user}`, cents: amount * 100, when: new Date(ts) }))
        .keyBy('who')
        .aggregate({ cents: sum('cents') })
        .to(kafka('totals', { value: json() })),
    )
    t.send('orders', order('a', 'ann', 5, 100), order('b', 'ann', 1, 200))
    await t.flush()
    expect(t.outputs('totals').map(({ key, value }) => [key, value])).toEqual([
      ['user-ann', { who: 'user-ann', cents: 500 }],
      ['user-ann', { who: 'user-ann', cents: 600 }],
    ])
  })

  test.each([
    ['msgpack', envelope(msgpack<Order>())],
    ['json', envelope(json<Order>())],
  ])('moves event by event out of %s envelopes', async (_, value) => {
    const t = testJob(
      job('totals')
        .from(kafka('orders', { value, eventTime: 'ts' }))
        .keyBy('user')
        .window('1s', tumbling('1s'))
        .aggregate({ total: sum('amount') })
        .late(kafka('late'))
        .to(kafka('totals', { value: json() })),
    )
    const events = [order('a', 'ann', 5, 100), order('b', 'bob', 7, 3_000), order('c', 'ann', 2, 200)]
    t.send('orders', { value: events.map(({ value: event }) => event) })
    await t.end()
    expect(t.outputs('totals').map(({ value: row }) => [row.user, row.total])).toEqual([
      ['ann', 5],
      ['bob', 7],
    ])
    expect(t.late()).toMatchObject([{ value: { id: 'c' } }])
    expect(t.late()[0]!.headers).toMatchObject({ 'millrace-event-index': '2' })
    expect(t.counts).toMatchObject({ in: 3, accepted: 2, late: 1 })
  })

  test('goes to a sink without an aggregate, under its new key and with its own bytes', async () => {
    const t = testJob(
      job('rekey')
        .from(kafka('orders', { value: msgpack<Order>(), key: 'id' }))
        .keyBy('user')
        .to(kafka('by-user', { value: msgpack() })),
    )
    t.send('orders', { ...order('a', 'ann', 5, 100), headers: { trace: 'x' } })
    await t.flush()
    expect(t.outputs('by-user')).toMatchObject([{ key: 'ann', value: { id: 'a', user: 'ann', amount: 5, ts: 100 } }])
  })

  test('is multiplied by flatMap before it moves', async () => {
    const t = testJob(
      job('words')
        .from(kafka('lines', { value: json<{ text: string }>() }))
        .flatMap(({ text }) => text.split(' ').map((word) => ({ word })))
        .keyBy('word')
        .aggregate({ n: count() })
        .to(kafka('counts', { value: json() })),
    )
    t.send('lines', { value: { text: 'to be or not to be' } })
    await t.flush()
    const newest = new Map(t.outputs('counts').map(({ value }) => [value.word, value.n]))
    expect(Object.fromEntries(newest)).toEqual({ to: 2, be: 2, or: 1, not: 1 })
    expect(t.counts).toMatchObject({ in: 1, expanded: 5, accepted: 6 })
  })
})
