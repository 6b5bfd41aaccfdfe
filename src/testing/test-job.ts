// The test driver: a job with the engine, the lanes and the committer of production, on Kafka in memory and on clocks that the
// test moves. Test processes, main thread.
// Keeps SPEC: TEST-1 (the driver runs the code that runs in production), TEST-2, TEST-3, TEST-5, TEST-6.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { noCounts } from '../core/counts.ts'
import type { LaneSetup, TaskCounts } from '../core/message.ts'
import { type JobTopics, prepareTopics } from '../engine/topics.ts'
import { compiledJobOf } from '../job/compiled-job.ts'
import { type CompiledJob, isStateful, type SourcePlan } from '../job/plan.ts'
import { planTopics } from '../job/plan-topics.ts'
import type { Complete } from '../job/stages.ts'
import { globalSources, sourcesOf, topologyOf } from '../job/topology.ts'
import { createMemoryKafka, type MemoryKafka } from '../kafka/memory-kafka/memory-kafka.ts'
import { CrashPoint, type CrashStep } from './crash-steps.ts'
import type { DeadRecord, LateRecord, OutputRow } from './decoded.ts'
import { FrameCuts } from './frame-cuts.ts'
import { JobOutputs, type Output } from './job-outputs.ts'
import { JobRun, type RunWorld } from './job-run.ts'
import { type SentRecord, sentRecord, type TestRecord } from './sent-records.ts'
import { readSlice, type SliceRecord } from './slice-file.ts'
import { type StateRow, stateRows } from './state-rows.ts'
import { engineLimits, laneLimits, type TestLimits, testLimits } from './test-limits.ts'
import { type HistoryRow, historyRows, latestRows } from './view-rows.ts'
import { VirtualTime } from './virtual-time.ts'

/** Kafka's default of max.message.bytes. */
const MESSAGE_BYTES_MAX = 1_048_588
const KAFKA_BYTES_MAX = 2 ** 32
const CALL_MS = 1_000

export interface TestJobOptions {
  /** Partitions of the source, and so of the topics that the job makes. Default 1. */
  partitions?: number
  /** Lanes, all in the calling thread. Default 1. */
  lanes?: number
  /** Cuts frames and epochs at random, as `splitFrames` does. */
  seed?: number
  /** Where the rows of operators are: in memory, or in LMDB in a folder of its own that goes with `close`. Default `memory`. */
  store?: 'memory' | 'lmdb'
  /** The wall clock at the start, ms since the epoch. Default 0. */
  startMs?: number
  /** Limits that differ from the configuration's defaults. */
  limits?: Partial<TestLimits>
  /** max.message.bytes of all topics that the job writes. Default 1,048,588, as Kafka's. */
  messageBytesMax?: number
}

/**
 * Runs a job for a test: engine, lanes and committer as in production, Kafka in memory, clocks that the test moves.
 * Throws MR1002 when the job is not valid.
 *
 * @example
 * const t = testJob(job)
 * t.send('trades', { value: { sym: 'A', price: 10, qty: 1, ts: 500 } })
 * await t.restart()
 * await t.end()
 * t.outputs('candles-1s')[0]?.value // { sym: 'A', windowStart: 0, windowEnd: 1000, open: 10, ... }
 */
export function testJob(job: Complete | CompiledJob, options: TestJobOptions = {}): TestJob {
  return new TestJob(compiledJobOf(job, 'the job of the test'), options)
}

/** A job under test; made by `testJob`. Calls take effect in the order they are made. */
export class TestJob {
  readonly #job: CompiledJob
  readonly #options: TestJobOptions
  readonly #time: VirtualTime
  readonly #kafka: MemoryKafka
  readonly #outputs: JobOutputs
  readonly #cuts = new FrameCuts()
  readonly #crashPoint = new CrashPoint()
  #unsent: SentRecord[] = []
  /** What the clock says by the calls so far, ms since the epoch. */
  #nowMs: number
  #world: RunWorld | undefined
  #run: JobRun | undefined
  #folder: string | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(job: CompiledJob, options: TestJobOptions) {
    const { partitions = 1, messageBytesMax = MESSAGE_BYTES_MAX, startMs = 0, seed } = options
    this.#job = job
    this.#options = options
    this.#time = new VirtualTime(startMs, { isBusy: () => (this.#world?.outsideCount ?? 0) > 0 })
    this.#kafka = createMemoryKafka({
      clock: this.#time,
      scheduler: this.#time,
      topics: Object.fromEntries(inputsOf(job).map(({ topic }) => [topic, partitions])),
      topicConfig: { 'max.message.bytes': String(messageBytesMax) },
      bytesMax: KAFKA_BYTES_MAX,
    })
    this.#outputs = new JobOutputs(job, this.#kafka)
    this.#nowMs = startMs
    if (seed !== undefined) this.#cuts.seed(seed)
  }

  /**
   * Sends records to a source topic. They are processed with the next call that is awaited, at the latest by `flush`.
   * Throws RangeError when the job does not read the topic, or there is no such partition.
   */
  send(topic: string, ...records: TestRecord[]): void {
    this.#refuseOther(topic)
    for (const { partition } of records) this.#refuseOther(topic, partition)
    const source = inputsOf(this.#job).find((one) => one.topic === topic)!
    for (const record of records) this.#unsent.push(sentRecord(source, record, this.#nowMs))
  }

  /**
   * Sends a captured slice of the source topic (its text, or its records), byte for byte: key, value, headers, timestamp,
   * partition and offset. Throws RangeError when it is not of the source topic; the next call rejects when its offsets were
   * written already.
   */
  replay(slice: string | readonly SliceRecord[]): void {
    const records = typeof slice === 'string' ? readSlice(slice) : slice
    for (const { topic, partition } of records) this.#refuseOther(topic, partition)
    this.#unsent.push(...records)
  }

  /** Processes what was sent, without a commit: what it gave is to be seen after the next `flush`. */
  process(): Promise<void> {
    return this.#inOrder((run) => this.#take(run))
  }

  /** Processes and commits what was sent. */
  flush(): Promise<void> {
    return this.#inOrder((run) => this.#takeAndCommit(run))
  }

  /**
   * Event time has come to `watermarkMs` (ms since the epoch) in every partition, though no record says so: the watermark of
   * each is at least that, and windows close that end before it. It is kept in the marker, as the time of a quiet input is.
   */
  advanceTo(watermarkMs: number): Promise<void> {
    if (!Number.isFinite(watermarkMs)) throw new RangeError(`${watermarkMs} is no event time`)
    return this.#inOrder(async (run) => {
      await this.#take(run)
      await run.advanceTo(watermarkMs)
    })
  }

  /** Lets time pass: for inputs that are quiet, and everything else that the job does by the clock. */
  advanceWall(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new RangeError(`time does not go by ${ms} ms`)
    this.#nowMs += ms
    return this.#inOrder(async (run) => {
      await this.#takeAndCommit(run)
      await run.pass(ms)
      await run.commit()
    })
  }

  /** Ends the input: all windows close, later records are late. */
  end(): Promise<void> {
    return this.#inOrder(async (run) => {
      await this.#takeAndCommit(run)
      await run.end()
    })
  }

  /** Stops the job and starts it anew, from its store or its changelog. */
  restart(): Promise<void> {
    return this.#inOrder(async (run) => {
      await this.#takeAndCommit(run)
      await run.restart()
    })
  }

  /** Stops the job and starts it anew right behind these records, counted from 1 over all that are sent. */
  restartAt(...records: number[]): void {
    for (const record of records) this.#cuts.restartAt(record)
  }

  /**
   * At the next commit the process dies at this step, and another one takes over. What the job gives is the same.
   * Throws RangeError for a step that there is not, or one of the store where the job keeps no state.
   */
  crashAt(step: CrashStep): void {
    const before = this.#crashPoint
    before.set(step)
    if (!before.isOfStore || isStateful(this.#job.plan)) return
    before.clear()
    throw new RangeError(`the job keeps no state, it never comes to ${step}`)
  }

  /** A second instance of the job joins and takes its share of the partitions; called again, it leaves. */
  rebalance(): Promise<void> {
    return this.#inOrder(async (run) => {
      await this.#takeAndCommit(run)
      await run.rebalance()
    })
  }

  /** From now on frames and epochs are cut at random, the same for the same seed. */
  splitFrames(seed: number): void {
    this.#cuts.seed(seed)
  }

  /** Stops the job; its folder is deleted. Needed with `store: 'lmdb'` alone. */
  async close(): Promise<void> {
    await this.#last
    await this.#run?.close()
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  /**
   * Committed rows of a sink topic or a view so far, in the order in which they were produced; those of all when none is
   * named. Throws RangeError for a topic that no sink of the job writes.
   */
  outputs<T = Record<string, unknown>>(topicOrView?: string): OutputRow<T>[] {
    return this.#outputs.rows(topicOrView) as OutputRow<T>[]
  }

  /** Committed late records so far. Empty for a job without `late`: there they are counted only. */
  late<T = Record<string, unknown>>(): LateRecord<T>[] {
    return this.#outputs.late() as LateRecord<T>[]
  }

  /** Committed dead records so far, decoded where they can be, with why and where. */
  dead(): DeadRecord[] {
    return this.#outputs.dead()
  }

  /** Rows, late and dead records together, in the order in which they were produced, from the `from`-th on. */
  allOutputs(from = 0): Output[] {
    return this.#outputs.all(from)
  }

  /** The latest committed row of each key of a view. Throws RangeError when the job has no such view. */
  view<T = Record<string, unknown>>(name: string): Map<string, OutputRow<T>> {
    return latestRows(this.outputs<T>(this.#outputs.viewTopic(name)), this.#outputs.hasHistory(name))
  }

  /** The committed rows of a key of a view with history, by time. Throws RangeError when the job has no such view, or it has none. */
  history<T = Record<string, unknown>>(view: string, key: string): HistoryRow<T>[] {
    const rows = this.outputs<T>(this.#outputs.viewTopic(view))
    if (!this.#outputs.hasHistory(view)) throw new RangeError(`the view ${view} has no history`)
    return historyRows(rows).filter((row) => row.key === key)
  }

  /** The committed rows that each stateful operator keeps: none of it is left when all windows are closed. */
  state(): Record<string, StateRow[]> {
    const { names, changelogs } = planTopics(this.#job.plan)
    const logs = changelogs.flatMap((index, sub) => {
      const partitionCount = this.#world?.jobTopics.partitionCounts[sub] ?? 0
      if (index < 0) return []
      return [Array.from({ length: partitionCount }, (_, partition) => this.#kafka.log(names[index]!, partition))]
    })
    return stateRows(this.#job, logs)
  }

  /** What became of the committed records so far: in + expanded = accepted + late + dead + filtered. */
  get counts(): TaskCounts {
    return { ...(this.#world?.counts ?? noCounts()) }
  }

  /**
   * The least watermark of all partitions, ms since the epoch, as committed; -Infinity while one has had no record, +Infinity
   * after the end.
   */
  get watermarkMs(): number {
    const { subs } = topologyOf(this.#job.plan)
    const ids = subs.flatMap(({ movesOn }, sub) => {
      const partitionCount = this.#world?.jobTopics.partitionCounts[sub] ?? 1
      return movesOn ? [] : Array.from({ length: partitionCount }, (_, partition) => `${sub}_${partition}`)
    })
    return Math.min(...ids.map((id) => this.#world?.positions.get(id)?.watermarkMs ?? Number.NEGATIVE_INFINITY))
  }

  /** Everything that happened: steps, and each committed record in its place. The same for the same calls and seed. */
  trace(): string[] {
    return this.#outputs.trace()
  }

  /** Queues an action behind those before it; the job is started for it. */
  #inOrder(act: (run: JobRun) => Promise<void>): Promise<void> {
    const result = this.#last.then(async () => {
      this.#run ??= await this.#open()
      await this.#run.start()
      await act(this.#run)
    })
    // A failure is the caller's to see; the next call starts the job anew.
    this.#last = result.catch(() => {})
    return result
  }

  /** Hands over what was sent, cut as the test wants it. */
  async #take(run: JobRun): Promise<void> {
    const unsent = this.#unsent
    this.#unsent = []
    for (let at = 0; at < unsent.length; ) {
      const { records, commits, restarts } = this.#cuts.next(unsent.length - at)
      for (const end = at + records; at < end; at++) {
        const { topic } = unsent[at]!
        // Of several topics, what was sent first is read first.
        if (at > 0 && topic !== unsent[at - 1]!.topic) await run.process()
        this.#kafka.append(topic, unsent[at]!)
      }
      await run.process()
      if (commits || restarts) await run.commit()
      if (restarts) await run.restart()
    }
  }

  async #takeAndCommit(run: JobRun): Promise<void> {
    await this.#take(run)
    await run.commit()
  }

  #refuseOther(topic: string, partition = 0): void {
    const sources = inputsOf(this.#job).map((source) => source.topic)
    const { partitions = 1 } = this.#options
    if (!sources.includes(topic)) throw new RangeError(`the job reads ${sources.join(' and ')}, not ${topic}`)
    if (partition >= partitions) throw new RangeError(`partition ${partition} is not one of ${partitions}`)
  }

  /** Makes the topics, once. */
  async #open(): Promise<JobRun> {
    const { plan } = this.#job
    const topics = planTopics(plan)
    const admin = await this.#kafka.openAdmin()
    const made = { plan, topics, createTopics: true, replicationFactor: 1, timeoutMs: CALL_MS }
    const jobTopics = await prepareTopics(admin, made)
    const described = await admin.describe(topics.names, CALL_MS)
    this.#outputs.watch(new Map(described.map(({ name, partitionCount }) => [name, partitionCount])))
    const world = this.#worldOf(jobTopics)
    const run = new JobRun(world)
    this.#world = world
    this.#watchProducers(world, run)
    return run
  }

  #worldOf(jobTopics: JobTopics): RunWorld {
    const limits = testLimits(this.#options.limits ?? {})
    return {
      job: this.#job,
      topics: planTopics(this.#job.plan),
      jobTopics,
      kafka: this.#kafka,
      time: this.#time,
      engineLimits: engineLimits(limits),
      laneSetups: Array.from({ length: this.#options.lanes ?? 1 }, (_, lane) =>
        this.#laneSetup(lane, limits, jobTopics),
      ),
      crashPoint: this.#crashPoint,
      stateDirOf: (id) => (this.#options.store === 'lmdb' ? join(this.#stateFolder(), id) : undefined),
      outsideCount: 0,
      commitCount: 0,
      taskCount: jobTopics.partitionCounts.reduce((sum, count) => sum + count, 0),
      counts: noCounts(),
      positions: new Map(),
      onStep: (step) => this.#outputs.step(step),
    }
  }

  #laneSetup(lane: number, limits: TestLimits, jobTopics: JobTopics): Omit<LaneSetup, 'stateDir' | 'instanceId'> {
    const { messageBytesMax, partitionCounts, writtenPartitions } = jobTopics
    return { lane, jobUrl: '', limits: laneLimits(limits), messageBytesMax, partitionCounts, writtenPartitions }
  }

  #stateFolder(): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'millrace-test-'))
    return this.#folder
  }

  /** Sees each commit in its place, and lets a process die at the step that was set. */
  #watchProducers(world: RunWorld, run: JobRun): void {
    const { faults } = this.#kafka
    faults.before = ({ call, client }) => {
      const step = this.#crashPoint.pass('before', call, false)
      return step === undefined ? undefined : run.instanceOf(client)!.die(step)
    }
    faults.after = ({ call, client }) => {
      if (call === 'commit') {
        world.commitCount++
        run.instanceOf(client)!.committed()
        this.#outputs.collect()
      }
      const step = this.#crashPoint.pass('after', call, false)
      return step === undefined ? undefined : run.instanceOf(client)!.die(step)
    }
  }
}

/** What a test may send to: the topics of sources and of global tables. */
function inputsOf({ plan }: CompiledJob): SourcePlan[] {
  return [...sourcesOf(plan), ...globalSources(plan)]
}
