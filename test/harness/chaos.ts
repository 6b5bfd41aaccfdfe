// The chaos proof: a candles job under load on a real Kafka, killed with SIGKILL again and again, and every committed row
// compared with the oracle in the end. Used by `npm run chaos` and, in a small size, by the tests.
// Holds SPEC: EPOCH-4, RECOVER-1, R3, R4 (a restart changes no row, loses none, doubles none).
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { candleOracle, checkCandles } from '../../bench/lib/candle-check.ts'
import type { Child } from '../../bench/lib/child.ts'
import type { Cluster } from '../../bench/lib/cluster.ts'
import { startJobProcess, summaryOf } from '../../bench/lib/job-process.ts'
import { percentileOf } from '../../bench/lib/report.ts'
import { type TradeStream, tradeStream } from '../../src/cli/trades.ts'
import { type Load, startLoad } from './chaos-load.ts'
import { drawKills, type PlannedKill } from './chaos-plan.ts'
import { CommitWatch } from './commit-watch.ts'

export interface ChaosOptions {
  kills: number
  seed: number
  /** Load while the job lives and dies. */
  recordsPerSecond: number
  partitions: number
  tell: (text: string) => void
}

export interface ChaosResult {
  kills: number
  /** Of them, those that hit a process before its first commit. */
  killsWhileStarting: number
  records: number
  rows: number
  lost: number
  duplicated: number
  wrong: number
  /** From the start of a process to the first commit of its own that another client sees. */
  restartMsP50: number
  restartMsP99: number
  /** Restarts with their state folder, and with an empty one. */
  restartMsWarmP50: number
  restartMsWarmP99: number
  restartMsColdP50: number
  restartMsColdP99: number
  restarts: number
  /** The first differences, in words. */
  examples: string[]
}

const START_MS = 1_760_000_000_000
/** A process cannot have committed yet. */
const SETTLED_AFTER_MS = 100
/** A restart that takes longer is a failure of its own. */
const RESTART_MS_MAX = 60_000

/** The job, its topics and what is known about it. */
interface Scene {
  cluster: Cluster
  options: ChaosOptions
  job: string
  source: string
  sink: string
  stateDir: string
  watch: CommitWatch
  /** Before the first commit a start is no restart: it also makes the job's topics and the broker's own. */
  hasCommitted: boolean
  warmMs: number[]
  coldMs: number[]
}

/**
 * Runs the proof. Rejects when a process ends by itself, does not commit within a minute, or the last one fails; what was
 * lost, doubled or wrong is in the result.
 *
 * @example
 * const { lost, duplicated, wrong } = await runChaos(cluster, { kills: 3, seed: 1, recordsPerSecond: 5_000, partitions: 4, tell })
 */
export async function runChaos(cluster: Cluster, options: ChaosOptions): Promise<ChaosResult> {
  const scene = await setScene(cluster, options)
  try {
    const trades = tradeStream({
      seed: options.seed,
      count: Number.POSITIVE_INFINITY,
      startMs: START_MS,
      recordsPerEventSecond: options.recordsPerSecond,
    })
    const kills = drawKills(options.seed, options.kills)
    const load = startLoad(cluster, scene.source, trades, options.recordsPerSecond)
    const records = await killing(scene, kills, load).finally(() => load.stop())
    options.tell(`${records} records were sent; the last process reads to their end`)
    await runLast(scene, kills.at(-1))
    return await judge(scene, trades, records, kills)
  } finally {
    await scene.watch.close()
    await rm(scene.stateDir, { recursive: true, force: true })
  }
}

async function setScene(cluster: Cluster, options: ChaosOptions): Promise<Scene> {
  const [job, source, sink] = ['chaos', 'trades', 'candles'].map((stem) => cluster.name(stem)) as [
    string,
    string,
    string,
  ]
  await cluster.createTopic(source, options.partitions)
  await cluster.createTopic(sink, options.partitions)
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-chaos-'))
  const watch = await CommitWatch.open(cluster.brokers, job, source)
  return { cluster, options, job, source, sink, stateDir, watch, hasCommitted: false, warmMs: [], coldMs: [] }
}

/** Starts and kills by the plan; resolves with the number of records sent meanwhile. */
async function killing(scene: Scene, kills: PlannedKill[], load: Load): Promise<number> {
  for (const [i, kill] of kills.entries()) {
    const before = kills[i - 1]
    await Promise.race([liveAndDie(scene, kill, before, i), load.failed])
    if (kill.wipesState) await rm(scene.stateDir, { recursive: true, force: true })
  }
  return await load.stop()
}

async function liveAndDie(scene: Scene, kill: PlannedKill, before: PlannedKill | undefined, i: number): Promise<void> {
  const child = startProcess(scene, false)
  let committed = 'no commit awaited'
  if (kill.when === 'running') {
    const tookMs = await firstCommitMs(scene, child, before)
    if (tookMs === undefined) throw await unexpectedEnd(child)
    committed = `first commit after ${Math.round(tookMs)} ms`
  }
  await Promise.race([sleep(kill.afterMs), child.end])
  if (child.hasEnded) throw await unexpectedEnd(child)
  child.kill('SIGKILL')
  await child.end
  const state = kill.wipesState ? 'without its state' : 'with its state'
  scene.options.tell(`kill ${i + 1}: ${kill.when}, ${committed}, killed ${kill.afterMs} ms later; comes back ${state}`)
}

async function unexpectedEnd(child: Child): Promise<Error> {
  const what = child.hasEnded ? 'ended by itself' : `committed nothing within ${RESTART_MS_MAX} ms`
  child.kill('SIGKILL')
  return new Error(`the job ${what}: ${(await child.end).stderrTail}`)
}

/**
 * Time from the start of the process to the first commit of its own; kept when it is a restart after a commit. Undefined
 * when the process ended or a minute passed before.
 */
async function firstCommitMs(scene: Scene, child: Child, before: PlannedKill | undefined): Promise<number | undefined> {
  const limitMs = child.startedMs + RESTART_MS_MAX
  const isOver = (): boolean => child.hasEnded || performance.now() > limitMs
  const atMs = await scene.watch.nextCommit(child.startedMs + SETTLED_AFTER_MS, isOver)
  if (atMs === undefined) return undefined
  const tookMs = atMs - child.startedMs
  if (scene.hasCommitted) (before?.wipesState ? scene.coldMs : scene.warmMs).push(tookMs)
  scene.hasCommitted = true
  return tookMs
}

/** The last process ends by itself when all input is consumed; its offsets need not move when nothing is left. */
async function runLast(scene: Scene, before: PlannedKill | undefined): Promise<void> {
  const child = startProcess(scene, true)
  await firstCommitMs(scene, child, before)
  await summaryOf(child)
}

function startProcess({ cluster, job, source, sink, stateDir }: Scene, untilEnd: boolean): Child {
  return startJobProcess({
    brokers: cluster.brokers,
    file: 'bench/jobs/candles.ts',
    job,
    source,
    sink,
    stateDir,
    instanceId: 'chaos',
    untilEnd,
    showsErrors: false,
  })
}

async function judge(
  scene: Scene,
  trades: TradeStream,
  records: number,
  kills: readonly PlannedKill[],
): Promise<ChaosResult> {
  const { cluster, options, sink, warmMs, coldMs } = scene
  const { oracle } = candleOracle(trades, records, options.partitions)
  const { rows, lost, duplicated, wrong, examples } = await checkCandles(
    { kafka: cluster.kafka, topic: sink, partitionCount: options.partitions, checksTimestamps: true },
    oracle.rows(),
  )
  const rounded = (values: readonly number[], percent: number): number => Math.round(percentileOf(values, percent))
  const all = [...warmMs, ...coldMs]
  return {
    kills: kills.length,
    killsWhileStarting: kills.filter(({ when }) => when === 'starting').length,
    records,
    rows,
    lost,
    duplicated,
    wrong,
    restartMsP50: rounded(all, 50),
    restartMsP99: rounded(all, 99),
    restartMsWarmP50: rounded(warmMs, 50),
    restartMsWarmP99: rounded(warmMs, 99),
    restartMsColdP50: rounded(coldMs, 50),
    restartMsColdP99: rounded(coldMs, 99),
    restarts: all.length,
    examples,
  }
}
