// `npm run example -- flights`: plays the flights into a real Kafka and runs the job on them: on one lane, on several,
// and killed with `kill -9` in the middle. Each time every row, late flight and dead letter is compared with a computation
// over the file. Main thread; each job is a process of its own. Keeps SPEC: EXAMPLE-1 (the answer is that of the file).
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readNumbers } from '../../bench/lib/arguments.ts'
import { openCluster } from '../../bench/lib/cluster.ts'
import { report, rounded, runBench, tell } from '../../bench/lib/report.ts'
import { type Expected, expectedOf, hourCells, worstHours } from './expected.ts'
import { FLIGHT_COUNT, readFlights } from './flight-file.ts'
import { type FlightRun, type HowToRun, runFlights, type Scene } from './job-runs.ts'

const OPTIONS = {
  /** The first so many flights of the file. */
  records: { default: FLIGHT_COUNT, min: 1_000 },
  /** Of the second and the third run. */
  lanes: { default: 2, min: 1 },
  partitions: { default: 4, min: 1 },
} as const

await runBench(async () => {
  const { records, lanes, partitions } = readNumbers(process.argv.slice(2), OPTIONS)
  tell(`reading ${records} flights and working out what must come out`)
  const flights = await readFlights(records)
  const expected = expectedOf(flights, partitions)
  const cluster = await openCluster()
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-flights-'))
  try {
    const scene: Scene = { cluster, stateDir, flights, expected, partitions, tell }
    const runs: FlightRun[] = []
    for (const how of waysToRun(lanes)) runs.push(await runFlights(scene, how))
    tellResult(expected)
    report(resultOf(runs))
  } finally {
    await cluster.close()
    await rm(stateDir, { recursive: true, force: true })
  }
})

function waysToRun(lanes: number): HowToRun[] {
  const undisturbed = [...new Set([1, lanes])].map((count) => ({ lanes: count, isKilled: false }))
  return [...undisturbed, { lanes, isKilled: true }]
}

/** The counts are those that the job gave on one lane. */
function resultOf(runs: FlightRun[]) {
  const { records, accepted, late, dead, filtered, results } = runs[0]!
  const correct = runs.every((run) => run.correct)
  return { command: 'example:flights', records, accepted, late, dead, filtered, results, correct, runs }
}

function tellResult(expected: Expected): void {
  const { late, dead, hours, records } = expected
  const share = rounded((100 * late.size) / records, 2)
  tell(`${hours.size} hours; ${late.size} flights (${share} %) came too late, ${dead.size} were dead`)
  tell('the worst hours:')
  for (const row of worstHours(expected)) tell(`| ${hourCells(row).join(' | ')} |`)
}
