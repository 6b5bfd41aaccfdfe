// The blocking calls of a consumer through the addon: packed frames, no object a record. Main thread.
import type {
  CommittedOffset,
  GroupMetadata,
  PollLimits,
  PollResult,
  TimeOffset,
  TopicPartition,
  TopicPartitionOffset,
  TopicPartitionTime,
} from '../port.ts'
import { KafkaError, type KafkaFailure } from '../port.ts'
import { loadAddon } from './addon.ts'
import type { ClientLife } from './client-life.ts'
import type { ConsumerDriver } from './consumer.ts'
import type { RdConsumer } from './node-rdkafka.ts'

export class AddonConsumerDriver implements ConsumerDriver {
  readonly #life: ClientLife<RdConsumer>

  constructor(life: ClientLife<RdConsumer>) {
    this.#life = life
  }

  poll({ recordsMax, bytesMax, waitMs }: PollLimits): Promise<PollResult> {
    return this.#life.callNative<PollResult>((native, done) => native.poll(recordsMax, bytesMax, waitMs, done))
  }
  recycle(frame: ArrayBuffer): void {
    loadAddon().freeFrame(frame)
  }
  /** A batch call takes the report of an end for a record, and a pause then goes on behind it: one record too far. */
  keepPlaces(ends: TopicPartitionOffset[]): void {
    try {
      this.#life.native!.seek(ends)
    } catch (failure) {
      throw failure instanceof Error ? failure : new KafkaError(failure as KafkaFailure)
    }
  }
  wake(): void {
    this.#life.native!.wake()
  }
  committed(partitions: TopicPartition[], timeoutMs: number): Promise<CommittedOffset[]> {
    return this.#life.callNative<CommittedOffset[]>((native, done) => native.committed(partitions, timeoutMs, done))
  }
  watermarks({ topic, partition }: TopicPartition, timeoutMs: number): Promise<{ low: number; high: number }> {
    return this.#life.callNative((native, done) => native.watermarks(topic, partition, timeoutMs, done))
  }
  async offsetsForTimes(times: TopicPartitionTime[], timeoutMs: number): Promise<TimeOffset[]> {
    const asked = times.map(({ topic, partition, timestampMs }) => ({ topic, partition, offset: timestampMs }))
    const found = await this.#life.callNative<CommittedOffset[]>((native, done) =>
      native.offsetsForTimes(asked, timeoutMs, done),
    )
    return found.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
  }
  groupMetadata(): GroupMetadata {
    try {
      return this.#life.native!.groupMetadata()
    } catch (failure) {
      throw failure instanceof Error ? failure : new KafkaError(failure as KafkaFailure)
    }
  }
  isAssignmentLost(): boolean {
    return this.#life.native!.isAssignmentLost()
  }
  close(): Promise<void> {
    return Promise.resolve()
  }
}
