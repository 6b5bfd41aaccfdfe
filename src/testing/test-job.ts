// The test driver: a job on a real lane, one task a sub-topology, one epoch a call, its changelog kept to restart from.
// Test processes, main thread.
// Keeps SPEC: TEST-1 (the driver runs the code that runs in production: lane, codecs, state, changelog).

import { encodeValue } from '../codec/encode.ts'
import { addCounts, noCounts, shareOfJob } from '../core/counts.ts'
import { encodeHeaders, FrameWriter, type SinkRecord, sinkRecords } from '../core/frame.ts'
import type { LaneLimits, LaneProcessed, TaskCounts, TaskPosition } from '../core/message.ts'
import { inlineLanes, type Lanes } from '../engine/lanes.ts'
import { compiledJobOf } from '../job/compiled-job.ts'
import { type CompiledJob, type PlanTopics, planTopics, type ValueFormat } from '../job/plan.ts'
import type { Complete } from '../job/stages.ts'
import { inputTopics, statefulSub, subPlans } from '../job/sub-plans.ts'
import { Lane } from '../lane/lane.ts'
import { CONFIG_ROWS } from '../ops/config-table.ts'
import { Changelog } from './changelog.ts'
import {
  type DeadRecord,
  deadRecord,
  type LateRecord,
  lateRecord,
  type OutputRow,
  outputRow,
  type TestRecord,
} from './decoded.ts'

const PARTITION = 0
/** Kafka's default of max.message.bytes. */
const MESSAGE_BYTES_MAX = 1_048_588

export interface TestJobOptions {
  /** Limits that differ from the configuration's defaults. */
  limits?: Partial<LaneLimits>
  /** max.message.bytes of all topics that the job writes. Default 1,048,588, as Kafka's. */
  messageBytesMax?: number
}

/**
 * Runs a job for a test, with the lane that runs in production, on one partition, in memory.
 * Throws MR1002 when the job is not valid.
 *
 * @example
 * const t = testJob(job)
 * await t.send('trades', { value: { sym: 'A', price: 10, qty: 1, ts: 500 } })
 * await t.restart()
 * await t.end()
 * t.output('candles-1s')[0]?.value // { sym: 'A', windowStart: 0, windowEnd: 1000, open: 10, ... }
 */
export function testJob(job: Complete | CompiledJob, options: TestJobOptions = {}): TestJob {
  return new TestJob(compiledJobOf(job, 'the job of the test'), options)
}

/** A job under test; made by `testJob`. Calls take effect in the order they are made. */
export class TestJob {
  readonly #job: CompiledJob
  readonly #options: TestJobOptions
  readonly #topics: PlanTopics
  readonly #inputs: readonly string[]
  readonly #formats: ReadonlyMap<string, ValueFormat>
  readonly #outputs = new Map<string, OutputRow<unknown>[]>()
  readonly #late: LateRecord<unknown>[] = []
  readonly #dead: DeadRecord[] = []
  readonly #counts: TaskCounts = noCounts()
  readonly #changelog = new Changelog()
  #lanes: Lanes | undefined
  #attempt = 0
  #epoch = 0
  #nextOffset = 0
  /** Records on their way through the repartition topic, and its next offset. */
  #moved: SinkRecord[] = []
  #movedOffset = 0
  #lastTimestampMs = 0
  #watermarkMs = Number.NEGATIVE_INFINITY
  /** The last committed positions by sub-topology: what the group's offsets and the marker say. */
  #positions: (TaskPosition | undefined)[] = []
  #last: Promise<unknown> = Promise.resolve()

  constructor(job: CompiledJob, options: TestJobOptions) {
    this.#job = job
    this.#options = options
    this.#topics = planTopics(job.plan)
    this.#inputs = inputTopics(job.plan)
    this.#formats = sinkFormats(job)
  }

  /**
   * Sends records to the source topic and commits what they gave. Records of one call are one frame.
   * Throws RangeError when the job does not read the topic.
   */
  send(topic: string, ...records: TestRecord[]): Promise<void> {
    const { source } = this.#job.plan
    if (topic !== source.topic) throw new RangeError(`the job reads ${source.topic}, not ${topic}`)
    return this.#inOrder(async (lanes) => {
      if (records.length === 0) return
      const frame = this.#frameOf(records)
      this.#take(0, await lanes.send(0, { op: 'frame', ...this.#at(0), frame }))
      await this.#commit(lanes)
    })
  }

  /** Lets the input be quiet: `elapsedMs` since its last record. For jobs with `closeOnIdle`. */
  idle(elapsedMs: number): Promise<void> {
    return this.#inOrder(async (lanes) => {
      this.#take(0, await lanes.send(0, { op: 'idle', ...this.#at(0), elapsedMs }))
      await this.#commit(lanes)
    })
  }

  /** Ends the input: all windows close, later records are late. */
  end(): Promise<void> {
    return this.#inOrder(async (lanes) => {
      this.#take(0, await lanes.send(0, { op: 'end', ...this.#at(0) }))
      await this.#commit(lanes)
    })
  }

  /** Stops the lane and starts another one, which restores the state from the changelog. Outputs and counts stay. */
  restart(): Promise<void> {
    return this.#inOrder(async () => {
      this.#lanes = undefined
      await this.#open()
    })
  }

  /** Rows written to a sink topic or a view so far, in order. Throws RangeError for a topic that no sink of the job writes. */
  output<T = Record<string, unknown>>(topicOrView: string): OutputRow<T>[] {
    const view = `${this.#job.plan.job}-view-${topicOrView}`
    const topic = this.#formats.has(topicOrView) ? topicOrView : view
    if (!this.#formats.has(topic)) {
      const known = [...this.#formats.keys()].join(', ')
      throw new RangeError(`no sink of the job writes ${topicOrView}; they write ${known}`)
    }
    return [...(this.#outputs.get(topic) ?? [])] as OutputRow<T>[]
  }

  /** Late records so far. Empty for a job without `late`: there they are counted only. */
  late<T = Record<string, unknown>>(): LateRecord<T>[] {
    return [...this.#late] as LateRecord<T>[]
  }

  /** Dead records so far, decoded where they can be, with why and where. */
  dead(): DeadRecord[] {
    return [...this.#dead]
  }

  /** Counts so far: in + expanded = accepted + late + dead + filtered. */
  get counts(): TaskCounts {
    return { ...this.#counts }
  }

  /** The watermark, ms since the epoch; -Infinity before the first record, +Infinity after the end. */
  get watermarkMs(): number {
    return this.#watermarkMs
  }

  /** Queues an action behind those before it; the lane is opened for the first. */
  #inOrder(act: (lanes: Lanes) => Promise<void>): Promise<void> {
    const run = this.#last.then(async () => act(this.#lanes ?? (await this.#open())))
    // A failure is the caller's to see; the next call goes on from the last commit, as the supervisor would.
    this.#last = run.catch(() => {
      this.#lanes = undefined
      this.#nextOffset = this.#positions[0]?.inputOffset ?? 0
    })
    return run
  }

  /** The task of a sub-topology, as the next request names it. */
  #at(sub: number): { taskId: string; attempt: number; epoch: number } {
    return { taskId: `${sub}_${PARTITION}`, attempt: this.#attempt, epoch: this.#epoch }
  }

  async #open(): Promise<Lanes> {
    this.#attempt++
    const lanes = inlineLanes([this.#lane()])
    for (const sub of this.#inputs.keys()) await this.#openTask(lanes, sub)
    this.#lanes = lanes
    return lanes
  }

  async #openTask(lanes: Lanes, sub: number): Promise<void> {
    const { taskId, attempt } = this.#at(sub)
    const target = { taskId, attempt }
    const where = { sub, partition: PARTITION, changelogTopicId: undefined, changelogLow: 0 }
    await lanes.send(0, { op: 'open', ...target, ...where })
    const frame = sub === statefulSub(this.#job.plan) ? this.#changelog.frame() : undefined
    // What the marker of the changelog says; a task without state has the committed offsets alone.
    let position = frame === undefined ? this.#positions[sub] : undefined
    if (frame !== undefined) position = (await lanes.send(0, { op: 'restore', ...target, frame })).position
    const isStateless = frame === undefined
    const inputOffset = position?.inputOffset ?? 0
    const ready = { position: isStateless ? undefined : position, inputOffset, clock: position }
    await lanes.send(0, { op: 'ready', ...target, ...ready })
  }

  #lane(): Lane {
    const { messageBytesMax = MESSAGE_BYTES_MAX, limits } = this.#options
    const setup = {
      lane: 0,
      jobUrl: '',
      stateDir: undefined,
      instanceId: 'test',
      limits: { ...defaultLimits(), ...limits },
      messageBytesMax: this.#topics.names.map(() => messageBytesMax),
      partitionCounts: this.#inputs.map(() => 1),
    }
    // State in memory has no age, so its clock may stand still.
    return new Lane(this.#job, setup, { nowMs: () => 0 })
  }

  /** Commits; what moved to the repartition topic is visible then, and goes on in an epoch of its own. */
  async #commit(lanes: Lanes): Promise<void> {
    const { attempt, epoch } = this.#at(0)
    this.#epoch++
    const sealed = await lanes.send(0, { op: 'seal', epoch, attempt })
    for (const record of sealed.out === undefined ? [] : sinkRecords(sealed.out)) {
      if (record.topicIndex === this.#topics.changelog) this.#changelog.append(record)
      else this.#moved.push(record)
    }
    for (const { taskId, position } of sealed.tasks) this.#positions[Number(taskId.split('_')[0])] = position
    await lanes.send(0, { op: 'committed', epoch, attempt })
    if (this.#moved.length === 0) return
    const frame = this.#movedFrame()
    this.#take(1, await lanes.send(0, { op: 'frame', ...this.#at(1), frame }))
    await this.#commit(lanes)
  }

  #movedFrame(): ArrayBuffer {
    const writer = new FrameWriter()
    for (const { timestampMs, key, value, headers } of this.#moved) {
      const packed = headers.length === 0 ? undefined : encodeHeaders(headers)
      writer.appendSource(this.#movedOffset++, timestampMs, key, value, packed)
    }
    this.#moved = []
    return writer.take(PARTITION, this.#movedOffset, this.#movedOffset)!
  }

  #frameOf(records: readonly TestRecord[]): ArrayBuffer {
    const writer = new FrameWriter()
    for (const record of records) {
      this.#lastTimestampMs = record.timestampMs ?? this.#timestampMsOf(record.value)
      const headers = Object.entries(record.headers ?? {}).map(([name, value]) => ({ name, value: Buffer.from(value) }))
      writer.appendSource(
        this.#nextOffset++,
        this.#lastTimestampMs,
        this.#keyOf(record),
        this.#valueOf(record.value),
        headers.length === 0 ? undefined : encodeHeaders(headers),
      )
    }
    return writer.take(PARTITION, this.#nextOffset, this.#nextOffset)!
  }

  #timestampMsOf(value: unknown): number {
    const { eventTime } = this.#job.plan.source
    const timeMs = eventTime.kind === 'field' ? fieldOf(value, eventTime.field) : undefined
    return typeof timeMs === 'number' && Number.isFinite(timeMs) ? timeMs : this.#lastTimestampMs
  }

  #keyOf({ key, value }: TestRecord): Uint8Array | undefined {
    if (key !== undefined) return Buffer.from(key)
    const { keyField } = this.#job.plan.source
    const field = keyField === undefined ? undefined : fieldOf(value, keyField)
    return typeof field === 'string' || typeof field === 'number' ? Buffer.from(String(field)) : undefined
  }

  #valueOf(value: unknown): Uint8Array | undefined {
    if (value === undefined || value instanceof Uint8Array) return value
    return encodeValue(this.#job.plan.source.format, value)
  }

  #take(sub: number, processed: LaneProcessed): void {
    const isLast = sub === this.#inputs.length - 1
    addCounts(this.#counts, shareOfJob(processed.counts, { isFirst: sub === 0, isLast }))
    if (isLast) this.#watermarkMs = processed.watermarkMs
    const { format } = subPlans(this.#job.plan)[sub]!.source
    for (const record of processed.out === undefined ? [] : sinkRecords(processed.out)) {
      const topic = this.#topics.names[record.topicIndex]!
      const sinkFormat = this.#formats.get(topic)
      if (record.topicIndex === this.#topics.repartition) this.#moved.push(record)
      else if (record.topicIndex === this.#topics.dlq) this.#dead.push(deadRecord(record, format))
      else if (sinkFormat === undefined) this.#late.push(lateRecord(record, format))
      else this.#rowsOf(topic).push(outputRow(record, sinkFormat))
    }
  }

  #rowsOf(topic: string): OutputRow<unknown>[] {
    const rows = this.#outputs.get(topic) ?? []
    this.#outputs.set(topic, rows)
    return rows
  }
}

/** A field of a value, or of the first event of an envelope. */
function fieldOf(value: unknown, field: string): unknown {
  const event: unknown = Array.isArray(value) ? value[0] : value
  return typeof event === 'object' && event !== null ? (event as Record<string, unknown>)[field] : undefined
}

function sinkFormats(job: CompiledJob): Map<string, ValueFormat> {
  const formats = new Map<string, ValueFormat>()
  for (const operator of job.plan.operators) {
    if (operator.kind === 'to' || operator.kind === 'view') formats.set(operator.topic, operator.sink.format)
  }
  return formats
}

/** The defaults of the configuration: a test meets the limits that production has. */
function defaultLimits(): LaneLimits {
  const limit = (name: keyof LaneLimits): number => {
    const row = CONFIG_ROWS.find(({ key }) => key === `limits.${name}`)
    if (typeof row?.default !== 'number') throw new RangeError(`the configuration has no limit ${name}`)
    return row.default
  }
  return {
    stateMemoryBytesMax: limit('stateMemoryBytesMax'),
    unflushedBytesMax: limit('unflushedBytesMax'),
    valueBytesMax: limit('valueBytesMax'),
    keyBytesMax: limit('keyBytesMax'),
    decodeDepthMax: limit('decodeDepthMax'),
    decodeNodesMax: limit('decodeNodesMax'),
  }
}
