// The test driver, on the example jobs and on small ones: what a user sees of a job. Holds SPEC: TEST-1, TEST-3.
import { count, custom, envelope, first, job, json, kafka, msgpack, sum, tumbling } from 'millrace'
import { type TestJob, testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import runningSum from '../../examples/running-sum/job.ts'
import { partitionOfKey } from '../../src/core/murmur2.ts'
import candles from '../harness/candles-job.ts'

const trade = (sym: string, ts: number, price: number, qty = 1) => ({ value: { sym, ts, price, qty } })

test('a candle is final once, with all its fields, when the watermark passes end and grace', async () => {
  const t = testJob(candles)
  t.send('trades', trade('A', 100, 10, 2), trade('A', 900, 14, 1), trade('A', 500, 8, 1), trade('A', 600, 9, 0))
  await t.flush()
  expect(t.outputs('candles-1s')).toEqual([])
  // The watermark is 2 s behind: 3499 closes nothing, 3500 closes [0, 1000) with its grace of 500 ms.
  t.send('trades', trade('B', 3499, 1))
  await t.flush()
  expect(t.outputs('candles-1s')).toEqual([])
  t.send('trades', trade('B', 3500, 1))
  await t.flush()
  expect(t.outputs('candles-1s')).toEqual([
    {
      topic: 'candles-1s',
      partition: 0,
      key: 'A',
      value: {
        sym: 'A',
        windowStart: 0,
        windowEnd: 1000,
        open: 10,
        high: 14,
        low: 8,
        close: 14,
        volume: 4,
        vwap: (10 * 2 + 14 + 8) / 4,
        n: 3,
      },
      timestampMs: 999,
      headers: { 'millrace-id': '1s-aggregate:A:0', 'millrace-rev': '1', 'millrace-phase': 'final' },
    },
  ])
  expect(t.watermarkMs).toBe(1500)
  expect(t.counts).toEqual({ in: 6, expanded: 0, accepted: 5, late: 0, dead: 0, filtered: 1, refused: 0, results: 7 })
})

test('the view gets a row for each trade and the final one, found by its name', async () => {
  const t = testJob(candles)
  t.send('trades', trade('A', 100, 10), trade('A', 200, 12))
  await t.end()
  const rows = t.outputs<{ n: number; close: number }>('candles')
  expect(
    rows.map(({ value, headers }) => [value.n, value.close, headers['millrace-phase'], headers['millrace-rev']]),
  ).toEqual([
    [1, 10, 'early', '1'],
    [2, 12, 'early', '2'],
    [2, 12, 'final', '3'],
  ])
  expect(t.outputs('candles-view-candles')).toEqual(rows)
})

test('a record after its window closed is late, with the window, the watermark and by how much', async () => {
  const t = testJob(candles)
  t.send('trades', trade('A', 3600, 1), { ...trade('A', 999, 7), headers: { from: 'me' } })
  await t.flush()
  const [late] = t.late<{ price: number }>()
  expect(late).toMatchObject({ key: 'A', windowStartMs: 0, windowEndMs: 1000, watermarkMs: 1600, lateByMs: 100 })
  expect(late?.value.price).toBe(7)
  expect(late?.headers.from).toBe('me')
  expect(t.counts.late).toBe(1)
  await t.end()
  expect(t.outputs('candles-1s')).toHaveLength(1)
})

test('dead records are decoded where they can be, and say why and where', async () => {
  const t = testJob(candles)
  const garbage = new Uint8Array([0xc1])
  t.send('trades', { key: 'B', ...trade('A', 1, 1) }, { key: 'A', value: garbage }, { key: 'A', value: undefined })
  t.send('trades', { key: 'A', value: { sym: 'A', ts: 1, price: 'high', qty: 1 } })
  t.send('trades', { ...trade('A', 200_000_000, 1), timestampMs: 0 })
  await t.flush()
  expect(t.dead().map(({ code, key }) => [code, key])).toEqual([
    ['MR2005', 'B'],
    ['MR2001', 'A'],
    ['MR2011', 'A'],
    ['MR2006', 'A'],
    ['MR2004', 'A'],
  ])
  expect(t.dead()[1]?.value).toEqual(garbage)
  expect(t.dead()[1]?.bytes).toEqual(garbage)
  expect(t.dead()[2]).toMatchObject({ value: undefined, bytes: undefined })
  expect(t.dead()[3]).toMatchObject({
    key: 'A',
    value: { sym: 'A', ts: 1, price: 'high', qty: 1 },
    code: 'MR2006',
    text: expect.stringContaining('price'),
    timestampMs: 1,
    source: { topic: 'trades', partition: 0, offset: 3 },
  })
  expect(t.counts).toMatchObject({ in: 5, dead: 5, accepted: 0 })
})

test('a restart between any two records changes nothing', async () => {
  const records = [
    trade('A', 100, 10),
    trade('B', 300, 5),
    trade('A', 1200, 11),
    trade('A', 950, 9),
    trade('B', 3600, 6),
    trade('A', 200, 1),
    trade('A', 5100, 12),
  ]
  const runs = await Promise.all(
    [false, true].map(async (isRestarted) => {
      const t = testJob(candles)
      for (const record of records) {
        t.send('trades', record)
        await t.flush()
        if (isRestarted) await t.restart()
      }
      await t.end()
      await t.restart()
      t.send('trades', trade('A', 9000, 1))
      await t.flush()
      return { finals: t.outputs('candles-1s'), view: t.outputs('candles'), late: t.late(), counts: t.counts }
    }),
  )
  expect(runs[1]).toEqual(runs[0])
  expect(runs[0]!.finals).toHaveLength(5)
  expect(runs[0]!.counts.late).toBe(2)
})

test('a running sum gives one row a record and goes on after a restart', async () => {
  const t = testJob(runningSum)
  t.send('orders', { value: { user: 'u', amount: 5 } }, { value: { user: 'v', amount: 1 } })
  await t.restart()
  t.send('orders', { value: { user: 'u', amount: 2.5 } })
  await t.flush()
  expect(t.outputs('running-sums').map(({ key, value }) => [key, value])).toEqual([
    ['u', { user: 'u', total: 5, orders: 1 }],
    ['v', { user: 'v', total: 1, orders: 1 }],
    ['u', { user: 'u', total: 7.5, orders: 2 }],
  ])
})

interface Item {
  id: string
  n: number
}
const items = kafka('items', { value: json<Item>(), key: 'id' })
const item = (id: string, n: number) => ({ value: { id, n } })

test('a job without state copies, maps and counts what flatMap adds', async () => {
  const t = testJob(
    job('x')
      .from(items)
      .to(kafka('copy', { value: json() }))
      .filter(['n'], (n) => n > 0)
      .flatMap((i) => Array.from({ length: i.n }, (_, at) => ({ id: i.id, at })))
      .to(
        kafka('out', {
          value: json(),
          key: (row) => `${row.id}/${row.at}`,
          headers: (row) => ({ at: String(row.at) }),
        }),
      ),
  )
  t.send('items', item('a', 2), item('b', 0), item('c', 1))
  await t.flush()
  expect(t.outputs('copy').map(({ value }) => value)).toEqual([
    { id: 'a', n: 2 },
    { id: 'b', n: 0 },
    { id: 'c', n: 1 },
  ])
  expect(t.outputs('out').map(({ key, value, headers }) => [key, value, headers.at])).toEqual([
    ['a/0', { id: 'a', at: 0 }, '0'],
    ['a/1', { id: 'a', at: 1 }, '1'],
    ['c/0', { id: 'c', at: 0 }, '0'],
  ])
  expect(t.counts).toMatchObject({ in: 3, expanded: 1, accepted: 3, filtered: 1 })
  await t.restart()
  t.send('items', item('d', 1))
  await t.flush()
  expect(t.outputs('out')).toHaveLength(4)
})

test('a map before the aggregate keeps the key, a map after it changes the rows', async () => {
  const t = testJob(
    job('x')
      .from(items)
      .keyBy('id')
      .map(['n'], (n) => ({ double: n * 2 }))
      .aggregate({ total: sum('double') })
      .filter(['total'], (total) => total > 2)
      .map((row) => ({ text: `${row.id}=${row.total}` }))
      .to(kafka('out', { value: json() })),
  )
  t.send('items', item('a', 1), item('a', 2))
  await t.flush()
  expect(t.outputs('out').map(({ key, value }) => [key, value])).toEqual([['a', { text: 'a=6' }]])
})

test('every event of an envelope is a record', async () => {
  const t = testJob(
    job('x')
      .from(kafka('items', { value: envelope(msgpack<Item>()), key: 'id' }))
      .keyBy('id')
      .aggregate({ n: count(), total: sum('n') })
      .to(kafka('out')),
  )
  t.send('items', {
    value: [
      { id: 'a', n: 1 },
      { id: 'a', n: 2 },
      { id: 'other', n: 3 },
    ],
  })
  await t.flush()
  expect(t.outputs('out').at(-1)?.value).toEqual({ id: 'a', n: 2, total: 3 })
  expect(t.dead().map(({ code }) => code)).toEqual(['MR2005'])
  expect(t.dead()[0]?.source).toMatchObject({ partition: 0, event: 2 })
  expect(t.counts).toMatchObject({ in: 3, accepted: 2, dead: 1 })
})

test('custom accumulators keep their state over a restart, and what throws is dead', async () => {
  const t = testJob(
    job('x')
      .from(items)
      .keyBy('id')
      .aggregate({
        seen: custom({
          fields: ['n'],
          init: (): number[] => [],
          add: (state, n) => {
            if (n < 0) throw new RangeError('below zero')
            return [...state, n]
          },
          result: (state) => state.join('+'),
        }),
      })
      .to(kafka('out')),
  )
  t.send('items', item('a', 1), item('a', -1), item('a', 2))
  await t.restart()
  t.send('items', item('a', 3))
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value.seen)).toEqual(['1', '1+2', '1+2+3'])
  expect(t.dead()[0]).toMatchObject({ code: 'MR2008', text: expect.stringContaining('below zero') })
})

test('a schema decides which records are dead and what the fields are', async () => {
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) => {
        const { id, n } = value as Item
        return n >= 0 ? { value: { id, n: n * 10 } } : { issues: [{ message: 'must not be negative', path: ['n'] }] }
      },
    },
  }
  const t = testJob(
    job('x')
      .from(kafka('items', { value: json(), schema, key: 'id' }))
      .keyBy('id')
      .aggregate({ total: sum('n') })
      .to(kafka('out')),
  )
  t.send('items', item('a', 1), item('a', -1))
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([{ id: 'a', total: 10 }])
  expect(t.dead().map(({ text }) => text)).toEqual([expect.stringContaining('n: must not be negative')])
})

test('a quiet input closes its windows when the job says so', async () => {
  const t = testJob(
    job('x')
      .from(kafka('items', { value: json<Item>(), key: 'id', idleAfter: '1s', closeOnIdle: { maxDelay: '5s' } }))
      .keyBy('id')
      .window('w', tumbling('1s'))
      .aggregate({ first: first('n') })
      .to(kafka('out')),
  )
  t.send('items', { ...item('a', 1), timestampMs: 500 })
  // 500 + 5,500 - 5,000 is the end of the window; it is looked at every 100 ms.
  await t.advanceWall(5_400)
  expect(t.outputs('out')).toEqual([])
  await t.advanceWall(100)
  expect(t.outputs('out').map(({ value }) => value)).toEqual([{ id: 'a', windowStart: 0, windowEnd: 1000, first: 1 }])
})

test('a late record without a late topic is counted only, and dead letters go where the job says', async () => {
  const t = testJob(
    job('x', { deadLetters: kafka('graveyard') })
      .from(items)
      .keyBy('id')
      .window('w', tumbling('1s'))
      .aggregate({ n: count() })
      .to(kafka('out')),
  )
  t.send('items', { ...item('a', 1), timestampMs: 5000 }, { ...item('a', 1), timestampMs: 10 }, { value: 'text' })
  await t.flush()
  expect(t.counts).toMatchObject({ late: 1, dead: 1, accepted: 1 })
  expect(t.late()).toEqual([])
  expect(t.dead()).toHaveLength(1)
})

test('a late record that does not fit its topic with its headers is dead, and the job goes on', async () => {
  interface Sized {
    user: string
    ts: number
    pad: string
  }
  const t = testJob(
    job('late-sizes')
      .from(kafka('items', { value: json<Sized>(), key: 'user', eventTime: 'ts' }))
      .keyBy('user')
      .window('w', tumbling('1s'))
      .aggregate({ n: count() })
      .late(kafka('late'))
      .to(kafka('out')),
    { messageBytesMax: 700 },
  )
  const sized = (ts: number, bytes: number) => ({
    value: { user: 'u', ts, pad: 'x'.repeat(bytes) },
    timestampMs: 10_000,
  })
  t.send('items', sized(9_000, 1), sized(10, 400), sized(20, 1))
  await t.flush()
  expect(t.late()).toHaveLength(1)
  expect(t.dead().map(({ code }) => code)).toEqual(['MR2010'])
  expect(t.counts).toMatchObject({ in: 3, accepted: 1, late: 1, dead: 1 })
})

test('limits and topics that do not exist are told', async () => {
  const t = testJob(runningSum, { limits: { valueBytesMax: 10 } })
  expect(() => t.send('trades')).toThrow('the job reads orders, not trades')
  expect(() => t.outputs('nowhere')).toThrow('no sink of the job writes nowhere; they write running-sums')
  t.send('orders', { value: { user: 'somebody', amount: 1 } })
  await t.flush()
  expect(t.dead()[0]?.code).toBe('MR2002')
})

test('a row that does not fit its topic stops the job with its code, now and at every start; what was committed stays', async () => {
  const t = testJob(runningSum, { messageBytesMax: 400 })
  t.send('orders', { value: { user: 'u', amount: 1 } })
  await t.flush()
  t.send('orders', { value: { user: 'x'.repeat(300), amount: 1 } }, { value: { user: 'u', amount: 1 } })
  await expect(t.flush()).rejects.toMatchObject({ code: 'MR4008' })
  await expect(t.flush()).rejects.toMatchObject({ code: 'MR4008' })
  expect(t.outputs('running-sums').map(({ value }) => value.total)).toEqual([1])
  expect(t.counts).toMatchObject({ in: 1, accepted: 1 })
})

test('a job that is not valid is refused with its code', () => {
  expect(() => testJob(job('X').from(items).to(kafka('out')))).toThrow(/MR1002/)
})

test('event time that is told closes windows without a record, in every partition, and a restart or a death does not lose it', async () => {
  const runs = await Promise.all(
    [async () => {}, (t: TestJob) => t.restart(), (t: TestJob) => t.crashAt('commit-lost')].map(async (meanwhile) => {
      const t = testJob(candles, { partitions: 3 })
      t.send('trades', trade('A', 100, 10), trade('B', 300, 5), trade('C', 1200, 7))
      await t.flush()
      await meanwhile(t)
      // A window is closed at its end and its grace of 500 ms.
      await t.advanceTo(1499)
      expect(t.outputs('candles-1s')).toEqual([])
      await meanwhile(t)
      await t.advanceTo(1500)
      expect(t.watermarkMs).toBe(1500)
      await meanwhile(t)
      await t.advanceTo(1000)
      expect(t.watermarkMs).toBe(1500)
      t.send('trades', trade('A', 900, 1), trade('C', 1300, 8))
      await t.end()
      return { rows: t.outputs('candles-1s').map(({ key, value }) => [key, value.n]), late: t.late(), counts: t.counts }
    }),
  )
  expect([...runs[0]!.rows].sort()).toEqual([
    ['A', 1],
    ['B', 1],
    ['C', 2],
  ])
  expect(runs[0]!.late).toMatchObject([{ key: 'A', windowStartMs: 0, watermarkMs: 1500, lateByMs: 0 }])
  expect(runs[1]).toEqual(runs[0])
  expect(runs[2]).toEqual(runs[0])
})

test('what is processed and not committed is not to be seen; a flush commits it', async () => {
  const t = testJob(runningSum)
  t.send('orders', { value: { user: 'u', amount: 5 } })
  expect(t.trace()).toEqual([])
  await t.process()
  expect(t.outputs()).toEqual([])
  expect(t.counts.in).toBe(0)
  expect(t.trace()).toEqual(['start test-1', 'frame 0_0 to 1'])
  await t.flush()
  expect(t.outputs()).toMatchObject([{ topic: 'running-sums', partition: 0, value: { user: 'u', total: 5 } }])
  expect(t.counts.in).toBe(1)
})

test('a view is the latest row of each key, and the state what a restart would find', async () => {
  const t = testJob(candles)
  t.send('trades', trade('A', 100, 10), trade('A', 200, 12), trade('B', 300, 5))
  await t.flush()
  expect([...t.view('candles')].map(([key, row]) => [key, row.value.n, row.value.close])).toEqual([
    ['A', 2, 12],
    ['B', 1, 5],
  ])
  const rows = t.state()['1s-aggregate']!
  expect(rows).toMatchObject([
    { key: 'A', partition: 0, windowEndMs: 1000 },
    { key: 'B', partition: 0, windowEndMs: 1000 },
  ])
  expect(rows[0]!.slots.slice(0, 2)).toEqual([200, 2])
  await t.end()
  expect(t.state()).toEqual({ '1s-aggregate': [] })
  expect(() => t.view('nowhere')).toThrow('the job has no view nowhere')
})

test('records go to the partition of their key or to the one that is named, and no other', async () => {
  const t = testJob(runningSum, { partitions: 4 })
  const order = { value: { user: 'u', amount: 1 } }
  const own = partitionOfKey(new TextEncoder().encode('u'), 4)
  const other = (own + 1) % 4
  t.send('orders', order, { ...order, partition: other })
  await t.flush()
  // In another partition than its key's it is another task's, with a state of its own.
  expect(t.outputs().map(({ value }) => value.total)).toEqual([1, 1])
  expect(t.trace()).toContain(`frame 0_${own} to 1`)
  expect(t.trace()).toContain(`frame 0_${other} to 1`)
  expect(() => t.send('orders', { ...order, partition: 4 })).toThrow('partition 4 is not one of 4')
})

test('a step that the job does not come to is refused, and so is a record that was processed already', async () => {
  const t = testJob(job('x').from(items).to(kafka('copy')))
  expect(() => t.crashAt('before-flush')).toThrow('the job keeps no state, it never comes to before-flush')
  expect(() => t.crashAt('sometime' as 'before-begin')).toThrow('there is no step sometime; there are before-begin, ')
  t.send('items', item('a', 1), item('b', 2))
  await t.flush()
  expect(t.outputs('copy')).toHaveLength(2)
  expect(() => t.restartAt(2)).toThrow('record 2 cannot be restarted at: 2 were processed already')
  expect(() => t.advanceWall(-1)).toThrow('time does not go by -1 ms')
  expect(() => t.advanceTo(Number.NaN)).toThrow('NaN is no event time')
})

test('the clock stands still but for what it is told: records without a time get it', async () => {
  const t = testJob(runningSum, { startMs: 1_000_000 })
  const order = { value: { user: 'u', amount: 1 } }
  for (const ms of [0, 0, 250, 0]) {
    if (ms > 0) await t.advanceWall(ms)
    t.send('orders', order)
    await t.flush()
  }
  expect(t.outputs().map(({ timestampMs }) => timestampMs)).toEqual([1_000_000, 1_000_000, 1_000_250, 1_000_250])
})

test('a job that comes to no end is told after the time that anything may take, with what it waits for', async () => {
  const t = testJob(runningSum, { limits: { laneBytesMax: 0 } })
  t.send('orders', { value: { user: 'u', amount: 1 } })
  const failure = await t.flush().catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'MR6006' })
  expect(String(failure)).toContain('(records are processed): test-1 is running, 1 tasks, ')
})
