// One attempt: tasks run on their lanes, epochs follow each other, until something ends it. Main thread.
// Keeps SPEC: LANE-1 (an attempt's work ends with it), EPOCH-1, COUNT-1, DLQ-3, R4 (end of input), R5 (idle).

import { shareOfJob } from '../core/counts.ts'
import type { LaneProcessed } from '../core/message.ts'
import { inputTopics } from '../job/topology.ts'
import {
  type GroupMetadata,
  KafkaError,
  type PollResult,
  type SourceBatch,
  type TopicPartition,
  type TopicPartitionOffset,
} from '../kafka/port.ts'
import type { AttemptEnd, AttemptOptions, ClockMove } from './attempt-options.ts'
import { AttemptTasks } from './attempt-tasks.ts'
import { JobFloods } from './dead-flood.ts'
import { decideCadence } from './epoch/cadence.ts'
import { endsFetching } from './epoch/failure.ts'
import { checkCounts, EpochTally } from './epoch-tally.ts'
import type { Flusher, FlushMoment } from './flusher.ts'
import type { EngineOptions } from './options.ts'
import { takeBatch } from './task-input.ts'
import type { TaskState } from './task-state.ts'
import { watchTasks } from './task-watches.ts'
import type { Transaction } from './transaction.ts'
import { Wake } from './wake.ts'
import { WallWatch } from './wall-watch.ts'

export class Attempt {
  readonly number: number
  readonly #engine: EngineOptions
  readonly #tasks: AttemptTasks
  readonly #transaction: Transaction
  readonly #flusher: Flusher
  readonly #group: GroupMetadata
  readonly #onRoom: () => void
  readonly #inputEnd: (task: TaskState) => Promise<number>
  readonly #recycle: (frame: ArrayBuffer) => void
  readonly #wake: Wake
  readonly #floods: JobFloods
  readonly #wall: WallWatch
  readonly #laneBytes: number[]
  #openEpoch: number
  #lastCommitted: number
  /** All lanes have handed over this epoch: nothing more of it may come. */
  #sealedEpoch: number
  #cutMs: number
  #partitionCount = 0
  #hasWork = false
  #inFlightCount = 0
  #isDraining = false
  #isCommitAsked = false
  #drainError: unknown
  #failure: { error: unknown } | undefined
  /** Tasks have to be heard of before their records (`mustAnnounce`); what is read meanwhile waits in `#held`, a few polls. */
  #isAnnouncing: boolean
  readonly #held: PollResult[] = []
  readonly #tally = new EpochTally()
  /** Epochs committed by this attempt: shows progress to the supervisor. */
  committedCount = 0

  constructor(options: AttemptOptions) {
    const { engine } = options
    this.number = options.number
    this.#engine = engine
    this.#tasks = new AttemptTasks(engine.plan, options.tasks, options.isComplete)
    this.#transaction = options.transaction
    this.#flusher = options.flusher
    this.#group = options.group
    this.#onRoom = options.onRoom
    this.#inputEnd = options.inputEnd
    this.#recycle = options.recycle
    this.#wake = new Wake(engine.scheduler)
    this.#floods = new JobFloods(inputTopics(engine.plan).length, engine.limits)
    this.#wall = new WallWatch({
      engine,
      tasks: this.#tasks.all,
      isLive: () => this.wantsMore(),
      sendWall: (task, nowMs) => this.#tell(task, { op: 'wall', nowMs }),
    })
    this.#laneBytes = new Array<number>(engine.lanes.count).fill(0)
    this.#isAnnouncing = this.#tasks.beginsAnew(options.tasks, engine.clock.monotonicMs())
    // Above all that were committed.
    this.#lastCommitted = this.#tasks.epochMax
    this.#sealedEpoch = this.#lastCommitted
    this.#openEpoch = this.#lastCommitted + 1
    this.#cutMs = engine.clock.monotonicMs()
  }

  /** Where this attempt stands, for flushes. */
  moment(): FlushMoment {
    return { attempt: this.number, openEpoch: this.#openEpoch, committedEpoch: this.#lastCommitted }
  }
  get lagRecords(): number {
    return this.#tasks.lagRecords
  }
  get tasks(): readonly TaskState[] {
    return this.#tasks.all
  }
  get isComplete(): boolean {
    return this.#tasks.isComplete
  }

  /**
   * Takes the tasks that were opened while it ran; records of theirs may come from now on. Their last owner may have counted
   * its epochs further than this one: the open epoch gets a number above all of them.
   */
  admit(tasks: readonly TaskState[]): void {
    this.#tasks.add(tasks)
    this.#tasks.isComplete = true
    this.#openEpoch = Math.max(this.#openEpoch, this.#tasks.epochMax + 1)
    if (this.#tasks.beginsAnew(tasks, this.#engine.clock.monotonicMs())) this.#isAnnouncing = true
    this.#wall.ask(tasks)
    for (const task of tasks) this.#endIfReached(task)
    this.#wake.ring()
    if (this.#engine.untilEnd && this.#tasks.haveEnded) this.drain()
  }
  /** False while a lane or the results waiting for their transaction are at their limit in bytes. */
  hasRoom(): boolean {
    const { laneBytesMax, pendingOutputBytesMax } = this.#engine.limits
    if (this.#isAnnouncing || this.#flusher.isBehind) return false
    if (this.#transaction.pendingBytes >= pendingOutputBytesMax) return false
    return this.#laneBytes.every((bytes) => bytes < laneBytesMax)
  }

  /** False once it drains or has failed: what is read from then on is dropped. */
  wantsMore(): boolean {
    return this.#failure === undefined && !this.#isDraining
  }

  /** Its table is read first. */
  isHeld(partition: TopicPartition): boolean {
    return this.#tasks.isHeld(partition)
  }

  /** Runs epochs until drained or failed. Frames come in through `accept` meanwhile. */
  async run(): Promise<AttemptEnd> {
    const cancelWatches = watchTasks({
      engine: this.#engine,
      tasks: this.#tasks.all,
      flusher: this.#flusher,
      inputEnd: this.#inputEnd,
      moment: () => this.moment(),
      isLive: () => this.wantsMore(),
      sendIdle: (task, elapsedMs) => this.#tell(task, { op: 'idle', elapsedMs }),
      ended: () => {
        if (this.#tasks.haveEnded) this.drain()
      },
      onFailure: (error) => this.fail(error),
    })
    this.#wall.ask(this.#tasks.all)
    for (const task of this.#tasks.all) this.#endIfReached(task)
    if (this.#engine.untilEnd && this.#tasks.haveEnded) this.drain()
    try {
      await this.#runEpochs()
    } catch (error) {
      this.fail(error)
    }
    cancelWatches()
    this.#wall.stop()
    if (this.#failure !== undefined) return { kind: 'failed', error: this.#failure.error }
    if (this.#drainError !== undefined) return { kind: 'failed', error: this.#drainError }
    return { kind: 'drained' }
  }

  /** Commits what is in flight and ends. With an error: ends with it after the commit. */
  drain(error?: unknown): void {
    this.#isDraining = true
    this.#drainError ??= error
    this.#wake.ring()
  }

  /** Commits what was processed without waiting for the pace. */
  commit(): void {
    this.#isCommitAsked = this.#hasWork
    this.#wake.ring()
  }

  /** All that was taken is processed and committed. */
  get isAtRest(): boolean {
    return !this.#hasWork && this.#inFlightCount === 0 && !this.#transaction.isCut
  }

  /** Event time has come to `watermarkMs` in each partition of the source, though no record says so. */
  advanceTo(watermarkMs: number): void {
    for (const task of this.#tasks.all) {
      if (task.isSource && !task.isEndSent) this.#tell(task, { op: 'advance', watermarkMs })
    }
  }

  /** Hands the frames of a poll to their lanes. */
  accept(result: PollResult): void {
    if (!this.wantsMore()) return
    if (this.#tasks.endsPause(result.batches, this.#engine.clock.monotonicMs())) this.#isAnnouncing = true
    if (this.#isAnnouncing) {
      this.#held.push(result)
      this.#wake.ring()
      return
    }
    for (const batch of result.batches) this.#dispatch(batch)
    for (const end of result.ends) this.#atEnd(end)
    for (const failure of result.errors) {
      this.#engine.log.warn({ kafka: failure }, 'the consumer reported an error')
      if (endsFetching(failure)) this.fail(new KafkaError(failure))
    }
  }

  /** Tells where tasks stand, in an epoch before any of their records: nothing moves a watermark on without them. */
  async #announce(): Promise<void> {
    const { lanes } = this.#engine
    for (const task of this.#tasks.all) {
      if (!task.mustAnnounce) continue
      task.mustAnnounce = false
      const { taskId, lane } = task
      lanes.send(lane, { op: 'announce', taskId, attempt: this.number }).catch((error) => this.fail(error))
    }
    await this.#commitEpoch()
    // Tasks that were admitted meanwhile have to be heard of too.
    if (this.#tasks.all.some((task) => task.mustAnnounce)) return
    this.#isAnnouncing = false
    for (const result of this.#held.splice(0)) this.accept(result)
    this.#onRoom()
  }

  #dispatch(batch: SourceBatch): void {
    const task = this.#tasks.of(batch)
    if (task === undefined || task.isEndSent) return
    let frame: ArrayBuffer | undefined
    try {
      frame = takeBatch(task, batch, this.#engine.clock.monotonicMs())
    } catch (error) {
      this.fail(error)
      return
    }
    if (frame !== undefined) {
      const sent = { op: 'frame', attempt: this.number, epoch: this.#openEpoch, frame } as const
      this.#send(task, { ...sent, taskId: task.taskId }, frame.byteLength)
    }
    this.#endIfReached(task)
  }

  /** A request of the open epoch, without a frame. */
  #tell(task: TaskState, told: ClockMove): void {
    const { taskId } = task
    this.#send(task, { ...told, taskId, attempt: this.number, epoch: this.#openEpoch }, 0)
  }

  #send(
    task: TaskState,
    request: Parameters<EngineOptions['lanes']['send']>[1] & { op: LaneProcessed['op'] },
    bytes: number,
  ): void {
    const isBack = (): void => {
      this.#inFlightCount--
      this.#laneBytes[task.lane]! -= bytes
    }
    this.#inFlightCount++
    this.#laneBytes[task.lane]! += bytes
    this.#engine.lanes.send(task.lane, request).then(
      (answer) => {
        isBack()
        this.#processed(task, answer as LaneProcessed)
      },
      (error) => {
        isBack()
        this.fail(error)
      },
    )
  }

  #processed(task: TaskState, answer: LaneProcessed): void {
    if (answer.recycled !== undefined) this.#recycle(answer.recycled)
    if (this.#failure !== undefined) return
    if (answer.isDropped) {
      this.fail(new Error(`lane ${task.lane} dropped work of the current attempt`))
      return
    }
    if (answer.epoch <= this.#sealedEpoch) {
      this.fail(new Error(`lane ${task.lane} answered work of epoch ${answer.epoch} after its seal`))
      return
    }
    const { observer } = this.#engine
    task.processedOffset = answer.inputOffset
    this.#wall.note(task, answer.wallTimerMs)
    this.#tally.add(task, answer)
    const share = shareOfJob(answer.counts, { isSource: task.isSource, moved: answer.moved })
    observer.processed(task, share, answer.sampleTimestampsMs, answer.sampleWeight)
    task.isClockEnded = answer.watermarkMs === Number.POSITIVE_INFINITY
    if (answer.out !== undefined) {
      this.#transaction.add(answer.epoch, answer.out)
      this.#transaction.produceWaiting(this.#openEpoch).catch((error) => this.fail(error))
    }
    const flood = this.#floods.judge(task.sub, answer)
    if (flood !== undefined && !this.#isDraining) this.drain(flood)
    this.#hasWork = true
    this.#wake.ring()
    this.#onRoom()
  }

  #atEnd(end: TopicPartitionOffset): void {
    const { offset } = end
    const task = this.#tasks.of(end)
    if (task === undefined) return
    task.isAtEnd = offset >= task.dispatchedOffset
    task.endSeenOffset = offset
    if (task.endOffset !== undefined && offset >= task.endOffset) {
      task.dispatchedOffset = Math.max(task.dispatchedOffset, task.endOffset)
      this.#endIfReached(task)
    }
  }

  #endIfReached(task: TaskState): void {
    if (task.endOffset === undefined || task.isEndSent || task.dispatchedOffset < task.endOffset) return
    task.isEndSent = true
    this.#tell(task, { op: 'end' })
    if (this.#tasks.haveEnded) this.drain()
  }

  async #runEpochs(): Promise<void> {
    const { clock, limits } = this.#engine
    for (;;) {
      if (this.#failure !== undefined) return
      if (this.#isAnnouncing) {
        await this.#announce()
        continue
      }
      const decision = decideCadence(
        {
          hasWork: this.#hasWork,
          sinceCutMs: clock.monotonicMs() - this.#cutMs,
          partitionCount: this.#partitionCount,
          lagRecords: this.lagRecords,
          pendingShare: this.#transaction.pendingBytes / limits.pendingOutputBytesMax,
          isAwaited: this.#isDraining || this.#isCommitAsked,
        },
        limits,
      )
      if (decision.kind === 'cut') await this.#commitEpoch()
      else if (decision.kind === 'wait') await this.#waitUntilDue(decision.delayMs)
      else if (this.#isDraining && this.#inFlightCount === 0) return
      else await this.#wake.wait()
    }
  }

  /** Waits out the pace, but not past a reason to cut at once. */
  async #waitUntilDue(delayMs: number): Promise<void> {
    const { clock, limits } = this.#engine
    const untilMs = clock.monotonicMs() + delayMs
    for (;;) {
      const leftMs = untilMs - clock.monotonicMs()
      const isUrgent =
        this.#isDraining || this.#isCommitAsked || this.#transaction.pendingBytes * 2 >= limits.pendingOutputBytesMax
      if (leftMs <= 0 || isUrgent || this.#failure !== undefined) return
      await this.#wake.wait(leftMs)
    }
  }

  async #commitEpoch(): Promise<void> {
    const { clock, lanes, observer, limits } = this.#engine
    const epoch = this.#openEpoch++
    this.#transaction.cut()
    this.#hasWork = false
    this.#isCommitAsked = false
    this.#cutMs = clock.monotonicMs()
    const requests = this.#tasks.lanes.map((lane) => lanes.send(lane, { op: 'seal', epoch, attempt: this.number }))
    const seals = await Promise.all(requests)
    this.#sealedEpoch = epoch
    const { samples, counts } = this.#tally.take()
    const touched = seals.flatMap((seal) => seal.tasks)
    if (touched.length === 0) {
      this.#transaction.uncut()
      return
    }
    checkCounts(counts, this.#tasks.all)
    const offsets = this.#tasks.sealed(touched, this.#engine.sinkTimes, clock.wallMs())
    const frames = seals.flatMap((seal) => (seal.out === undefined ? [] : [seal.out]))
    this.#partitionCount = touched.length + frames.length
    const commitMs = await this.#transaction.commitEpoch(epoch, frames, offsets, this.#group)
    this.#lastCommitted = epoch
    this.committedCount++
    this.#tasks.committed(epoch, touched)
    observer.committed(epoch, commitMs, samples)
    this.#onRoom()
    for (const lane of this.#tasks.lanes) {
      lanes.send(lane, { op: 'committed', epoch, attempt: this.number }).catch((error) => this.fail(error))
    }
    const sealedBytes = frames.reduce((bytes, frame) => bytes + frame.byteLength, 0)
    this.#flusher.sealed(sealedBytes, limits.unflushedBytesMax)
    this.#transaction.produceWaiting(this.#openEpoch).catch((error) => this.fail(error))
  }

  /** Ends the attempt at once: nothing more of it is committed. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.#engine.provisional?.ended(this.number)
    this.#wake.ring()
    this.#onRoom()
  }
}
