// The cases that every implementation of the Kafka port passes: run on memory-kafka by the quick suite, and on a real
// broker, with the addon and without, by the integration suite.
// Holds SPEC: FRAME-1, FRAME-2, KAFKA-1, KAFKA-2, KAFKA-3, KAFKA-4, KAFKA-6, NATIVE-2.
import { randomBytes, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import {
  encodeHeaders,
  type FrameRecord,
  FrameView,
  FrameWriter,
  type RecordHeader,
  sourceRecords,
} from '../../src/core/frame.ts'
import { partitionOfKey } from '../../src/kafka/murmur2.ts'
import {
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
}

const CALL_MS = 20_000
const LIMITS = { recordsMax: 10_000, bytesMax: 1 << 20, waitMs: 200 }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A record as the cases write and read it. */
interface Row {
  key: Uint8Array | undefined
  value: Uint8Array | undefined
  headers: RecordHeader[]
  timestampMs: number
  partition: number
}

export function portCases(subject: PortSubject): void {
  const bench = new Bench(subject)
  afterEach(() => bench.closeAll())
  recordCases(subject, bench)
  readingCases(bench)
  producingCases(bench)
  transactionCases(subject, bench)
  groupCases(bench)
  adminCases(subject, bench)
}

function recordCases(subject: PortSubject, bench: Bench): void {
  describe('records', () => {
    it('come out as they went in, whatever is in them', async () => {
      const topic = await bench.topic(3)
      const producer = await bench.producer()
      const positions = [0, 0, 0]
      await fc.assert(
        fc.asyncProperty(
          fc.array(rowArbitrary(subject.hasBinaryHeaders), { minLength: 1, maxLength: 200 }),
          async (rows) => {
            await producer.produce(frameOf(rows), [topic])
            await producer.flush(CALL_MS)
            for (let partition = 0; partition < 3; partition++) {
              const expected = rows.filter((row) => row.partition === partition)
              const reader = await bench.reader([{ topic, partition, offset: positions[partition]! }])
              const records = await take(reader, expected.length)
              expect(records.map(plain)).toEqual(
                expected.map((row, i) => plain({ ...row, offset: positions[partition]! + i })),
              )
              positions[partition]! += expected.length
              await reader.close()
            }
          },
        ),
        { numRuns: 6, seed: 20_261_124 },
      )
    })

    it('keep a null value, an empty value, a null key and an empty key apart', async () => {
      const topic = await bench.topic(1)
      const empty = new Uint8Array()
      const rows: Row[] = [
        row({ key: 'k', value: undefined }),
        { ...row({ key: 'k' }), value: empty },
        { ...row({ value: 'v' }), key: undefined },
        { ...row({ value: 'v' }), key: empty },
      ]
      await bench.produce(topic, rows)
      const records = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 4)
      expect(records.map(({ value }) => value?.length)).toEqual([undefined, 0, 1, 1])
      expect(records.map(({ key }) => key?.length)).toEqual([1, 1, undefined, 0])
    })

    it('without a partition go where Java puts their key', async () => {
      const topic = await bench.topic(7)
      const keys = [
        '21',
        'foobar',
        'a-little-bit-long-string',
        'abc',
        ...Array.from({ length: 200 }, (_, i) => `key-${i}`),
      ]
      await bench.produce(
        topic,
        keys.map((key) => row({ key, value: key, partition: -1 })),
      )
      const reader = await bench.reader(Array.from({ length: 7 }, (_, partition) => ({ topic, partition, offset: 0 })))
      const found = new Map<string, number>()
      await pollUntil(
        reader,
        () => found.size === keys.length,
        (result) => {
          for (const batch of result.batches)
            for (const { key } of sourceRecords(batch.frame)) found.set(decoder.decode(key), batch.partition)
        },
      )
      // Java's own hashes of the first four, from its tests.
      const hashes = [-973932308, -790332482, -985981536, 479470107]
      for (const [i, hash] of hashes.entries()) expect(found.get(keys[i]!)).toBe((hash & 0x7fffffff) % 7)
      for (const key of keys) expect(found.get(key)).toBe(partitionOfKey(encoder.encode(key), 7))
    })

    it('come in frames that can be handed to another thread, with their partition, position and end', async () => {
      const topic = await bench.topic(2)
      await bench.produce(topic, texts(5, 1))
      const reader = await bench.reader([{ topic, partition: 1, offset: 2 }])
      const [batch] = (await pollUntil(reader, (result) => result.batches.length > 0)).batches
      const frame = structuredClone(batch!.frame, { transfer: [batch!.frame] })
      expect(batch!.frame.byteLength).toBe(0)
      const view = new FrameView(frame)
      expect(view).toMatchObject({
        recordCount: 3,
        partition: 1,
        nextOffset: 5,
        highWatermark: 5,
        usedBytes: batch!.bytes,
      })
      expect(batch).toMatchObject({ topic, partition: 1, recordCount: 3, nextOffset: 5 })
    })

    it('of an unset time are stamped by the client', async () => {
      const topic = await bench.topic(1)
      const before = Date.now()
      await bench.produce(topic, [row({ value: 'now', timestampMs: -1 })])
      const [record] = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 1)
      expect(record!.timestampMs).toBeGreaterThanOrEqual(before - 1_000)
      expect(record!.timestampMs).toBeLessThanOrEqual(Date.now() + 1_000)
    })
  })
}

function readingCases(bench: Bench): void {
  describe('a reader', () => {
    it('begins where it is told, and again where it is told again', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(20))
      const reader = await bench.reader([{ topic, partition: 0, offset: 15 }])
      expect((await take(reader, 5)).map(({ offset }) => offset)).toEqual([15, 16, 17, 18, 19])
      reader.assign([{ topic, partition: 0, offset: 3 }])
      expect((await take(reader, 17))[0]!.offset).toBe(3)
    })

    it('returns nothing from before an assign that came while a poll was out', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(2_000))
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      for (let round = 0; round < 10; round++) {
        const polling = reader.poll({ ...LIMITS, recordsMax: 50 })
        reader.assign([{ topic, partition: 0, offset: 1_900 }])
        const early = (await polling).batches.flatMap((batch) => sourceRecords(batch.frame))
        const records = [...early, ...(await take(reader, 100 - early.length))]
        expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 100 }, (_, i) => 1_900 + i))
        reader.assign([{ topic, partition: 0, offset: 0 }])
        expect((await take(reader, 1))[0]!.offset).toBe(0)
      }
    })

    it('keeps to the limits of a poll', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(500))
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      const few = await pollUntil(reader, (result) => result.batches.length > 0, undefined, {
        ...LIMITS,
        recordsMax: 7,
      })
      expect(few.batches[0]!.recordCount).toBeLessThanOrEqual(7)
      const one = await pollUntil(reader, (result) => result.batches.length > 0, undefined, { ...LIMITS, bytesMax: 1 })
      expect(one.batches[0]!.recordCount).toBe(1)
    })

    it('reports the end of each partition, of an empty one too', async () => {
      const topic = await bench.topic(2)
      await bench.produce(topic, texts(4, 0))
      const reader = await bench.reader([
        { topic, partition: 0, offset: 0 },
        { topic, partition: 1, offset: 0 },
      ])
      const ends = new Map<number, number>()
      await pollUntil(
        reader,
        () => ends.size === 2,
        (result) => {
          for (const end of result.ends) ends.set(end.partition, end.offset)
        },
      )
      expect([...ends].sort()).toEqual([
        [0, 4],
        [1, 0],
      ])
    })

    it('leaves paused partitions alone and goes on without a gap', async () => {
      const topic = await bench.topic(2)
      await bench.produce(topic, [...texts(300, 0), ...texts(300, 1)])
      const both = [0, 1].map((partition) => ({ topic, partition, offset: 0 }))
      const reader = await bench.reader(both)
      const offsets: number[][] = [[], []]
      const note = (result: PollResult) => {
        for (const batch of result.batches)
          offsets[batch.partition]!.push(...sourceRecords(batch.frame).map(({ offset }) => offset))
      }
      reader.pause([{ topic, partition: 0 }])
      const small = { ...LIMITS, recordsMax: 20 }
      await pollUntil(reader, () => offsets[1]!.length === 300, note, small)
      expect(offsets[0]).toEqual([])
      reader.resume([{ topic, partition: 0 }])
      await pollUntil(reader, () => offsets[0]!.length >= 100, note, small)
      reader.pause([{ topic, partition: 0 }])
      reader.resume([{ topic, partition: 0 }])
      await pollUntil(reader, () => offsets[0]!.length >= 300, note, small)
      expect(offsets[0]).toEqual(Array.from({ length: 300 }, (_, i) => i))
    })

    it('tells first and next offset, whatever is committed', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(3))
      const producer = await bench.transactional()
      await producer.begin()
      await producer.produce(frameOf(texts(2)), [topic])
      await producer.flush(CALL_MS)
      const reader = await bench.reader([])
      expect(await reader.watermarks({ topic, partition: 0 }, CALL_MS)).toEqual({ low: 0, high: 5 })
      await producer.abort(CALL_MS)
    })

    it('closes at once while a poll waits', async () => {
      const topic = await bench.topic(1)
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      await pollUntil(reader, (result) => result.ends.length > 0)
      const polling = reader.poll({ ...LIMITS, waitMs: 60_000 }).then(
        () => 'ended',
        (error: unknown) => (error instanceof KafkaError ? 'ended' : error),
      )
      const startMs = performance.now()
      await reader.close()
      expect(await polling).toBe('ended')
      expect(performance.now() - startMs).toBeLessThan(4_000)
      await reader.close()
      expect(await failureOf(reader.poll(LIMITS))).toMatchObject({ name: '_DESTROY' })
    })
  })
}

function producingCases(bench: Bench): void {
  describe('a producer', () => {
    it('keeps the order of a batch far over the limit of its queue', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.producer({ 'queue.buffering.max.messages': 1_000 })
      await Promise.all([0, 1, 2].map((part) => producer.produce(frameOf(texts(4_000, 0, part * 4_000)), [topic])))
      await producer.flush(CALL_MS)
      const records = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 12_000)
      expect(records.map(({ value }) => decoder.decode(value))).toEqual(
        Array.from({ length: 12_000 }, (_, i) => `v${i}`),
      )
      expect(producer.failures()).toEqual([])
    })

    it('tells of a record that its topic refuses, and of that one only', async () => {
      const topic = await bench.topic(2, { 'max.message.bytes': '2000' })
      const producer = await bench.producer()
      const large = { ...row({ key: 'large', partition: 1 }), value: randomBytes(10_000) }
      const failure = await failureOf(
        producer.produce(frameOf([row({ key: 'small', value: 'v' })]), [topic]).then(async () => {
          await producer.produce(frameOf([large]), [topic])
          await producer.flush(CALL_MS)
        }),
      )
      expect(failure).toMatchObject({ name: 'MSG_SIZE_TOO_LARGE', code: 10, topic, partition: 1 })
      const failures = producer.failures()
      expect(failures.map(({ name, key }) => [name, decoder.decode(key)])).toEqual([['MSG_SIZE_TOO_LARGE', 'large']])
      expect(producer.failures()).toEqual([])
      const [small] = await take(await bench.reader([{ topic, partition: 0, offset: 0 }]), 1)
      expect(decoder.decode(small!.value)).toBe('v')
    })

    it('writes to several topics from one frame', async () => {
      const [a, b] = [await bench.topic(1), await bench.topic(1)]
      const producer = await bench.producer()
      const writer = new FrameWriter()
      for (let i = 0; i < 10; i++) writer.append(i % 2, 0, 1_000, undefined, encoder.encode(`v${i}`))
      await producer.produce(writer.take()!, [a, b])
      await producer.flush(CALL_MS)
      const records = await take(await bench.reader([{ topic: b, partition: 0, offset: 0 }]), 5)
      expect(records.map(({ value }) => decoder.decode(value))).toEqual(['v1', 'v3', 'v5', 'v7', 'v9'])
    })
  })
}

function transactionCases(subject: PortSubject, bench: Bench): void {
  describe('a transaction', () => {
    it('is seen when it is committed, and never when it is aborted', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.transactional()
      await transact(producer, topic, ['a1', 'a2'], 'commit')
      await transact(producer, topic, ['b1'], 'abort')
      await transact(producer, topic, ['c1'], 'commit')
      const start = [{ topic, partition: 0, offset: 0 }]
      expect(await valuesToEnd(await bench.reader(start))).toEqual(['a1', 'a2', 'c1'])
      expect(await valuesToEnd(await bench.reader(start, true))).toEqual(['a1', 'a2', 'b1', 'c1'])
    })

    it('holds its records and the end back while it is open', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.transactional()
      await transact(producer, topic, ['a'], 'commit')
      await producer.begin()
      await producer.produce(frameOf([row({ value: 'open' })]), [topic])
      await producer.flush(CALL_MS)
      const reader = await bench.reader([{ topic, partition: 0, offset: 0 }])
      expect(await valuesToEnd(reader)).toEqual(['a'])
      await producer.commit(CALL_MS)
      expect((await take(reader, 1)).map(({ value }) => decoder.decode(value))).toEqual(['open'])
    })

    it('carries offsets, with their metadata, and takes them back when it is aborted', async () => {
      const topic = await bench.topic(2)
      const { consumer, group } = await bench.member(topic, 2)
      const producer = await bench.transactional()
      await producer.begin()
      await producer.produce(frameOf([row({ value: 'x' })]), [topic])
      await producer.sendOffsets([{ topic, partition: 0, offset: 42, metadata: 'epoch 7 ü' }], group, CALL_MS)
      await producer.commit(CALL_MS)
      await producer.begin()
      await producer.produce(frameOf([row({ value: 'x' })]), [topic])
      await producer.sendOffsets([{ topic, partition: 0, offset: 99 }], group, CALL_MS)
      await producer.abort(CALL_MS)
      expect(
        await consumer.committed(
          [0, 1].map((partition) => ({ topic, partition })),
          CALL_MS,
        ),
      ).toEqual([
        { topic, partition: 0, offset: 42, metadata: subject.hasOffsetMetadata ? 'epoch 7 ü' : '' },
        { topic, partition: 1, offset: undefined, metadata: '' },
      ])
      group.release()
    })

    it('of a producer whose id was taken over fails as fenced', async () => {
      const topic = await bench.topic(1)
      const id = `tx-${randomUUID()}`
      const old = await bench.transactional(id)
      await old.begin()
      await old.produce(frameOf([row({ value: 'zombie' })]), [topic])
      await old.flush(CALL_MS)
      const heir = await bench.transactional(id)
      await transact(heir, topic, ['heir'], 'commit')
      const error = await old.commit(CALL_MS).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(KafkaError)
      expect((error as KafkaError).isFenced).toBe(true)
      expect(await valuesToEnd(await bench.reader([{ topic, partition: 0, offset: 0 }]))).toEqual(['heir'])
    })

    it('refuses a membership that was let go', async () => {
      const topic = await bench.topic(1)
      const { group } = await bench.member(topic, 1)
      const producer = await bench.transactional()
      await producer.begin()
      group.release()
      const sent = producer.sendOffsets([{ topic, partition: 0, offset: 1 }], group, CALL_MS)
      expect(await failureOf(sent)).toMatchObject({ name: '_INVALID_ARG' })
      await producer.abort(CALL_MS)
    })

    it('that is not begun refuses records and a commit', async () => {
      const topic = await bench.topic(1)
      const producer = await bench.transactional()
      expect(await failureOf(producer.produce(frameOf(texts(1)), [topic]))).toMatchObject({ name: '_STATE' })
      expect(await failureOf(producer.commit(CALL_MS))).toMatchObject({ name: '_STATE' })
    })
  })
}

function groupCases(bench: Bench): void {
  describe('a group', () => {
    it('gives its only member all partitions, and a membership to commit with', async () => {
      const topic = await bench.topic(3)
      const { assigned, group } = await bench.member(topic, 3)
      expect(numbers(assigned)).toEqual([0, 1, 2])
      expect(group.memberId).not.toBe('')
      expect(group.generation).toBeGreaterThanOrEqual(0)
    })

    it('has no membership to give before partitions are assigned', async () => {
      const topic = await bench.topic(1)
      const consumer = await bench.consumer(topic, `group-${randomUUID()}`, 'a', { onAssign() {}, onRevoke() {} })
      expect(await failureOf(Promise.resolve().then(() => consumer.groupMetadata()))).toMatchObject({ name: '_STATE' })
    })

    it('reads nothing before it is told where from, then from there', async () => {
      const topic = await bench.topic(1)
      await bench.produce(topic, texts(10))
      const events: TopicPartition[][] = []
      const groupId = `group-${randomUUID()}`
      const consumer = await bench.consumer(topic, groupId, 'a', {
        onAssign: (partitions) => events.push(partitions),
        onRevoke: () => consumer.unassign(),
      })
      let recordCount = 0
      await pollUntil(
        consumer,
        () => events.length > 0,
        (result) => {
          for (const batch of result.batches) recordCount += batch.recordCount
        },
      )
      expect(recordCount).toBe(0)
      consumer.assign([{ topic, partition: 0, offset: 6 }])
      expect((await take(consumer, 4)).map(({ offset }) => offset)).toEqual([6, 7, 8, 9])
    })

    it('takes all partitions back and shares them out when a member comes', async () => {
      const topic = await bench.topic(4)
      const groupId = `group-${randomUUID()}`
      const first = await bench.member(topic, 4, groupId, 'a')
      const second = await bench.watchedMember(topic, groupId, 'b')
      await pollTogether(
        [first.consumer, second.consumer],
        () => first.assigned.length === 2 && second.assigned.length === 2,
      )
      expect(first.revokes).toEqual([{ partitions: [0, 1, 2, 3], isLost: false }])
      expect(numbers([...first.assigned, ...second.assigned])).toEqual([0, 1, 2, 3])
      expect(second.revokes).toEqual([])
    })
  })
}

function adminCases(subject: PortSubject, bench: Bench): void {
  describe('topics', () => {
    it('are made once, described as they are, and deleted', async () => {
      const admin = await bench.admin()
      const name = await bench.topic(3, { 'retention.ms': '12345678', 'cleanup.policy': 'compact' })
      await admin.create([{ name, partitionCount: 3, replicationFactor: 1, config: {} }], CALL_MS)
      const described = await admin.describe([name, 'absent-topic'], CALL_MS)
      expect(described).toMatchObject([{ name, partitionCount: 3 }])
      const config = await admin.config(name, CALL_MS)
      if (subject.hasTopicDetails) {
        expect(described[0]!.topicId).toMatch(/^\S+$/)
        expect(config).toMatchObject({ 'retention.ms': '12345678', 'cleanup.policy': 'compact' })
        expect(Number(config['max.message.bytes'])).toBeGreaterThan(1_000)
      } else {
        expect(described[0]!.topicId).toBeUndefined()
        expect(config).toEqual({})
      }
      await admin.delete([name, 'absent-topic'], CALL_MS)
      await expect.poll(() => admin.describe([name], CALL_MS), { timeout: CALL_MS }).toEqual([])
    })

    it('made again under an old name are told apart by their id', async () => {
      if (!subject.hasTopicDetails) return
      const admin = await bench.admin()
      const name = await bench.topic(1)
      const [before] = await admin.describe([name], CALL_MS)
      await admin.delete([name], CALL_MS)
      await expect.poll(() => admin.describe([name], CALL_MS), { timeout: CALL_MS }).toEqual([])
      await admin.create([{ name, partitionCount: 1, replicationFactor: 1, config: {} }], CALL_MS)
      const [after] = await admin.describe([name], CALL_MS)
      expect(after!.topicId).not.toBe(before!.topicId)
    })

    it('with a setting that is none are refused', async () => {
      const admin = await bench.admin()
      const wanted = { name: `refused-${randomUUID()}`, partitionCount: 0, replicationFactor: 1, config: {} }
      expect(await failureOf(admin.create([wanted], CALL_MS))).toMatchObject({ isRetriable: false })
      expect(await admin.describe([wanted.name], CALL_MS)).toEqual([])
    })
  })
}

interface Watched {
  consumer: GroupConsumer
  assigned: TopicPartition[]
  revokes: { partitions: number[]; isLost: boolean }[]
}

/** Opens what a case needs and closes it afterwards. */
class Bench {
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
  async admin() {
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
  async consumer(
    topic: string,
    groupId: string,
    instanceId: string,
    listener: Parameters<Kafka['openConsumer']>[0]['listener'],
  ): Promise<GroupConsumer> {
    return this.#keep(await (await this.#open()).openConsumer({ groupId, instanceId, topics: [topic], listener }))
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

function rowArbitrary(hasBinaryHeaders: boolean): fc.Arbitrary<Row> {
  const bytes = fc.uint8Array({ maxLength: 40 })
  const text = fc.stringMatching(/^[a-z]{0,8}$/).map((value) => encoder.encode(value))
  const header = fc.record({
    name: fc.stringMatching(/^[a-z]{1,3}$/),
    value: hasBinaryHeaders ? fc.option(bytes, { nil: undefined }) : text,
  })
  return fc.record({
    key: fc.option(bytes, { nil: undefined, freq: 4 }),
    value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined, freq: 4 }),
    headers: fc.array(header, { maxLength: 4 }),
    timestampMs: fc.integer({ min: 1, max: 1_700_000_000_000 }),
    partition: fc.nat(2),
  })
}

function row(given: { key?: string; value?: string | undefined; timestampMs?: number; partition?: number }): Row {
  return {
    key: given.key === undefined ? undefined : encoder.encode(given.key),
    value: given.value === undefined ? undefined : encoder.encode(given.value),
    headers: [],
    timestampMs: given.timestampMs ?? 1_700_000_000_000,
    partition: given.partition ?? 0,
  }
}

/** `v<first>`, `v<first + 1>`, ... to one partition. */
function texts(count: number, partition = 0, first = 0): Row[] {
  return Array.from({ length: count }, (_, i) => row({ value: `v${first + i}`, partition }))
}

function frameOf(rows: Row[]): ArrayBuffer {
  const writer = new FrameWriter()
  for (const { key, value, headers, timestampMs, partition } of rows) {
    const packed = headers.length === 0 ? undefined : encodeHeaders(headers)
    writer.append(0, partition, timestampMs, key, value, packed)
  }
  return writer.take()!
}

/** A record in a form that compares well. */
function plain({ key, value, headers, timestampMs, offset }: Omit<FrameRecord, never>) {
  const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? null : Buffer.from(bytes).toString('hex'))
  return {
    offset,
    timestampMs,
    key: text(key),
    value: text(value),
    headers: headers.map((header) => [header.name, text(header.value)]),
  }
}

function numbers(partitions: TopicPartition[]): number[] {
  return partitions.map(({ partition }) => partition).sort((a, b) => a - b)
}

/** Polls until `isDone` says so of a result (or of what `note` has gathered); fails after the limit of a call. */
async function pollUntil(
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

async function pollTogether(consumers: GroupConsumer[], isDone: () => boolean): Promise<void> {
  await Promise.all(consumers.map((consumer) => pollUntil(consumer, isDone)))
}

/** At least `count` records of the partitions that are assigned, in the order in which they come. */
async function take(reader: Reader, count: number): Promise<FrameRecord[]> {
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

async function valuesToEnd(reader: Reader): Promise<string[]> {
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

async function transact(
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

async function failureOf(call: Promise<unknown>): Promise<KafkaFailure> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof KafkaError)) throw new Error(`a KafkaError was expected, not ${String(error)}`)
  return error.failure
}
