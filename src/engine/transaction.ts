// One producer and its transaction: results in, epochs out. Main thread.
// Keeps SPEC: EPOCH-4 (results, changelog, markers and offsets of an epoch are one transaction), EPOCH-5 (results of a
// later epoch wait), EPOCH-7 (a call that never comes back ends the attempt).

import { type Clock, type Scheduler, within } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { TaskPosition } from '../core/message.ts'
import { type GroupMetadata, KafkaError, type KafkaFailure, type Producer } from '../kafka/port.ts'
import { type EpochPhase, isRefused } from './epoch/failure.ts'
import { offsetMetadata } from './offset-metadata.ts'

/** A Kafka call of an epoch that failed, with the phase it failed in. */
export class EpochError extends Error {
  readonly phase: EpochPhase
  readonly epoch: number
  readonly kafka: KafkaError
  constructor(phase: EpochPhase, epoch: number, kafka: KafkaError) {
    super(`${phase} of epoch ${epoch}: ${kafka.message}`, { cause: kafka })
    this.name = 'EpochError'
    this.phase = phase
    this.epoch = epoch
    this.kafka = kafka
  }
}

interface PendingFrame {
  epoch: number
  frame: ArrayBuffer
}

/** The input offset that an epoch commits for one partition. */
export interface EpochOffset {
  topic: string
  partition: number
  position: TaskPosition
}

/** Results of an epoch are sent before its end when they are more than this: fewer would be small requests. */
const EARLY_BYTES = 256 * 1024

/** A call gets this long over its time. */
const LATE_MS = 5_000
const NEVER_CAME_BACK: KafkaFailure = {
  code: -185,
  name: '_TIMED_OUT',
  message: 'the call has not come back',
  isFatal: false,
  isRetriable: false,
  requiresAbort: true,
}

export interface TransactionOptions {
  producer: Producer
  topicNames: readonly string[]
  clock: Clock
  scheduler: Scheduler
  callMs: number
  /** Of this attempt: rows that came, and epochs that are committed. */
  shown?: { given(epoch: number, frame: ArrayBuffer): void; committed(epoch: number): void } | undefined
}

/*
 *   none --begin--> open --commitEpoch--> none
 *                    |  produce as results come, while no commit is under way
 *                    +--a call failed--> nothing more is done here: what was queued behind fails with it, and the
 *                                        engine gives the producer up with its transaction
 */
export class Transaction {
  readonly #producer: Producer
  readonly #topicNames: readonly string[]
  readonly #clock: Clock
  readonly #scheduler: Scheduler
  readonly #callMs: number
  readonly #shown: TransactionOptions['shown']
  #pending: PendingFrame[] = []
  #isOpen = false
  /** All calls of the producer, one after the other; none after one failed. */
  #tail: Promise<unknown> = Promise.resolve()
  pendingBytes = 0
  /** From the cut of an epoch to its commit: what comes now may be of the next one. */
  #isCut = false

  constructor(options: TransactionOptions) {
    this.#producer = options.producer
    this.#topicNames = options.topicNames
    this.#clock = options.clock
    this.#scheduler = options.scheduler
    this.#callMs = options.callMs
    this.#shown = options.shown
  }

  /** Takes a result frame of an epoch. Frames of an epoch are produced in the order they were added. */
  add(epoch: number, frame: ArrayBuffer): void {
    this.#shown?.given(epoch, frame)
    this.#pending.push({ epoch, frame })
    this.pendingBytes += frame.byteLength
  }

  /** The epoch is cut: until its commit nothing is produced early. Call it in the same turn as the next epoch opens. */
  cut(): void {
    this.#isCut = true
  }

  /** An epoch was cut and is not committed yet. */
  get isCut(): boolean {
    return this.#isCut
  }

  /** The epoch that was cut is empty: nothing of it is committed. */
  uncut(): void {
    this.#isCut = false
  }

  /**
   * Produces waiting frames of the open epoch when there are many, unless a commit is under way (it will do so itself).
   * A few wait for the end of the epoch: sent one by one, each would be a request of its own to the broker.
   */
  produceWaiting(epoch: number): Promise<void> {
    if (this.#isCut || this.pendingBytes < EARLY_BYTES) return Promise.resolve()
    return this.#serially(() => (this.#isCut ? Promise.resolve() : this.#produceUpTo(epoch)))
  }

  /** Writes the rest of the epoch, its changelog frames and offsets, and commits. Returns the milliseconds it took. */
  commitEpoch(
    epoch: number,
    changelogFrames: ArrayBuffer[],
    offsets: EpochOffset[],
    group: GroupMetadata,
  ): Promise<number> {
    this.#isCut = true
    return this.#serially(async () => {
      const startedMs = this.#clock.monotonicMs()
      const committed = offsets.map(({ topic, partition, position }) => ({
        topic,
        partition,
        offset: position.inputOffset,
        metadata: offsetMetadata(epoch, position),
      }))
      // The offsets go first. The coordinator may still be writing the last transaction's markers and refuse; for the
      // offsets librdkafka asks again after a millisecond, for the first record of a partition only after 20.
      await this.#ensureBegun(epoch)
      await this.#call('offsets', epoch, () => this.#producer.sendOffsets(committed, group, this.#callMs))
      await this.#produceUpTo(epoch)
      this.pendingBytes += changelogFrames.reduce((sum, frame) => sum + frame.byteLength, 0)
      await this.#produce(epoch, changelogFrames)
      await this.#call('flush', epoch, () => this.#producer.flush(this.#callMs))
      await this.#call('commit', epoch, () => this.#producer.commit(this.#callMs))
      this.#isOpen = false
      this.#isCut = false
      this.#shown?.committed(epoch)
      return this.#clock.monotonicMs() - startedMs
    })
  }

  /** Frames of later epochs stay. Frames go to the client together, which keeps their order. */
  async #produceUpTo(epoch: number): Promise<void> {
    // Lanes answer each at their own pace: one may be at the next epoch while another still is at this.
    const frames = this.#pending.filter((one) => one.epoch <= epoch)
    this.#pending = this.#pending.filter((one) => one.epoch > epoch)
    if (frames.length > 0)
      await this.#produce(
        epoch,
        frames.map((one) => one.frame),
      )
  }
  async #produce(epoch: number, frames: ArrayBuffer[]): Promise<void> {
    const bytes = frames.reduce((sum, frame) => sum + frame.byteLength, 0)
    await this.#ensureBegun(epoch)
    const queued = frames.map((frame) =>
      this.#call('produce', epoch, () => this.#producer.produce(frame, this.#topicNames)),
    )
    await Promise.all(queued)
    this.pendingBytes -= bytes
  }
  async #ensureBegun(epoch: number): Promise<void> {
    if (this.#isOpen) return
    await this.#call('begin', epoch, () => this.#producer.begin())
    this.#isOpen = true
  }
  async #call(phase: EpochPhase, epoch: number, run: () => Promise<void>): Promise<void> {
    try {
      // A produce call waits for room in the client's queue, however long that takes; flush and commit tell when it is too long.
      await (phase === 'produce' ? run() : this.#withinLimit(run()))
    } catch (cause) {
      if (!(cause instanceof KafkaError)) throw cause
      // A refused record fails whatever is called next; the call's own failure need not say so.
      const refused = this.#producer.failures().find(isRefused)
      throw new EpochError(phase, epoch, refused === undefined ? cause : new KafkaError(refused))
    }
  }
  /** librdkafka keeps the time of its calls, but one was seen that never came back, of a broker that had stood still. */
  async #withinLimit(call: Promise<void>): Promise<void> {
    const isBack = await within(this.#scheduler, this.#callMs + LATE_MS, call)
    if (!isBack) throw new KafkaError(NEVER_CAME_BACK)
  }
  #serially<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run)
    this.#tail = result
    return result
  }
}

/** An epoch's failure as an error of the table, for logs and for stopping. */
export function epochFailure(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const epoch = error instanceof EpochError ? error.epoch : 0
  return new MillraceError('MR4004', { epoch, reason }, { cause: error })
}
