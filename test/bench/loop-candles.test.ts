// The peer of the end-to-end bench must compute the same candles, or the comparison means nothing.
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { candleOracle, SymbolPartitions } from '../../bench/lib/candle-check.ts'
import { LoopCandles, type LoopRow } from '../../bench/lib/loop-candles.ts'
import { tradeStream } from '../../src/cli/trades.ts'
import { FrameWriter, sinkRecords } from '../../src/core/frame.ts'
import { isEqual, RowComparer } from '../harness/oracle.ts'

const PARTITIONS = 4
const RECORDS = 20_000

function tradesOf(seed: number) {
  const startMs = 1_760_000_000_000
  return tradeStream({ seed, count: RECORDS, startMs, recordsPerEventSecond: 4_000, lateShare: 0.01, lateMs: 3_000 })
}

describe('the consumer loop', () => {
  test('gives the rows of the oracle, late trades left out, however its batches are cut', () => {
    const trades = tradesOf(3)
    const { oracle, partitionCounts } = candleOracle(trades, RECORDS, PARTITIONS)
    const comparer = new RowComparer(oracle.rows())
    const partitions = new SymbolPartitions(PARTITIONS)
    const values = partitionCounts.map((): Buffer[] => [])
    const writer = new FrameWriter()
    trades.fill(writer, 0, 0, RECORDS)
    for (const { key, value } of sinkRecords(writer.take()!)) {
      values[partitions.of(new TextDecoder().decode(key))]!.push(Buffer.from(value!))
    }
    const take = (rows: LoopRow[]) => {
      for (const { value, key } of rows) comparer.add(unpack(value), key)
    }
    let late = 0
    for (const all of values) {
      const candles = new LoopCandles()
      for (let from = 0, size = 1; from < all.length; from += size, size = 1 + ((size * 7) % 501)) {
        take(candles.add(all.slice(from, from + size)))
      }
      take(candles.close())
      late += candles.lateCount
    }
    const differences = comparer.finish()
    expect(differences.examples).toEqual([])
    expect(isEqual(differences)).toBe(true)
    expect(differences.rows).toBeGreaterThan(3_000)
    expect(late).toBe(oracle.lateCount)
    expect(late).toBeGreaterThan(100)
    expect(partitionCounts.reduce((sum, one) => sum + one, 0)).toBe(RECORDS)
  })
})
