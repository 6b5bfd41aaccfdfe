// `npm run bench:e2e`: a candles job over a loaded topic of a real Kafka, exactly once, every row checked; beside it, in
// the same run, what only fetching costs (floor) and what a hand-written loop gives. Main thread; each runs in a process
// of its own, one after the other.
import { tradeStream } from '../src/cli/trades.ts'
import type { Candle, CandleOracle, RowDifferences } from '../test/harness/oracle.ts'
import { isEqual } from '../test/harness/oracle.ts'
import { readNumbers } from './lib/arguments.ts'
import { candleOracle, checkCandles } from './lib/candle-check.ts'
import { runCandles } from './lib/candle-run.ts'
import { runProgram } from './lib/child.ts'
import { type Cluster, onCluster } from './lib/cluster.ts'
import { type Cost, costText, e2eNumbers, type Round } from './lib/e2e-result.ts'
import { report, runBench, tell } from './lib/report.ts'
import { loadTrades } from './lib/trade-load.ts'
import type { FloorTask } from './peers/floor.ts'
import type { LoopResult, LoopTask } from './peers/loop.ts'

const OPTIONS = {
  records: { default: 10_000_000, min: 1 },
  rounds: { default: 1, min: 1 },
  seed: { default: 1, min: 0 },
  partitions: { default: 4, min: 1 },
  /** The loop is slow: it reads the first so many records. */
  'loop-records': { default: 2_000_000, min: 1 },
} as const

/** As many as a job has by default. */
const FETCH_CLIENTS = 2
const START_MS = 1_760_000_000_000

interface Input {
  source: string
  records: number
  partitions: number
  oracle: CandleOracle
  loop: { records: number; partitionCounts: number[]; rows: Candle[] }
}

/** A sink to check at the end of a round, so that checking disturbs no measurement. */
interface Output {
  who: string
  sink: string
  rows: Candle[]
}

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  await onCluster(async (cluster, stateDir) => {
    const input = await loadInput(cluster, options)
    const rounds: Round[] = []
    const differences: Record<string, RowDifferences> = {}
    for (let round = 1; round <= options.rounds; round++) {
      const { costs, outputs } = await runRound(cluster, input, round, stateDir)
      rounds.push(costs)
      for (const output of outputs) differences[`${output.who} ${round}`] = await check(cluster, input, output)
    }
    report(resultOf(input, options.rounds, rounds, differences))
  })
})

async function loadInput(cluster: Cluster, options: Record<keyof typeof OPTIONS, number>): Promise<Input> {
  const { records, partitions, seed } = options
  const trades = tradeStream({ seed, count: records, startMs: START_MS })
  const source = cluster.name('trades')
  await cluster.createTopic(source, partitions)
  tell(`loading ${records} trades into ${partitions} partitions`)
  await loadTrades(cluster.kafka, source, trades, records)
  tell('working out what must come out')
  const { oracle } = candleOracle(trades, records, partitions)
  const loopRecords = Math.min(records, options['loop-records'])
  const loop = candleOracle(trades, loopRecords, partitions)
  return {
    source,
    records,
    partitions,
    oracle,
    loop: { records: loopRecords, partitionCounts: loop.partitionCounts, rows: loop.oracle.rows() },
  }
}

async function runRound(
  cluster: Cluster,
  input: Input,
  round: number,
  stateDir: string,
): Promise<{ costs: Round; outputs: Output[] }> {
  const floor = await runFloor(cluster, input, 1)
  tell(`round ${round}: floor: ${costText(floor)}`)
  const wideFloor = await runFloor(cluster, input, FETCH_CLIENTS)
  tell(`round ${round}: floor of ${FETCH_CLIENTS} clients: ${costText(wideFloor)}`)
  const jobSink = cluster.name(`candles-${round}`)
  const job = await runJob(cluster, input, jobSink, cluster.name(`job-${round}`), stateDir)
  tell(`round ${round}: job: ${costText(job)}`)
  const loopSink = cluster.name(`loop-candles-${round}`)
  const loop = await runLoop(cluster, input, loopSink, cluster.name(`loop-${round}`))
  tell(`round ${round}: loop: ${costText(loop)}`)
  const outputs = [
    { who: 'job', sink: jobSink, rows: input.oracle.rows() },
    { who: 'loop', sink: loopSink, rows: input.loop.rows },
  ]
  return { costs: { floor, wideFloor, job, loop }, outputs }
}

async function runFloor(cluster: Cluster, input: Input, clients: number): Promise<Cost> {
  const task: FloorTask = { brokers: cluster.brokers, topic: input.source, recordCount: input.records, clients }
  return await runProgram<Cost>('bench/peers/floor.ts', [], { BENCH_FLOOR: JSON.stringify(task) })
}

async function runJob(cluster: Cluster, input: Input, sink: string, job: string, stateDir: string): Promise<Cost> {
  const { source, partitions, records, oracle } = input
  const summary = await runCandles(cluster, { job, source, sink, partitions, records, stateDir })
  if (summary.records !== records) throw new Error(`the job read ${summary.records} records, not ${records}`)
  if (summary.late !== oracle.lateCount) throw new Error(`${summary.late} records were late, not ${oracle.lateCount}`)
  return summary
}

async function runLoop(cluster: Cluster, input: Input, sink: string, groupId: string): Promise<Cost> {
  await cluster.createTopic(sink, input.partitions)
  const task: LoopTask = {
    brokers: cluster.brokers,
    groupId,
    source: input.source,
    sink,
    endOffsets: input.loop.partitionCounts,
  }
  const result = await runProgram<LoopResult>('bench/peers/loop.ts', [], { BENCH_LOOP: JSON.stringify(task) })
  if (result.records !== input.loop.records) throw new Error(`the loop read ${result.records} records`)
  return result
}

async function check(cluster: Cluster, input: Input, output: Output): Promise<RowDifferences> {
  const { kafka } = cluster
  const differences = await checkCandles(
    { kafka, topic: output.sink, partitionCount: input.partitions, checksTimestamps: true },
    output.rows,
  )
  tell(
    `${output.who}: ${differences.rows} rows, ${isEqual(differences) ? 'all as they must be' : 'NOT as they must be'}`,
  )
  for (const example of differences.examples) tell(`  ${example}`)
  return differences
}

function resultOf(input: Input, roundCount: number, rounds: Round[], differences: Record<string, RowDifferences>) {
  const all = Object.values(differences)
  return {
    command: 'bench:e2e',
    correct: all.every(isEqual),
    records: input.records,
    rounds: roundCount,
    rows: input.oracle.rows().length,
    lost: all.reduce((sum, one) => sum + one.lost, 0),
    duplicated: all.reduce((sum, one) => sum + one.duplicated, 0),
    wrong: all.reduce((sum, one) => sum + one.wrong, 0),
    ...e2eNumbers(rounds),
  }
}
