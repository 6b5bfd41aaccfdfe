// `npm run bench:latency`: open loop. Records are sent at intended times, a running sum gives one row each, exactly once;
// a read-committed consumer measures from the intended time to when it has the row. Every row is checked. Main thread:
// the consumer is here, sender and job are processes of their own.
import { readNumbers } from './lib/arguments.ts'
import { programArgs, resultOf, startChild } from './lib/child.ts'
import { type Cluster, onCluster } from './lib/cluster.ts'
import { freePort, startJobProcess, summaryOf, untilReady } from './lib/job-process.ts'
import { readSumRows, type SeenRows } from './lib/latency-reader.ts'
import { machineMs } from './lib/paced.ts'
import { type Report, report, rounded, runBench, tell } from './lib/report.ts'
import type { SendTask } from './peers/latency-producer.ts'

const OPTIONS = {
  /** Records a second. */
  rate: { default: 10_000, min: 1 },
  /** Measured time, after the warm-up. */
  seconds: { default: 30, min: 1 },
  'warm-up': { default: 15, min: 0 },
  seed: { default: 1, min: 0 },
  partitions: { default: 4, min: 1 },
} as const

/** The sender starts in this time; the first record is due after it. */
const SENDER_START_MS = 2_000

type Options = Record<keyof typeof OPTIONS, number>

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  report(await onCluster((cluster, stateDir) => measure(cluster, options, stateDir)))
})

async function measure(cluster: Cluster, options: Options, stateDir: string): Promise<Report> {
  const { rate, seconds, seed, partitions } = options
  const [source, sink, job] = ['sent', 'sums', 'sum'].map((stem) => cluster.name(stem)) as [string, string, string]
  await cluster.createTopic(source, partitions)
  await cluster.createTopic(sink, partitions)
  const httpPort = await freePort()
  const running = startJobProcess({
    brokers: cluster.brokers,
    file: 'bench/jobs/running-sum.ts',
    job,
    source,
    sink,
    stateDir,
    instanceId: 'bench',
    untilEnd: false,
    httpPort,
  })
  await untilReady(running, httpPort)
  const recordCount = rate * (seconds + options['warm-up'])
  const startMs = machineMs() + SENDER_START_MS
  const startWallMs = Date.now() + SENDER_START_MS
  const task: SendTask = {
    brokers: cluster.brokers,
    topic: source,
    seed,
    recordsPerSecond: rate,
    recordCount,
    startMs,
    startWallMs,
  }
  const sender = startChild(programArgs('bench/peers/latency-producer.ts'), {
    env: { RUN_TS_IS_SET_UP: '1', BENCH_SEND: JSON.stringify(task) },
  })
  tell(`${rate} records a second for ${options['warm-up']} s of warm-up and ${seconds} s measured`)
  const seen = await readSumRows(cluster.kafka, sink, task, partitions, rate * options['warm-up'])
  await resultOf('the sender', sender)
  running.kill('SIGTERM')
  const summary = await summaryOf(running)
  for (const example of seen.examples) tell(`  ${example}`)
  return resultOfRun(options, seen, summary.cpuMicros / Math.max(1, summary.records))
}

function resultOfRun(options: Options, seen: SeenRows, cpuMicrosPerRecord: number): Report {
  const { rate, seconds } = options
  const { latencyMs } = seen
  const percentile = (percent: number): number => rounded(latencyMs.percentile(percent), 2)
  return {
    command: 'bench:latency',
    correct: seen.missing === 0 && seen.wrong === 0,
    records: latencyMs.count,
    rate,
    seconds,
    warmUpSeconds: options['warm-up'],
    rows: seen.rows,
    missing: seen.missing,
    wrong: seen.wrong,
    latencyMsP50: percentile(50),
    latencyMsP95: percentile(95),
    latencyMsP99: percentile(99),
    latencyMsMax: rounded(latencyMs.max, 2),
    cpuMicrosPerRecord: rounded(cpuMicrosPerRecord, 2),
  }
}
