// `npm run bench:nexmark`: the queries of Nexmark, one after the other, each a job on a lane of its own, no Kafka. Every row is
// compared with the query's oracle. Main thread.
import { nexmarkEvents } from '../examples/nexmark/generator.ts'
import { queries } from '../examples/nexmark/queries.ts'
import { readArguments } from './lib/arguments.ts'
import { EventFrames } from './lib/event-frames.ts'
import { type QueryRun, runQuery } from './lib/nexmark-run.ts'
import { report, rounded, runBench, tell } from './lib/report.ts'

const NUMBERS = {
  events: { default: 200_000, min: 1_000 },
  seed: { default: 1, min: 0 },
  /** Events per second of event time. */
  rate: { default: 10_000, min: 1 },
} as const

await runBench(async () => {
  const names = queries.map(({ name }) => name)
  const { only, ...options } = readArguments(process.argv.slice(2), NUMBERS, { only: names })
  const events = nexmarkEvents({ seed: options.seed, count: options.events, eventsPerSecond: options.rate })
  const frames = new EventFrames(events)
  const runs: (Omit<QueryRun, 'differences'> & { name: string })[] = []
  for (const query of queries) {
    if (only !== undefined && query.name !== only) continue
    const { differences, ...run } = await runQuery(query, frames)
    for (const difference of differences) tell(`${query.name}: ${difference}`)
    runs.push({ name: query.name, ...run, cpuMicrosPerRecord: rounded(run.cpuMicrosPerRecord) })
    const [speed, cpu] = [run.recordsPerSecond, run.cpuMicrosPerRecord.toFixed(2)]
    tell(`${query.name.padEnd(5)}${String(speed).padStart(9)} records/s, ${cpu} us CPU a record, ${run.rows} rows`)
  }
  report({ command: 'bench:nexmark', correct: runs.every(({ correct }) => correct), ...options, queries: runs })
})
