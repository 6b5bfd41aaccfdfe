// The views of the candles job beyond its first: what a symbol has done today, and candles of a minute and of an hour, which are
// those that the trades give.
import { expect, test } from 'vitest'
import job from '../../examples/candles/job.ts'
import { testJob } from '../../src/testing/index.ts'
import { CandleOracle } from '../harness/oracle.ts'

const DAY_MS = 86_400_000

interface Trade {
  sym: string
  price: number
  qty: number
  ts: number
}

/** Two symbols, some seconds without trades, over midnight. */
function trades(): Trade[] {
  const all: Trade[] = []
  for (let i = 0; i < 3000; i++) {
    const ts = DAY_MS - 3_000_000 + i * 2_311 + ((i * 7919) % 1500)
    all.push({ sym: i % 3 === 0 ? 'B' : 'A', price: 100 + ((i * 37) % 64) / 64, qty: 1 + (i % 9), ts })
  }
  return all
}

const INTERVALS = [
  { view: 'candles', sizeMs: 1000, keptMs: 120_000 },
  { view: 'candles-1m', sizeMs: 60_000, keptMs: 2 * 3_600_000 },
  { view: 'candles-1h', sizeMs: 3_600_000, keptMs: 3 * DAY_MS },
]

test('each view has the newest candles of each symbol as the trades give them', async () => {
  const t = testJob(job)
  const oracles = INTERVALS.map(
    ({ sizeMs }) => new CandleOracle({ sizeMs, graceMs: Number.MAX_SAFE_INTEGER / 2, outOfOrderMs: 0 }),
  )
  for (const trade of trades()) {
    t.send('trades', { value: { id: 0, side: 'buy', ...trade } })
    for (const oracle of oracles) oracle.add(0, trade)
  }
  await t.end()
  expect(t.late()).toEqual([])
  for (const [i, { view, sizeMs, keptMs }] of INTERVALS.entries()) {
    const newest = Math.max(...oracles[i]!.rows().map(({ windowStart }) => windowStart))
    for (const sym of ['A', 'B']) {
      const given = oracles[i]!.rows().filter((row) => row.sym === sym)
      // What is kept goes window by window: one more or less at the end is as good.
      const due = given
        .filter(({ windowStart }) => windowStart > newest - keptMs + sizeMs)
        .sort((a, b) => a.windowStart - b.windowStart)
        .map((row) => ({ ...row, vwap: expect.closeTo(row.vwap, 9) }))
      const held = t.history(view, sym).map(({ value }) => value)
      expect(held.length, view).toBeLessThanOrEqual(due.length + 2)
      expect(held.slice(-due.length), view).toEqual(due)
    }
  }
})

test('the day of a symbol begins anew at midnight, UTC', async () => {
  const t = testJob(job)
  const send = (ts: number, price: number, qty: number) =>
    t.send('trades', { value: { id: 0, side: 'buy', sym: 'A', ts, price, qty } })
  send(DAY_MS - 2000, 10, 1)
  send(DAY_MS - 1000, 8, 2)
  send(DAY_MS + 9000, 9, 4)
  await t.flush()
  const day = { sym: 'A', dayStart: 0, dayOpen: 10, dayHigh: 10, dayLow: 8, dayVolume: 3, close: 8 }
  expect(t.view('movers').get('A')!.value).toMatchObject(day)
  await t.end()
  const next = { dayStart: DAY_MS, dayOpen: 9, dayHigh: 9, dayLow: 9, dayVolume: 4, close: 9 }
  expect(t.view('movers').get('A')!.value).toMatchObject(next)
})
