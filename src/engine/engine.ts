// The supervisor: assignment, attempts, recovery from failures, a clean end. Main thread.
// Keeps SPEC: LANE-1, EPOCH-2, EPOCH-3, RECOVER-1, EPOCH-6, STOP-1 (a clean stop commits, flushes and leaves).

import { delay } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import {
  type GroupConsumer,
  type GroupMetadata,
  KafkaError,
  type Producer,
  type Reader,
  type TopicPartition,
} from '../kafka/port.ts'
import { Attempt, type AttemptEnd } from './attempt.ts'
import { Flusher } from './flusher.ts'
import { Ingest } from './ingest.ts'
import type { EngineOptions } from './options.ts'
import { reopenTasks } from './reopen.ts'
import { laneOf, type TaskState, taskIdOf } from './task-state.ts'
import { EpochError, Transaction } from './transaction.ts'
import { decideError, messageOf, stopErrorOf } from './verdict.ts'
import { Wake } from './wake.ts'

/** The engine's clients and where its topics stand. */
export interface EngineInputs extends EngineOptions {
  changelogTopicId: string | undefined
}

/*
 *  open clients -> wait for an assignment -> reopen tasks -> attempt ... ends:
 *     drained (stop, end of input)    -> flush, close, done
 *     drained or failed by a revoke   -> unassign, wait for the next assignment
 *     failed                          -> abort or new producer, reopen tasks in a new attempt; or stop with the error
 */
interface Assignment {
  id: number
  partitions: TopicPartition[]
  group: GroupMetadata
}

const BACKOFF_FIRST_MS = 20
/** Each holds threads and memory that come back only when its call does. */
const ABANDONED_MAX = 2

export class Engine {
  readonly #inputs: EngineInputs
  readonly #wake: Wake
  #producer: Producer | undefined
  #consumer: GroupConsumer | undefined
  #reader: Reader | undefined
  #ingest: Ingest | undefined
  #assignment: Assignment | undefined
  #assignmentCount = 0
  #isRevoking = false
  #attempt: Attempt | undefined
  #attemptNumber = 0
  #failuresInRow = 0
  /** With `untilEnd`: fixed at the first opening of a partition, for the whole run. */
  readonly #endOffsets = new Map<number, number>()
  #isStopping = false
  #hasRun = false
  #clientFailure: unknown
  #earlyFailure: { error: unknown } | undefined
  readonly #onRunning: ((tasks: readonly TaskState[]) => void)[] = []

  constructor(inputs: EngineInputs) {
    this.#inputs = inputs
    this.#wake = new Wake(inputs.scheduler)
  }

  /** Called each time tasks are restored and records flow. */
  onRunning(listener: (tasks: readonly TaskState[]) => void): void {
    this.#onRunning.push(listener)
  }
  get isRunning(): boolean {
    return this.#attempt !== undefined
  }
  /** What it waits for, in words. */
  get status(): string {
    if (this.#isStopping) return 'stopping'
    if (this.#attempt !== undefined) return 'running'
    return this.#assignment === undefined ? 'no partitions assigned' : 'restoring state'
  }
  get lagRecords(): number {
    return this.#attempt?.lagRecords ?? 0
  }
  get tasks(): readonly TaskState[] {
    return this.#attempt?.tasks ?? []
  }

  /** Asks for a clean end: intake stops, the epoch is committed and flushed. `run` resolves when it is done. */
  stop(): void {
    this.#isStopping = true
    this.#attempt?.drain()
    this.#wake.ring()
  }

  /** Runs the job until it is stopped or, with `untilEnd`, its input ended. Rejects with what stopped it. */
  async run(): Promise<void> {
    try {
      await this.#open()
      await this.#superviseAttempts()
    } finally {
      await this.#close()
    }
  }

  /** The clients open side by side: connecting is most of the time of a start. */
  async #open(): Promise<void> {
    const { topics, limits, scheduler } = this.#inputs
    const opening = [this.#openConsumer(), this.#openProducerEarly()]
    if (topics.changelog >= 0) opening.push(this.#openReader())
    const failed = (await Promise.allSettled(opening)).find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    this.#ingest = new Ingest({
      consumer: this.#consumer!,
      clock: this.#inputs.clock,
      scheduler,
      pollRecordsMax: limits.pollRecordsMax,
      pollBytesMax: limits.pollBytesMax,
      onFailure: (error) => this.#clientFailed(error),
    })
    this.#ingest.start()
  }

  async #openReader(): Promise<void> {
    this.#reader = await this.#inputs.kafka.openReader({})
  }
  async #openConsumer(): Promise<void> {
    const { kafka, plan, instanceId } = this.#inputs
    this.#consumer = await kafka.openConsumer({
      groupId: plan.job,
      instanceId,
      topics: [plan.source.topic],
      listener: {
        onAssign: (partitions) => this.#assigned(partitions),
        onRevoke: (partitions, isLost) => this.#revoked(partitions, isLost),
      },
    })
  }
  /** Before there are partitions; what fails here fails the first attempt. */
  async #openProducerEarly(): Promise<void> {
    try {
      await this.#openProducer()
    } catch (error) {
      this.#earlyFailure = { error }
    }
  }

  #assigned(partitions: TopicPartition[]): void {
    const group = this.#consumer!.groupMetadata()
    this.#assignment = { id: ++this.#assignmentCount, partitions, group }
    this.#attempt?.drain()
    this.#inputs.log.info({ partitions: partitions.map((one) => one.partition) }, 'partitions assigned')
    this.#wake.ring()
  }
  #revoked(partitions: TopicPartition[], isLost: boolean): void {
    this.#inputs.log.info({ partitions: partitions.map((one) => one.partition), isLost }, 'partitions revoked')
    this.#assignmentCount++
    this.#isRevoking = true
    if (isLost) this.#attempt?.fail(new MillraceError('MR4011', {}))
    else this.#attempt?.drain()
    this.#wake.ring()
  }
  #clientFailed(error: unknown): void {
    this.#clientFailure = error
    this.#attempt?.fail(error)
    this.#wake.ring()
  }

  async #superviseAttempts(): Promise<void> {
    for (;;) {
      const assignment = await this.#nextAssignment()
      if (assignment === undefined) return
      const end = await this.#runAttempt(assignment)
      const isCurrent = assignment.id === this.#assignmentCount
      if (this.#isRevoking) await this.#letGo(end)
      else if (end.kind === 'failed') await this.#recover(end.error)
      else if (isCurrent || this.#isStopping) return
      if (!isCurrent) assignment.group.release()
    }
  }

  /** The assignment to work on; undefined when stopping. */
  async #nextAssignment(): Promise<Assignment | undefined> {
    for (;;) {
      if (this.#clientFailure !== undefined) throw stopErrorOf(this.#clientFailure, this.#inputs.instanceId)
      if (this.#isStopping) return undefined
      if (this.#isRevoking) await this.#letGo({ kind: 'drained' })
      if (this.#assignment !== undefined) return this.#assignment
      await this.#wake.wait()
    }
  }

  async #runAttempt(assignment: Assignment): Promise<AttemptEnd> {
    const number = ++this.#attemptNumber
    const isCancelled = (): boolean =>
      assignment.id !== this.#assignmentCount || this.#isStopping || this.#clientFailure !== undefined
    try {
      await this.#openProducer()
      const tasks = await reopenTasks({
        engine: this.#inputs,
        attempt: number,
        consumer: this.#consumer!,
        reader: this.#reader,
        changelogTopicId: this.#inputs.changelogTopicId,
        partitions: assignment.partitions,
        endOffsets: this.#endOffsets,
        isCancelled,
      })
      if (this.#clientFailure !== undefined) throw this.#clientFailure
      if (tasks === undefined || isCancelled()) return { kind: 'drained' }
      return await this.#runTasks(assignment, number, tasks)
    } catch (error) {
      return { kind: 'failed', error }
    } finally {
      await this.#closeTasks(assignment, number)
    }
  }

  async #runTasks(assignment: Assignment, number: number, tasks: TaskState[]): Promise<AttemptEnd> {
    const ingest = this.#ingest!
    const consumer = this.#consumer!
    const attempt = this.#newAttempt(assignment, number, tasks)
    this.#attempt = attempt
    await this.#whileHeld(() => {
      ingest.feed(attempt, assignment.partitions)
      consumer.assign(
        tasks.map(({ topic, partition, dispatchedOffset }) => ({ topic, partition, offset: dispatchedOffset })),
      )
    })
    if (this.#clientFailure !== undefined) attempt.fail(this.#clientFailure)
    this.#hasRun = true
    for (const listener of this.#onRunning) listener(tasks)
    if (this.#inputs.untilEnd && tasks.length === 0) attempt.drain()
    const end = await attempt.run()
    this.#attempt = undefined
    await this.#whileHeld(() => {
      ingest.feed(undefined, [])
      const isOurs = assignment.id === this.#assignmentCount && this.#clientFailure === undefined
      if (isOurs) consumer.pause(assignment.partitions)
    })
    if (attempt.committedCount > 0) this.#failuresInRow = 0
    if (end.kind === 'drained') await this.#flushAll(attempt)
    return end
  }

  /** Changes what polls do while none is out. */
  async #whileHeld(change: () => void): Promise<void> {
    await this.#ingest!.hold()
    try {
      change()
    } finally {
      this.#ingest!.release()
    }
  }

  #newAttempt(assignment: Assignment, number: number, tasks: TaskState[]): Attempt {
    const { limits, clock, topics, plan } = this.#inputs
    const committedEpoch = tasks.reduce((most, task) => Math.max(most, task.position?.epoch ?? 0), 0)
    return new Attempt({
      engine: this.#inputs,
      number,
      firstEpoch: committedEpoch + 1,
      tasks,
      transaction: new Transaction({
        producer: this.#producer!,
        topicNames: topics.names,
        clock,
        callMs: limits.callMs,
      }),
      flusher: this.#newFlusher(),
      group: assignment.group,
      recycle: (frame) => this.#consumer!.recycle(frame),
      inputEnd: async (partition) => {
        const { high } = await this.#consumer!.watermarks({ topic: plan.source.topic, partition }, limits.callMs)
        return high
      },
      onRoom: () => this.#ingest?.ring(),
    })
  }

  #newFlusher(): Flusher {
    const { topics, limits, changelogTopicId } = this.#inputs
    const topic = topics.names[topics.changelog] ?? ''
    return new Flusher({
      engine: this.#inputs,
      changelogTopicId,
      changelogEnd: async (partition) => (await this.#reader!.watermarks({ topic, partition }, limits.callMs)).high,
    })
  }

  /** Everything is committed and nothing is open: the stores go to disk for a warm start. */
  async #flushAll(attempt: Attempt): Promise<void> {
    if (this.#reader === undefined) return
    const flusher = this.#newFlusher()
    for (const task of attempt.tasks) await flusher.flushLast(task, attempt.moment())
  }

  async #closeTasks(assignment: Assignment, attempt: number): Promise<void> {
    const { lanes, log } = this.#inputs
    await Promise.all(
      assignment.partitions.map(async ({ partition }) => {
        const taskId = taskIdOf(partition)
        try {
          await lanes.send(laneOf(partition, lanes.count), { op: 'close', taskId, attempt })
        } catch (error) {
          log.warn({ task: taskId, error: String(error) }, 'closing a task failed')
        }
      }),
    )
  }

  /** Answers a revoke: the partitions are no longer ours. */
  async #letGo(end: AttemptEnd): Promise<void> {
    if (end.kind === 'failed') {
      if (decideError(end.error, this.#hasRun) === 'stop') throw stopErrorOf(end.error, this.#inputs.instanceId)
      this.#inputs.log.warn({ reason: String(end.error) }, 'the epoch under way was dropped with the partitions')
      await this.#dropProducer()
    }
    for (const one of this.#assignment?.partitions ?? []) this.#inputs.observer.released(taskIdOf(one.partition), one)
    this.#assignment?.group.release()
    this.#assignment = undefined
    this.#isRevoking = false
    this.#consumer!.unassign()
  }

  /** Gets ready for a new attempt, or throws what stops the job. */
  async #recover(error: unknown): Promise<void> {
    const { limits, log, observer, scheduler } = this.#inputs
    if (this.#clientFailure !== undefined) throw stopErrorOf(this.#clientFailure, this.#inputs.instanceId)
    if (decideError(error, this.#hasRun) === 'stop') throw stopErrorOf(error, this.#inputs.instanceId)
    this.#failuresInRow++
    if (this.#failuresInRow > limits.attemptsMax) {
      throw new MillraceError(
        'MR6002',
        { lane: '-', attempts: limits.attemptsMax, reason: messageOf(error) },
        { cause: error },
      )
    }
    log.warn({ reason: messageOf(error), attempt: this.#attemptNumber + 1 }, 'the epoch is dropped; tasks are reopened')
    observer.rebuilt(this.#attemptNumber + 1, messageOf(error))
    await delay(scheduler, Math.min(limits.backoffMaxMs, BACKOFF_FIRST_MS * 2 ** (this.#failuresInRow - 1)))
    await this.#dropProducer()
    const count = this.#inputs.kafka.abandonedClients()
    if (count >= ABANDONED_MAX) throw new MillraceError('MR4014', { count })
  }

  /**
   * A producer with the transactional id of this process: initialising it aborts or completes what an earlier one left, so
   * that whatever was decided can be read back. Also the way after a plain abort: one path that is always exercised.
   */
  async #openProducer(): Promise<void> {
    const early = this.#earlyFailure
    this.#earlyFailure = undefined
    if (early !== undefined) throw early.error
    if (this.#producer !== undefined) return
    const { kafka, plan, instanceId, limits, batchBytesMax } = this.#inputs
    const producer = await kafka.openProducer({ transactionalId: `${plan.job}-${instanceId}`, batchBytesMax })
    try {
      await producer.initTransactions(limits.connectMs)
    } catch (cause) {
      await producer.close()
      if (cause instanceof KafkaError) throw new EpochError('init', 0, cause)
      throw cause
    }
    this.#producer = producer
  }
  /** Gives the producer up with its transaction; the next attempt opens another. */
  async #dropProducer(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close()
  }

  async #close(): Promise<void> {
    const { log } = this.#inputs
    const closings: [string, (() => Promise<void>) | undefined][] = [
      ['ingest', this.#ingest && (() => this.#ingest!.close())],
      ['consumer', this.#consumer && (() => this.#consumer!.close())],
      ['changelog reader', this.#reader && (() => this.#reader!.close())],
      ['producer', this.#producer && (() => this.#producer!.close())],
    ]
    for (const [part, close] of closings) {
      try {
        await close?.()
      } catch (error) {
        log.warn({ part, error: String(error) }, 'closing failed')
      }
    }
  }
}
