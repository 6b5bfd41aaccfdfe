// The floor of the end-to-end bench as a process of its own: the addon fetches a topic and counts, nothing else.
import type { Cost } from '../lib/e2e-result.ts'
import { measureFloor } from '../lib/floor.ts'
import { runBench } from '../lib/report.ts'

/** What it is told, as JSON in BENCH_FLOOR. */
export interface FloorTask {
  brokers: string
  topic: string
  recordCount: number
  clients: number
}

await runBench(async () => {
  const { brokers, topic, recordCount, clients } = JSON.parse(process.env.BENCH_FLOOR ?? '') as FloorTask
  const floor = await measureFloor(brokers, topic, recordCount, clients)
  const { records, recordsPerSecond, cpuMicrosPerRecord, rssBytesMax } = floor
  if (records !== recordCount) throw new Error(`${records} records are there instead of ${recordCount}`)
  const cost: Cost = {
    records,
    elapsedMs: (records * 1_000) / recordsPerSecond,
    cpuMicros: records * cpuMicrosPerRecord,
    rssBytesMax,
  }
  process.stdout.write(`${JSON.stringify(cost)}\n`)
})
