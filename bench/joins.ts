// `npm run bench:joins`: what a record costs in an interval join of two topics: the lane alone, no Kafka, with its state sealed,
// committed and flushed to disk. The rows must be those of all pairs of the load. Main thread.
import { readNumbers } from './lib/arguments.ts'
import { expectedPairs } from './lib/join-load.ts'
import { type JoinRun, runJoin } from './lib/join-run.ts'
import { median, report, rounded, runBench, tell } from './lib/report.ts'

const OPTIONS = {
  records: { default: 2_000_000, min: 10_000 },
  rounds: { default: 3, min: 1 },
  keys: { default: 20_000, min: 1 },
  /** Records of a side that wait, about. */
  live: { default: 101_000, min: 1 },
  /** Records of a side per second of event time. */
  rate: { default: 20_000, min: 1 },
} as const

const WARM_UP_RECORDS = 500_000
/** Records a second with 100,000 of a side that wait. */
const TARGET = 300_000

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  const expected = expectedPairs(options)
  const runs: JoinRun[] = []
  // Not counted: what runs first is not compiled yet.
  await runJoin({ ...options, records: Math.min(options.records, WARM_UP_RECORDS) }, true)
  let isCorrect = true
  for (let round = 1; round <= options.rounds; round++) {
    const run = await runJoin(options, true)
    const { pairs } = run
    const isRight = pairs.count === expected.count && pairs.hash === expected.hash
    if (!isRight) tell(`${pairs.count} rows of sum ${pairs.hash}, not ${expected.count} of sum ${expected.hash}`)
    isCorrect &&= isRight
    runs.push(run)
    const cost = `${run.cpuMicrosPerRecord.toFixed(2)} us of CPU a record`
    tell(
      `round ${round}: ${Math.round(run.recordsPerSecond)} records/s, ${cost}, ${Math.round(run.liveRecords)} records wait`,
    )
  }
  const recordsPerSecond = Math.round(median(runs.map((run) => run.recordsPerSecond)))
  report({
    command: 'bench:joins',
    correct: isCorrect,
    ...options,
    recordsPerSecond,
    target: TARGET,
    meetsTarget: recordsPerSecond >= TARGET,
    cpuMicrosPerRecord: rounded(median(runs.map((run) => run.cpuMicrosPerRecord)), 2),
    liveRecords: Math.round(median(runs.map((run) => run.liveRecords))),
    rowsPerRecord: rounded(expected.count / options.records, 2),
  })
})
