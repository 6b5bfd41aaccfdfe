// The producer with the transactional id of this process, made anew after every failure. Main thread.
// Keeps SPEC: EPOCH-2 (an unknown outcome is never guessed).

import { KafkaError, type Producer } from '../kafka/port.ts'
import type { EngineOptions } from './options.ts'
import { transactionalIdOf } from './takeover.ts'
import { EpochError } from './transaction.ts'

export class TransactionalProducer {
  readonly #engine: EngineOptions
  #producer: Producer | undefined
  #earlyFailure: { error: unknown } | undefined

  constructor(engine: EngineOptions) {
    this.#engine = engine
  }

  /** Before there are partitions; what fails here fails the first attempt. */
  async openEarly(): Promise<void> {
    try {
      await this.open()
    } catch (error) {
      this.#earlyFailure = { error }
    }
  }

  /**
   * The producer, initialised: that aborts or completes what an earlier one left, so that whatever was decided can be read
   * back. Also the way after a plain abort: one path that is always exercised.
   */
  async open(): Promise<Producer> {
    const early = this.#earlyFailure
    this.#earlyFailure = undefined
    if (early !== undefined) throw early.error
    if (this.#producer !== undefined) return this.#producer
    const { kafka, plan, instanceId, limits, batchBytesMax } = this.#engine
    const transactionalId = transactionalIdOf(plan.job, instanceId)
    const producer = await kafka.openProducer({ transactionalId, batchBytesMax })
    try {
      await producer.initTransactions(limits.connectMs)
    } catch (cause) {
      await producer.close()
      if (cause instanceof KafkaError) throw new EpochError('init', 0, cause)
      throw cause
    }
    this.#producer = producer
    return producer
  }

  /** Gives it up with its transaction; the next `open` makes another. */
  async drop(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close()
  }
}
