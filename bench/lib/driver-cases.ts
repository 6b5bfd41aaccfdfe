// Micro benches of the test driver: how many records a test can send, have processed and committed, on one core.
import assert from 'node:assert/strict'
import {
  count,
  first,
  job,
  json,
  kafka,
  last,
  max,
  min,
  msgpack,
  sum,
  tumbling,
  weightedMean,
} from '../../src/index.ts'
import { type TestJob, testJob } from '../../src/testing/test-job.ts'
import { microTrades } from './frame-cases.ts'
import type { MicroCase } from './micro-case.ts'

const WINDOW_MS = 1_000

interface BenchTrade {
  sym: string
  price: number
  qty: number
  ts: number
  id: number
}

const candles = job('candles')
  .from(kafka('trades', { value: msgpack<BenchTrade>(), key: 'sym', eventTime: 'ts', outOfOrder: '500ms' }))
  .keyBy('sym')
  .window('1s', tumbling('1s'))
  .aggregate({
    ...{ open: first('price'), high: max('price'), low: min('price'), close: last('price') },
    ...{ volume: sum('qty'), vwap: weightedMean('price', 'qty'), n: count() },
  })
  .to(kafka('candles', { value: msgpack() }), { emit: 'final' })

const totals = job('totals')
  .from(kafka('trades', { value: json<BenchTrade>(), key: 'sym', eventTime: 'ts', outOfOrder: '500ms' }))
  .keyBy('sym')
  .aggregate({ volume: sum('qty') })
  .to(kafka('totals', { value: json() }), { emit: 'updates' })

/** Each run is a test of its own: a job, `recordCount` records, a flush. Their rows are counted at the end. */
export function driverCases(recordCount = 20_000): MicroCase[] {
  return [
    driverCase('test driver: candles, final rows', () => testJob(candles), recordCount, closedWindows),
    driverCase(
      'test driver: JSON, a row a record',
      () => testJob(totals),
      recordCount,
      (trades) => trades.length,
    ),
  ]
}

function driverCase(
  name: string,
  start: () => TestJob,
  recordCount: number,
  rowsOf: (trades: readonly BenchTrade[]) => number,
): MicroCase {
  const trades = tradesOf(recordCount)
  const records = trades.map((value) => ({ value }))
  let t: TestJob | undefined
  return {
    name,
    recordsPerRun: recordCount,
    async run() {
      t = start()
      t.send('trades', ...records)
      await t.flush()
    },
    check() {
      const { counts } = t!
      assert.deepEqual([counts.in, counts.accepted], [recordCount, recordCount])
      assert.equal(t!.outputs().length, rowsOf(trades))
    },
  }
}

function tradesOf(count: number): BenchTrade[] {
  const trades = microTrades(count)
  return Array.from({ length: count }, (_, i) => {
    const { sym, price, qty, ts, id } = trades.next(i)
    return { sym, price, qty, ts, id }
  })
}

/** Windows by symbol that the newest trade has closed: nothing is late, trades come in order. */
function closedWindows(trades: readonly BenchTrade[]): number {
  const newestMs = Math.max(...trades.map(({ ts }) => ts))
  const ends = trades.map(({ sym, ts }) => ({ sym, endMs: (Math.floor(ts / WINDOW_MS) + 1) * WINDOW_MS }))
  return new Set(ends.filter(({ endMs }) => endMs <= newestMs - 500).map(({ sym, endMs }) => `${sym}/${endMs}`)).size
}
