// `npm run chaos`: kills a job over and over under load, on a real Kafka, and compares every committed row with what it
// must be. The proof itself is test/harness/chaos.ts. Main thread.
import { runChaos } from '../test/harness/chaos.ts'
import { readNumbers } from './lib/arguments.ts'
import { openCluster } from './lib/cluster.ts'
import { report, runBench, tell } from './lib/report.ts'

const OPTIONS = {
  kills: { default: 20, min: 1 },
  seed: { default: 1, min: 0 },
  /** Records a second while the job lives and dies. */
  rate: { default: 20_000, min: 100 },
  partitions: { default: 4, min: 1 },
} as const

await runBench(async () => {
  const { kills, seed, rate, partitions } = readNumbers(process.argv.slice(2), OPTIONS)
  const cluster = await openCluster()
  try {
    const result = await runChaos(cluster, { kills, seed, recordsPerSecond: rate, partitions, tell })
    for (const example of result.examples) tell(`  ${example}`)
    const { lost, duplicated, wrong } = result
    tell(`${result.rows} rows: ${lost} lost, ${duplicated} duplicated, ${wrong} wrong`)
    report({ command: 'chaos', correct: lost === 0 && duplicated === 0 && wrong === 0, seed, ...result })
  } finally {
    await cluster.close()
  }
})
