// Runs the instances of a job under test step by step: each call ends when nothing is left to do, without waiting in real
// time. Test processes, main thread.
// Keeps SPEC: TEST-1, TEST-2, TEST-3, TEST-4, TEST-5.

import { MillraceError } from '../core/errors.ts'
import { lagOf, type TaskState } from '../engine/task-state.ts'
import { Instance, type InstanceWorld } from './instance.ts'

/** Virtual time in which any step must be done. */
const STEP_LIMIT_MS = 600_000
const FIRST = 'test-1'
/** Before the first by name: of one partition it is the owner then, so that a rebalance moves it. */
const SECOND = 'test-0'

export interface RunWorld extends InstanceWorld {
  /** Transactions that were committed so far. */
  commitCount: number
  /** Tasks of the job: partitions of all topics that it reads. */
  taskCount: number
}

/*
 *   nothing runs --any call--> running --restart: stop, start-->  running
 *      ^                          |  +--a death at a step: bury, start anew--> running
 *      +------- end, failure -----+
 */
export class JobRun {
  readonly #world: RunWorld
  #instances: Instance[] = []

  constructor(world: RunWorld) {
    this.#world = world
  }

  /** Where the calls of a producer belong: the instance with this transactional id. */
  instanceOf(transactionalId: string): Instance | undefined {
    return this.#instances.find(({ id }) => transactionalId === `${this.#world.job.plan.job}-${id}`)
  }

  /** Starts an instance, if none runs. */
  async start(): Promise<void> {
    if (this.#instances.length > 0) return
    this.#add(FIRST, false)
    await this.process()
  }

  /** Until everything that can be read is processed; nothing is committed for it. */
  async process(): Promise<void> {
    do await this.#drive('records are processed', () => this.#hasDied || this.#isProcessed())
    while (await this.#replaceDead())
  }

  /** Until everything is processed and committed, also what that makes visible behind a repartition topic. */
  async commit(): Promise<void> {
    do await this.#driveCommit()
    while (await this.#replaceDead())
    // The store is written at a stop: that is where it dies.
    if (this.#world.crashPoint.isOfStore) await this.restart()
  }

  /** Moves event time in every partition of the source, and commits that; a process that died on the way is told again. */
  async advanceTo(watermarkMs: number): Promise<void> {
    this.#world.onStep(`advance to ${watermarkMs}`)
    do {
      await this.process()
      for (const { engine } of this.#instances) engine.advanceTo(watermarkMs)
      await this.#driveCommit()
    } while (await this.#replaceDead())
    await this.commit()
  }

  /** Lets so much time pass. */
  async pass(ms: number): Promise<void> {
    this.#world.onStep(`pass ${ms}`)
    await this.#world.time.pass(ms)
    await this.#refuseFailure()
  }

  /** Stops every instance and starts it anew. */
  async restart(): Promise<void> {
    const ids = this.#instances.map(({ id }) => id)
    await this.#stop(this.#instances)
    for (const id of ids) this.#add(id, false)
    await this.process()
  }

  /** A second instance joins the group, or leaves it again. */
  async rebalance(): Promise<void> {
    const second = this.#instances.filter(({ id }) => id === SECOND)
    if (second.length > 0) await this.#stop(second)
    else this.#add(SECOND, false)
    await this.process()
  }

  /** Runs to the end of the input. Nothing runs afterwards. */
  async end(): Promise<void> {
    await this.#stop(this.#instances)
    this.#add(FIRST, true)
    do await this.#drive('the input has ended', () => this.#instances.every(({ isOver }) => isOver))
    while (await this.#replaceDead())
    this.#instances = []
  }

  /** Stops what runs. */
  async close(): Promise<void> {
    await this.#stop(this.#instances)
  }

  #add(id: string, untilEnd: boolean): void {
    const instance = new Instance(this.#world, id, untilEnd)
    this.#instances.push(instance)
    instance.start()
  }

  async #stop(instances: readonly Instance[]): Promise<void> {
    for (const instance of instances) {
      this.#world.onStep(`stop ${instance.id}`)
      instance.engine.stop()
    }
    await this.#drive('the job stops', () => instances.every(({ isOver }) => isOver))
    for (const instance of instances) if (instance.isKilled) await instance.bury()
    this.#instances = this.#instances.filter((instance) => !instances.includes(instance))
  }

  #driveCommit(): Promise<void> {
    return this.#drive('all is committed', () => this.#hasDied || this.#isCommitted(), true)
  }

  get #hasDied(): boolean {
    return this.#instances.some(({ isKilled }) => isKilled)
  }

  /** A process that died starts again, with its name and its folder. */
  async #replaceDead(): Promise<boolean> {
    const dead = this.#instances.filter(({ isKilled }) => isKilled)
    this.#instances = this.#instances.filter(({ isKilled }) => !isKilled)
    for (const instance of dead) {
      await instance.bury()
      this.#add(instance.id, instance.untilEnd)
    }
    return dead.length > 0
  }

  #isProcessed(): boolean {
    const tasks = this.#instances.flatMap(({ engine }) => engine.tasks)
    const areRunning = this.#instances.every(({ engine }) => engine.isRunning)
    const isReady = areRunning && tasks.length === this.#world.taskCount && this.#haveGlobals()
    return isReady && tasks.every((task) => this.#isCaughtUp(task))
  }
  #haveGlobals(): boolean {
    const { kafka, jobTopics } = this.#world
    return jobTopics.globalPartitions.every((partition) => {
      const { stable } = kafka.offsets(partition.topic, partition.partition)
      return this.#instances.every(({ engine }) => engine.hasGlobals(partition, stable))
    })
  }
  #isCommitted(): boolean {
    return this.#isProcessed() && this.#instances.every(({ engine }) => engine.isAtRest)
  }
  #isCaughtUp(task: TaskState): boolean {
    const { stable } = this.#world.kafka.offsets(task.topic, task.partition)
    return task.isAtEnd && task.processedOffset === task.dispatchedOffset && task.endSeenOffset >= stable
  }

  /**
   * Lets everything run that can; time moves on only where it is waited for. With `commits`, what was processed is committed
   * at once. Throws what stopped the job, and MR6006 when it takes longer than anything should.
   */
  async #drive(goal: string, isMet: () => boolean, commits = false): Promise<void> {
    const world = this.#world
    const endMs = world.time.monotonicMs() + STEP_LIMIT_MS
    for (;;) {
      await world.time.settle()
      await this.#refuseFailure()
      if (isMet()) return
      const { commitCount } = world
      if (commits) for (const { engine } of this.#instances) engine.commit()
      await world.time.settle()
      if (world.commitCount > commitCount || isMet()) continue
      if (!world.time.runNext(endMs)) throw this.#stuck(goal)
    }
  }

  /** What stopped one of them stops the job: the next call starts it anew, from the last commit. */
  async #refuseFailure(): Promise<void> {
    const failed = this.#instances.find(({ failure }) => failure !== undefined)
    if (failed === undefined) return
    const others = this.#instances.filter((instance) => instance !== failed)
    this.#instances = []
    for (const instance of others) {
      instance.isKilled = true
      await instance.bury()
    }
    throw failed.failure!.error
  }

  #stuck(goal: string): MillraceError {
    const states = this.#instances.map(({ id, engine }) => {
      const lag = engine.tasks.reduce((sum, task) => sum + lagOf(task), 0)
      return `${id} is ${engine.status}, ${engine.tasks.length} tasks, ${lag} records behind`
    })
    return new MillraceError('MR6006', { limitMs: STEP_LIMIT_MS, goal, states: states.join('; ') || 'nothing runs' })
  }
}
