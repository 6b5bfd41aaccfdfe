// One instance of a job under test: engine and lanes in this thread, on Kafka in memory and virtual time. It can be killed at
// any moment: nothing that it still has under way takes effect then. Test processes, main thread.
// Keeps SPEC: TEST-1 (engine, lanes and committer are those of production), TEST-4.

import { addCounts, noCounts, shareOfJob } from '../core/counts.ts'
import type { LaneProcessed, LaneRequest, LaneResponse, LaneSetup, TaskCounts, TaskPosition } from '../core/message.ts'
import { Engine } from '../engine/engine.ts'
import { type AnswerTo, inlineLanes, type Lanes } from '../engine/lanes.ts'
import type { EngineLimits, EngineLog, EngineObserver } from '../engine/options.ts'
import type { JobTopics } from '../engine/topics.ts'
import type { CompiledJob, PlanTopics } from '../job/plan.ts'
import { topologyOf } from '../job/topology.ts'
import type { MemoryKafka } from '../kafka/memory-kafka/memory-kafka.ts'
import { Lane } from '../lane/lane.ts'
import type { CrashPoint, CrashStep } from './crash-steps.ts'
import type { VirtualTime } from './virtual-time.ts'

/** What all instances of a job share. */
export interface InstanceWorld {
  job: CompiledJob
  topics: PlanTopics
  jobTopics: JobTopics
  kafka: MemoryKafka
  time: VirtualTime
  engineLimits: EngineLimits
  /** Of each lane, but for what is of one instance. */
  laneSetups: readonly Omit<LaneSetup, 'stateDir' | 'instanceId'>[]
  crashPoint: CrashPoint
  /** The folder of an instance's stores; undefined: state is in memory. */
  stateDirOf: (instanceId: string) => string | undefined
  /** Requests that a lane has not answered: it may be writing to disk. */
  outsideCount: number
  /** Of all committed epochs. */
  counts: TaskCounts
  /** By task, as of the last committed epoch. */
  positions: Map<string, TaskPosition>
  /** Something happened, in words. */
  onStep: (step: string) => void
}

const QUIET_LOG: EngineLog = { info: () => {}, warn: () => {}, error: () => {} }

/** Everything a killed process waits for. */
const NEVER = new Promise<never>(() => {})

/** What an epoch has done, until it is known to be committed. */
interface EpochWork {
  epoch: number
  counts: TaskCounts
}

export class Instance {
  readonly id: string
  readonly untilEnd: boolean
  readonly engine: Engine
  /** What stopped it. */
  failure: { error: unknown } | undefined
  isDone = false
  isKilled = false
  readonly #world: InstanceWorld
  readonly #handlers: readonly Lane[]
  readonly #openTasks = new Map<string, number>()
  #attempt = 0
  #work: EpochWork[] = []
  #sealed: { epoch: number; positions: Map<string, TaskPosition> } = { epoch: 0, positions: new Map() }

  constructor(world: InstanceWorld, id: string, untilEnd: boolean) {
    this.#world = world
    this.id = id
    this.untilEnd = untilEnd
    const { job, topics, jobTopics, kafka, time } = world
    const own = { instanceId: id, stateDir: world.stateDirOf(id) }
    const nowMs = (): number => time.wallMs()
    this.#handlers = world.laneSetups.map((setup) => new Lane(job, { ...setup, ...own }, { nowMs }))
    this.engine = new Engine({
      plan: job.plan,
      topics,
      kafka,
      lanes: this.#lanes(inlineLanes(this.#handlers)),
      clock: time,
      scheduler: { after: (delayMs, run) => time.after(delayMs, () => (this.isKilled ? undefined : run())) },
      instanceId: id,
      limits: world.engineLimits,
      untilEnd,
      leavesOnStop: true,
      changelogTopicIds: jobTopics.changelogTopicIds,
      globalPartitions: jobTopics.globalPartitions,
      sinkTimes: jobTopics.sinkTimes,
      batchBytesMax: jobTopics.batchBytesMax,
      log: QUIET_LOG,
      observer: this.#observer(),
    })
  }

  /** Runs it; what becomes of it is told by `isDone` and `failure`. */
  start(): void {
    this.#world.onStep(`start ${this.id}${this.untilEnd ? ' until the end' : ''}`)
    this.engine.run().then(
      () => {
        this.isDone = true
      },
      (error: unknown) => {
        this.failure = { error }
      },
    )
  }

  /** It is stopped, killed, or has failed. */
  get isOver(): boolean {
    return this.isDone || this.isKilled || this.failure !== undefined
  }

  /** Dies here: the caller waits for ever, as everything else of it does from now on. */
  die(step: CrashStep): Promise<never> {
    this.isKilled = true
    this.#world.onStep(`crash ${this.id} ${step}`)
    return NEVER
  }

  /** Lets go of the stores of a killed one, as the system does with the files of a dead process. */
  async bury(): Promise<void> {
    const attempt = Number.MAX_SAFE_INTEGER
    for (const [taskId, lane] of this.#openTasks) await this.#handlers[lane]!.handle({ op: 'close', taskId, attempt })
  }

  /** Its transaction is committed: so is what was sealed before. */
  committed(): void {
    const { epoch, positions } = this.#sealed
    const world = this.#world
    world.onStep(`commit ${this.id} ${epoch}`)
    for (const work of this.#work) if (work.epoch <= epoch) addCounts(world.counts, work.counts)
    this.#work = this.#work.filter((work) => work.epoch > epoch)
    for (const [taskId, position] of positions) world.positions.set(taskId, position)
    positions.clear()
  }

  #observer(): EngineObserver {
    const nothing = (): void => {}
    return {
      processed: nothing,
      committed: nothing,
      restoring: nothing,
      rebuilt: (attempt, reason) => this.#world.onStep(`attempt ${attempt} of ${this.id}: ${reason}`),
      released: nothing,
    }
  }

  /** The lanes, watched: what they answer is noted, and a killed process hears nothing of it. */
  #lanes(lanes: Lanes): Lanes {
    return {
      count: lanes.count,
      send: (lane, request) => {
        if (this.isKilled) return NEVER
        const crash = this.#world.crashPoint
        const before = crash.pass('before', request.op, true)
        return before === undefined ? this.#answered(lane, request, lanes.send(lane, request)) : this.die(before)
      },
      close: () => lanes.close(),
    }
  }

  async #answered<R extends LaneRequest>(
    lane: number,
    request: R,
    answering: Promise<AnswerTo<R>>,
  ): Promise<AnswerTo<R>> {
    const world = this.#world
    if (request.op === 'open') this.#openTasks.set(request.taskId, lane)
    world.outsideCount++
    const answer = await answering.finally(() => world.outsideCount--)
    const after = world.crashPoint.pass('after', request.op, true)
    if (after !== undefined) void this.die(after)
    if (this.isKilled) return NEVER
    this.#note(answer)
    return answer
  }

  #note(answer: LaneResponse): void {
    switch (answer.op) {
      case 'frame':
      case 'idle':
      case 'wall':
      case 'advance':
      case 'end':
        this.#noteWork(answer)
        break
      case 'seal':
        this.#sealed.epoch = answer.epoch
        for (const { taskId, position } of answer.tasks) this.#sealed.positions.set(taskId, position)
        break
    }
  }

  #noteWork({ op, taskId, attempt, epoch, counts, moved, inputOffset, isDropped }: LaneProcessed): void {
    if (isDropped) return
    if (op !== 'idle') this.#world.onStep(`${op} ${taskId} to ${inputOffset}`)
    // What an earlier attempt did not commit is done again.
    if (attempt !== this.#attempt) this.#work = []
    this.#attempt = attempt
    const sub = Number(taskId.split('_')[0])
    const { isSource } = topologyOf(this.#world.job.plan).subs[sub]!
    const work = this.#work.find((one) => one.epoch === epoch) ?? { epoch, counts: noCounts() }
    if (!this.#work.includes(work)) this.#work.push(work)
    addCounts(work.counts, shareOfJob(counts, { isSource, moved }))
  }
}
