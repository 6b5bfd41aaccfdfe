// `npm run bench:restore`: how fast a job gets its state back. A real job makes state of the wanted size; then it is started
// without its folder (all of the state comes from the changelog) and once more with it. Every row of the restored state is
// compared with that of the first run. Main thread; each run in a process of its own, one after the other.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readNumbers } from './lib/arguments.ts'
import type { Child } from './lib/child.ts'
import { type Cluster, onCluster } from './lib/cluster.ts'
import { freePort, startJobProcess, summaryOf, untilReady } from './lib/job-process.ts'
import { loadReadings } from './lib/readings.ts'
import { type Report, report, rounded, runBench, tell } from './lib/report.ts'
import { compareFolders } from './lib/state-folders.ts'

const OPTIONS = {
  /** Of keys and values in the changelog. */
  megabytes: { default: 500, min: 1 },
  partitions: { default: 4, min: 1 },
} as const
type Options = Record<keyof typeof OPTIONS, number>

/** A row of bench/jobs/keyed-state.ts: 26 bytes of key and 17 numbers. */
const ROW_BYTES = 26 + 17 * 8
const TARGET_MEGABYTES_A_MINUTE = 1_000
const TARGET_WARM_MS = 1_000
const ASK_EVERY_MS = 100
const CATCH_UP_MS_MAX = 1_800_000
const STOP_MS_MAX = 600_000

interface Names {
  source: string
  sink: string
  job: string
}

/** One start of the job, up and running. */
interface Run {
  child: Child
  httpPort: number
  /** From the start of the process. */
  readyMs: number
}

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  report(await onCluster((cluster, folder) => measure(cluster, options, folder)))
})

async function measure(cluster: Cluster, options: Options, folder: string): Promise<Report> {
  const records = Math.ceil((options.megabytes * 1e6) / ROW_BYTES)
  const names: Names = { source: cluster.name('readings'), sink: cluster.name('out'), job: cluster.name('state') }
  await cluster.createTopic(names.source, options.partitions)
  await cluster.createTopic(names.sink, options.partitions)
  tell(`making state of ${records} keys in ${options.partitions} partitions`)
  await loadReadings(cluster.kafka, names.source, records)
  const [first, second] = [join(folder, 'first'), join(folder, 'second')] as const
  const making = await start(cluster, names, first)
  await untilProcessed(making, records)
  await stop(making)

  tell('starting without the state folder')
  const cold = await start(cluster, names, second)
  const restored = await restoredOf(cold)
  const coldSummary = await stop(cold)
  tell(
    `restored ${restored.rows} rows in ${rounded(restored.seconds, 1)} s, ready after ${Math.round(cold.readyMs)} ms`,
  )

  tell('starting with it')
  const warm = await start(cluster, names, second)
  const again = await restoredOf(warm)
  await stop(warm)
  const differences = await compare(options.partitions, join(first, names.job), join(second, names.job))
  const { rssBytesMax } = coldSummary
  return resultOf({
    ...{ records, partitions: options.partitions, restored, coldReadyMs: cold.readyMs, rssBytesMax, differences },
    ...{ warmResumeMs: warm.readyMs, warmRestoredRows: again.rows },
  })
}

async function start(cluster: Cluster, { source, sink, job }: Names, stateDir: string): Promise<Run> {
  const httpPort = await freePort()
  const child = startJobProcess({
    brokers: cluster.brokers,
    file: 'bench/jobs/keyed-state.ts',
    job,
    source,
    sink,
    stateDir,
    instanceId: 'bench',
    untilEnd: false,
    httpPort,
    // Stops flush everything here: how long that takes is not what is measured.
    flags: ['--log-level', process.env.BENCH_LOG ?? 'warn', '--limits-stop-ms', `${STOP_MS_MAX}`],
  })
  await untilReady(child, httpPort, CATCH_UP_MS_MAX)
  return { child, httpPort, readyMs: performance.now() - child.startedMs }
}

function stop({ child }: Run) {
  child.kill('SIGTERM')
  return summaryOf(child)
}

/** The samples of a metric at this moment, by its labels. */
async function metric({ httpPort }: Run, name: string): Promise<number[]> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
}

async function total(run: Run, name: string): Promise<number> {
  return (await metric(run, name)).reduce((sum, value) => sum + value, 0)
}

async function untilProcessed(run: Run, records: number): Promise<void> {
  const limitMs = performance.now() + CATCH_UP_MS_MAX
  // Records that an epoch lost are counted twice: only without a lag are all of them in.
  const isThere = async (): Promise<boolean> =>
    (await total(run, 'millrace_records_total')) >= records && (await total(run, 'millrace_lag_records')) === 0
  while (!(await isThere())) {
    if (run.child.hasEnded) throw new Error(`the job ended early: ${(await run.child.end).stderrTail}`)
    if (performance.now() > limitMs) throw new Error(`the job did not process its input within ${CATCH_UP_MS_MAX} ms`)
    await sleep(ASK_EVERY_MS)
  }
}

async function restoredOf(run: Run): Promise<{ rows: number; bytes: number; seconds: number }> {
  const rows = await total(run, 'millrace_restored_rows')
  const bytes = await total(run, 'millrace_restored_bytes')
  return { rows, bytes, seconds: await total(run, 'millrace_restore_seconds') }
}

async function compare(partitions: number, first: string, second: string): Promise<{ rows: number; unequal: number }> {
  let rows = 0
  let unequal = 0
  for (let partition = 0; partition < partitions; partition++) {
    const taskId = `0_${partition}`
    const found = await compareFolders(join(first, taskId), join(second, taskId), taskId)
    rows += found.rows
    if (!found.isEqual) unequal++
  }
  return { rows, unequal }
}

interface Measured {
  records: number
  partitions: number
  restored: { rows: number; bytes: number; seconds: number }
  coldReadyMs: number
  warmResumeMs: number
  warmRestoredRows: number
  rssBytesMax: number
  differences: { rows: number; unequal: number }
}

function resultOf(measured: Measured): Report {
  const { records, partitions, restored, coldReadyMs, warmResumeMs, warmRestoredRows, rssBytesMax, differences } =
    measured
  const megabytesPerMinute = restored.bytes / 1e6 / (coldReadyMs / 60_000)
  const isWhole = differences.unequal === 0 && differences.rows === records && restored.rows >= records
  return {
    command: 'bench:restore',
    correct: isWhole && warmRestoredRows === 0,
    partitions,
    restoredRows: restored.rows,
    restoredBytes: restored.bytes,
    /** From the start of the process to ready, and the part of it in which the changelog was read. */
    elapsedMs: Math.round(coldReadyMs),
    restoreMs: Math.round(restored.seconds * 1_000),
    megabytesPerMinute: Math.round(megabytesPerMinute),
    meetsRestoreTarget: megabytesPerMinute >= TARGET_MEGABYTES_A_MINUTE,
    warmResumeMs: Math.round(warmResumeMs),
    warmRestoredRows,
    meetsWarmTarget: warmResumeMs <= TARGET_WARM_MS,
    unequalTasks: differences.unequal,
    rssBytesMax,
  }
}
