// The floor of the end-to-end bench: the addon fetches a topic and counts, nothing else. Own process.
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import type { Cost } from '../lib/e2e-result.ts'
import { runBench } from '../lib/report.ts'
import { partitionsOf } from '../lib/topic-reader.ts'

/** What it is told, as JSON in BENCH_FLOOR. */
export interface FloorTask {
  brokers: string
  topic: string
  partitionCount: number
  recordCount: number
}

/** As the engine polls (the defaults of `limits.pollRecordsMax` and `limits.pollBytesMax`). */
const POLL = { recordsMax: 20_000, bytesMax: 4 << 20, waitMs: 100 }

async function run({ brokers, topic, partitionCount, recordCount }: FloorTask): Promise<Cost> {
  const reader = await openRdKafka({ brokers, native: 'addon' }).openReader({})
  const startedMs = performance.now()
  const used = process.cpuUsage()
  reader.assign(partitionsOf(topic, partitionCount).map((one) => ({ ...one, offset: 0 })))
  let records = 0
  while (records < recordCount) {
    const { batches, errors } = await reader.poll(POLL)
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '))
    for (const batch of batches) records += batch.recordCount
  }
  const elapsedMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(used)
  await reader.close()
  if (records !== recordCount) throw new Error(`${records} records are there instead of ${recordCount}`)
  const rssBytesMax = process.resourceUsage().maxRSS * 1024
  return { records, elapsedMs: Math.round(elapsedMs), cpuMicros: user + system, rssBytesMax }
}

await runBench(async () => {
  const task = JSON.parse(process.env.BENCH_FLOOR ?? '') as FloorTask
  process.stdout.write(`${JSON.stringify(await run(task))}\n`)
})
