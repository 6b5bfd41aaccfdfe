// Tests of the candles job, as docs/guide/testing.md shows them. Run: npx vitest run examples/candles
import { testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import job from './job.ts'

const trade = (ts: number, price: number, qty = 1) => ({ value: { id: 0, sym: 'AAPL', side: 'buy', price, qty, ts } })

test('a window becomes one candle', async () => {
  const t = testJob(job)
  t.send('trades', trade(500, 10), trade(900, 12, 3))
  await t.end()
  expect(t.outputs('candles-1s')).toMatchObject([
    { key: 'AAPL', timestampMs: 999, value: { windowStart: 0, open: 10, close: 12, volume: 4, vwap: 11.5 } },
  ])
})

test('a trade that comes after its window was closed is late, and the candle stays as it was', async () => {
  const t = testJob(job)
  t.send('trades', trade(500, 10), trade(60_000, 11))
  t.send('trades', trade(600, 99))
  await t.flush()
  expect(t.late()).toMatchObject([{ value: { price: 99 }, windowStartMs: 0 }])
  expect(t.outputs('candles-1s')).toHaveLength(1)
})

test('a trade without a price is dead and says why', async () => {
  const t = testJob(job)
  t.send('trades', trade(500, 10), { value: { sym: 'AAPL', qty: 1, ts: 700 } })
  await t.flush()
  expect(t.dead()).toMatchObject([
    { code: 'MR2006', value: { sym: 'AAPL', qty: 1 }, source: { topic: 'trades', partition: 0, offset: 1 } },
  ])
  expect(t.counts).toMatchObject({ in: 2, accepted: 1, dead: 1 })
})

test('the state survives a restart', async () => {
  const t = testJob(job)
  t.send('trades', trade(500, 10))
  await t.restart()
  t.send('trades', trade(900, 12))
  await t.end()
  expect(t.outputs('candles-1s')).toMatchObject([{ value: { n: 2, open: 10, close: 12 } }])
})
