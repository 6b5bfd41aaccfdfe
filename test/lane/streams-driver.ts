// Drives the tasks of one unit in a real lane, one a topic: frames of any size, restarts after each from the store or the changelog.
// Test processes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addCounts, noCounts } from '../../src/core/counts.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { type SinkRecord, sinkRecords } from '../../src/core/frame.ts'
import type { LaneAnswer, LaneRequest, LaneStats, TaskCounts, TaskPosition } from '../../src/core/message.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import { topologyOf } from '../../src/job/topology.ts'
import { Lane } from '../../src/lane/lane.ts'
import {
  changelogFrame,
  copyOf,
  type DriveOptions,
  type InputRecord,
  LIMITS,
  type RestartMode,
  type Row,
  rowOf,
  sourceFrame,
} from './lane-driver.ts'

export interface StreamRecord extends InputRecord {
  topic: string
}

export interface DrivenStreams {
  rows: Row[]
  counts: TaskCounts
  /** Of the task that keeps the state. */
  stats: LaneStats['tasks'][number]
}

const PARTITION = 3

/** The tasks of one partition of all topics, with the changelog that their seals wrote. */
export class StreamsDriver {
  readonly rows: Row[] = []
  readonly counts = noCounts()
  #job: CompiledJob
  readonly #options: DriveOptions
  readonly #folder: string | undefined
  readonly #changelog: SinkRecord[] = []
  readonly #topicsRead: readonly string[]
  /** Next offset of each topic, as the tasks were opened and then read. */
  readonly #offsets: number[]
  #lane: Lane
  #attempt = 0
  #epoch = 0

  constructor(job: CompiledJob, options: DriveOptions = {}) {
    const { units, subs } = topologyOf(job.plan)
    if (units.length !== 1) throw new RangeError('the records of the job move to another key')
    this.#job = job
    this.#options = options
    this.#topicsRead = subs.map(({ topic }) => topic)
    this.#offsets = subs.map(() => 0)
    this.#folder = options.store === 'lmdb' ? mkdtempSync(join(tmpdir(), 'millrace-lane-')) : undefined
    this.#lane = this.#newLane()
  }

  #newLane(): Lane {
    const { limits, messageBytesMax = [], path } = this.#options
    const setup = {
      lane: 0,
      jobUrl: '',
      stateDir: this.#folder,
      instanceId: 'test',
      limits: { ...LIMITS, ...limits },
      messageBytesMax,
      writtenPartitions: [],
      partitionCounts: this.#topicsRead.map(() => 4),
    }
    return new Lane(this.#job, setup, { nowMs: () => 1_000, ...(path === undefined ? {} : { path }) })
  }

  /** Sends a request; a failure is thrown as the error it is. */
  async ask(request: LaneRequest): Promise<Exclude<LaneAnswer, { op: 'failed' }>> {
    const answer = await this.#lane.handle(request)
    if (answer.op === 'failed') throw MillraceError.fromData(answer.error)
    return answer
  }

  /** Opens all tasks: that of the first topic has the state and the places of the others, unless there is no state. */
  async open(): Promise<void> {
    const position = await this.#openHome()
    for (const sub of this.#topicsRead.keys()) {
      if (sub > 0) await this.#open(sub)
      const feed = position?.feeds?.[sub]
      if (position !== undefined) this.#offsets[sub] = sub === 0 ? position.inputOffset : (feed?.inputOffset ?? 0)
      await this.ask({
        op: 'ready',
        ...this.#task(sub),
        position: sub === 0 ? position : undefined,
        inputOffset: this.#offsets[sub]!,
        ...(feed === undefined ? {} : { clock: feed }),
      })
    }
  }

  #open(sub: number): Promise<LaneAnswer> {
    const changelog = { changelogTopicId: 'c', changelogLow: 0 }
    return this.ask({ op: 'open', sub, ...this.#task(sub), partition: PARTITION, ...changelog })
  }

  async #openHome(): Promise<TaskPosition | undefined> {
    const opened = await this.#open(0)
    if (opened.op !== 'open') throw new Error(opened.op)
    const { position, changelogOffset } = opened.stored
    const rest = this.#changelog.slice(changelogOffset)
    if (rest.length === 0) return position
    const frame = changelogFrame(rest, changelogOffset)
    const restored = await this.ask({ op: 'restore', ...this.#task(0), frame })
    return restored.op === 'restore' ? restored.position : undefined
  }

  #task(sub: number): { taskId: string; attempt: number } {
    return { taskId: `${sub}_${PARTITION}`, attempt: this.#attempt }
  }

  /** Sends records of one topic as a frame. */
  async send(records: readonly StreamRecord[]): Promise<void> {
    const sub = this.#topicsRead.indexOf(records[0]!.topic)
    const frame = sourceFrame(records, this.#offsets[sub]!)
    this.#offsets[sub]! += records.length
    this.#take(await this.ask({ op: 'frame', ...this.#task(sub), epoch: this.#epoch, frame }))
  }

  /** The input of one topic, or of all, ends. */
  async end(topics: readonly string[] = this.#topicsRead): Promise<void> {
    for (const topic of topics) {
      const sub = this.#topicsRead.indexOf(topic)
      this.#take(await this.ask({ op: 'end', ...this.#task(sub), epoch: this.#epoch }))
    }
  }

  #take(answer: LaneAnswer): void {
    if (answer.op !== 'frame' && answer.op !== 'end') throw new Error(`answered ${answer.op}`)
    addCounts(this.counts, answer.counts)
    const topics = planTopics(this.#job.plan)
    if (answer.out !== undefined) this.rows.push(...sinkRecords(answer.out).map((record) => rowOf(record, topics)))
  }

  async commit(): Promise<void> {
    const epoch = this.#epoch++
    const sealed = await this.ask({ op: 'seal', epoch, attempt: this.#attempt })
    if (sealed.op !== 'seal') throw new Error(sealed.op)
    if (sealed.out !== undefined) this.#changelog.push(...sinkRecords(sealed.out).map(copyOf))
    await this.ask({ op: 'committed', epoch, attempt: this.#attempt })
    if (this.#options.flushEach) await this.flush()
  }

  async flush(): Promise<void> {
    const changelog = { changelogTopicId: 'c', changelogOffset: this.#changelog.length }
    await this.ask({ op: 'flush', ...this.#task(0), ...changelog })
  }

  /** Lets go of the lane and opens the tasks in a new one; of another job of the same topics, if one is given. */
  async restart(mode: RestartMode, job = this.#job): Promise<void> {
    if (mode === 'never') return
    this.#job = job
    if (mode === 'store') await this.flush()
    await this.close()
    if (mode === 'changelog') this.#dropFolder()
    this.#attempt++
    this.#lane = this.#newLane()
    await this.open()
  }

  /** Opens the tasks anew in the same lane, as after an attempt that failed. */
  async reopen(): Promise<void> {
    await this.close()
    this.#attempt++
    await this.open()
  }

  async stats(): Promise<LaneStats['tasks'][number]> {
    const stats = await this.ask({ op: 'stats' })
    if (stats.op !== 'stats') throw new Error(stats.op)
    return stats.tasks.find(({ taskId }) => taskId === this.#task(0).taskId)!
  }

  async close(): Promise<void> {
    for (const sub of this.#topicsRead.keys()) await this.ask({ op: 'close', ...this.#task(sub) })
  }

  async dispose(): Promise<void> {
    await this.close()
    this.#dropFolder()
  }

  #dropFolder(): void {
    if (this.#folder === undefined) return
    rmSync(join(this.#folder, this.#task(0).taskId), { recursive: true, force: true })
  }
}

/**
 * Runs records of several topics through a job in a mode, in the order given, to the end of all. A frame holds records of one topic
 * that follow each other.
 */
export async function driveStreams(
  job: CompiledJob,
  records: readonly StreamRecord[],
  options: DriveOptions = {},
): Promise<DrivenStreams> {
  const driver = new StreamsDriver(job, options)
  const { frameRecords = records.length, restart = 'never' } = options
  try {
    await driver.open()
    for (let from = 0, to = 0; from < records.length; from = to) {
      const { topic } = records[from]!
      while (to < records.length && to - from < frameRecords && records[to]!.topic === topic) to++
      await driver.send(records.slice(from, to))
      await driver.commit()
      await driver.restart(restart)
    }
    if (options.isEnded !== false) await driver.end()
    await driver.commit()
    return { rows: driver.rows, counts: driver.counts, stats: await driver.stats() }
  } finally {
    await driver.dispose()
  }
}
