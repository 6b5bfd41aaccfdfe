// The supervisor: assignments, attempts, recovery from failures, a clean end. Main thread.
// Keeps SPEC: LANE-1, LANE-3, TABLE-5 (lanes have their tables before an attempt), EPOCH-2, EPOCH-3, RECOVER-1, EPOCH-6,
// STOP-1 (a clean stop commits, flushes and leaves), GROUP-4.

import { delay } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import { inputTopics } from '../job/topology.ts'
import type { GroupConsumer, Reader, TopicPartition } from '../kafka/port.ts'
import type { AttemptEnd } from './attempt-options.ts'
import { AttemptRunner } from './attempt-runner.ts'
import { GlobalFeed } from './global-feed.ts'
import { Ingest } from './ingest.ts'
import { type Assignment, Membership } from './membership.ts'
import type { EngineOptions } from './options.ts'
import { isReplaced } from './takeover.ts'
import { subOf, type TaskState, taskIdOf } from './task-state.ts'
import { TransactionalProducer } from './transactional-producer.ts'
import { decideError, messageOf, stopErrorOf } from './verdict.ts'
import { Wake } from './wake.ts'

/** The engine's clients and where its topics stand. */
export interface EngineInputs extends EngineOptions {
  /** By sub-topology. */
  changelogTopicIds: readonly (string | undefined)[]
  /** Of the topics that every lane has as tables. */
  globalPartitions: readonly TopicPartition[]
}

/*
 *  open clients -> wait for an assignment -> attempt (attempt-runner.ts) ... ends:
 *     drained (stop, end of input)    -> leave the group, close, done
 *     drained or failed by a revoke   -> unassign, wait for the next assignment
 *     failed                          -> abort or new producer, reopen tasks in a new attempt; or stop with the error
 */

const BACKOFF_FIRST_MS = 20
/** Each holds threads and memory that come back only when its call does. */
const ABANDONED_MAX = 2
/** A broker that does not answer is not waited for longer: the session ends by itself. */
const LEAVE_MS = 3_000

export class Engine {
  readonly #inputs: EngineInputs
  readonly #wake: Wake
  readonly #membership: Membership
  readonly #producer: TransactionalProducer
  readonly #globals: GlobalFeed
  #consumer: GroupConsumer | undefined
  #reader: Reader | undefined
  #ingest: Ingest | undefined
  #runner: AttemptRunner | undefined
  #failuresInRow = 0
  #isStopping = false
  #hasRun = false
  #clientFailure: unknown
  /** A lane may have begun anew, without its tables: they are read before the next attempt. */
  #isLoadDue = false
  readonly #onRunning: ((tasks: readonly TaskState[]) => void)[] = []

  constructor(inputs: EngineInputs) {
    this.#inputs = inputs
    this.#wake = new Wake(inputs.scheduler)
    this.#producer = new TransactionalProducer(inputs)
    const { globalPartitions: partitions } = inputs
    this.#globals = new GlobalFeed({ engine: inputs, partitions, onFailure: (error) => this.#globalsFailed(error) })
    this.#membership = new Membership({
      log: inputs.log,
      onChange: (isLost) => this.#groupChanged(isLost),
      onReleased: (partition) => {
        inputs.observer.released(taskIdOf(subOf(inputs.plan, partition.topic), partition.partition), partition)
      },
    })
  }

  /** Called each time tasks are restored and records flow. */
  onRunning(listener: (tasks: readonly TaskState[]) => void): void {
    this.#onRunning.push(listener)
  }
  get isRunning(): boolean {
    return this.#runner?.isRunning === true
  }
  /** What it waits for, in words. */
  get status(): string {
    if (this.#isStopping) return 'stopping'
    if (this.isRunning) return 'running'
    return this.#membership.assignment === undefined ? 'no partitions assigned' : 'restoring state'
  }
  get lagRecords(): number {
    return this.#runner?.attempt?.lagRecords ?? 0
  }
  get tasks(): readonly TaskState[] {
    return this.#runner?.attempt?.tasks ?? []
  }

  /** What was in the topics of global tables up to an offset is on the lanes. */
  hasGlobals(partition: TopicPartition, offset: number): boolean {
    return this.#globals.nextOffset(partition) >= offset
  }

  /** Commits what was processed without waiting for the pace of commits. */
  commit(): void {
    this.#runner?.attempt?.commit()
  }
  /** All that was taken is processed and committed, as far as this instance knows. */
  get isAtRest(): boolean {
    return this.isRunning && this.#runner?.attempt?.isAtRest === true
  }
  /** Event time has come to `watermarkMs` in each partition of the source that this instance has, though no record says so. */
  advanceTo(watermarkMs: number): void {
    this.#runner?.attempt?.advanceTo(watermarkMs)
  }

  /** Asks for a clean end: intake stops, the epoch is committed and flushed. `run` resolves when it is done. */
  stop(): void {
    this.#isStopping = true
    this.#runner?.attempt?.drain()
    this.#wake.ring()
  }

  /** Runs the job until it is stopped or, with `untilEnd`, its input ended. Rejects with what stopped it. */
  async run(): Promise<void> {
    try {
      await this.#superviseAttempts(await this.#open())
    } finally {
      await this.#close()
    }
  }

  /** The clients open side by side: connecting is most of the time of a start. */
  async #open(): Promise<AttemptRunner> {
    const { topics, limits, scheduler } = this.#inputs
    const opening = [this.#openConsumer(), this.#producer.openEarly(), this.#globals.load()]
    if (topics.changelogs.some((index) => index >= 0)) opening.push(this.#openReader())
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
    this.#runner = this.#newRunner(this.#consumer!, this.#ingest)
    this.#ingest.start()
    return this.#runner
  }

  async #openReader(): Promise<void> {
    this.#reader = await this.#inputs.kafka.openReader({})
  }
  async #openConsumer(): Promise<void> {
    const { kafka, plan, instanceId } = this.#inputs
    this.#consumer = await kafka.openConsumer({
      groupId: plan.job,
      instanceId,
      topics: inputTopics(plan),
      listener: this.#membership,
    })
    this.#membership.of(this.#consumer)
  }

  #newRunner(consumer: GroupConsumer, ingest: Ingest): AttemptRunner {
    const isCurrent = (assignment: Assignment): boolean => this.#membership.isCurrent(assignment)
    return new AttemptRunner({
      engine: this.#inputs,
      changelogTopicIds: this.#inputs.changelogTopicIds,
      consumer,
      reader: this.#reader,
      producer: this.#producer,
      ingest,
      isCurrent,
      isStopping: () => this.#isStopping,
      isOver: (assignment) =>
        !isCurrent(assignment) || this.#isStopping || this.#isLoadDue || this.#clientFailure !== undefined,
      clientFailure: () => this.#clientFailure,
      onRunning: (tasks) => {
        this.#hasRun = true
        for (const listener of this.#onRunning) listener(tasks)
      },
    })
  }

  #groupChanged(isLost: boolean): void {
    const attempt = this.#runner?.attempt
    if (isLost) attempt?.fail(new MillraceError('MR4011', {}))
    else attempt?.drain()
    this.#wake.ring()
  }
  /** Tables are not followed any more: a lane that died of it is a new attempt, as with any other request. */
  #globalsFailed(error: unknown): void {
    if (!(error instanceof MillraceError) || error.action !== 'rebuild') {
      this.#clientFailed(error)
      return
    }
    this.#isLoadDue = true
    this.#runner?.attempt?.fail(error)
  }
  #clientFailed(error: unknown): void {
    this.#clientFailure = error
    this.#runner?.attempt?.fail(error)
    this.#wake.ring()
  }

  async #superviseAttempts(runner: AttemptRunner): Promise<void> {
    for (;;) {
      const assignment = await this.#nextAssignment()
      if (assignment === undefined) return
      const end = await this.#attempt(runner, assignment)
      const isCurrent = this.#membership.isCurrent(assignment)
      if (this.#membership.isRevoking) await this.#letGo(end)
      else if (end.kind === 'failed') await this.#recover(runner, end.error)
      else if (this.#isStopping || (isCurrent && !this.#isLoadDue)) return
      if (!isCurrent) assignment.group.release()
    }
  }

  /** One attempt, on lanes that have their tables. Never rejects. */
  async #attempt(runner: AttemptRunner, assignment: Assignment): Promise<AttemptEnd> {
    if (this.#isLoadDue) {
      this.#isLoadDue = false
      try {
        await this.#globals.load()
      } catch (error) {
        this.#isLoadDue = true
        return { kind: 'failed', error }
      }
    }
    const end = await runner.run(assignment)
    if (runner.committedCount > 0) this.#failuresInRow = 0
    return end
  }

  /** The assignment to work on; undefined when stopping. */
  async #nextAssignment(): Promise<Assignment | undefined> {
    for (;;) {
      if (this.#clientFailure !== undefined) throw this.#stopError(this.#clientFailure)
      if (this.#isStopping) return undefined
      if (this.#membership.isRevoking) await this.#letGo({ kind: 'drained' })
      const { assignment } = this.#membership
      if (assignment !== undefined) return assignment
      await this.#wake.wait()
    }
  }

  /** Answers a revoke: the partitions are no longer ours. */
  async #letGo(end: AttemptEnd): Promise<void> {
    if (end.kind === 'failed') {
      if (await this.#mustStop(end.error)) throw this.#stopError(end.error)
      this.#inputs.log.warn({ reason: String(end.error) }, 'the epoch under way was dropped with the partitions')
      await this.#producer.drop()
      this.#isLoadDue = true
    }
    this.#membership.letGo()
  }

  /** Gets ready for a new attempt, or throws what stops the job. */
  async #recover(runner: AttemptRunner, error: unknown): Promise<void> {
    const { limits, log, observer, scheduler } = this.#inputs
    if (this.#clientFailure !== undefined) throw this.#stopError(this.#clientFailure)
    if (await this.#mustStop(error)) throw this.#stopError(error)
    this.#failuresInRow++
    if (this.#failuresInRow > limits.attemptsMax) {
      throw new MillraceError(
        'MR6002',
        { lane: '-', attempts: limits.attemptsMax, reason: messageOf(error) },
        { cause: error },
      )
    }
    log.warn({ reason: messageOf(error), attempt: runner.number + 1 }, 'the epoch is dropped; tasks are reopened')
    observer.rebuilt(runner.number + 1, messageOf(error))
    await delay(scheduler, Math.min(limits.backoffMaxMs, BACKOFF_FIRST_MS * 2 ** (this.#failuresInRow - 1)))
    await this.#producer.drop()
    this.#isLoadDue = true
    const count = this.#inputs.kafka.abandonedClients()
    if (count >= ABANDONED_MAX) throw new MillraceError('MR4014', { count })
  }

  /** Whether the job ends with this error. A producer that was fenced asks the group who took its name. */
  async #mustStop(error: unknown): Promise<boolean> {
    const verdict = decideError(error, this.#hasRun)
    if (verdict !== 'ask') return verdict === 'stop'
    const { instanceId, log } = this.#inputs
    try {
      if (await isReplaced(this.#inputs, this.#membership.memberIds)) return true
    } catch (asking) {
      // Nobody answers now. A process that is replaced hears it from its own consumer too.
      if (decideError(asking, this.#hasRun) === 'stop') return true
      log.warn({ reason: messageOf(asking) }, 'the group could not be asked who has our name')
    }
    log.warn({ reason: messageOf(error) }, new MillraceError('MR4017', { instanceId }).message)
    return false
  }
  #stopError(error: unknown): MillraceError {
    return stopErrorOf(error, this.#inputs.instanceId)
  }

  async #close(): Promise<void> {
    const closings: [string, (() => Promise<void>) | undefined][] = [
      ['global tables', () => this.#globals.close()],
      ['ingest', this.#ingest && (() => this.#ingest!.close())],
      ['group', this.#consumer && (() => this.#leave(this.#consumer!))],
      ['tasks', this.#runner && (() => this.#runner!.close())],
      ['producer', () => this.#producer.drop()],
      ['consumer', this.#consumer && (() => this.#consumer!.close())],
      ['changelog reader', this.#reader && (() => this.#reader!.close())],
    ]
    for (const [part, close] of closings) {
      try {
        await close?.()
      } catch (error) {
        this.#inputs.log.warn({ part, error: String(error) }, 'closing failed')
      }
    }
  }

  /** A planned end: others take over now, not when the session of this process would end. */
  async #leave(consumer: GroupConsumer): Promise<void> {
    if (this.#inputs.leavesOnStop && this.#clientFailure === undefined) await consumer.leave(LEAVE_MS)
  }
}
