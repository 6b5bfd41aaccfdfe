// What the memory broker keeps: topics with their partition logs. Coordinators and clients share one. Main thread.
// Keeps SPEC: KAFKA-1 (read committed only).

import type { Clock, Scheduler } from '../../core/clock.ts'
import type { KafkaFailure, TopicDescription, TopicPartition } from '../port.ts'
import { Bell } from './bell.ts'
import { failure, kafkaError } from './failure.ts'
import { type LogLedger, PartitionLog } from './partition-log.ts'

/** Kafka's own defaults, for the settings that Millrace reads. */
const DEFAULT_CONFIG: Record<string, string> = {
  'cleanup.policy': 'delete',
  'delete.retention.ms': '86400000',
  'max.message.bytes': '1048588',
  'min.insync.replicas': '1',
  'retention.bytes': '-1',
  'retention.ms': '604800000',
}

export interface Topic {
  name: string
  /** Another one each time that the topic is created. */
  topicId: string
  config: Record<string, string>
  partitions: PartitionLog[]
}

export interface BrokerOptions {
  clock: Clock
  scheduler: Scheduler
  /** Bytes of all records; producing beyond fails with KAFKA_STORAGE_ERROR. */
  bytesMax: number
  /** Settings of all topics that are not given others. */
  topicConfig: Record<string, string>
  /** True: let other work of the event loop run at every poll (off in a simulation with a hand-driven scheduler). */
  yieldsOnPoll: boolean
}

export class Broker {
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly bell: Bell
  readonly yieldsOnPoll: boolean
  /** Called with the names of topics that were created or deleted: groups rebalance on it. */
  onTopicsChanged: (names: string[]) => void = () => undefined
  readonly #bytesMax: number
  readonly #topics = new Map<string, Topic>()
  readonly #topicConfig: Record<string, string>
  #createdCount = 0
  readonly #ledger: LogLedger = { sequence: 0, bytes: 0 }

  constructor(options: BrokerOptions) {
    this.clock = options.clock
    this.scheduler = options.scheduler
    this.bell = new Bell(options.scheduler)
    this.yieldsOnPoll = options.yieldsOnPoll
    this.#bytesMax = options.bytesMax
    this.#topicConfig = { ...DEFAULT_CONFIG, ...options.topicConfig }
  }

  create(name: string, partitionCount: number, config: Record<string, string> = {}): void {
    if (this.#topics.has(name)) return
    if (!(partitionCount >= 1)) throw kafkaError('INVALID_PARTITIONS', `${name} needs a partition`, { topic: name })
    const partitions = Array.from({ length: partitionCount }, (_, at) => new PartitionLog(name, at, this.#ledger))
    const topicId = `memory-${++this.#createdCount}`
    this.#topics.set(name, { name, topicId, config: { ...this.#topicConfig, ...config }, partitions })
    this.onTopicsChanged([name])
    this.bell.ring()
  }

  /** One that is absent is no error: deleting twice ends the same. */
  delete(name: string): void {
    const topic = this.#topics.get(name)
    if (topic === undefined) return
    this.#topics.delete(name)
    for (const log of topic.partitions) {
      log.deleteBefore(log.high)
      log.isDeleted = true
    }
    this.onTopicsChanged([name])
    this.bell.ring()
  }

  /** Throws UNKNOWN_TOPIC_OR_PART. */
  topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw kafkaError('UNKNOWN_TOPIC_OR_PART', `no topic ${name}`, { topic: name })
    return topic
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  log({ topic, partition }: TopicPartition): PartitionLog | undefined {
    return this.#topics.get(topic)?.partitions[partition]
  }

  describe(names: readonly string[]): TopicDescription[] {
    const known = names.map((name) => this.#topics.get(name)).filter((topic) => topic !== undefined)
    return known.map(({ name, topicId, partitions }) => ({ name, topicId, partitionCount: partitions.length }))
  }

  /** Why a record of `bytes` (as a batch of its own) cannot be appended to the topic, or undefined. */
  refusal(topic: Topic, partition: number, bytes: number): KafkaFailure | undefined {
    const where = { topic: topic.name, partition }
    if (topic.partitions[partition] === undefined) {
      return failure('_UNKNOWN_PARTITION', `${topic.name} has ${topic.partitions.length} partitions`, where)
    }
    const limit = Number(topic.config['max.message.bytes'])
    if (bytes > limit) {
      return failure('MSG_SIZE_TOO_LARGE', `${bytes} bytes are over max.message.bytes ${limit}`, where)
    }
    if (this.#ledger.bytes + bytes > this.#bytesMax) {
      return failure('KAFKA_STORAGE_ERROR', `the memory broker holds ${this.#bytesMax} bytes at most`, where)
    }
    return undefined
  }
}
