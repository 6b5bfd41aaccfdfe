// Windows against a naive oracle on random trades, and the two paths against each other: same frames, byte for byte.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import {
  count,
  first,
  job,
  json,
  kafka,
  last,
  max,
  msgpack,
  sum,
  tumbling,
  variance,
  weightedMean,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { drive, type InputRecord } from './lane-driver.ts'

interface Trade {
  sym: string
  price: number
  qty: number
  ts: number
}

const SIZE = 10
const GRACE = 3
const OUT_OF_ORDER = 4

/** `emit` of the only sink, and what stands before the window. */
function build(emit: 'final' | 'updates', filters: 'named' | 'whole'): CompiledJob {
  const source = job('w').from(
    kafka('in', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: `${OUT_OF_ORDER}ms` }),
  )
  const kept =
    filters === 'named'
      ? source.filter(['qty', 'sym'], (qty, sym) => qty > 0 && sym !== 'd')
      : source.filter((trade) => trade.qty > 0 && trade.sym !== 'd')
  return kept
    .keyBy('sym')
    .window('w', tumbling(`${SIZE}ms`, { grace: `${GRACE}ms` }))
    .aggregate({
      open: first('price'),
      close: last('price'),
      high: max('price'),
      v: sum('qty'),
      vwap: weightedMean('price', 'qty'),
      spread: variance('price'),
      n: count(),
    })
    .late(kafka('late'))
    .to(kafka('out', { value: emit === 'final' ? msgpack() : json() }), { emit })
    .build()
}

/** Forty lines: a list a window, judged in order. */
function oracle(trades: Trade[]): { rows: unknown[]; late: number; filtered: number } {
  const windows = new Map<string, { sym: string; start: number; trades: Trade[] }>()
  let watermark = Number.NEGATIVE_INFINITY
  let late = 0
  let filtered = 0
  for (const trade of trades) {
    watermark = Math.max(watermark, trade.ts - OUT_OF_ORDER)
    if (!(trade.qty > 0) || trade.sym === 'd') {
      filtered++
      continue
    }
    const start = Math.floor(trade.ts / SIZE) * SIZE
    if (start + SIZE + GRACE <= watermark) {
      late++
      continue
    }
    const id = `${trade.sym} ${start}`
    const window = windows.get(id) ?? { sym: trade.sym, start, trades: [] }
    window.trades.push(trade)
    windows.set(id, window)
  }
  const byEnd = [...windows.values()].sort((a, b) => a.start - b.start || (a.sym < b.sym ? -1 : 1))
  const rows = byEnd.map(({ sym, start, trades: own }) => {
    const total = own.reduce((v, { qty }) => v + qty, 0)
    return {
      sym,
      windowStart: start,
      windowEnd: start + SIZE,
      open: own.reduce((best, trade) => (trade.ts < best.ts ? trade : best)).price,
      close: own.reduce((best, trade) => (trade.ts >= best.ts ? trade : best)).price,
      high: Math.max(...own.map(({ price }) => price)),
      v: total,
      vwap: own.reduce((v, { price, qty }) => v + price * qty, 0) / total,
      spread: expect.closeTo(spreadOf(own.map(({ price }) => price)), 6),
      n: own.length,
    }
  })
  return { rows, late, filtered }
}

function spreadOf(prices: number[]): number {
  const mean = prices.reduce((a, b) => a + b, 0) / prices.length
  return prices.reduce((v, price) => v + (price - mean) ** 2, 0) / prices.length
}

const trade = fc.record({
  sym: fc.constantFrom('a', 'b', 'c', 'd', 'é', 'a long symbol that is stored with a length byte'),
  price: fc.integer({ min: 1, max: 500 }),
  qty: fc.integer({ min: 0, max: 5 }),
  ts: fc.integer({ min: -20, max: 100 }),
})
const trades = fc.array(trade, { maxLength: 60 })
const inputOf = (list: Trade[]): InputRecord[] => list.map((value) => ({ key: value.sym, value }))

test('final rows and counts are those of the oracle, whatever the frames and restarts', async () => {
  const frames = fc.integer({ min: 1, max: 20 })
  const restart = fc.constantFrom('never', 'store', 'changelog')
  await fc.assert(
    fc.asyncProperty(trades, frames, restart, async (list, frameRecords, mode) => {
      const driven = await drive(build('final', 'named'), inputOf(list), {
        frameRecords,
        restart: mode === 'store' ? 'changelog' : mode,
      })
      const { rows, late, filtered } = oracle(list)
      expect(driven.rows.filter(({ topic }) => topic === 'out').map(({ value }) => unpack(value!))).toEqual(rows)
      expect(driven.counts).toMatchObject({
        in: list.length,
        late,
        filtered,
        dead: 0,
        accepted: list.length - late - filtered,
      })
      expect(driven.stats.rowCount).toBe(0)
      expect(driven.stats.keyCount).toBe(0)
    }),
    { numRuns: 60 },
  )
})

/** Trades of which some are not what the job needs, with values of every kind in every field. */
const messyValue = fc.oneof(
  fc.integer({ min: -5, max: 300 }),
  fc.double(),
  fc.constantFrom('a', 'b', null, true, 2n ** 60n, new Date(5_000), [1], { deep: { er: 1 } }, new Uint8Array([1])),
)
const messyTrade = fc
  .record(
    {
      sym: fc.constantFrom('a', 'b', 7, null),
      price: messyValue,
      qty: messyValue,
      ts: fc.oneof({ weight: 9, arbitrary: fc.nat(80) }, { weight: 1, arbitrary: messyValue }),
      more: messyValue,
    },
    { requiredKeys: [] },
  )
  .chain((value) =>
    fc.record({
      key: fc.constantFrom(
        ...(value.sym === undefined || value.sym === null ? ['a'] : [String(value.sym), String(value.sym), 'b']),
      ),
      value: fc.oneof(
        { weight: 9, arbitrary: fc.constant(value as unknown) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) },
      ),
      timestampMs: fc.constant(1_000),
    }),
  )

test.each(['final', 'updates'] as const)(
  'the fast and the free path give the same rows, dead and late records: %s',
  async (emit) => {
    await fc.assert(
      fc.asyncProperty(fc.array(messyTrade, { maxLength: 40 }), async (records) => {
        const fast = await drive(build(emit, 'named'), records)
        const free = await drive(build(emit, 'named'), records, { path: 'free', frameRecords: 7 })
        const whole = await drive(build(emit, 'whole'), records, { frameRecords: 5 })
        // Frames cut differently may only interleave topics differently.
        const byTopic = (rows: typeof fast.rows): unknown =>
          ['out', 'late', 'w-dlq'].map((topic) => rows.filter((row) => row.topic === topic))
        expect(byTopic(free.rows)).toEqual(byTopic(fast.rows))
        expect(byTopic(whole.rows)).toEqual(byTopic(fast.rows))
        expect(free.counts).toEqual(fast.counts)
        expect(whole.counts).toEqual(fast.counts)
        const { in: taken, expanded, accepted, late, dead, filtered } = fast.counts
        expect(taken + expanded).toBe(accepted + late + dead + filtered)
      }),
      { numRuns: 60 },
    )
  },
)
