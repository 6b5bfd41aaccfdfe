// Drives one task of a real lane in every mode: frames of any size, restarts after each from the store or the changelog.
// Test processes.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from 'msgpackr'
import { noCounts } from '../../src/core/counts.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { encodeHeaders, FrameWriter, type RecordHeader, type SinkRecord, sinkRecords } from '../../src/core/frame.ts'
import type {
  LaneAnswer,
  LaneLimits,
  LaneProcessed,
  LaneRequest,
  LaneStats,
  TaskCounts,
  TaskPosition,
} from '../../src/core/message.ts'
import type { CompiledJob, PlanTopics } from '../../src/job/plan.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import { Lane } from '../../src/lane/lane.ts'

export const LIMITS: LaneLimits = {
  stateMemoryBytesMax: 64 << 20,
  unflushedBytesMax: 16 << 20,
  valueBytesMax: 100_000,
  keyBytesMax: 100,
  decodeDepthMax: 16,
  decodeNodesMax: 1_000,
}

export interface InputRecord {
  key?: string | Uint8Array
  /** Encoded as msgpack unless it is bytes; undefined: a null value. */
  value?: unknown
  timestampMs?: number
  headers?: RecordHeader[]
}

/** What happens after each frame: nothing, a reopen from the store on disk, or a restore from the changelog alone. */
export type RestartMode = 'never' | 'store' | 'changelog'

export interface DriveOptions {
  /** Records a frame. */
  frameRecords?: number
  restart?: RestartMode
  store?: 'memory' | 'lmdb'
  path?: 'planned' | 'free'
  limits?: Partial<LaneLimits>
  messageBytesMax?: number[]
  /** Flushes after each commit, so that rows may be evicted. */
  flushEach?: boolean
  /** Sends the end of input after the records. Default true. */
  isEnded?: boolean
}

export interface Row {
  topic: string
  partition: number
  timestampMs: number
  key: string | undefined
  value: Uint8Array | undefined
  headers: Record<string, string>
}

export interface Driven {
  rows: Row[]
  counts: TaskCounts
  stats: LaneStats['tasks'][number]
  position: TaskPosition
  frames: LaneProcessed[]
}

const TASK = { taskId: '0_0', partition: 3 }

/** A lane under test, with the changelog that its seals wrote. */
export class LaneDriver {
  readonly rows: Row[] = []
  readonly frames: LaneProcessed[] = []
  readonly topics: PlanTopics
  position: TaskPosition | undefined
  readonly #job: CompiledJob
  readonly #options: DriveOptions
  readonly #folder: string | undefined
  readonly #changelog: SinkRecord[] = []
  #lane: Lane
  #attempt = 0
  #epoch = 0
  #offset = 0

  constructor(job: CompiledJob, options: DriveOptions = {}) {
    this.#job = job
    this.#options = options
    this.topics = planTopics(job.plan)
    this.#folder = options.store === 'lmdb' ? mkdtempSync(join(tmpdir(), 'millrace-lane-')) : undefined
    this.#lane = this.#newLane()
  }

  #newLane(): Lane {
    const setup = {
      lane: 0,
      jobUrl: '',
      stateDir: this.#folder,
      instanceId: 'test',
      limits: { ...LIMITS, ...this.#options.limits },
      messageBytesMax: this.#options.messageBytesMax ?? [],
      partitionCounts: [4],
      writtenPartitions: this.topics.names.map(() => 4),
    }
    const { path } = this.#options
    return new Lane(this.#job, setup, { nowMs: () => 1_000, ...(path === undefined ? {} : { path }) })
  }

  /** Sends a request; a failure is thrown as the error it is. */
  async ask(request: LaneRequest): Promise<Exclude<LaneAnswer, { op: 'failed' }>> {
    const answer = await this.#lane.handle(request)
    if (answer.op === 'failed') throw MillraceError.fromData(answer.error)
    return answer
  }

  async open(): Promise<void> {
    const opened = await this.ask({
      op: 'open',
      sub: 0,
      ...TASK,
      attempt: this.#attempt,
      changelogTopicId: 'c',
      changelogLow: 0,
    })
    if (opened.op !== 'open') throw new Error(opened.op)
    let position = opened.stored.position
    const rest = this.#changelog.slice(opened.stored.changelogOffset)
    if (rest.length > 0) {
      const frame = changelogFrame(rest, opened.stored.changelogOffset)
      const restored = await this.ask({ op: 'restore', taskId: TASK.taskId, attempt: this.#attempt, frame })
      if (restored.op === 'restore') position = restored.position
    }
    this.#offset = position?.inputOffset ?? 0
    const ready = { taskId: TASK.taskId, attempt: this.#attempt, position, inputOffset: this.#offset }
    await this.ask({ op: 'ready', ...ready })
  }

  async send(records: readonly InputRecord[]): Promise<LaneProcessed> {
    const frame = sourceFrame(records, this.#offset)
    this.#offset += records.length
    return this.#take(await this.ask({ op: 'frame', ...this.request(), frame }))
  }

  /** Task, attempt and epoch as the next request carries them. */
  request(): { taskId: string; attempt: number; epoch: number } {
    return { taskId: TASK.taskId, attempt: this.#attempt, epoch: this.#epoch }
  }

  async idle(elapsedMs: number): Promise<LaneProcessed> {
    return this.#take(await this.ask({ op: 'idle', ...this.request(), elapsedMs }))
  }

  async end(): Promise<LaneProcessed> {
    return this.#take(await this.ask({ op: 'end', ...this.request() }))
  }

  #take(answer: LaneAnswer): LaneProcessed {
    if (answer.op !== 'frame' && answer.op !== 'idle' && answer.op !== 'end') throw new Error(`answered ${answer.op}`)
    this.frames.push(answer)
    if (answer.out !== undefined) this.rows.push(...sinkRecords(answer.out).map((record) => rowOf(record, this.topics)))
    return answer
  }

  /** Seals and commits the epoch; gives the positions that the seal told. */
  async commit(): Promise<TaskPosition[]> {
    const epoch = this.#epoch++
    const sealed = await this.ask({ op: 'seal', epoch, attempt: this.#attempt })
    if (sealed.op !== 'seal') throw new Error(sealed.op)
    if (sealed.out !== undefined) {
      for (const record of sinkRecords(sealed.out)) this.#changelog.push(copyOf(record))
    }
    await this.ask({ op: 'committed', epoch, attempt: this.#attempt })
    for (const { position } of sealed.tasks) this.position = position
    return sealed.tasks.map(({ position }) => position)
  }

  async flush(): Promise<void> {
    const request = { taskId: TASK.taskId, attempt: this.#attempt, changelogTopicId: 'c' }
    await this.ask({ op: 'flush', ...request, changelogOffset: this.#changelog.length })
  }

  /** Lets go of the lane and opens the task in a new one. */
  async restart(mode: RestartMode): Promise<void> {
    if (mode === 'never') return
    if (mode === 'store') await this.flush()
    await this.ask({ op: 'close', taskId: TASK.taskId, attempt: this.#attempt })
    if (mode === 'changelog' && this.#folder !== undefined)
      rmSync(join(this.#folder, TASK.taskId), { recursive: true, force: true })
    this.#attempt++
    this.#lane = this.#newLane()
    await this.open()
  }

  async stats(): Promise<LaneStats['tasks'][number]> {
    const stats = await this.ask({ op: 'stats' })
    if (stats.op !== 'stats') throw new Error(stats.op)
    return stats.tasks[0]!
  }

  async close(): Promise<void> {
    await this.ask({ op: 'close', taskId: TASK.taskId, attempt: this.#attempt })
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Runs records through a job in a mode, to the end of input, and gives all that came out. */
export async function drive(
  job: CompiledJob,
  records: readonly InputRecord[],
  options: DriveOptions = {},
): Promise<Driven> {
  const driver = new LaneDriver(job, options)
  const size = Math.max(1, options.frameRecords ?? records.length)
  try {
    await driver.open()
    for (let i = 0; i < records.length; i += size) {
      await driver.send(records.slice(i, i + size))
      await driver.commit()
      if (options.flushEach) await driver.flush()
      await driver.restart(options.restart ?? 'never')
    }
    if (options.isEnded !== false) await driver.end()
    await driver.commit()
    const counts = noCounts()
    for (const frame of driver.frames) {
      for (const name of Object.keys(counts) as (keyof TaskCounts)[]) counts[name] += frame.counts[name]
    }
    return { rows: driver.rows, counts, stats: await driver.stats(), position: driver.position!, frames: driver.frames }
  } finally {
    await driver.close()
  }
}

export function sourceFrame(records: readonly InputRecord[], offset: number): ArrayBuffer {
  const writer = new FrameWriter()
  records.forEach((record, i) => {
    const { key, value, timestampMs = 0, headers } = record
    const bytes = value === undefined || value instanceof Uint8Array ? value : pack(value)
    const keyBytes = typeof key === 'string' ? new TextEncoder().encode(key) : key
    writer.appendSource(offset + i, timestampMs, keyBytes, bytes, headers && encodeHeaders(headers))
  })
  return writer.take(TASK.partition, offset + records.length)!
}

export function changelogFrame(records: readonly SinkRecord[], offset: number): ArrayBuffer {
  const writer = new FrameWriter()
  for (const [i, { key, value }] of records.entries()) writer.appendSource(offset + i, 0, key, value)
  return writer.take(TASK.partition, offset + records.length)!
}

export function copyOf(record: SinkRecord): SinkRecord {
  return { ...record, key: record.key?.slice(), value: record.value?.slice(), headers: [] }
}

export function rowOf(record: SinkRecord, topics: PlanTopics): Row {
  const text = new TextDecoder()
  return {
    topic: topics.names[record.topicIndex]!,
    partition: record.partition,
    timestampMs: record.timestampMs,
    key: record.key && text.decode(record.key),
    value: record.value?.slice(),
    headers: Object.fromEntries(record.headers.map(({ name, value }) => [name, text.decode(value)])),
  }
}
