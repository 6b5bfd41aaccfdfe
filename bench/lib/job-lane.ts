// A whole job on one lane without Kafka: source frames go in, rows come out, sealed and flushed as often as in a process. Records
// that move to another partition go from one sub-topology to the next as Kafka would hand them over. Main thread.
import { FrameView, FrameWriter } from '../../src/core/frame.ts'
import type { LaneAnswer, LaneLimits, LaneRequest } from '../../src/core/message.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import { inputTopics, topologyOf } from '../../src/job/topology.ts'
import { Lane } from '../../src/lane/lane.ts'

const FRAMES_PER_SEAL = 5
const SEALS_PER_FLUSH = 10
const FRAME_BYTES = 1 << 20
const LIMITS: LaneLimits = {
  stateMemoryBytesMax: 512 << 20,
  unflushedBytesMax: 64 << 20,
  valueBytesMax: 1 << 20,
  keyBytesMax: 1024,
  decodeDepthMax: 32,
  decodeNodesMax: 100_000,
}

/** A record that the job wrote to a topic of its own; `at` is its place in the frame. */
export type RowReader = (topic: string, view: FrameView, at: number) => void

export interface JobLaneOptions {
  job: CompiledJob
  /** Wall clock, ms since the epoch. */
  nowMs: () => number
  onRow: RowReader
}

/** What a sub-topology is to read, and where it is. */
interface Input {
  writer: FrameWriter
  offset: number
}

/**
 * Throws what the lane refuses, and an Error for a dead record.
 *
 * @example
 * const lane = await JobLane.open({ job: job.build(), nowMs: Date.now, onRow })
 * await lane.take(frame)
 * await lane.end()
 * lane.cpuMicros // of the lane alone
 */
export class JobLane {
  /** Of the lane: CPU of the process in its calls, and their time. */
  cpuMicros = 0
  elapsedMs = 0
  readonly #lane: Lane
  readonly #onRow: RowReader
  /** Names of the topics by index, and what reads them. */
  readonly #topics: readonly string[]
  readonly #changelogs: readonly number[]
  readonly #inputs: ReadonlyMap<string, Input>
  /** Sub-topologies that read topics of others, by topic. */
  readonly #sources: ReadonlyMap<string, number>
  #epoch = 0

  static async open(options: JobLaneOptions): Promise<JobLane> {
    const jobLane = new JobLane(options)
    for (let sub = 0; sub < jobLane.#inputs.size; sub++) {
      const task = taskOf(sub)
      await jobLane.#ask({ op: 'open', sub, ...task, partition: 0, changelogTopicId: undefined, changelogLow: 0 })
      await jobLane.#ask({ op: 'ready', ...task, position: undefined, inputOffset: 0 })
    }
    jobLane.cpuMicros = 0
    jobLane.elapsedMs = 0
    return jobLane
  }

  private constructor({ job, nowMs, onRow }: JobLaneOptions) {
    const inputs = inputTopics(job.plan)
    const { names, changelogs } = planTopics(job.plan)
    this.#topics = names
    this.#changelogs = changelogs
    this.#onRow = onRow
    const { subs } = topologyOf(job.plan)
    this.#sources = new Map(subs.flatMap(({ isSource, topic }, sub) => (isSource ? [[topic, sub] as const] : [])))
    this.#inputs = new Map(inputs.map((topic) => [topic, { writer: new FrameWriter(FRAME_BYTES), offset: 0 }]))
    const setup = {
      lane: 0,
      jobUrl: '',
      stateDir: undefined,
      instanceId: 'bench',
      limits: LIMITS,
      messageBytesMax: [],
      writtenPartitions: [],
    }
    this.#lane = new Lane(job, { ...setup, partitionCounts: inputs.map(() => 1) }, { nowMs })
  }

  /** The job reads a frame of a topic, by default that of its source. */
  async take(frame: ArrayBuffer, topic?: string): Promise<void> {
    this.#epoch++
    await this.#give(topic === undefined ? 0 : this.#sources.get(topic)!, frame)
    await this.#passOn()
    if (this.#epoch % FRAMES_PER_SEAL === 0) await this.#commit()
  }

  /** All topics that are read have ended. */
  async end(): Promise<void> {
    this.#epoch++
    for (const sub of this.#sources.values()) {
      this.#look(await this.#ask({ op: 'end', ...taskOf(sub), epoch: this.#epoch }))
    }
    // Each commit tells the next sub-topology that the one before it has ended.
    for (let sub = 0; sub < this.#inputs.size; sub++) {
      await this.#passOn()
      await this.#commit()
      this.#epoch++
    }
  }

  async #give(sub: number, frame: ArrayBuffer): Promise<void> {
    this.#look(await this.#ask({ op: 'frame', ...taskOf(sub), epoch: this.#epoch, frame }))
  }

  /** What was written for later sub-topologies is read by them. */
  async #passOn(): Promise<void> {
    let sub = 0
    for (const { writer, offset } of this.#inputs.values()) {
      const frame = writer.take(0, offset)
      if (frame !== undefined) await this.#give(sub, frame)
      sub++
    }
  }

  async #commit(): Promise<void> {
    const epoch = this.#epoch
    this.#look(await this.#ask({ op: 'seal', epoch, attempt: 0 }))
    await this.#ask({ op: 'committed', epoch, attempt: 0 })
    if (epoch % (FRAMES_PER_SEAL * SEALS_PER_FLUSH) === 0) {
      for (let sub = 0; sub < this.#inputs.size; sub++) {
        await this.#ask({ op: 'flush', ...taskOf(sub), changelogOffset: 0, changelogTopicId: undefined })
      }
    }
    await this.#passOn()
  }

  /** Rows go to the reader, what another sub-topology reads into its input. */
  #look(answer: LaneAnswer): void {
    if (answer.op === 'frame' && answer.lastDead !== undefined) throw new Error(JSON.stringify(answer.lastDead))
    if (!('out' in answer) || answer.out === undefined) return
    const view = new FrameView(answer.out)
    for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
      const index = view.topicIndex(at)
      if (this.#changelogs.includes(index)) continue
      const topic = this.#topics[index]!
      const input = this.#inputs.get(topic)
      if (input === undefined) this.#onRow(topic, view, at)
      else input.writer.appendSource(input.offset++, view.timestampMs(at), view.key(at), view.value(at))
    }
  }

  async #ask(request: LaneRequest): Promise<LaneAnswer> {
    const [cpuBefore, before] = [process.cpuUsage(), performance.now()]
    const handled = this.#lane.handle(request)
    const answer = handled instanceof Promise ? await handled : handled
    this.elapsedMs += performance.now() - before
    const { user, system } = process.cpuUsage(cpuBefore)
    this.cpuMicros += user + system
    if (answer.op === 'failed') throw new Error(JSON.stringify(answer.error))
    return answer
  }
}

function taskOf(sub: number): { taskId: string; attempt: number } {
  return { taskId: `${sub}_0`, attempt: 0 }
}
