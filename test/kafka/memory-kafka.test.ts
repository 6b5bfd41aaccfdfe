// memory-kafka: what it promises beyond the shared cases of the port (faults, markers, sessions, inspection).
import { afterEach, describe, expect, it } from 'vitest'
import { FrameWriter, sourceRecords } from '../../src/core/frame.ts'
import { kafkaError } from '../../src/kafka/memory-kafka/failure.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import {
  type GroupConsumer,
  KafkaError,
  type KafkaFailure,
  type PollResult,
  type Producer,
  type Reader,
  type TopicPartition,
} from '../../src/kafka/port.ts'

const LIMITS = { recordsMax: 1000, bytesMax: 1 << 20, waitMs: 0 }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** A hand-driven scheduler: nothing happens before `advance`. */
function handScheduler() {
  let nowMs = 0
  let tasks: { atMs: number; run: () => void }[] = []
  return {
    after(delayMs: number, run: () => void) {
      const task = { atMs: nowMs + delayMs, run }
      tasks.push(task)
      return () => {
        tasks = tasks.filter((other) => other !== task)
      }
    },
    advance(byMs: number) {
      nowMs += byMs
      for (
        let due = tasks.filter((task) => task.atMs <= nowMs);
        due.length > 0;
        due = tasks.filter((task) => task.atMs <= nowMs)
      ) {
        tasks = tasks.filter((task) => !due.includes(task))
        for (const task of due) task.run()
      }
    },
  }
}

type HandScheduler = ReturnType<typeof handScheduler>

function frameOf(...rows: [key: string | undefined, value: string, partition?: number][]): ArrayBuffer {
  const writer = new FrameWriter()
  for (const [key, value, partition] of rows) {
    writer.append(0, partition ?? -1, 1000, key === undefined ? undefined : encoder.encode(key), encoder.encode(value))
  }
  return writer.take()!
}

function values(result: PollResult): string[] {
  return result.batches.flatMap((batch) => sourceRecords(batch.frame).map((record) => decoder.decode(record.value)))
}

function logValues(kafka: MemoryKafka, topic: string, partition = 0): string[] {
  return kafka.log(topic, partition).map((record) => decoder.decode(record.value))
}

async function failureOf(call: Promise<unknown>): Promise<KafkaFailure> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof KafkaError)) throw new Error(`expected a KafkaError, got ${String(error)}`)
  return error.failure
}

async function reading(kafka: MemoryKafka, topic: string, offset = 0, readUncommitted = false): Promise<Reader> {
  const reader = await kafka.openReader({ readUncommitted })
  reader.assign([{ topic, partition: 0, offset }])
  return reader
}

async function transactional(kafka: MemoryKafka, id = 'tx', transactionTimeoutMs = 10_000): Promise<Producer> {
  const producer = await kafka.openProducer({ transactionalId: id, transactionTimeoutMs })
  await producer.initTransactions(1000)
  return producer
}

function gate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}

/** A member that lets go at once and reads nothing; `seen` is its story. */
async function member(kafka: MemoryKafka, scheduler: HandScheduler, instanceId: string, topics = ['in']) {
  const seen: string[] = []
  const names = (partitions: TopicPartition[]) => partitions.map((each) => `${each.topic}/${each.partition}`).join(' ')
  const state: { consumer?: GroupConsumer } = {}
  const consumer = await kafka.openConsumer({
    groupId: 'g',
    instanceId,
    topics,
    listener: {
      onAssign: (partitions) => seen.push(`+ ${names(partitions)}`),
      onRevoke: (partitions, isLost) => {
        seen.push(`${isLost ? 'lost' : '-'} ${names(partitions)}`)
        state.consumer?.unassign()
      },
    },
  })
  state.consumer = consumer
  scheduler.advance(0)
  return { consumer, seen }
}

describe('records and isolation', () => {
  it('gives control records an offset of their own, so offsets have gaps', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 } })
    const producer = await transactional(kafka)
    for (const value of ['a', 'b']) {
      await producer.begin()
      await producer.produce(frameOf(['k', value]), ['t'])
      await producer.commit(1000)
    }
    expect(kafka.log('t', 0).map((record) => record.offset)).toEqual([0, 2])
    expect(kafka.offsets('t', 0)).toEqual({ low: 0, stable: 4, high: 4 })
  })

  it('shows a read_committed reader nothing beyond the first open transaction, and a read_uncommitted one all', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 } })
    kafka.append('t', { value: 'before' })
    const producer = await transactional(kafka)
    await producer.begin()
    await producer.produce(frameOf(['k', 'open']), ['t'])
    kafka.append('t', { value: 'after' })
    const committed = await reading(kafka, 't')
    const uncommitted = await reading(kafka, 't', 0, true)
    const first = await committed.poll(LIMITS)
    expect(values(first)).toEqual(['before'])
    expect(first.ends).toEqual([{ topic: 't', partition: 0, offset: 1 }])
    expect(values(await uncommitted.poll(LIMITS))).toEqual(['before', 'open', 'after'])
    await producer.commit(1000)
    const second = await committed.poll(LIMITS)
    expect(values(second)).toEqual(['open', 'after'])
    expect(second.ends).toEqual([{ topic: 't', partition: 0, offset: 4 }])
  })

  it('never shows an aborted transaction to a read_committed reader', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 } })
    const producer = await transactional(kafka)
    await producer.begin()
    await producer.produce(frameOf(['k', 'gone']), ['t'])
    await producer.abort(1000)
    kafka.append('t', { value: 'kept' })
    expect(values(await (await reading(kafka, 't')).poll(LIMITS))).toEqual(['kept'])
    expect(logValues(kafka, 't')).toEqual(['kept'])
    expect(values(await (await reading(kafka, 't', 0, true)).poll(LIMITS))).toEqual(['gone', 'kept'])
  })

  it('takes no more records and bytes than a poll allows, but one record at least', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 } })
    for (let i = 0; i < 5; i++) kafka.append('t', { value: 'x'.repeat(100) })
    const reader = await reading(kafka, 't')
    expect((await reader.poll({ recordsMax: 2, bytesMax: 1 << 20, waitMs: 0 })).batches[0]!.recordCount).toBe(2)
    expect((await reader.poll({ recordsMax: 100, bytesMax: 1, waitMs: 0 })).batches[0]!.recordCount).toBe(1)
    expect((await reader.poll(LIMITS)).batches[0]!.nextOffset).toBe(5)
  })

  it('wakes a waiting poll when data arrive and when the reader closes', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 }, scheduler: handScheduler() })
    const reader = await reading(kafka, 't')
    await reader.poll(LIMITS)
    const waiting = reader.poll({ ...LIMITS, waitMs: 60_000 })
    kafka.append('t', { value: 'now' })
    expect(values(await waiting)).toEqual(['now'])
    await reader.poll(LIMITS)
    const closing = reader.poll({ ...LIMITS, waitMs: 60_000 })
    await reader.close()
    expect(values(await closing)).toEqual([])
  })

  it('gives an empty result when a poll has waited its time', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { t: 1 }, scheduler })
    const reader = await reading(kafka, 't')
    await reader.poll(LIMITS)
    const waiting = reader.poll({ ...LIMITS, waitMs: 50 })
    await Promise.resolve()
    scheduler.advance(50)
    expect(await waiting).toEqual({ batches: [], ends: [], errors: [] })
  })

  it('gives paused partitions nothing until they are resumed', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 } })
    kafka.append('t', { value: 'a' })
    const reader = await reading(kafka, 't')
    reader.pause([{ topic: 't', partition: 0 }])
    expect(values(await reader.poll(LIMITS))).toEqual([])
    reader.resume([{ topic: 't', partition: 0 }])
    expect(values(await reader.poll(LIMITS))).toEqual(['a'])
  })

  it('reports an offset outside the log and a deleted topic once each', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1, u: 1 } })
    kafka.append('t', { value: 'a' })
    kafka.append('t', { value: 'b' })
    kafka.deleteRecordsBefore('t', 0, 1)
    const reader = await kafka.openReader({})
    reader.assign([
      { topic: 't', partition: 0, offset: 0 },
      { topic: 'u', partition: 0, offset: -1 },
    ])
    expect((await reader.poll(LIMITS)).errors.map((error) => error.name)).toEqual(['_AUTO_OFFSET_RESET'])
    const admin = await kafka.openAdmin()
    await admin.delete(['u'], 1000)
    expect((await reader.poll(LIMITS)).errors).toMatchObject([{ name: 'UNKNOWN_TOPIC_OR_PART', topic: 'u' }])
    expect((await reader.poll(LIMITS)).errors).toEqual([])
    kafka.createTopic('u', 1)
    kafka.append('u', { value: 'of the new topic' })
    expect(values(await reader.poll(LIMITS))).toEqual([])
    expect(await reader.watermarks({ topic: 't', partition: 0 }, 1000)).toEqual({ low: 1, high: 2 })
  })

  it('gives a topic that is made anew another topic id', async () => {
    const kafka = createMemoryKafka({ topics: { t: 2 } })
    const admin = await kafka.openAdmin()
    const before = await admin.describe(['t', 'none'], 1000)
    await admin.delete(['t'], 1000)
    await admin.create([{ name: 't', partitionCount: 3, replicationFactor: 1, config: { 'retention.ms': '-1' } }], 1000)
    const after = await admin.describe(['t'], 1000)
    expect(before).toHaveLength(1)
    expect(after[0]).toMatchObject({ name: 't', partitionCount: 3 })
    expect(after[0]!.topicId).not.toBe(before[0]!.topicId)
    expect(await admin.config('t', 1000)).toMatchObject({ 'retention.ms': '-1', 'max.message.bytes': '1048588' })
  })
})

describe('producing', () => {
  it('fails the delivery and the transaction of a record over max.message.bytes, and an abort mends it', async () => {
    const kafka = createMemoryKafka({ topics: { t: { partitionCount: 1, config: { 'max.message.bytes': '200' } } } })
    const producer = await transactional(kafka)
    await producer.begin()
    await producer.produce(frameOf(['k', 'x'.repeat(200)]), ['t'])
    expect((await failureOf(producer.flush(1000))).name).toBe('MSG_SIZE_TOO_LARGE')
    expect(producer.failures()).toMatchObject([{ topic: 't', partition: 0, key: encoder.encode('k') }])
    expect(producer.failures()).toEqual([])
    expect(await failureOf(producer.commit(1000))).toMatchObject({ requiresAbort: true })
    await producer.abort(1000)
    await producer.begin()
    await producer.produce(frameOf(['k', 'small']), ['t'])
    await producer.flush(1000)
    await producer.commit(1000)
    expect(logValues(kafka, 't')).toEqual(['small'])
  })

  it('accepts a record of exactly max.message.bytes as a batch and refuses one byte more', async () => {
    const kafka = createMemoryKafka({ topics: { t: { partitionCount: 1, config: { 'max.message.bytes': '171' } } } })
    const producer = await kafka.openProducer({})
    // 61 batch header + 2 length varint + 3 attributes and deltas + 2 key + 2 length + 100 value + 1 header count
    await producer.produce(frameOf(['k', 'x'.repeat(100)]), ['t'])
    await producer.flush(1000)
    await producer.produce(frameOf(['k', 'x'.repeat(101)]), ['t'])
    expect((await failureOf(producer.flush(1000))).name).toBe('MSG_SIZE_TOO_LARGE')
    expect(logValues(kafka, 't')).toHaveLength(1)
  })

  it('sends a key to its murmur2 partition and keeps a partition that is named', async () => {
    const kafka = createMemoryKafka({ topics: { t: 7 } })
    const producer = await kafka.openProducer({})
    await producer.produce(frameOf(['21', 'by key'], ['21', 'named', 3]), ['t'])
    await producer.flush(1000)
    expect(logValues(kafka, 't', (-973932308 & 0x7fffffff) % 7)).toContain('by key')
    expect(logValues(kafka, 't', 3)).toContain('named')
  })

  it('refuses to produce outside a transaction', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 } })
    const producer = await transactional(kafka)
    expect((await failureOf(producer.produce(frameOf(['k', 'v']), ['t']))).name).toBe('_STATE')
  })

  it('aborts the open transaction of the former holder of a transactional id and fences it', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 } })
    const old = await transactional(kafka)
    await old.begin()
    await old.produce(frameOf(['k', 'zombie']), ['t'])
    const young = await transactional(kafka)
    const fenced = await failureOf(old.commit(1000))
    expect(fenced).toMatchObject({ name: '_FENCED', isFatal: true })
    expect((await failureOf(old.begin())).isFatal).toBe(true)
    await young.begin()
    await young.produce(frameOf(['k', 'young']), ['t'])
    await young.commit(1000)
    expect(logValues(kafka, 't')).toEqual(['young'])
  })

  it('aborts a transaction over its time and fences its producer', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { t: 1 }, scheduler })
    const producer = await transactional(kafka, 'slow', 5000)
    await producer.begin()
    await producer.produce(frameOf(['k', 'v']), ['t'])
    expect(kafka.openTransactions()).toEqual(['slow'])
    scheduler.advance(5000)
    expect(kafka.openTransactions()).toEqual([])
    expect((await failureOf(producer.commit(1000))).name).toBe('_FENCED')
    expect(kafka.offsets('t', 0)).toEqual({ low: 0, stable: 2, high: 2 })
    expect(kafka.log('t', 0)).toEqual([])
  })

  it('fails deliveries when the broker is full', async () => {
    const kafka = createMemoryKafka({ topics: { t: 1 }, bytesMax: 300 })
    const producer = await kafka.openProducer({})
    await producer.produce(frameOf(['k', 'x'.repeat(150)], ['k', 'x'.repeat(150)]), ['t'])
    expect((await failureOf(producer.flush(1000))).name).toBe('KAFKA_STORAGE_ERROR')
    expect(logValues(kafka, 't')).toHaveLength(1)
  })
})

describe('groups', () => {
  it('assigns ranges, and begins a new generation when every member has let go', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 3 }, scheduler })
    const a = await member(kafka, scheduler, 'a')
    expect(a.seen).toEqual(['+ in/0 in/1 in/2'])
    expect(a.consumer.groupMetadata().generation).toBe(1)
    const b = await member(kafka, scheduler, 'b')
    expect(a.seen.slice(1)).toEqual(['- in/0 in/1 in/2', '+ in/0 in/1'])
    expect(b.seen).toEqual(['+ in/2'])
    expect(b.consumer.groupMetadata().generation).toBe(2)
  })

  it('gives a static member that returns its partitions back without a rebalance', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 2 }, scheduler })
    const a = await member(kafka, scheduler, 'a')
    const b = await member(kafka, scheduler, 'b')
    const story = a.seen.length
    await b.consumer.close()
    scheduler.advance(9_999)
    const again = await member(kafka, scheduler, 'b')
    scheduler.advance(60_000)
    expect(again.seen).toEqual(['+ in/1'])
    expect(a.seen).toHaveLength(story)
    expect(again.consumer.groupMetadata().generation).toBe(2)
  })

  it('gives the partitions of a static member that stays away to the others when its session ends', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 2 }, scheduler })
    const a = await member(kafka, scheduler, 'a')
    const b = await member(kafka, scheduler, 'b')
    await b.consumer.close()
    scheduler.advance(10_000)
    expect(a.seen.at(-1)).toBe('+ in/0 in/1')
  })

  it('fences the process whose instance id another one takes', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 1, out: 1 }, scheduler })
    const old = await member(kafka, scheduler, 'a')
    const metadata = old.consumer.groupMetadata()
    const young = await member(kafka, scheduler, 'a')
    expect(young.seen).toEqual(['+ in/0'])
    expect((await failureOf(old.consumer.poll(LIMITS))).name).toBe('FENCED_INSTANCE_ID')
    const producer = await transactional(kafka)
    await producer.begin()
    const sent = producer.sendOffsets([{ topic: 'in', partition: 0, offset: 5 }], metadata, 1000)
    expect((await failureOf(sent)).name).toBe('FENCED_INSTANCE_ID')
  })

  it('tells a member whose session ended that its partitions are lost, and lets it join again', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 2 }, scheduler })
    const a = await member(kafka, scheduler, 'a')
    const metadata = a.consumer.groupMetadata()
    kafka.expireSession('g', 'a')
    scheduler.advance(0)
    expect(a.seen).toEqual(['+ in/0 in/1', 'lost in/0 in/1', '+ in/0 in/1'])
    const producer = await transactional(kafka)
    await producer.begin()
    const sent = producer.sendOffsets([{ topic: 'in', partition: 0, offset: 5 }], metadata, 1000)
    expect(await failureOf(sent)).toMatchObject({ requiresAbort: true })
  })

  it('refuses the membership of a former generation and keeps its offsets out', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 2 }, scheduler })
    const a = await member(kafka, scheduler, 'a')
    const metadata = a.consumer.groupMetadata()
    await member(kafka, scheduler, 'b')
    const producer = await transactional(kafka)
    await producer.begin()
    const sent = producer.sendOffsets([{ topic: 'in', partition: 0, offset: 5 }], metadata, 1000)
    expect(await failureOf(sent)).toMatchObject({ name: 'ILLEGAL_GENERATION', requiresAbort: true })
    await producer.abort(1000)
    expect(kafka.committedOffset('g', 'in', 0).offset).toBeUndefined()
  })

  it('refuses group metadata before the first assignment', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 1 }, scheduler })
    const listener = { onAssign: () => undefined, onRevoke: () => undefined }
    const consumer = await kafka.openConsumer({ groupId: 'g', instanceId: 'a', topics: ['in'], listener })
    expect(() => consumer.groupMetadata()).toThrow('_STATE')
  })

  it('rebalances when a subscribed topic is created', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 1 }, scheduler })
    const a = await member(kafka, scheduler, 'a', ['in', 'more'])
    kafka.createTopic('more', 1)
    scheduler.advance(0)
    expect(a.seen).toEqual(['+ in/0', '- in/0', '+ in/0 more/0'])
  })

  it('answers committed offsets only when the transactions that hold them are decided', async () => {
    const scheduler = handScheduler()
    const kafka = createMemoryKafka({ topics: { in: 1 }, scheduler })
    const { consumer } = await member(kafka, scheduler, 'a')
    const producer = await transactional(kafka)
    const partitions = [{ topic: 'in', partition: 0 }]
    await producer.begin()
    await producer.sendOffsets([{ ...partitions[0]!, offset: 7, metadata: 'e7' }], consumer.groupMetadata(), 1000)
    const answer = consumer.committed(partitions, 1000)
    await producer.commit(1000)
    expect(await answer).toEqual([{ topic: 'in', partition: 0, offset: 7, metadata: 'e7' }])
    await producer.begin()
    await producer.sendOffsets([{ ...partitions[0]!, offset: 9 }], consumer.groupMetadata(), 1000)
    expect((await failureOf(consumer.committed(partitions, 0))).name).toBe('_TIMED_OUT')
    await producer.abort(1000)
    expect((await consumer.committed(partitions, 0))[0]!.offset).toBe(7)
  })
})

describe('faults', () => {
  let kafka: MemoryKafka
  const setUp = async (): Promise<Producer> => {
    kafka = createMemoryKafka({ topics: { t: 1 } })
    const producer = await transactional(kafka)
    await producer.begin()
    await producer.produce(frameOf(['k', 'v']), ['t'])
    return producer
  }
  afterEach(() => {
    kafka.faults.before = undefined
    kafka.faults.after = undefined
  })

  it('leaves a commit out that fails before, and has it done when the answer is lost', async () => {
    const first = await setUp()
    kafka.faults.before = async ({ call }) => {
      if (call === 'commit') throw kafkaError('_TIMED_OUT', 'lost on the way')
      return undefined
    }
    expect((await failureOf(first.commit(1000))).name).toBe('_TIMED_OUT')
    expect(kafka.log('t', 0)).toEqual([])
    const second = await setUp()
    kafka.faults.after = async ({ call }) => {
      if (call === 'commit') throw kafkaError('_TIMED_OUT', 'answer lost')
    }
    expect((await failureOf(second.commit(1000))).name).toBe('_TIMED_OUT')
    expect(logValues(kafka, 't')).toEqual(['v'])
  })

  it('drops a commit that arrives after the next holder has taken over, and applies one that arrives in time', async () => {
    for (const [isTakenOver, expected] of [
      [true, []],
      [false, ['v']],
    ] as const) {
      const producer = await setUp()
      const arrival = gate()
      kafka.faults.before = ({ call }) => (call === 'commit' ? { lateUntil: arrival.passed } : undefined)
      expect((await failureOf(producer.commit(1000))).name).toBe('_TIMED_OUT')
      if (isTakenOver) await transactional(kafka)
      arrival.open()
      await arrival.passed
      await Promise.resolve()
      expect(logValues(kafka, 't')).toEqual(expected)
    }
  })

  it('leaves only the abort after an error that requires one, and nothing after a fatal one', async () => {
    const producer = await setUp()
    kafka.faults.before = ({ call, count }) => {
      if (call === 'flush') throw kafkaError('_TIMED_OUT', 'no', { requiresAbort: true })
      if (call === 'begin' && count === 2) throw kafkaError('_FATAL', 'dead')
      return undefined
    }
    await failureOf(producer.flush(1000))
    expect(await failureOf(producer.commit(1000))).toMatchObject({ name: '_STATE', requiresAbort: true })
    await producer.abort(1000)
    expect((await failureOf(producer.begin())).name).toBe('_FATAL')
    expect((await failureOf(producer.produce(frameOf(['k', 'w']), ['t']))).isFatal).toBe(true)
  })

  it('keeps readers waiting for a marker that is held back though the commit is decided', async () => {
    const producer = await setUp()
    kafka.faults.holdMarkers = (topic) => topic === 't'
    await producer.commit(1000)
    expect(kafka.openTransactions()).toEqual([])
    expect(kafka.log('t', 0)).toEqual([])
    await producer.begin()
    const produced = producer.produce(frameOf(['k', 'next']), ['t'])
    kafka.faults.holdMarkers = undefined
    kafka.releaseMarkers()
    await produced
    expect(logValues(kafka, 't')).toEqual(['v'])
  })
})
