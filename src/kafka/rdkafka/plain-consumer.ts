// The blocking calls of a consumer in plain JavaScript, where the addon cannot be built: an object a record, packed by
// FrameWriter. Main thread. It lacks what node-rdkafka lacks: the group's member id and generation, and whether an
// assignment was lost; committed metadata is read but not written.
import { encodeHeaders, FrameWriter, type RecordHeader } from '../../core/frame.ts'
import {
  type CommittedOffset,
  type GroupMetadata,
  KafkaError,
  type KafkaFailure,
  type PollLimits,
  type PollResult,
  type SourceBatch,
  type TimeOffset,
  type TopicPartition,
  type TopicPartitionOffset,
  type TopicPartitionTime,
} from '../port.ts'
import type { ClientLife } from './client-life.ts'
import type { ConsumerDriver } from './consumer.ts'
import { stateError } from './failure.ts'
import type { RdConsumer, RdMessage } from './node-rdkafka.ts'

/** A poll waits in slices, so that a close or an assign is not held up. */
const SLICE_MS = 50
/** node-rdkafka waits this long after the last record that is there. */
const DRAIN_WAIT_MS = 1

/** Stands for a membership: node-rdkafka reads the real one when it sends offsets. */
export class PlainGroupMetadata implements GroupMetadata {
  readonly consumer: RdConsumer
  readonly memberId: string
  readonly generation: number
  isReleased = false

  constructor(consumer: RdConsumer, memberId: string, generation: number) {
    this.consumer = consumer
    this.memberId = memberId
    this.generation = generation
  }
  release(): void {
    this.isReleased = true
  }
}

export interface PlainConsumerOptions {
  instanceId: string
  /** Opens a consumer that reads uncommitted: to the others, librdkafka tells the last stable offset as the end. */
  openUncommitted: () => Promise<ClientLife<RdConsumer>>
}

export class PlainConsumerDriver implements ConsumerDriver {
  readonly #life: ClientLife<RdConsumer>
  readonly #options: PlainConsumerOptions
  #ends: TopicPartitionOffset[] = []
  #isAwake = false
  #assignments = 0
  #isMember = false
  #uncommitted: Promise<ClientLife<RdConsumer>> | undefined

  constructor(life: ClientLife<RdConsumer>, options: PlainConsumerOptions) {
    this.#life = life
    this.#options = options
    life.client.on('partition.eof', ({ topic, partition, offset }: TopicPartitionOffset) =>
      this.#ends.push({ topic, partition, offset }),
    )
    life.client.on('rebalance', (error: { code: number } | undefined) => this.#onRebalance(error?.code))
  }

  async poll({ recordsMax, bytesMax, waitMs }: PollLimits): Promise<PollResult> {
    const result: PollResult = { batches: [], ends: [], errors: [] }
    const messages = await this.#first(waitMs, result.errors)
    let bytes = sizeOf(messages)
    while (messages.length > 0 && messages.length < recordsMax && bytes < bytesMax && !this.#life.isClosing) {
      const mean = bytes / messages.length
      const wanted = Math.min(recordsMax - messages.length, Math.max(1, Math.floor((bytesMax - bytes) / mean)), 1024)
      const more = await this.#consume(wanted, DRAIN_WAIT_MS, result.errors)
      messages.push(...more)
      bytes += sizeOf(more)
      if (more.length < wanted) break
    }
    result.batches = pack(messages, (topic, partition) => this.#highWatermark(topic, partition))
    result.ends = this.#ends
    this.#ends = []
    return result
  }

  /** These frames are ordinary JavaScript memory. */
  recycle(): void {}
  /** Records come one by one here: the client knows where it stands. */
  keepPlaces(): void {}
  wake(): void {
    this.#isAwake = true
  }

  async committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]> {
    const wanted = partitions.map(({ topic, partition }) => ({ topic, partition }))
    const found = await this.#life.callPlain<(TopicPartitionOffset & { metadata?: string | null })[]>((client, done) =>
      client.committed(wanted, timeoutMs, done as never),
    )
    return found.map(({ topic, partition, offset, metadata }) => ({
      topic,
      partition,
      offset: typeof offset === 'number' && offset >= 0 ? offset : undefined,
      metadata: metadata ?? '',
    }))
  }

  async watermarks({ topic, partition }: TopicPartition, timeoutMs: number): Promise<{ low: number; high: number }> {
    this.#uncommitted ??= this.#options.openUncommitted()
    const life = await this.#uncommitted
    const found = await life.callPlain<{ lowOffset: number; highOffset: number }>((client, done) =>
      client.queryWatermarkOffsets(topic, partition, timeoutMs, done),
    )
    return { low: found.lowOffset, high: found.highOffset }
  }

  async offsetsForTimes(times: TopicPartitionTime[], timeoutMs: number): Promise<TimeOffset[]> {
    const asked = times.map(({ topic, partition, timestampMs }) => ({ topic, partition, offset: timestampMs }))
    const found = await this.#life.callPlain<TopicPartitionOffset[]>((client, done) =>
      client.offsetsForTimes(asked, timeoutMs, done as never),
    )
    return found.map(({ topic, partition, offset }) => ({ topic, partition, offset: offset < 0 ? undefined : offset }))
  }

  groupMetadata(): GroupMetadata {
    if (!this.#isMember) throw stateError('this consumer is not a member of its group now')
    return new PlainGroupMetadata(this.#life.client, this.#options.instanceId, this.#assignments)
  }

  isAssignmentLost(): boolean {
    return false
  }

  async close(): Promise<void> {
    if (this.#uncommitted !== undefined) await (await this.#uncommitted).close()
  }

  /** The first record, waited for in slices; an end or an error ends the wait too. */
  async #first(waitMs: number, errors: KafkaFailure[]): Promise<RdMessage[]> {
    this.#isAwake = false
    const untilMs = performance.now() + waitMs
    for (;;) {
      const leftMs = Math.max(0, untilMs - performance.now())
      const messages = await this.#consume(1, Math.min(leftMs, SLICE_MS), errors)
      const isOver = leftMs <= SLICE_MS || this.#isAwake || this.#life.isClosing
      if (messages.length > 0 || this.#ends.length > 0 || errors.length > 0 || isOver) return messages
    }
  }

  async #consume(count: number, waitMs: number, errors: KafkaFailure[]): Promise<RdMessage[]> {
    this.#life.client.setDefaultConsumeTimeout(Math.ceil(waitMs))
    try {
      return await this.#life.callPlain<RdMessage[]>((client, done) => client.consume(count, done))
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      if (error.failure.name === '_DESTROY') return []
      errors.push(error.failure)
      return []
    }
  }

  /** As of the last fetch; -1 when none told it. */
  #highWatermark(topic: string, partition: number): number {
    return Math.max(-1, this.#life.client.getWatermarkOffsets(topic, partition).highOffset)
  }

  #onRebalance(code: number | undefined): void {
    this.#isMember = code === -175
    // By two: the group's own number is not told, and one that was missed must not look like the next.
    if (this.#isMember) this.#assignments += 2
  }
}

function sizeOf(messages: RdMessage[]): number {
  return messages.reduce((sum, { key, value }) => sum + 32 + (key?.length ?? 0) + (value?.length ?? 0), 0)
}

type HighWatermark = (topic: string, partition: number) => number

function pack(messages: RdMessage[], highWatermark: HighWatermark): SourceBatch[] {
  const groups = new Map<string, RdMessage[]>()
  for (const message of messages) {
    const name = `${message.partition} ${message.topic}`
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [message])
    else group.push(message)
  }
  return [...groups.values()].map((group) => packGroup(group, highWatermark))
}

function packGroup(messages: RdMessage[], highWatermark: HighWatermark): SourceBatch {
  const { topic, partition } = messages[0]!
  const nextOffset = messages.at(-1)!.offset + 1
  const writer = new FrameWriter(1 << 14)
  for (const { offset, timestamp, key, value, headers } of messages) {
    writer.appendSource(
      offset,
      timestamp,
      key ?? undefined,
      value ?? undefined,
      headers && encodeHeaders(headersOf(headers)),
    )
  }
  const frame = writer.take(partition, nextOffset, highWatermark(topic, partition))!
  return { topic, partition, frame, recordCount: messages.length, bytes: frame.byteLength, nextOffset }
}

function headersOf(headers: Record<string, Buffer>[]): RecordHeader[] {
  return headers.flatMap((header) => Object.entries(header).map(([name, value]) => ({ name, value })))
}
