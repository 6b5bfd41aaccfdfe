// A reset of a job whose records move to another key: source, repartition topic and state go to their places together.
// Holds SPEC: RESET-1, RESET-3, RESET-4, REPART-1.
import { expect, test } from 'vitest'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import type { ResetReport } from '../../src/reset/reset-job.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { ORDER_PARTITIONS, OrderFeed, totalsJob } from '../harness/orders-in-memory.ts'
import { reset } from '../harness/reset-in-memory.ts'

const START_MS = 1_760_000_000_000
const job = totalsJob()

const resetTo = (kafka: MemoryKafka, to: string): Promise<ResetReport> => reset(kafka, to, { plan: job.plan })

/** Runs until everything is accepted, with windows open and records in the repartition topic; then stops. */
async function ran(): Promise<{ kafka: MemoryKafka; feed: OrderFeed }> {
  const kafka = createMemoryKafka({ topics: { orders: ORDER_PARTITIONS } })
  const feed = new OrderFeed(kafka, 21, [START_MS, START_MS, START_MS])
  feed.append(600)
  const run = await startMemoryJob({ kafka, job, untilEnd: false })
  await expect.poll(() => run.counts.accepted).toBe(600)
  run.engine.stop()
  await run.done
  return { kafka, feed }
}

test('to the earliest record gives every total again, none of the old state in it', async () => {
  const { kafka, feed } = await ran()
  const before = feed.committed().length
  const report = await resetTo(kafka, 'earliest')
  expect(report.partitions.map(({ toOffset }) => toOffset)).toEqual([0, 0, 0])
  expect(report.partitions.reduce((sum, { recordsAgain }) => sum + recordsAgain, 0)).toBe(600)
  expect(report.partitions.reduce((sum, { stateRows }) => sum + stateRows, 0)).toBeGreaterThan(0)
  const again = await startMemoryJob({ kafka, job })
  await again.done
  expect(again.counts).toMatchObject({ in: 600, accepted: 600, late: 0 })
  const rows = feed.committed()
  expect(rows).toHaveLength(before + feed.expected().length)
  expect([...new Set(rows)]).toEqual(feed.expected())
})

test.each(['earliest', 'latest'])('to the %s record before the first run leaves a job that starts', async (to) => {
  const kafka = createMemoryKafka({ topics: { orders: ORDER_PARTITIONS } })
  const feed = new OrderFeed(kafka, 22, [START_MS, START_MS, START_MS])
  if (to === 'latest') kafka.append('orders', { key: 'o', value: 'before the reset', partition: 0 })
  else feed.append(300)
  await resetTo(kafka, to)
  if (to === 'latest') feed.append(300)
  const run = await startMemoryJob({ kafka, job })
  await run.done
  expect(run.counts).toMatchObject({ accepted: 300, late: 0, dead: 0 })
  expect(feed.committed()).toEqual(feed.expected())
})

test('of one partition alone is refused: the state is of all of them', async () => {
  const { kafka } = await ran()
  await expect(resetTo(kafka, '0:0')).rejects.toMatchObject({ code: 'MR3002' })
  const run = await startMemoryJob({ kafka, job })
  await run.done
  expect(run.counts.in).toBe(0)
})
