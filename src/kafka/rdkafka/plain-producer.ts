// The blocking calls of a producer in plain JavaScript, where the addon cannot be built. Main thread.
// It lacks what node-rdkafka lacks: header values are text, never null, and offset metadata is not sent.
import { setImmediate as turn } from 'node:timers/promises'
import { decodeHeaders, FrameView } from '../../core/frame.ts'
import { type DeliveryFailure, type GroupMetadata, KafkaError } from '../port.ts'
import type { ClientLife } from './client-life.ts'
import { failureOf, localFailure, type RdkafkaError } from './failure.ts'
import type { RdProducer } from './node-rdkafka.ts'
import { PlainGroupMetadata } from './plain-consumer.ts'
import type { OffsetWithMetadata, ProducerDriver } from './producer.ts'

const QUEUE_FULL = -184
const INVALID_ARG = -186
const QUEUE_FULL_WAIT_MS = 2
/** Delivery failures kept between two calls of `failures`. */
const FAILURES_MAX = 10_000

const textDecoder = new TextDecoder()

export class PlainProducerDriver implements ProducerDriver {
  readonly #life: ClientLife<RdProducer>
  #failures: DeliveryFailure[] = []
  #reportCount = 0

  constructor(life: ClientLife<RdProducer>) {
    this.#life = life
    life.client.on('delivery-report', (error: RdkafkaError | null, report: Report) => this.#onReport(error, report))
  }

  async produce(frames: ArrayBuffer[], topics: (readonly string[])[]): Promise<void> {
    for (const [index, frame] of frames.entries()) {
      try {
        await this.#produceFrame(new FrameView(frame), topics[index]!)
      } catch (error) {
        if (error instanceof KafkaError) Object.assign(error.failure, { frameIndex: index })
        throw error
      }
    }
    this.#life.requireOpen()
    this.#life.client.poll()
  }

  async flush(timeoutMs: number): Promise<void> {
    await this.#life.callPlain((client, done) => client.flush(timeoutMs, done))
    // Failed deliveries are told through the event loop, a hundred a turn: until a turn brings none.
    for (let seen = -1; seen !== this.#reportCount; ) {
      seen = this.#reportCount
      await turn()
    }
    const first = this.#failures[0]
    if (first !== undefined) throw new KafkaError(first)
  }

  failures(): DeliveryFailure[] {
    const failures = this.#failures
    this.#failures = []
    return failures
  }

  async initTransactions(timeoutMs: number): Promise<void> {
    await this.#life.callPlain((client, done) => client.initTransactions(timeoutMs, done))
  }
  async begin(): Promise<void> {
    await this.#life.callPlain((client, done) => client.beginTransaction(done))
  }
  async sendOffsets(offsets: OffsetWithMetadata[], group: GroupMetadata, timeoutMs: number): Promise<void> {
    if (!(group instanceof PlainGroupMetadata) || group.isReleased) {
      throw new KafkaError(localFailure(INVALID_ARG, 'the group metadata is released'))
    }
    await this.#life.callPlain((client, done) =>
      client.sendOffsetsToTransaction(offsets, group.consumer, timeoutMs, done),
    )
  }
  async commit(timeoutMs: number): Promise<void> {
    await this.#life.callPlain((client, done) => client.commitTransaction(timeoutMs, done))
  }
  async abort(timeoutMs: number): Promise<void> {
    await this.#life.callPlain((client, done) => client.abortTransaction(timeoutMs, done))
  }

  async #produceFrame(view: FrameView, topics: readonly string[]): Promise<void> {
    this.#life.requireOpen()
    for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
      const topic = topics[view.topicIndex(at)]!
      while (!this.#hand(view, at, topic)) {
        this.#life.client.poll()
        await new Promise((resolve) => setTimeout(resolve, QUEUE_FULL_WAIT_MS))
        this.#life.requireOpen()
      }
    }
  }

  /** False: the client's queue is full. */
  #hand(view: FrameView, at: number, topic: string): boolean {
    const partition = view.sinkPartition(at)
    const timestampMs = view.timestampMs(at)
    try {
      this.#life.client.produce(
        topic,
        partition < 0 ? null : partition,
        bufferOf(view.value(at)),
        bufferOf(view.key(at)),
        timestampMs < 0 ? null : timestampMs || 1,
        undefined,
        view.headersBytes(at) === 0 ? undefined : headersOf(view, at),
      )
      return true
    } catch (error) {
      const code = (error as RdkafkaError).code
      if (code === QUEUE_FULL) return false
      throw new KafkaError(failureOf(error as RdkafkaError, { topic, ...(partition < 0 ? {} : { partition }) }))
    }
  }

  #onReport(error: RdkafkaError | null, report: Report): void {
    this.#reportCount++
    if (error === null || this.#failures.length >= FAILURES_MAX) return
    const where = { topic: report.topic, partition: report.partition }
    this.#failures.push({ ...failureOf(error), ...where, key: report.key ?? undefined })
  }
}

interface Report {
  topic: string
  partition: number
  key: Uint8Array | null
}

function bufferOf(bytes: Uint8Array | undefined): Buffer | null {
  return bytes === undefined ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function headersOf(view: FrameView, at: number): Record<string, string>[] {
  const start = view.headersStart(at)
  return decodeHeaders(view.bytes.subarray(start, start + view.headersBytes(at))).map(({ name, value }) => ({
    [name]: value === undefined ? '' : textDecoder.decode(value),
  }))
}
