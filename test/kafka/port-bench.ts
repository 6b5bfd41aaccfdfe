// What the port's cases have in common: clients that are closed afterwards, records as they write and read them, and
// polling until something is there. Used by the quick and the integration suite.
import { randomUUID } from 'node:crypto'
import { encodeHeaders, type FrameRecord, FrameWriter, type RecordHeader, sourceRecords } from '../../src/core/frame.ts'
import {
  type Admin,
  type GroupConsumer,
  type GroupMetadata,
  type Kafka,
  KafkaError,
  type KafkaFailure,
  type PollResult,
  type Producer,
  type Reader,
  type TopicPartition,
} from '../../src/kafka/port.ts'

/** What an implementation can do beyond the least; the plain path lacks what node-rdkafka lacks. */
export interface PortSubject {
  open: () => Kafka | Promise<Kafka>
  /** Metadata of offsets is sent to transactions. */
  hasOffsetMetadata: boolean
  /** Header values may be any bytes, or null. */
  hasBinaryHeaders: boolean
  /** Topic ids and settings are told. */
  hasTopicDetails: boolean
  /** The members of a group are told. */
  hasGroupMembers: boolean
}

export const CALL_MS = 20_000
export const LIMITS = { recordsMax: 10_000, bytesMax: 1 << 20, waitMs: 200 }
export const encoder = new TextEncoder()
export const decoder = new TextDecoder()

/** A record as the cases write and read it. */
export interface Row {
  key: Uint8Array | undefined
  value: Uint8Array | undefined
  headers: RecordHeader[]
  timestampMs: number
  partition: number
}

export interface Watched {
  consumer: GroupConsumer
  assigned: TopicPartition[]
  revokes: { partitions: number[]; isLost: boolean }[]
}

/** Opens what a case needs and closes it afterwards. */
export class Bench {
  readonly #subject: PortSubject
  #kafka: Kafka | undefined
  #opened: { close(): Promise<void> }[] = []

  constructor(subject: PortSubject) {
    this.#subject = subject
  }

  async closeAll(): Promise<void> {
    const opened = this.#opened
    this.#opened = []
    await Promise.all(opened.map((client) => client.close()))
  }
  async admin(): Promise<Admin> {
    return this.#keep(await (await this.#open()).openAdmin())
  }
  async topic(partitionCount: number, config: Record<string, string> = {}): Promise<string> {
    const name = `port-${randomUUID()}`
    await (await this.admin()).create(
      [{ name, partitionCount, replicationFactor: 1, config: { 'retention.ms': '-1', ...config } }],
      CALL_MS,
    )
    return name
  }
  async reader(offsets: (TopicPartition & { offset: number })[], readUncommitted = false): Promise<Reader> {
    const reader = this.#keep(await (await this.#open()).openReader({ readUncommitted }))
    if (offsets.length > 0) reader.assign(offsets)
    return reader
  }
  async producer(settings: Record<string, number> = {}): Promise<Producer> {
    return this.#keep(await (await this.#open()).openProducer({ settings }))
  }
  async transactional(transactionalId = `tx-${randomUUID()}`): Promise<Producer> {
    const producer = this.#keep(await (await this.#open()).openProducer({ transactionalId }))
    await producer.initTransactions(CALL_MS)
    return producer
  }
  async produce(topic: string, rows: Row[]): Promise<void> {
    const producer = await this.producer()
    await producer.produce(frameOf(rows), [topic])
    await producer.flush(CALL_MS)
  }
  /** Without a topic it joins no group. */
  async consumer(
    topic: string | undefined,
    groupId: string,
    instanceId: string,
    listener: Parameters<Kafka['openConsumer']>[0]['listener'],
  ): Promise<GroupConsumer> {
    const topics = topic === undefined ? [] : [topic]
    return this.#keep(await (await this.#open()).openConsumer({ groupId, instanceId, topics, listener }))
  }
  /** A member that reads what it is assigned from the beginning and notes what it is told. */
  async watchedMember(topic: string, groupId: string, instanceId: string): Promise<Watched> {
    const watched: Omit<Watched, 'consumer'> = { assigned: [], revokes: [] }
    const consumer = await this.consumer(topic, groupId, instanceId, {
      onAssign(partitions) {
        result.assigned = partitions
        consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
      },
      onRevoke(partitions, isLost) {
        result.assigned = []
        result.revokes.push({ partitions: numbers(partitions), isLost })
        consumer.unassign()
      },
    })
    const result: Watched = { consumer, ...watched }
    return result
  }
  /** A member that has its partitions. */
  async member(topic: string, partitionCount: number, groupId = `group-${randomUUID()}`, instanceId = 'a') {
    const watched = await this.watchedMember(topic, groupId, instanceId)
    await pollUntil(watched.consumer, () => watched.assigned.length === partitionCount)
    const group: GroupMetadata = watched.consumer.groupMetadata()
    return Object.assign(watched, { group })
  }

  async #open(): Promise<Kafka> {
    this.#kafka ??= await this.#subject.open()
    return this.#kafka
  }
  #keep<T extends { close(): Promise<void> }>(client: T): T {
    this.#opened.push(client)
    return client
  }
}

export function row(given: {
  key?: string
  value?: string | undefined
  timestampMs?: number
  partition?: number
}): Row {
  return {
    key: given.key === undefined ? undefined : encoder.encode(given.key),
    value: given.value === undefined ? undefined : encoder.encode(given.value),
    headers: [],
    timestampMs: given.timestampMs ?? 1_700_000_000_000,
    partition: given.partition ?? 0,
  }
}

/** `v<first>`, `v<first + 1>`, ... to one partition. */
export function texts(count: number, partition = 0, first = 0): Row[] {
  return Array.from({ length: count }, (_, i) => row({ value: `v${first + i}`, partition }))
}

export function frameOf(rows: Row[]): ArrayBuffer {
  const writer = new FrameWriter()
  for (const { key, value, headers, timestampMs, partition } of rows) {
    const packed = headers.length === 0 ? undefined : encodeHeaders(headers)
    writer.append(0, partition, timestampMs, key, value, packed)
  }
  return writer.take()!
}

export function numbers(partitions: TopicPartition[]): number[] {
  return partitions.map(({ partition }) => partition).sort((a, b) => a - b)
}

/** Polls until `isDone` says so of a result (or of what `note` has gathered); fails after the limit of a call. */
export async function pollUntil(
  reader: Reader,
  isDone: (result: PollResult) => boolean,
  note: (result: PollResult) => void = () => undefined,
  limits = LIMITS,
): Promise<PollResult> {
  const untilMs = performance.now() + CALL_MS
  while (performance.now() < untilMs) {
    const result = await reader.poll(limits)
    note(result)
    if (isDone(result)) return result
  }
  throw new Error(`what was waited for did not come within ${CALL_MS} ms`)
}

export async function pollTogether(consumers: GroupConsumer[], isDone: () => boolean): Promise<void> {
  await Promise.all(consumers.map((consumer) => pollUntil(consumer, isDone)))
}

/** At least `count` records of the partitions that are assigned, in the order in which they come. */
export async function take(reader: Reader, count: number): Promise<FrameRecord[]> {
  const records: FrameRecord[] = []
  if (count === 0) return records
  await pollUntil(
    reader,
    () => records.length >= count,
    (result) => {
      for (const batch of result.batches) records.push(...sourceRecords(batch.frame))
    },
  )
  return records
}

export async function valuesToEnd(reader: Reader): Promise<string[]> {
  const values: string[] = []
  await pollUntil(
    reader,
    (result) => result.ends.length > 0,
    (result) => {
      for (const batch of result.batches)
        values.push(...sourceRecords(batch.frame).map(({ value }) => decoder.decode(value)))
    },
  )
  return values
}

export async function transact(
  producer: Producer,
  topic: string,
  values: string[],
  outcome: 'commit' | 'abort',
): Promise<void> {
  await producer.begin()
  await producer.produce(frameOf(values.map((value) => row({ value }))), [topic])
  await producer.flush(CALL_MS)
  await producer[outcome](CALL_MS)
}

export async function failureOf(call: Promise<unknown>): Promise<KafkaFailure> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof KafkaError)) throw new Error(`a KafkaError was expected, not ${String(error)}`)
  return error.failure
}
