// Writing trades through the port. Keeps SPEC: GEN-2, R3 (the demo's oracle).
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { DemoCheck } from '../../src/cli/demo-check.ts'
import { produceTrades } from '../../src/cli/trade-producer.ts'
import { type Trade, tradeStream } from '../../src/cli/trades.ts'
import type { Clock, Scheduler } from '../../src/core/clock.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'

/** Time that passes only when somebody waits for it. */
class HandClock implements Clock, Scheduler {
  nowMs = 0
  wallMs(): number {
    return this.nowMs
  }
  monotonicMs(): number {
    return this.nowMs
  }
  after(delayMs: number, run: () => void): () => void {
    const timer = setImmediate(() => {
      this.nowMs += delayMs
      run()
    })
    return () => clearImmediate(timer)
  }
}

const START_MS = 1_760_000_000_000

async function produced(options: { records: number; rate: number; stopAfter?: number }) {
  const clock = new HandClock()
  const kafka = createMemoryKafka({ topics: { trades: 4 } })
  const producer = await kafka.openProducer({})
  const trades = tradeStream({
    seed: 5,
    count: options.records,
    startMs: START_MS,
    recordsPerEventSecond: 1000,
    lateShare: 0.01,
  })
  const check = new DemoCheck(trades, 4, { outOfOrderMs: 2000, sizeMs: 1000, graceMs: 500 })
  let written = 0
  const count = await produceTrades({
    producer,
    topic: 'trades',
    trades,
    records: options.records,
    rate: options.rate,
    clock,
    scheduler: clock,
    flushMs: 1000,
    isStopped: () => written >= (options.stopAfter ?? Number.POSITIVE_INFINITY),
    onWritten: (from, to) => {
      expect(from).toBe(written)
      written = to
      check.follow(from, to)
    },
  })
  await producer.close()
  const logs = [0, 1, 2, 3].map((partition) =>
    kafka.log('trades', partition).map((record) => unpack(record.value!) as Trade),
  )
  return { count, clock, check, logs }
}

describe('producing trades', () => {
  test('delivers every trade once, each symbol in one partition, in order', async () => {
    const { count, logs } = await produced({ records: 25_000, rate: 0 })
    expect(count).toBe(25_000)
    const ids = logs.flat().map((trade) => trade.id)
    expect(new Set(ids).size).toBe(25_000)
    for (const log of logs) expect(log.every((trade, i) => i === 0 || trade.id > log[i - 1]!.id)).toBe(true)
    const homes = logs.map((log) => new Set(log.map((trade) => trade.sym)))
    expect(homes.reduce((sum, home) => sum + home.size, 0)).toBe(new Set(logs.flat().map((trade) => trade.sym)).size)
  })

  test('keeps its rate', async () => {
    const { clock } = await produced({ records: 5000, rate: 10_000 })
    expect(clock.nowMs).toBe(500)
  })

  test('stops when told to, with all it wrote delivered', async () => {
    const { count, logs } = await produced({ records: 100_000, rate: 10_000, stopAfter: 3000 })
    expect(count).toBe(3000)
    expect(logs.flat()).toHaveLength(3000)
  })
})

test('the oracle of the demo finds the late trades that a walk over each partition finds', async () => {
  const { check, logs } = await produced({ records: 60_000, rate: 0 })
  let late = 0
  for (const log of logs) {
    let watermarkMs = Number.NEGATIVE_INFINITY
    for (const { ts } of log) {
      watermarkMs = Math.max(watermarkMs, ts - 2000)
      if (watermarkMs >= (Math.floor(ts / 1000) + 1) * 1000 + 500) late++
    }
  }
  expect(late).toBeGreaterThan(100)
  expect([check.late, check.records]).toEqual([late, 60_000])
})
