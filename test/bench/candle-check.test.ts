// The end-to-end bench without its processes: its load, its job and its check, over Kafka in memory.
import { describe, expect, test } from 'vitest'
import candles from '../../bench/jobs/candles.ts'
import { candleOracle, checkCandles, checkManyCandles } from '../../bench/lib/candle-check.ts'
import { loadTrades } from '../../bench/lib/trade-load.ts'
import { tradeStream } from '../../src/cli/trades.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { startMemoryJob } from '../harness/memory-job.ts'

const RECORDS = 20_000
const PARTITIONS = 4
const LIMITS = { pollRecordsMax: 3_000, commitMaxMs: 20 }
const trades = tradeStream({ seed: 4, count: RECORDS, startMs: 1_760_000_000_000, recordsPerEventSecond: 10_000 })
const { oracle, partitionCounts } = candleOracle(trades, RECORDS, PARTITIONS)

/** The output of the job over all trades. */
async function ranJob(): Promise<MemoryKafka> {
  const kafka = createMemoryKafka({
    topics: {
      'bench-trades': PARTITIONS,
      'bench-candles-1s': { partitionCount: PARTITIONS, config: { 'retention.ms': '-1' } },
    },
  })
  await loadTrades(kafka, 'bench-trades', trades, RECORDS)
  for (const [partition, count] of partitionCounts.entries()) {
    expect(kafka.offsets('bench-trades', partition).high).toBe(count)
  }
  const job = await startMemoryJob({ kafka, job: candles.build(), limits: LIMITS })
  await job.done
  expect(job.counts).toMatchObject({ in: RECORDS, accepted: RECORDS, late: oracle.lateCount, dead: 0 })
  return kafka
}

function check(kafka: MemoryKafka) {
  const topic = 'bench-candles-1s'
  return checkCandles({ kafka, topic, partitionCount: PARTITIONS, checksTimestamps: true }, oracle.rows())
}

function checkMany(kafka: MemoryKafka) {
  const check = { kafka, topic: 'bench-candles-1s', partitionCount: PARTITIONS, checksTimestamps: true }
  return checkManyCandles(check, trades, RECORDS)
}

describe('the check of candles', () => {
  test('finds every row of the job as the oracle has it', async () => {
    const differences = await check(await ranJob())
    expect(differences.examples).toEqual([])
    expect(differences).toMatchObject({ lost: 0, duplicated: 0, wrong: 0, rows: oracle.rows().length })
    expect(differences.rows).toBeGreaterThan(1_000)
  })

  test('needs no more than the rows of a few windows at once', async () => {
    const { differences, lateCount } = await checkMany(await ranJob())
    expect(differences.examples).toEqual([])
    const rows = oracle.rows().length
    expect(differences).toMatchObject({ lost: 0, duplicated: 0, wrong: 0, rows, expectedRows: rows })
    expect(lateCount).toBe(oracle.lateCount)
  })

  test('finds what is lost, elsewhere or otherwise with few rows in memory too', async () => {
    const whole = await ranJob()
    const kafka = createMemoryKafka({ topics: { 'bench-candles-1s': PARTITIONS } })
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (const [i, { key, value, timestampMs }] of whole.log('bench-candles-1s', partition).entries()) {
        // The third row of partition 0 is left out, the fourth goes to partition 1, the fifth comes twice.
        if (partition === 0 && i === 2) continue
        const home = partition === 0 && i === 3 ? 1 : partition
        kafka.append('bench-candles-1s', { partition: home, key, value, timestampMs })
        if (partition === 0 && i === 4) kafka.append('bench-candles-1s', { partition, key, value, timestampMs: 1 })
      }
    }
    const { differences } = await checkMany(kafka)
    expect(differences).toMatchObject({ lost: 2, duplicated: 1, wrong: 2, rows: oracle.rows().length })
  })

  test('finds a row that is written again, elsewhere, or is none', async () => {
    const kafka = await ranJob()
    const [row] = kafka.log('bench-candles-1s', 0)
    const { key, value, timestampMs } = row!
    kafka.append('bench-candles-1s', { partition: 0, key, value, timestampMs })
    kafka.append('bench-candles-1s', { partition: 1, key, value, timestampMs: 1 })
    kafka.append('bench-candles-1s', { partition: 2, key, value: 'no row' })
    const differences = await check(kafka)
    expect(differences).toMatchObject({ lost: 0, duplicated: 2, wrong: 2 })
    expect(differences.examples.join('\n')).toMatch(/came again.*wrong partition.*no/s)
  })
})
