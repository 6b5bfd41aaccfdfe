// Jobs of several streams and several stages: merge, self joins, rows that go on as records.
// Holds SPEC: MERGE-1, ROWS-1, COUNT-1.
import { afterEach, expect, test } from 'vitest'
import {
  count,
  custom,
  type Duration,
  job,
  kafka,
  max,
  msgpack,
  session,
  stream,
  sum,
  table,
  tumbling,
} from '../../src/index.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Trade {
  sym: string
  ts: number
  qty: number
}

const trades = (topic: string) => kafka(topic, { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' })
const opened: TestJob[] = []
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})
function open(built: Parameters<typeof testJob>[0], options: Parameters<typeof testJob>[1] = {}): TestJob {
  const t = testJob(built, options)
  opened.push(t)
  return t
}

test('merge passes on each record of both streams with its key, time and headers', async () => {
  const t = open(
    job('all')
      .from(trades('a'))
      .merge(stream(trades('b')))
      .to(kafka('out')),
  )
  t.send('a', { value: { sym: 'x', ts: 1_000, qty: 1 }, headers: { from: 'a' } })
  t.send('b', { value: { sym: 'y', ts: 900, qty: 2 }, headers: { from: 'b' } })
  await t.flush()
  const rows = t.outputs('out').map(({ key, value, timestampMs, headers }) => [key, value, timestampMs, headers.from])
  expect(rows.sort()).toEqual([
    ['x', { sym: 'x', ts: 1_000, qty: 1 }, 1_000, 'a'],
    ['y', { sym: 'y', ts: 900, qty: 2 }, 900, 'b'],
  ])
  expect(t.counts).toMatchObject({ in: 2, expanded: 2, accepted: 4, results: 2 })
})

test('behind a merge windows close by the slower stream, and nothing of the other is late', async () => {
  const t = open(
    job('all')
      .from(trades('a'))
      .keyBy('sym')
      .merge(stream(trades('b')).keyBy('sym'))
      .window('1s', tumbling('1s'))
      .aggregate({ qty: sum('qty'), n: count() })
      .to(kafka('out')),
  )
  t.send('a', { value: { sym: 'x', ts: 100, qty: 1 } }, { value: { sym: 'x', ts: 90_000, qty: 1 } })
  await t.flush()
  expect(t.outputs('out')).toEqual([])
  t.send('b', { value: { sym: 'x', ts: 200, qty: 10 } }, { value: { sym: 'x', ts: 1_000, qty: 10 } })
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([
    { sym: 'x', windowStart: 0, windowEnd: 1_000, qty: 11, n: 2 },
  ])
  await t.end()
  expect(t.counts).toMatchObject({ late: 0, results: 3 })
  expect(t.state()).toEqual({ '1s-aggregate': [] })
})

test('a quiet stream holds the other one back for idleAfter only, and for as long again after a restart', async () => {
  const quick = (topic: string) =>
    kafka(topic, { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', idleAfter: '2s' })
  const t = open(
    job('all')
      .from(quick('a'))
      .keyBy('sym')
      .merge(stream(quick('b')).keyBy('sym'))
      .window('1s', tumbling('1s'))
      .aggregate({ n: count() })
      .to(kafka('out')),
  )
  t.send('b', { value: { sym: 'x', ts: 100, qty: 1 } })
  t.send('a', { value: { sym: 'x', ts: 100, qty: 1 } })
  await t.flush()
  await t.advanceWall(1_000)
  t.send('a', { value: { sym: 'x', ts: 5_000, qty: 1 } })
  await t.flush()
  expect(t.outputs('out')).toEqual([])
  await t.advanceWall(1_500)
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([{ sym: 'x', windowStart: 0, windowEnd: 1_000, n: 2 }])
  await t.restart()
  t.send('a', { value: { sym: 'x', ts: 9_000, qty: 1 } })
  await t.flush()
  await t.advanceWall(1_500)
  expect(t.outputs('out')).toHaveLength(1)
  t.send('a', { value: { sym: 'x', ts: 9_001, qty: 1 } })
  await t.flush()
  await t.advanceWall(1_000)
  expect(t.outputs('out')).toHaveLength(2)
})

test('a topic may meet itself: it is read once', async () => {
  const source = trades('a')
  const built = job('self')
    .from(source)
    .filter(['qty'], (qty) => qty > 0)
    .keyBy('sym')
    .join(
      'undone',
      stream(source)
        .filter(['qty'], (qty) => qty < 0)
        .keyBy('sym'),
      { within: { after: '1m' } },
      (trade, undo) => ({ qty: trade.qty, undo: undo.qty }),
    )
    .to(kafka('out'))
  const t = open(built)
  t.send('a', { value: { sym: 'x', ts: 1_000, qty: 5 } }, { value: { sym: 'x', ts: 2_000, qty: -5 } })
  await t.end()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([{ qty: 5, undo: -5 }])
  expect(t.counts).toMatchObject({ in: 2, expanded: 3, accepted: 3, filtered: 2 })
})

test('rows of windows go on as records: candles of a second make those of a minute', async () => {
  const t = open(
    job('candles')
      .from(trades('a'))
      .keyBy('sym')
      .window('1s', tumbling('1s'))
      .aggregate({ qty: sum('qty'), n: count() })
      .to(kafka('seconds'))
      .keyBy('sym')
      .window('1m', tumbling('1m'))
      .aggregate({ qty: sum('qty'), seconds: count(), most: max('n') })
      .to(kafka('minutes')),
  )
  for (let ts = 0; ts < 120_000; ts += 250) t.send('a', { value: { sym: ts % 500 === 0 ? 'x' : 'y', ts, qty: 1 } })
  await t.end()
  expect(t.outputs('seconds')).toHaveLength(240)
  expect(t.outputs('minutes').map(({ value, timestampMs }) => [value, timestampMs])).toEqual(
    [0, 60_000].flatMap((windowStart) =>
      ['x', 'y'].map((sym) => [
        { sym, windowStart, windowEnd: windowStart + 60_000, qty: 120, seconds: 60, most: 2 },
        windowStart + 59_999,
      ]),
    ),
  )
  expect(t.counts).toMatchObject({ in: 480, late: 0, results: 244 })
  expect(t.state()).toEqual({ '1s-aggregate': [], '1m-aggregate': [] })
})

test.each(['the left one', 'the right one'] as const)(
  'rows of windows meet another stream: they are %s',
  async (side) => {
    const seconds = (topic: ReturnType<typeof trades>) =>
      stream(topic)
        .keyBy('sym')
        .window('1s', tumbling('1s'))
        .aggregate({ qty: sum('qty') })
        .keyBy('sym')
    const from = job('both').from(trades('a'))
    const within = { within: '2s' as const }
    const built =
      side === 'the left one'
        ? from
            .keyBy('sym')
            .window('1s', tumbling('1s'))
            .aggregate({ qty: sum('qty') })
            .keyBy('sym')
            .join('j', stream(trades('b')).keyBy('sym'), within, (row, trade) => ({ sum: row.qty, qty: trade.qty }))
            .to(kafka('out'))
        : from
            .keyBy('sym')
            .join('j', seconds(trades('b')), within, (trade, row) => ({ sum: row.qty, qty: trade.qty }))
            .to(kafka('out'))
    const [summed, plain] = side === 'the left one' ? ['a', 'b'] : ['b', 'a']
    for (const isPlainFirst of [true, false]) {
      const t = open(built, { partitions: 2, lanes: 2 })
      if (isPlainFirst) t.send(plain!, { value: { sym: 'x', ts: 1_500, qty: 7 } })
      for (const ts of [0, 500, 999, 1_000, 1_700]) t.send(summed!, { value: { sym: 'x', ts, qty: 1 } })
      await t.restart()
      if (!isPlainFirst) t.send(plain!, { value: { sym: 'x', ts: 1_500, qty: 7 } })
      await t.end()
      const rows = t.outputs('out').map(({ value, timestampMs }) => [value, timestampMs])
      expect(rows).toEqual([
        [{ sum: 3, qty: 7 }, 1_500],
        [{ sum: 2, qty: 7 }, 1_999],
      ])
      expect(t.counts).toMatchObject({ in: 6, late: 0, dead: 0 })
      expect(Object.values(t.state()).flat()).toEqual([])
    }
  },
)

test('rows that go on share nothing with the state that they are of: neither is changed with the other', async () => {
  const all = custom({
    init: (): number[] => [],
    add: (seen: number[], { qty }: Trade) => {
      seen.push(qty)
      return seen
    },
    result: (seen: number[]) => seen,
  })
  const t = open(
    job('own')
      .from(trades('a'))
      .keyBy('sym')
      .aggregate({ all })
      .map((row) => {
        row.all.push(0)
        return row
      })
      .to(kafka('mapped'), { emit: 'updates' })
      .keyBy('sym')
      .map((row) => row.all)
      .to(kafka('out')),
  )
  for (const qty of [1, 2, 3]) t.send('a', { value: { sym: 'x', ts: qty, qty } })
  await t.flush()
  const rows = [
    [1, 0],
    [1, 2, 0],
    [1, 2, 3, 0],
  ]
  expect(t.outputs<{ all: number[] }>('mapped').map(({ value }) => value.all)).toEqual(rows)
  expect(t.outputs('out').map(({ value }) => value)).toEqual(rows)
})

test('rows go on by another key through a topic of the job, whose partitions bring them together', async () => {
  const t = open(
    job('spread')
      .from(trades('a'))
      .keyBy('sym')
      .window('1s', tumbling('1s'))
      .aggregate({ qty: sum('qty') })
      .map((row) => ({ second: row.windowEnd, qty: row.qty }))
      .keyBy('second')
      .window('all', tumbling('1s'))
      .aggregate({ total: sum('qty'), symbols: count() })
      .to(kafka('totals')),
    { partitions: 3, lanes: 2 },
  )
  for (let ts = 0; ts < 3_000; ts += 10) t.send('a', { value: { sym: `s${ts % 70}`, ts, qty: 1 } })
  await t.end()
  const rows = t.outputs<{ windowEnd: string; total: number; symbols: number }>('totals').map(({ value }) => value)
  expect(rows.map(({ windowEnd, total, symbols }) => [windowEnd, total, symbols]).sort()).toEqual([
    [1_000, 100, 7],
    [2_000, 100, 7],
    [3_000, 100, 7],
  ])
  expect(t.counts).toMatchObject({ in: 300, late: 0, dead: 0 })
})

test.each([
  ['join', (t: string) => joinedRows(t)],
  ['joinTable', (t: string) => tableRows(t, undefined)],
  ['joinTable asOf', (t: string) => tableRows(t, { grace: '0ms' })],
] as const)('behind %s rows go straight into windows, by the key that they have', async (_, rowsOf) => {
  for (const isRestarted of [false, true]) {
    const t = open(
      rowsOf('many')
        .window('busy', session('1s'))
        .aggregate({ n: count(), qty: sum('qty') })
        .to(kafka('out')),
    )
    t.send('b', { key: 'x', value: { sym: 'x', ts: 500, qty: 10 }, timestampMs: 500 })
    t.send('a', { value: { sym: 'x', ts: 500, qty: 1 } }, { value: { sym: 'x', ts: 600, qty: 2 } })
    await t.flush()
    if (isRestarted) await t.restart()
    t.send('a', { value: { sym: 'x', ts: 900, qty: 3 } }, { value: { sym: 'x', ts: 8_000, qty: 4 } })
    await t.flush()
    await t.end()
    expect(t.outputs('out').map(({ value }) => value)).toEqual([
      { sym: 'x', windowStart: 500, windowEnd: 900, n: 3, qty: 36 },
      { sym: 'x', windowStart: 8_000, windowEnd: 8_000, n: 1, qty: 14 },
    ])
    expect(t.counts).toMatchObject({ late: 0, dead: 0, results: 2 })
    expect(t.state()['busy-aggregate']).toEqual([])
  }
})

/** Trades of `a`, each with the one of `b` with its key. */
function joinedRows(name: string) {
  return job(name)
    .from(trades('a'))
    .keyBy('sym')
    .join('with', stream(trades('b')).keyBy('sym'), { within: '10s' }, (one, other) => ({ qty: one.qty + other.qty }))
}
function tableRows(name: string, asOf: { grace: Duration } | undefined) {
  return job(name)
    .from(trades('a'))
    .keyBy('sym')
    .joinTable('with', table(trades('b')), asOf === undefined ? {} : { asOf }, (one, other) => ({
      qty: one.qty + other.qty,
    }))
}

test.each(['join', 'joinTable', 'asOf'] as const)(
  'what is behind a join keeps state of its own: a window, a running total and dedup behind %s',
  async (kind) => {
    const from = job('own').from(trades('a')).keyBy('sym')
    const sized = kafka('b', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' })
    const row = (trade: Trade, other: Trade) => ({ sym: trade.sym, id: trade.ts, qty: trade.qty * other.qty })
    const joined =
      kind === 'join'
        ? from.join('j', stream(sized).keyBy('sym'), { within: '10s' }, row)
        : from.joinTable('j', table(sized), kind === 'asOf' ? { asOf: {} } : {}, row)
    const windowed = joined
      .window('w', tumbling('1s'))
      .aggregate({ qty: sum('qty') })
      .to(kafka('out'))
    const running = joined
      .dedup('id', { within: '1s' })
      .aggregate({ qty: sum('qty') })
      .to(kafka('out'))
    for (const built of [windowed, running]) {
      const t = open(built)
      t.send('b', { value: { sym: 'x', ts: 0, qty: 10 } }, { value: { sym: 'y', ts: 0, qty: 10 } })
      t.send('a', { value: { sym: 'x', ts: 100, qty: 1 } })
      await t.restart()
      t.send('a', { value: { sym: 'x', ts: 200, qty: 2 } }, { value: { sym: 'x', ts: 1_000, qty: 3 } })
      await t.end()
      const rows = t.outputs<{ qty: number }>('out').map(({ key, value }) => [key, value.qty])
      // A running total goes out once more at the end.
      const sums = built === windowed ? [30, 30] : [10, 30, 60, 60]
      expect(rows).toEqual(sums.map((qty) => ['x', qty]))
      const { j, ...others } = t.state()
      expect(j!.map(({ key }) => key)).toEqual(kind === 'join' ? [] : ['x', 'y'])
      const kept = Object.values(others).flatMap((rows) => rows.map(({ key }) => key))
      expect(kept).toEqual(built === windowed ? [] : ['x'])
    }
  },
)
