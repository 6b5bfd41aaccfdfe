// The group's committed offsets, once no undecided transaction holds any of them. Main thread.
// Keeps SPEC: RECOVER-1 (offsets are read when they are decided), GROUP-3 (a blocked reader finds out, instead of waiting).

import type { Clock, Scheduler } from '../core/clock.ts'
import {
  type CommittedOffset,
  type GroupConsumer,
  KafkaError,
  partitionKey,
  type TopicPartition,
} from '../kafka/port.ts'
import { STALL_LIMIT_MS } from './epoch/recovery.ts'
import { Wake } from './wake.ts'

export interface StableOffsetsOptions {
  consumer: GroupConsumer
  partitions: TopicPartition[]
  clock: Clock
  scheduler: Scheduler
  /** Greatest time of one call. */
  callMs: number
  isCancelled: () => boolean
}

/** The first question is given up after this, each later one after twice the time before: a cancelled one soon ends. */
const FIRST_CALL_MS = 500
/** A cancellation is noticed after this. */
const LOOK_AGAIN_MS = 50

/**
 * Asks from its start on, until it knows or is cancelled.
 *
 * @example
 * const offsets = new StableOffsets({ consumer, partitions, ... })
 * if (await offsets.knownWithin(500)) offsets.of(partition)
 */
export class StableOffsets {
  readonly #options: StableOffsetsOptions
  readonly #wake: Wake
  #known: Map<string, CommittedOffset> | undefined
  #failure: { error: unknown } | undefined
  #hasEnded = false

  constructor(options: StableOffsetsOptions) {
    this.#options = options
    this.#wake = new Wake(options.scheduler)
    void this.#ask()
  }

  /** True as soon as the offsets are known, false after the time or when cancelled. Throws what asking failed with. */
  async knownWithin(limitMs: number): Promise<boolean> {
    const { clock, isCancelled } = this.#options
    const untilMs = clock.monotonicMs() + limitMs
    while (!this.#hasEnded) {
      const leftMs = untilMs - clock.monotonicMs()
      if (leftMs <= 0 || isCancelled()) return false
      await this.#wake.wait(Math.min(leftMs, LOOK_AGAIN_MS))
    }
    if (this.#failure !== undefined) throw this.#failure.error
    return this.#known !== undefined
  }

  /** The committed offset of a partition, with its metadata. Only once they are known. */
  of(partition: TopicPartition): CommittedOffset | undefined {
    if (this.#known === undefined) throw new Error('the offsets are not known yet')
    return this.#known.get(partitionKey(partition))
  }

  async #ask(): Promise<void> {
    const { consumer, partitions, clock, callMs, isCancelled } = this.#options
    const untilMs = clock.monotonicMs() + STALL_LIMIT_MS
    for (let limitMs = FIRST_CALL_MS; this.#known === undefined && !isCancelled(); limitMs *= 2) {
      try {
        const committed = await consumer.committed(partitions, Math.min(limitMs, callMs))
        this.#known = new Map(committed.map((one) => [partitionKey(one), one]))
      } catch (error) {
        if (isBlocked(error) && clock.monotonicMs() < untilMs) continue
        this.#failure = { error }
        break
      }
    }
    this.#hasEnded = true
    this.#wake.ring()
  }
}

function isBlocked(error: unknown): boolean {
  return error instanceof KafkaError && (error.isTimeout || error.failure.name === 'UNSTABLE_OFFSET_COMMIT')
}
