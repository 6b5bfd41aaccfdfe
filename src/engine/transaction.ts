// One producer and its transaction: results in, epochs out. Main thread.
// Keeps SPEC: EPOCH-4 (results, changelog, markers and offsets of an epoch are one transaction), EPOCH-5 (results of a
// later epoch wait).

import type { Clock } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import type { TaskPosition } from '../core/message.ts'
import { type GroupMetadata, KafkaError, type Producer } from '../kafka/port.ts'
import type { EpochPhase } from './epoch/failure.ts'

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

export interface TransactionOptions {
  producer: Producer
  topicNames: readonly string[]
  clock: Clock
  callMs: number
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
  readonly #callMs: number
  readonly #pending: PendingFrame[] = []
  #isOpen = false
  /** All calls of the producer, one after the other; none after one failed. */
  #tail: Promise<unknown> = Promise.resolve()
  pendingBytes = 0
  isCommitting = false

  constructor(options: TransactionOptions) {
    this.#producer = options.producer
    this.#topicNames = options.topicNames
    this.#clock = options.clock
    this.#callMs = options.callMs
  }

  /** Takes a result frame of an epoch. Frames of an epoch are produced in the order they were added. */
  add(epoch: number, frame: ArrayBuffer): void {
    this.#pending.push({ epoch, frame })
    this.pendingBytes += frame.byteLength
  }

  /** Produces waiting frames of the open epoch, unless a commit is under way (it will do so itself). */
  produceWaiting(epoch: number): Promise<void> {
    if (this.isCommitting || this.#pending.length === 0) return Promise.resolve()
    return this.#serially(() => (this.isCommitting ? Promise.resolve() : this.#produceUpTo(epoch)))
  }

  /** Writes the rest of the epoch, its changelog frames and offsets, and commits. Returns the milliseconds it took. */
  commitEpoch(
    epoch: number,
    changelogFrames: ArrayBuffer[],
    offsets: EpochOffset[],
    group: GroupMetadata,
  ): Promise<number> {
    this.isCommitting = true
    return this.#serially(async () => {
      const startedMs = this.#clock.monotonicMs()
      await this.#produceUpTo(epoch)
      await this.#ensureBegun(epoch)
      for (const frame of changelogFrames) await this.#produce(epoch, frame)
      await this.#call('flush', epoch, () => this.#producer.flush(this.#callMs))
      const committed = offsets.map(({ topic, partition, position }) => ({
        topic,
        partition,
        offset: position.inputOffset,
        metadata: `epoch=${epoch}`,
      }))
      await this.#call('offsets', epoch, () => this.#producer.sendOffsets(committed, group, this.#callMs))
      await this.#call('commit', epoch, () => this.#producer.commit(this.#callMs))
      this.#isOpen = false
      this.isCommitting = false
      return this.#clock.monotonicMs() - startedMs
    })
  }

  async #produceUpTo(epoch: number): Promise<void> {
    while (this.#pending.length > 0 && this.#pending[0]!.epoch <= epoch) {
      const { frame } = this.#pending.shift()!
      await this.#ensureBegun(epoch)
      const { byteLength } = frame
      await this.#produce(epoch, frame)
      this.pendingBytes -= byteLength
    }
  }
  async #ensureBegun(epoch: number): Promise<void> {
    if (this.#isOpen) return
    await this.#call('begin', epoch, () => this.#producer.begin())
    this.#isOpen = true
  }
  #produce(epoch: number, frame: ArrayBuffer): Promise<void> {
    return this.#call('produce', epoch, () => this.#producer.produce(frame, this.#topicNames))
  }
  async #call(phase: EpochPhase, epoch: number, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (cause) {
      if (cause instanceof KafkaError) throw new EpochError(phase, epoch, cause)
      throw cause
    }
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
