import { expect, test } from 'vitest'
import { checkRetention, sinkRetentions } from '../../src/engine/retention.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS } from '../harness/trades-in-memory.ts'

const DAY_MS = 86_400_000

test.each([
  ['no limit keeps everything', { 'retention.ms': '-1' }, -1],
  ['a topic that deletes has its retention', { 'retention.ms': '1000', 'cleanup.policy': 'delete' }, 1_000],
  ['a topic that is only compacted keeps its rows', { 'retention.ms': '1000', 'cleanup.policy': 'compact' }, -1],
  ['a topic that does both deletes', { 'retention.ms': '1000', 'cleanup.policy': 'compact,delete' }, 1_000],
  ['a broker that does not tell is not guessed at', {}, -1],
])('%s', (_, config, retentionMs) => {
  const { plan } = candlesJob()
  expect(sinkRetentions(plan, new Map([['rows', config]]))).toEqual([{ topic: 'rows', retentionMs }])
})

test('rows just within the retention pass, older ones are refused by name', () => {
  const sinks = [{ topic: 'rows', retentionMs: DAY_MS }]
  expect(() => checkRetention(sinks, 0, DAY_MS)).not.toThrow()
  expect(() => checkRetention(sinks, 0, DAY_MS + 1)).toThrow(/MR4009.*rows/)
  expect(() => checkRetention(sinks, Number.NEGATIVE_INFINITY, DAY_MS)).not.toThrow()
})

test('a job over records of 2001 stops before it commits rows that would be deleted at once', async () => {
  const kafka = createMemoryKafka({
    topics: {
      trades: PARTITIONS,
      rows: { partitionCount: PARTITIONS, config: { 'retention.ms': String(7 * DAY_MS) } },
    },
  })
  const ts = Date.parse('2001-01-01')
  const trade = { sym: 'S0', price: 1, qty: 1, ts }
  kafka.append('trades', { key: 'S0', value: JSON.stringify(trade), partition: 0, timestampMs: ts })
  const run = await startMemoryJob({ kafka, job: candlesJob() })
  await expect(run.done).rejects.toMatchObject({ code: 'MR4009' })
  expect(kafka.log('rows', 0)).toEqual([])
  expect(kafka.committedOffset('candles', 'trades', 0).offset).toBeUndefined()
})
