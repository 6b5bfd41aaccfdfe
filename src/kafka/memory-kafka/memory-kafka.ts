// Kafka in memory: logs, transactions and groups that behave as the port's users see a broker behave, for the test
// driver, the simulation and the demo. Deterministic: all waits go through the given scheduler. Main thread.
// Keeps SPEC: KAFKA-1, KAFKA-2, KAFKA-3, KAFKA-4, KAFKA-5.

import type { Clock, Scheduler } from '../../core/clock.ts'
import { decodeHeaders, encodeHeaders, type FrameRecord, type RecordHeader } from '../../core/frame.ts'
import { partitionOfKey } from '../../core/murmur2.ts'
import type { Admin, CommittedOffset, GroupConsumerOptions, Kafka, ReaderOptions } from '../port.ts'
import { Broker } from './broker.ts'
import { kafkaError } from './failure.ts'
import { FaultGate, type Faults } from './faults.ts'
import { Group } from './group.ts'
import { MemoryGroupConsumer } from './group-consumer.ts'
import type { LogRecord, PartitionLog } from './partition-log.ts'
import { MemoryProducer } from './producer.ts'
import { MemoryReader } from './reader.ts'
import { TransactionCoordinator } from './transaction-coordinator.ts'

export interface MemoryKafkaOptions {
  clock?: Clock
  scheduler?: Scheduler
  /** Topics at the start: partition counts, or that and settings, by name. */
  topics?: Record<string, number | { partitionCount: number; config?: Record<string, string> }>
  /** Settings of all topics that are not given others. */
  topicConfig?: Record<string, string>
  /** Bytes of all records; producing beyond fails with KAFKA_STORAGE_ERROR. Default 1 GiB. */
  bytesMax?: number
}

/** A record as a test writes it; text is taken as UTF-8. */
export interface AppendedRecord {
  key?: string | Uint8Array | undefined
  value?: string | Uint8Array | undefined
  timestampMs?: number
  headers?: RecordHeader[]
  /** Default: by the key's murmur2, 0 without a key. */
  partition?: number | undefined
  /** At or beyond the end of the partition: what is between is left out. Default: the end. */
  offset?: number | undefined
}

/** The broker and what a test may look at and do to it. */
export interface MemoryKafka extends Kafka {
  readonly kind: 'memory'
  readonly faults: Faults
  createTopic(name: string, partitionCount: number, config?: Record<string, string>): void
  /** Appends outside any transaction; returns the offset. */
  append(topic: string, record: AppendedRecord): number
  /** The records that a read_committed reader gets to see, in offset order. */
  log(topic: string, partition: number): FrameRecord[]
  /** The same from an offset on, as the log has them. */
  logFrom(topic: string, partition: number, fromOffset: number): LogRecord[]
  /** Offsets of a partition: first, last stable, high watermark. */
  offsets(topic: string, partition: number): { low: number; stable: number; high: number }
  committedOffset(groupId: string, topic: string, partition: number): CommittedOffset
  /** Transactional ids whose transaction is not decided. */
  openTransactions(): string[]
  /** Writes the markers that `faults.holdMarkers` held back. */
  releaseMarkers(): void
  deleteRecordsBefore(topic: string, partition: number, offset: number): void
  forgetOffset(groupId: string, topic: string, partition: number): void
  /** Ends the session of a member as if its heartbeats were missing: its partitions are lost. */
  expireSession(groupId: string, instanceId: string): void
}

const DEFAULT_BYTES_MAX = 1 << 30

const realClock: Clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() }
const realScheduler: Scheduler = {
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}

/**
 * Makes a broker with no network and no disk.
 *
 * @example
 * const kafka = createMemoryKafka({ topics: { trades: 4 } })
 * kafka.append('trades', { key: 'ABC', value: '{"price":1}' })
 * const reader = await kafka.openReader({})
 */
export function createMemoryKafka(options: MemoryKafkaOptions = {}): MemoryKafka {
  const broker = new Broker({
    clock: options.clock ?? realClock,
    scheduler: options.scheduler ?? realScheduler,
    bytesMax: options.bytesMax ?? DEFAULT_BYTES_MAX,
    topicConfig: options.topicConfig ?? {},
    yieldsOnPoll: options.scheduler === undefined,
  })
  const faults: Faults = {}
  const gate = new FaultGate(faults)
  const coordinator = new TransactionCoordinator(broker, faults)
  const groups = new Map<string, Group>()
  broker.onTopicsChanged = (names) => {
    for (const group of groups.values()) group.topicsChanged(names)
  }
  for (const [name, topic] of Object.entries(options.topics ?? {})) {
    if (typeof topic === 'number') broker.create(name, topic)
    else broker.create(name, topic.partitionCount, topic.config)
  }
  return {
    kind: 'memory',
    abandonedClients: () => 0,
    faults,
    openConsumer: async (consumer: GroupConsumerOptions) =>
      new MemoryGroupConsumer(broker, gate, groupOf(groups, consumer.groupId, broker), consumer),
    openReader: async (reader: ReaderOptions) => new MemoryReader(broker, gate, reader, 'reader'),
    openProducer: async (producer) => new MemoryProducer(broker, gate, coordinator, producer),
    openAdmin: async () => memoryAdmin(broker, gate, groups),
    createTopic: (name, partitionCount, config) => broker.create(name, partitionCount, config),
    append: (topic, record) => append(broker, topic, record),
    log: (topic, partition) => committedRecords(logOf(broker, topic, partition), 0).map(decoded),
    logFrom: (topic, partition, fromOffset) => committedRecords(logOf(broker, topic, partition), fromOffset),
    offsets: (topic, partition) => {
      const { low, stable, high } = logOf(broker, topic, partition)
      return { low, stable, high }
    },
    committedOffset: (groupId, topic, partition) => groupOf(groups, groupId, broker).committed({ topic, partition }),
    openTransactions: () => coordinator.openIds(),
    releaseMarkers: () => coordinator.releaseMarkers(),
    deleteRecordsBefore: (topic, partition, offset) => logOf(broker, topic, partition).deleteBefore(offset),
    forgetOffset: (groupId, topic, partition) => groupOf(groups, groupId, broker).forget({ topic, partition }),
    expireSession: (groupId, instanceId) => expireSession(groupOf(groups, groupId, broker), instanceId),
  }
}

function groupOf(groups: Map<string, Group>, groupId: string, broker: Broker): Group {
  let group = groups.get(groupId)
  if (group === undefined) {
    group = new Group(groupId, broker)
    groups.set(groupId, group)
  }
  return group
}

function expireSession(group: Group, instanceId: string): void {
  const member = group.memberOf(instanceId)
  if (member === undefined) throw kafkaError('UNKNOWN_MEMBER_ID', `${instanceId} is no member of ${group.id}`)
  group.expire(member)
}

function logOf(broker: Broker, topic: string, partition: number): PartitionLog {
  const log = broker.topic(topic).partitions[partition]
  if (log === undefined)
    throw kafkaError('UNKNOWN_TOPIC_OR_PART', `no partition ${topic}/${partition}`, { topic, partition })
  return log
}

function committedRecords(log: PartitionLog, fromOffset: number): LogRecord[] {
  const records: LogRecord[] = []
  for (let offset = Math.max(log.low, fromOffset); offset < log.stable; offset++) {
    const record = log.at(offset)!
    if (log.isShown(record, false)) records.push(record)
  }
  return records
}

function decoded({ offset, timestampMs, key, value, headers }: LogRecord): FrameRecord {
  return { offset, timestampMs, key, value, headers: decodeHeaders(headers) }
}

function append(broker: Broker, topic: string, record: AppendedRecord): number {
  const key = bytesOf(record.key)
  const byKey = key === undefined ? 0 : partitionOfKey(key, broker.topic(topic).partitions.length)
  const log = logOf(broker, topic, record.partition ?? byKey)
  const timestampMs = record.timestampMs ?? broker.clock.wallMs()
  if (record.offset !== undefined) {
    if (record.offset < log.high) throw new RangeError(`${topic}/${log.partition} is at ${log.high} already`)
    log.skipTo(record.offset)
  }
  const offset = log.append(
    { timestampMs, key, value: bytesOf(record.value), headers: encodeHeaders(record.headers ?? []) },
    undefined,
  )
  broker.bell.ring()
  return offset
}

function bytesOf(value: string | Uint8Array | undefined): Uint8Array | undefined {
  return typeof value === 'string' ? new TextEncoder().encode(value) : value
}

function memoryAdmin(broker: Broker, gate: FaultGate, groups: ReadonlyMap<string, Group>): Admin {
  return {
    describe: (names) => gate.run('describe', 'admin', () => broker.describe(names)),
    create: (topics) =>
      gate.run('create', 'admin', () => {
        for (const { name, partitionCount, config } of topics) broker.create(name, partitionCount, config)
      }),
    config: (topic) => gate.run('config', 'admin', () => ({ ...broker.topic(topic).config })),
    deleteRecords: (before) =>
      gate.run('deleteRecords', 'admin', () => {
        for (const { topic, partition, offset } of before) logOf(broker, topic, partition).deleteBefore(offset)
      }),
    delete: (names) =>
      gate.run('delete', 'admin', () => {
        for (const name of names) broker.delete(name)
      }),
    groupMembers: (groupId) => gate.run('groupMembers', 'admin', () => groups.get(groupId)?.members() ?? []),
    close: async () => undefined,
  }
}
