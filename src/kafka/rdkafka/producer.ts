// The producer on node-rdkafka: order of calls, the queue of frames, closing. Main thread. What blocks is behind
// ProducerDriver, which has an addon and a plain form.
// Keeps SPEC: KAFKA-2 (offsets ride in the transaction), NATIVE-2 (no delivery failure is lost).
import {
  type DeliveryFailure,
  type GroupMetadata,
  KafkaError,
  type Producer,
  type TopicPartitionOffset,
} from '../port.ts'
import type { ProduceFailure } from './addon.ts'
import type { ClientLife } from './client-life.ts'
import { closedError } from './failure.ts'
import type { RdProducer } from './node-rdkafka.ts'

export type OffsetWithMetadata = TopicPartitionOffset & { metadata?: string }

/** The calls of a producer that block. */
export interface ProducerDriver {
  /** Several frames in order, each with its topics; a failure says by `frameIndex` which one it was. */
  produce(frames: ArrayBuffer[], topics: (readonly string[])[]): Promise<void>
  flush(timeoutMs: number): Promise<void>
  failures(): DeliveryFailure[]
  initTransactions(timeoutMs: number): Promise<void>
  begin(): Promise<void>
  sendOffsets(offsets: OffsetWithMetadata[], group: GroupMetadata, timeoutMs: number): Promise<void>
  commit(timeoutMs: number): Promise<void>
  abort(timeoutMs: number): Promise<void>
}

interface WaitingFrame {
  frame: ArrayBuffer
  topics: readonly string[]
  resolve: () => void
  reject: (error: unknown) => void
}

export class RdKafkaProducer implements Producer {
  readonly #life: ClientLife<RdProducer>
  readonly #driver: ProducerDriver
  /** Frames that wait for the produce call that is out; the caller limits them, it awaits each. */
  #waiting: WaitingFrame[] = []
  #producing: Promise<void> | undefined

  constructor(life: ClientLife<RdProducer>, driver: ProducerDriver) {
    this.#life = life
    this.#driver = driver
  }

  initTransactions(timeoutMs: number): Promise<void> {
    return this.#driver.initTransactions(timeoutMs)
  }
  begin(): Promise<void> {
    return this.#driver.begin()
  }

  produce(frame: ArrayBuffer, topics: readonly string[]): Promise<void> {
    if (this.#life.isClosing) return Promise.reject(closedError())
    const taken = new Promise<void>((resolve, reject) => this.#waiting.push({ frame, topics, resolve, reject }))
    this.#producing ??= this.#produceWaiting()
    return taken
  }

  async flush(timeoutMs: number): Promise<void> {
    if (this.#producing !== undefined) await this.#producing
    await this.#driver.flush(timeoutMs)
  }
  failures(): DeliveryFailure[] {
    return this.#driver.failures()
  }
  async sendOffsets(offsets: OffsetWithMetadata[], group: GroupMetadata, timeoutMs: number): Promise<void> {
    if (this.#producing !== undefined) await this.#producing
    await this.#driver.sendOffsets(offsets, group, timeoutMs)
  }
  async commit(timeoutMs: number): Promise<void> {
    if (this.#producing !== undefined) await this.#producing
    await this.#driver.commit(timeoutMs)
  }
  async abort(timeoutMs: number): Promise<void> {
    if (this.#producing !== undefined) await this.#producing
    await this.#driver.abort(timeoutMs)
  }
  close(): Promise<void> {
    return this.#life.close()
  }

  /** Frames that came while a call was out go together in the next one. Never rejects: each frame has its own promise. */
  async #produceWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const frames = this.#waiting
      this.#waiting = []
      try {
        const topics = frames.map((waiting) => waiting.topics)
        await this.#driver.produce(
          frames.map((waiting) => waiting.frame),
          topics,
        )
        for (const waiting of frames) waiting.resolve()
      } catch (error) {
        settle(frames, error)
      }
    }
    this.#producing = undefined
  }
}

/** Frames before the failed one are queued; it and those after it are not. */
function settle(frames: WaitingFrame[], error: unknown): void {
  const failed = error instanceof KafkaError ? ((error.failure as ProduceFailure).frameIndex ?? 0) : 0
  frames.forEach((waiting, index) => {
    if (index < failed) waiting.resolve()
    else waiting.reject(error)
  })
}
