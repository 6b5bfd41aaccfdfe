// `npm run chaos`: kills a job over and over under load, on a real Kafka, and compares every committed row with what it
// must be. The proofs themselves are test/harness/chaos.ts (one process) and chaos-group.ts (several that share the partitions).
// Main thread.
import { runChaos } from '../test/harness/chaos.ts'
import { runGroupChaos } from '../test/harness/chaos-group.ts'
import { readNumbers } from './lib/arguments.ts'
import { openCluster } from './lib/cluster.ts'
import { report, runBench, tell } from './lib/report.ts'

const OPTIONS = {
  kills: { default: 20, min: 1 },
  seed: { default: 1, min: 0 },
  /** Processes of the job. With more than one, some also leave, join, or stay away until others have taken over. */
  instances: { default: 1, min: 1 },
  /** Records a second while the job lives and dies. */
  rate: { default: 20_000, min: 100 },
  partitions: { default: 4, min: 1 },
} as const

/** The least that brokers allow by default: a takeover waits for it. */
const SESSION_MS = 6_000

await runBench(async () => {
  const { kills, seed, instances, rate, partitions } = readNumbers(process.argv.slice(2), OPTIONS)
  if (partitions < instances) throw new RangeError(`--partitions ${partitions} is less than --instances ${instances}`)
  const cluster = await openCluster()
  try {
    const options = { kills, seed, recordsPerSecond: rate, partitions, tell }
    const result =
      instances === 1
        ? await runChaos(cluster, options)
        : await runGroupChaos(cluster, { ...options, instances, sessionMs: SESSION_MS })
    for (const example of result.examples) tell(`  ${example}`)
    const { lost, duplicated, wrong } = result
    tell(`${result.rows} rows: ${lost} lost, ${duplicated} duplicated, ${wrong} wrong`)
    report({ command: 'chaos', correct: lost === 0 && duplicated === 0 && wrong === 0, seed, ...result })
  } finally {
    await cluster.close()
  }
})
