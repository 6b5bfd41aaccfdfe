// One run of the job over the flights, on topics of its own: undisturbed, or killed in the middle and started again. Main
// thread; the job is a process of its own, started with the command that users start it with.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Child } from '../../bench/lib/child.ts'
import type { Cluster } from '../../bench/lib/cluster.ts'
import { startJobRun, summaryOf } from '../../bench/lib/job-process.ts'
import type { RunSummary } from '../../src/cli/running-job.ts'
import { CommitWatch } from '../../test/harness/commit-watch.ts'
import { checkTopics, type Difference, type Differences } from './check.ts'
import type { Expected } from './expected.ts'
import type { Flights } from './flight-file.ts'
import { FlightPlay } from './play.ts'

export interface Scene {
  cluster: Cluster
  stateDir: string
  flights: Flights
  expected: Expected
  partitions: number
  tell: (text: string) => void
}

export interface HowToRun {
  lanes: number
  isKilled: boolean
}

/** What a run gave. The counts and the time are those of the process that ended: after a kill, of the second one. */
export interface FlightRun extends Counts {
  lanes: number
  /** Of the killed run: flights whose commit was seen before the kill. */
  committedAtKill?: number
  correct: boolean
  /** From the first fetch to the last commit. */
  elapsedMs: number
  /** How what was committed, by all processes, differs from what must be there. */
  differences: Differences
}

/** The job's own counts: records = accepted + late + dead + filtered. */
export type Counts = Pick<RunSummary, 'records' | 'accepted' | 'late' | 'dead' | 'filtered' | 'results'>

/** The job of one run. */
interface Run extends HowToRun {
  scene: Scene
  job: string
  play: FlightPlay
}

/** This share is committed before the kill, which then comes while flights are sent up to the other share. */
const SETTLED_SHARE = 0.5
const SENT_AROUND_KILL_SHARE = 0.9
const COMMIT_MS_MAX = 60_000
const ASK_EVERY_MS = 5

/**
 * Plays the flights, runs the job and compares what it committed.
 *
 * @throws when a process of the job ends otherwise than it should, or commits nothing for a minute
 */
export async function runFlights(scene: Scene, how: HowToRun): Promise<FlightRun> {
  const { cluster, flights, expected, partitions } = scene
  const job = cluster.name(how.isKilled ? 'flights-killed' : `flights-${how.lanes}`)
  for (const topic of [job, `${job}-by-hour`, `${job}-late`, `${job}-dlq`]) await cluster.createTopic(topic, partitions)
  cluster.alsoDelete(`${job}-changelog`)
  const play = await FlightPlay.open(cluster.kafka, job, flights)
  try {
    const run: Run = { ...how, scene, job, play }
    const { summary, committedAtKill, isAsItShould } = how.isKilled ? await runKilled(run) : await runUndisturbed(run)
    const differences = await checkTopics({ kafka: cluster.kafka, job, partitionCount: partitions }, flights, expected)
    const correct = isAsItShould && Object.values(differences).every(isNone)
    tellRun(scene, how, summary, correct, differences)
    const kill = committedAtKill === undefined ? {} : { committedAtKill }
    const elapsedMs = Math.round(summary.elapsedMs)
    return { lanes: how.lanes, ...kill, correct, elapsedMs, ...countsOf(summary), differences }
  } finally {
    await play.close()
  }
}

function tellRun(
  { tell }: Scene,
  { lanes, isKilled }: HowToRun,
  { records, elapsedMs }: RunSummary,
  correct: boolean,
  differences: Differences,
): void {
  const name = `${lanes} lane${lanes > 1 ? 's' : ''}${isKilled ? ', killed' : ''}`
  tell(`${name}: ${records} flights in ${Math.round(elapsedMs)} ms, ${correct ? 'all' : 'NOT'} as it must be`)
  for (const { examples } of Object.values(differences)) for (const example of examples) tell(`  ${example}`)
}

function countsOf({ records, accepted, late, dead, filtered, results }: RunSummary): Counts {
  return { records, accepted, late, dead, filtered, results }
}

interface Outcome {
  summary: RunSummary
  /** Flights whose commit was seen before the kill. */
  committedAtKill?: number
  /** What the job says of itself is right. */
  isAsItShould: boolean
}

async function runUndisturbed(run: Run): Promise<Outcome> {
  const { expected } = run.scene
  await run.play.sendTo(expected.records)
  const summary = await summaryOf(startJob(run, true))
  const counts: Counts = {
    records: expected.records,
    accepted: expected.accepted,
    late: expected.late.size,
    dead: expected.dead.size,
    filtered: 0,
    results: expected.hours.size,
  }
  const isAsItShould = isDeepStrictEqual(countsOf(summary), counts)
  if (!isAsItShould)
    run.scene.tell(`the job counted ${JSON.stringify(countsOf(summary))}, not ${JSON.stringify(counts)}`)
  return { summary, isAsItShould }
}

/** The job goes on where it was killed: the second process reads no flight that was seen committed. */
async function runKilled(run: Run): Promise<Outcome> {
  const { records } = run.scene.expected
  const settled = Math.floor(records * SETTLED_SHARE)
  await run.play.sendTo(settled)
  const committed = await liveAndDie(run, settled, Math.floor(records * SENT_AROUND_KILL_SHARE))
  run.scene.tell(`killed when ${committed} of ${records} flights were committed; the next process goes on`)
  await run.play.sendTo(records)
  const summary = await summaryOf(startJob(run, true))
  return { summary, committedAtKill: committed, isAsItShould: summary.records <= records - committed }
}

/** Kills the job at its next commit after `settled`, while flights come up to `sent`; resolves with what was seen committed. */
async function liveAndDie(run: Run, settled: number, sent: number): Promise<number> {
  const child = startJob(run, false)
  const watch = await CommitWatch.open(run.scene.cluster.brokers, run.job, run.job)
  try {
    await untilCommitted(watch, child, settled)
    const playing = run.play.sendTo(sent)
    const [committed] = await Promise.all([
      untilCommitted(watch, child, settled + 1).finally(() => child.kill('SIGKILL')),
      playing,
    ])
    const { signal, stderrTail } = await child.end
    if (signal !== 'SIGKILL') throw new Error(`the job was to be killed but ended with ${signal}: ${stderrTail}`)
    return committed
  } finally {
    child.kill('SIGKILL')
    await watch.close()
  }
}

/** Resolves with the committed offsets, added up, once they are at least `offsets`. */
async function untilCommitted(watch: CommitWatch, child: Child, offsets: number): Promise<number> {
  const limitMs = performance.now() + COMMIT_MS_MAX
  for (;;) {
    const total = await watch.total()
    if (total >= offsets) return total
    if (child.hasEnded) throw new Error(`the job ended by itself: ${(await child.end).stderrTail}`)
    if (performance.now() > limitMs) throw new Error(`${total} of ${offsets} flights committed in ${COMMIT_MS_MAX} ms`)
    await sleep(ASK_EVERY_MS)
  }
}

function startJob({ scene, job, lanes }: Run, untilEnd: boolean): Child {
  return startJobRun({
    brokers: scene.cluster.brokers,
    file: 'examples/flights/job.ts',
    env: { FLIGHTS_JOB: job },
    stateDir: join(scene.stateDir, 'state'),
    instanceId: 'flights',
    untilEnd,
    flags: ['--lanes', String(lanes)],
  })
}

function isNone({ lost, duplicated, wrong }: Difference): boolean {
  return lost === 0 && duplicated === 0 && wrong === 0
}
