// Runs attempts on an assignment: resumes what stayed, opens what moved here, and leaves tasks suspended or closed. Main thread.
// Keeps SPEC: GROUP-1, GROUP-2 (kept tasks run while moved ones are opened), RECOVER-1, STOP-1 (a clean stop flushes).

import { type GroupConsumer, type Producer, partitionKey, type Reader, type TopicPartition } from '../kafka/port.ts'
import { Attempt } from './attempt.ts'
import type { AttemptEnd } from './attempt-options.ts'
import { Flusher } from './flusher.ts'
import type { Ingest } from './ingest.ts'
import type { Assignment } from './membership.ts'
import { OpenTasks } from './open-tasks.ts'
import { Opening } from './opening.ts'
import type { EngineOptions } from './options.ts'
import { reopenTasks } from './reopen.ts'
import { StableOffsets } from './stable-offsets.ts'
import type { TaskState } from './task-state.ts'
import { Transaction } from './transaction.ts'
import type { TransactionalProducer } from './transactional-producer.ts'
import { Trimmer } from './trimmer.ts'

export interface AttemptRunnerOptions {
  engine: EngineOptions
  /** By sub-topology. */
  changelogTopicIds: readonly (string | undefined)[]
  consumer: GroupConsumer
  /** Reads the changelog; undefined for a job without state. */
  reader: Reader | undefined
  producer: TransactionalProducer
  ingest: Ingest
  /** True once the assignment is not worth starting on any more: it changed, or the process stops. */
  isOver: (assignment: Assignment) => boolean
  /** True while the group has told nothing newer. */
  isCurrent: (assignment: Assignment) => boolean
  isStopping: () => boolean
  /** What a client failed with for good. */
  clientFailure: () => unknown
  /** Tasks are open and records flow. */
  onRunning: (tasks: readonly TaskState[]) => void
}

/*
 *  producer -> resume what stayed -> nothing stayed:   open the tasks, then run them
 *                                    something stayed: run it at once; open the moved tasks meanwhile, admit them
 *  the attempt ends:
 *     drained by a rebalance -> tasks are suspended      drained by a stop -> flushed and closed      failed -> closed
 */
export class AttemptRunner {
  readonly #options: AttemptRunnerOptions
  readonly #openTasks: OpenTasks
  readonly #trimmer: Trimmer
  /** With `untilEnd`: fixed at the first opening of a partition, for the whole run. */
  readonly #endOffsets = new Map<string, number>()
  #attempt: Attempt | undefined
  #isOpening = false
  #number = 0
  /** Epochs that the last attempt committed. */
  committedCount = 0

  constructor(options: AttemptRunnerOptions) {
    this.#options = options
    this.#openTasks = new OpenTasks(options.engine)
    this.#trimmer = new Trimmer(options.engine)
    this.#trimmer.start(() => this.#attempt?.tasks ?? [])
  }

  /** The attempt that runs, if any. */
  get attempt(): Attempt | undefined {
    return this.#attempt
  }
  /** Every task of the assignment runs. */
  get isRunning(): boolean {
    return this.#attempt !== undefined && !this.#isOpening
  }
  get number(): number {
    return this.#number
  }

  /** One attempt, from opening tasks to its end. Never rejects. */
  async run(assignment: Assignment): Promise<AttemptEnd> {
    const number = ++this.#number
    this.committedCount = 0
    let end: AttemptEnd
    let suspended: readonly TaskState[] = []
    try {
      const producer = await this.#options.producer.open()
      const attempt = await this.#openAndRun(assignment, number, producer)
      end = attempt === undefined ? { kind: 'drained' } : attempt.end
      if (attempt !== undefined && end.kind === 'drained') suspended = await this.#settle(assignment, attempt.of)
    } catch (error) {
      end = { kind: 'failed', error }
    }
    const isSuspended = new Set(suspended.map(partitionKey))
    const others = assignment.partitions.filter((partition) => !isSuspended.has(partitionKey(partition)))
    await this.#openTasks.close(others, number)
    return end
  }

  /** Lets go of what is suspended, flushed. */
  async close(): Promise<void> {
    await this.#trimmer.close()
    await this.#openTasks.closeSuspended(this.#number, this.#newFlusher(), this.#options.engine.limits.flushOnStopMs)
  }

  async #openAndRun(
    assignment: Assignment,
    number: number,
    producer: Producer,
  ): Promise<{ of: Attempt; end: AttemptEnd } | undefined> {
    const { isOver, clientFailure } = this.#options
    const kept = await this.#resume(assignment, number)
    const isKept = new Set(kept.map(partitionKey))
    const moved = assignment.partitions.filter((partition) => !isKept.has(partitionKey(partition)))
    const opening = this.#open(assignment, number, moved)
    try {
      const first = kept.length > 0 ? kept : await opening.tasks
      if (clientFailure() !== undefined) throw clientFailure()
      if (first === undefined || (kept.length === 0 && isOver(assignment))) return undefined
      const attempt = this.#newAttempt(assignment, number, first, producer, kept.length === 0 || moved.length === 0)
      return { of: attempt, end: await this.#runTasks(assignment, attempt, kept.length > 0 ? opening : undefined) }
    } finally {
      await opening.cancel()
    }
  }

  #resume(assignment: Assignment, number: number): Promise<TaskState[]> {
    const { engine, consumer, isOver } = this.#options
    const isCancelled = (): boolean => isOver(assignment)
    return this.#openTasks.resume({
      attempt: number,
      partitions: assignment.partitions,
      since: assignment.since,
      flusher: this.#newFlusher(),
      committed: async (partitions) => {
        const { clock, scheduler, limits } = engine
        const offsets = new StableOffsets({
          consumer,
          partitions,
          clock,
          scheduler,
          callMs: limits.callMs,
          isCancelled,
        })
        while (!isCancelled()) {
          if (await offsets.knownWithin(ASK_AGAIN_MS)) return (partition) => offsets.of(partition)?.offset
        }
        return undefined
      },
    })
  }

  #open(assignment: Assignment, attempt: number, partitions: TopicPartition[]): Opening {
    const { engine, consumer, reader, changelogTopicIds, isOver } = this.#options
    return new Opening((isCancelled) =>
      reopenTasks({
        engine,
        attempt,
        consumer,
        reader,
        changelogTopicIds,
        partitions,
        endOffsets: this.#endOffsets,
        isCancelled: () => isCancelled() || isOver(assignment),
      }),
    )
  }

  async #runTasks(assignment: Assignment, attempt: Attempt, opening: Opening | undefined): Promise<AttemptEnd> {
    const { ingest, isOver, clientFailure, onRunning } = this.#options
    const { provisional } = this.#options.engine
    this.#attempt = attempt
    provisional?.begun(attempt.number)
    this.#isOpening = !attempt.isComplete
    await this.#feed(assignment, attempt)
    if (clientFailure() !== undefined) attempt.fail(clientFailure())
    if (isOver(assignment)) attempt.drain()
    if (attempt.isComplete) onRunning(attempt.tasks)
    const admitted = opening === undefined ? undefined : this.#admit(assignment, attempt, opening)
    const end = await attempt.run()
    provisional?.ended(attempt.number)
    await opening?.cancel()
    await admitted
    this.#attempt = undefined
    this.#isOpening = false
    this.committedCount = attempt.committedCount
    await this.#whileHeld(() => {
      ingest.feed(undefined, [])
      const isOurs = this.#options.isCurrent(assignment) && clientFailure() === undefined
      if (isOurs) this.#options.consumer.pause(assignment.partitions)
    })
    return end
  }

  /** Records flow to the attempt, for all tasks that it has now. */
  #feed(assignment: Assignment, attempt: Attempt, before: () => void = () => {}): Promise<void> {
    const { ingest, consumer, isCurrent } = this.#options
    return this.#whileHeld(() => {
      // A revoke may have come with the poll that was out: its answer is `unassign`.
      if (!isCurrent(assignment)) return
      before()
      const tasks = attempt.tasks.map(({ topic, partition, dispatchedOffset }) => ({
        topic,
        partition,
        offset: dispatchedOffset,
      }))
      ingest.feed(attempt, tasks)
      consumer.assign(tasks)
      ingest.holdBack()
    })
  }

  /** Adds the moved tasks once they are open. Never rejects. */
  async #admit(assignment: Assignment, attempt: Attempt, opening: Opening): Promise<void> {
    try {
      const tasks = await opening.tasks
      if (tasks === undefined || attempt.isComplete) return
      await this.#feed(assignment, attempt, () => attempt.admit(tasks))
      if (!attempt.isComplete) return
      this.#isOpening = false
      this.#options.onRunning(attempt.tasks)
    } catch (error) {
      attempt.fail(error)
    }
  }

  /**
   * Everything is committed and nothing is open: tasks are suspended by a rebalance, flushed for a warm start at the end. A
   * stop that meets a rebalance suspends as well: the end of the changelog may be another owner's by now.
   */
  async #settle(assignment: Assignment, attempt: Attempt): Promise<readonly TaskState[]> {
    if (this.#options.isCurrent(assignment)) {
      if (this.#options.reader !== undefined) await this.#flushAll(attempt)
      return []
    }
    this.#openTasks.suspend(attempt.tasks, assignment.group.generation, attempt.moment())
    return attempt.tasks
  }

  /** For a warm start; a stop does not wait for all of it. */
  async #flushAll(attempt: Attempt): Promise<void> {
    const { engine, isStopping } = this.#options
    const { clock, limits, log } = engine
    const untilMs = clock.monotonicMs() + limits.flushOnStopMs
    const flusher = this.#newFlusher()
    for (const task of attempt.tasks) {
      if (isStopping() && clock.monotonicMs() >= untilMs) {
        log.info(
          { task: task.taskId },
          'not flushed before the stop: its last rows are read from the changelog at the next start',
        )
      } else await flusher.flushLast(task, attempt.moment())
    }
  }

  /** Changes what polls do while none is out. */
  async #whileHeld(change: () => void): Promise<void> {
    const { ingest } = this.#options
    await ingest.hold()
    try {
      change()
    } finally {
      ingest.release()
    }
  }

  #newAttempt(
    assignment: Assignment,
    number: number,
    tasks: TaskState[],
    producer: Producer,
    isComplete: boolean,
  ): Attempt {
    const { engine, consumer, ingest } = this.#options
    const { limits, clock, scheduler, topics, provisional } = engine
    const shown = provisional && {
      given: (epoch: number, frame: ArrayBuffer) => provisional.given(number, epoch, frame),
      committed: (epoch: number) => provisional.committed(number, epoch),
    }
    return new Attempt({
      engine,
      number,
      tasks,
      isComplete,
      transaction: new Transaction({
        producer,
        topicNames: topics.names,
        clock,
        scheduler,
        callMs: limits.callMs,
        shown,
      }),
      flusher: this.#newFlusher(),
      group: assignment.group,
      recycle: (frame) => consumer.recycle(frame),
      inputEnd: async (task) => (await consumer.watermarks(task, limits.callMs)).high,
      onRoom: () => ingest.ring(),
    })
  }

  #newFlusher(): Flusher {
    const { engine, changelogTopicIds, reader } = this.#options
    const { topics, limits } = engine
    return new Flusher({
      engine,
      changelogTopicIds,
      onRoom: () => this.#options.ingest.ring(),
      changelogEnd: async ({ sub, partition }) => {
        const topic = topics.names[topics.changelogs[sub]!]!
        return (await reader!.watermarks({ topic, partition }, limits.callMs)).high
      },
    })
  }
}

const ASK_AGAIN_MS = 1_000
