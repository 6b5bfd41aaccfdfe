// The chaos proof with several instances: they share the partitions of one job under load, are killed with SIGKILL, come back or
// stay away, leave and join, and every committed row is compared with the oracle in the end.
// Used by `npm run chaos -- --instances n` and, in a small size, by the tests.
// Holds SPEC: GROUP-1, GROUP-3, GROUP-4, EPOCH-4, RECOVER-1, R3, R4.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { candleOracle, checkCandles } from '../../bench/lib/candle-check.ts'
import type { Child } from '../../bench/lib/child.ts'
import type { Cluster } from '../../bench/lib/cluster.ts'
import { startJobProcess, summaryOf } from '../../bench/lib/job-process.ts'
import { percentileOf } from '../../bench/lib/report.ts'
import { tradeStream } from '../../src/cli/trades.ts'
import { type Load, startLoad } from './chaos-load.ts'
import { drawGroupEvents, type GroupEvent } from './chaos-plan.ts'
import { CommitWatch } from './commit-watch.ts'

export interface GroupChaosOptions {
  instances: number
  kills: number
  seed: number
  recordsPerSecond: number
  /** At least one for each instance that there may be. */
  partitions: number
  /** After so long without a sign of it the group gives the partitions of an instance away. */
  sessionMs: number
  tell: (text: string) => void
}

export interface GroupChaosResult {
  instances: number
  kills: number
  joins: number
  leaves: number
  records: number
  rows: number
  lost: number
  duplicated: number
  wrong: number
  /** From the start of an instance to the first commit of its own that another client sees. */
  restartMsP50: number
  restartMsP99: number
  restarts: number
  /** From the kill of an instance that stays away until others have committed for each of its partitions. */
  takeoverMsP50: number
  takeoverMsMax: number
  takeovers: number
  /** From the request to stop until others have committed for each of its partitions. */
  leaveMsP50: number
  leaveMsMax: number
  /** The first differences, in words. */
  examples: string[]
}

const START_MS = 1_760_000_000_000
/** A process cannot have committed yet. */
const SETTLED_AFTER_MS = 100
/** A start or a takeover that takes longer is a failure of its own. */
const PATIENCE_MS = 60_000
const ASK_EVERY_MS = 10

interface Instance {
  name: string
  stateDir: string
  child: Child
}

/** The running instances, and what was measured. */
class GroupChaos {
  readonly #cluster: Cluster
  readonly #options: GroupChaosOptions
  readonly #job: string
  readonly #source: string
  readonly #sink: string
  readonly #folder: string
  readonly #watch: CommitWatch
  readonly #running: Instance[] = []
  /** The one that was started last; an event may have to wait for its first commit. */
  #newest: Instance | undefined
  #startedCount = 0
  readonly restartMs: number[] = []
  readonly takeoverMs: number[] = []
  readonly leaveMs: number[] = []

  private constructor(
    cluster: Cluster,
    options: GroupChaosOptions,
    names: { job: string; source: string; sink: string },
    folder: string,
    watch: CommitWatch,
  ) {
    this.#cluster = cluster
    this.#options = options
    this.#job = names.job
    this.#source = names.source
    this.#sink = names.sink
    this.#folder = folder
    this.#watch = watch
  }

  static async open(cluster: Cluster, options: GroupChaosOptions): Promise<GroupChaos> {
    const names = { job: cluster.name('group-chaos'), source: cluster.name('trades'), sink: cluster.name('candles') }
    await cluster.createTopic(names.source, options.partitions)
    await cluster.createTopic(names.sink, options.partitions)
    const folder = await mkdtemp(join(tmpdir(), 'millrace-group-chaos-'))
    const watch = await CommitWatch.open(cluster.brokers, names.job, names.source)
    return new GroupChaos(cluster, options, names, folder, watch)
  }

  get source(): string {
    return this.#source
  }
  get sink(): string {
    return this.#sink
  }

  /** The first instances, each after the one before has committed: the first of all makes the topics. */
  async startAll(): Promise<void> {
    for (let i = 0; i < this.#options.instances; i++) {
      this.#start(`i${++this.#startedCount}`)
      await this.#newestCommits(false)
    }
  }

  async apply(event: GroupEvent): Promise<void> {
    switch (event.kind) {
      case 'kill':
        return this.#kill(event)
      case 'leave':
        return this.#leave(event)
      case 'join':
        await this.#newestCommits(true)
        await sleep(event.afterMs)
        this.#start(`i${++this.#startedCount}`)
        this.#options.tell(`join: ${this.#newest!.name}`)
        return
    }
  }

  async #kill(event: GroupEvent & { kind: 'kill' }): Promise<void> {
    if (event.when === 'running') await this.#newestCommits(true)
    await this.#whileAlive(sleep(event.afterMs))
    const victim = (event.when === 'starting' ? this.#newest : undefined) ?? this.#pick(event.victim)
    const owned = [...(await this.#watch.commitsOf(victim.name)).keys()]
    victim.child.kill('SIGKILL')
    const killedMs = performance.now()
    this.#remove(victim)
    await victim.child.end
    if (event.wipesState) await rm(victim.stateDir, { recursive: true, force: true })
    let took = ''
    if (event.staysAway && owned.length > 0) {
      const tookMs = await this.#takenOver(victim.name, owned, killedMs)
      this.takeoverMs.push(tookMs)
      took = `, taken over after ${Math.round(tookMs)} ms`
    }
    const state = event.wipesState ? 'without its state' : 'with its state'
    this.#options.tell(`kill: ${victim.name}, ${event.when}${took}; comes back ${state}`)
    this.#start(victim.name)
  }

  async #leave(event: GroupEvent & { kind: 'leave' }): Promise<void> {
    await this.#newestCommits(true)
    await this.#whileAlive(sleep(event.afterMs))
    const leaver = this.#pick(event.victim)
    const owned = [...(await this.#watch.commitsOf(leaver.name)).keys()]
    leaver.child.kill('SIGTERM')
    const askedMs = performance.now()
    this.#remove(leaver)
    const [tookMs] = await Promise.all([this.#takenOver(leaver.name, owned, askedMs), summaryOf(leaver.child)])
    this.leaveMs.push(tookMs)
    this.#options.tell(`leave: ${leaver.name}, taken over after ${Math.round(tookMs)} ms`)
  }

  /** While there is still something to commit. */
  settle(): Promise<void> {
    return this.#newestCommits(true)
  }

  /** All stop cleanly; a last one reads to the end of the input. */
  async finish(): Promise<void> {
    await Promise.all(
      this.#running.splice(0).map(({ child }) => {
        child.kill('SIGTERM')
        return summaryOf(child)
      }),
    )
    await summaryOf(this.#startProcess('last', true))
  }

  async close(): Promise<void> {
    for (const { child } of this.#running.splice(0)) {
      child.kill('SIGKILL')
      await child.end
    }
    await this.#watch.close()
    await rm(this.#folder, { recursive: true, force: true })
  }

  #pick(share: number): Instance {
    return this.#running[Math.floor(share * this.#running.length)]!
  }
  #remove(instance: Instance): void {
    this.#running.splice(this.#running.indexOf(instance), 1)
    if (this.#newest === instance) this.#newest = undefined
  }

  #start(name: string): void {
    const instance = { name, stateDir: this.#stateDirOf(name), child: this.#startProcess(name, false) }
    this.#running.push(instance)
    this.#newest = instance
  }
  #stateDirOf(name: string): string {
    return join(this.#folder, name)
  }
  #startProcess(name: string, untilEnd: boolean): Child {
    return startJobProcess({
      brokers: this.#cluster.brokers,
      file: 'bench/jobs/candles.ts',
      job: this.#job,
      source: this.#source,
      sink: this.#sink,
      stateDir: this.#stateDirOf(name),
      instanceId: name,
      untilEnd,
      showsErrors: false,
      flags: ['--lanes', '1', '--kafka', `session.timeout.ms=${this.#options.sessionMs}`],
    })
  }

  /** Waits until the instance that was started last has committed, once. */
  async #newestCommits(isRestart: boolean): Promise<void> {
    const instance = this.#newest
    if (instance === undefined) return
    this.#newest = undefined
    const { child, name } = instance
    const isOver = (): boolean => performance.now() > child.startedMs + PATIENCE_MS
    const committed = this.#watch.nextCommitOf(
      name,
      child.startedMs + SETTLED_AFTER_MS,
      () => isOver() || child.hasEnded,
    )
    const atMs = await this.#whileAlive(committed)
    if (atMs === undefined)
      throw new Error(`${name} committed nothing within ${PATIENCE_MS} ms: ${await this.#saying(child)}`)
    if (isRestart) this.restartMs.push(atMs - child.startedMs)
  }

  /** Until other instances have committed for partitions; returns how long after `sinceMs` that was. */
  async #takenOver(name: string, partitions: number[], sinceMs: number): Promise<number> {
    for (;;) {
      const commits = await this.#whileAlive(this.#watch.commitsOf(name))
      const nowMs = performance.now()
      if (!partitions.some((partition) => commits.has(partition))) return nowMs - sinceMs
      if (nowMs - sinceMs > PATIENCE_MS) throw new Error(`nobody took over what ${name} had within ${PATIENCE_MS} ms`)
      await sleep(ASK_EVERY_MS)
    }
  }

  /** Waits for something; rejects when an instance ends by itself meanwhile. */
  async #whileAlive<T>(wait: Promise<T>): Promise<T> {
    const ends = this.#running.map(async ({ name, child }) => {
      await child.end
      return name
    })
    const never = new Promise<never>(() => {})
    const first = await Promise.race([
      wait.then((value) => ({ value })),
      ...ends,
      ...(ends.length === 0 ? [never] : []),
    ])
    if (typeof first === 'object') return first.value
    const ended = this.#running.find((one) => one.name === first)
    throw new Error(`instance ${first} ended by itself: ${(await ended?.child.end)?.stderrTail}`)
  }

  async #saying(child: Child): Promise<string> {
    child.kill('SIGKILL')
    return (await child.end).stderrTail
  }
}

/**
 * Runs the proof. Rejects when an instance ends by itself or does not commit within a minute; what was lost, doubled or wrong
 * is in the result.
 *
 * @example
 * await runGroupChaos(cluster, { instances: 3, kills: 5, seed: 1, recordsPerSecond: 5_000, partitions: 6, sessionMs: 6_000, tell })
 */
export async function runGroupChaos(cluster: Cluster, options: GroupChaosOptions): Promise<GroupChaosResult> {
  const { seed, recordsPerSecond, partitions, instances } = options
  const trades = tradeStream({
    seed,
    count: Number.POSITIVE_INFINITY,
    startMs: START_MS,
    recordsPerEventSecond: recordsPerSecond,
  })
  const events = drawGroupEvents(seed, options.kills)
  const chaos = await GroupChaos.open(cluster, options)
  try {
    const load = startLoad(cluster, chaos.source, trades, recordsPerSecond)
    const records = await through(chaos, events, load).finally(() => load.stop())
    options.tell(`${records} records were sent; the instances stop, and a last one reads to the end`)
    await chaos.finish()
    const { oracle } = candleOracle(trades, records, partitions)
    const check = { kafka: cluster.kafka, topic: chaos.sink, partitionCount: partitions, checksTimestamps: true }
    const { rows, lost, duplicated, wrong, examples } = await checkCandles(check, oracle.rows())
    const countOf = (kind: GroupEvent['kind']): number => events.filter((event) => event.kind === kind).length
    return {
      instances,
      kills: countOf('kill'),
      joins: countOf('join'),
      leaves: countOf('leave'),
      records,
      rows,
      lost,
      duplicated,
      wrong,
      restartMsP50: Math.round(percentileOf(chaos.restartMs, 50)),
      restartMsP99: Math.round(percentileOf(chaos.restartMs, 99)),
      restarts: chaos.restartMs.length,
      takeoverMsP50: Math.round(percentileOf(chaos.takeoverMs, 50)),
      takeoverMsMax: Math.round(Math.max(...chaos.takeoverMs)),
      takeovers: chaos.takeoverMs.length,
      leaveMsP50: Math.round(percentileOf(chaos.leaveMs, 50)),
      leaveMsMax: Math.round(Math.max(...chaos.leaveMs)),
      examples,
    }
  } finally {
    await chaos.close()
  }
}

async function through(chaos: GroupChaos, events: readonly GroupEvent[], load: Load): Promise<number> {
  await Promise.race([chaos.startAll(), load.failed])
  for (const event of events) await Promise.race([chaos.apply(event), load.failed])
  await Promise.race([chaos.settle(), load.failed])
  return await load.stop()
}
