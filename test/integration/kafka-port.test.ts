// The port's cases on a real broker: through the addon and without it; and what only a real client can show.
// Holds SPEC: those of test/kafka/port-cases.ts, and NATIVE-1.
import { randomUUID } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { describe, expect, inject, it } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import { FrameWriter } from '../../src/core/frame.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { abandonedClients } from '../../src/kafka/rdkafka/client-life.ts'
import { startMockCluster } from '../../src/kafka/rdkafka/mock-cluster.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { portCases } from '../kafka/port-cases.ts'

const brokers = inject('brokers')
const CALL_MS = 20_000

describe('rdkafka with the addon', () => {
  portCases({
    open: () => openRdKafka({ brokers, native: 'addon' }),
    hasOffsetMetadata: true,
    hasBinaryHeaders: true,
    hasTopicDetails: true,
    hasGroupMembers: true,
  })
})

describe('rdkafka in plain JavaScript', () => {
  portCases({
    open: () => openRdKafka({ brokers, native: 'plain' }),
    hasOffsetMetadata: false,
    hasBinaryHeaders: false,
    hasTopicDetails: false,
    hasGroupMembers: false,
  })
})

describe('the clients', () => {
  it('refuse settings that exactly-once owns', () => {
    expect(() => openRdKafka({ brokers, settings: { 'enable.auto.commit': true } })).toThrow(
      expect.objectContaining({ code: 'MR3001' }),
    )
  })

  it('say so when an offset is no longer in the log, instead of skipping records', async () => {
    const kafka = openRdKafka({ brokers, native: 'addon' })
    const topic = await newTopic(kafka)
    const reader = await kafka.openReader({})
    reader.assign([{ topic, partition: 0, offset: 1_000 }])
    const names: string[] = []
    await expect
      .poll(
        async () => {
          const { errors } = await reader.poll({ recordsMax: 10, bytesMax: 1_000, waitMs: 100 })
          names.push(...errors.map(({ name }) => name))
          return names
        },
        { timeout: CALL_MS },
      )
      .toContain('_AUTO_OFFSET_RESET')
    await reader.close()
  })

  it('refuse a malformed frame as a whole, whatever its bytes are', async () => {
    const kafka = openRdKafka({ brokers, native: 'addon' })
    const topic = await newTopic(kafka)
    const producer = await kafka.openProducer({})
    const writer = new FrameWriter()
    writer.append(0, 0, 1, undefined, new Uint8Array(100))
    const good = writer.take()!
    for (const [word, value] of [
      [1, 2], // more records than there are
      [2, 1 << 20], // more bytes than there are
      [8, 1 << 20], // a record longer than the frame
      [8, 0], // a record without length
      [10, 1 << 20], // a value longer than its record
      [11, 5], // headers that run over their end
      [12, 7], // a topic that is not in the list
    ] as const) {
      const bad = good.slice(0)
      new Int32Array(bad)[word] = value
      const error = await producer.produce(bad, [topic]).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error, `word ${word}`).toBeInstanceOf(KafkaError)
      expect((error as KafkaError).failure.name).toBe('_INVALID_ARG')
    }
    await producer.close()
  })

  it('give up on a broker that does not answer, and say how long they waited', async () => {
    const hole = await startBlackHole()
    try {
      const kafka = openRdKafka({ brokers: hole.address, native: 'addon' })
      const error = await kafka.openAdmin().then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(MillraceError)
      expect((error as MillraceError).code).toBe('MR4001')
    } finally {
      await hole.close()
    }
  })

  it('close while a produce call waits for room and while the transaction cannot end', async () => {
    const kafka = openRdKafka({ brokers, native: 'addon' })
    const topic = await newTopic(kafka)
    const producer = await kafka.openProducer({ settings: { 'queue.buffering.max.messages': 10, 'linger.ms': 10_000 } })
    const writer = new FrameWriter()
    for (let i = 0; i < 1_000; i++) writer.append(0, 0, 1, undefined, new Uint8Array(10))
    const produced = producer.produce(writer.take()!, [topic]).then(
      () => 'queued',
      (error: unknown) => (error instanceof KafkaError ? error.failure.name : error),
    )
    await producer.close()
    expect(await produced).toBe('_QUEUE_FULL')
    expect(abandonedClients()).toBe(0)
  })

  it('serve a transactional producer and a group on a mock cluster', async () => {
    const cluster = await startMockCluster()
    const kafka = openRdKafka({ brokers: cluster.brokers, native: 'addon' })
    try {
      cluster.createTopic('trades', 3)
      const admin = await kafka.openAdmin()
      expect(await admin.describe(['trades', 'absent'], CALL_MS)).toMatchObject([{ name: 'trades', partitionCount: 3 }])
      await admin.create([{ name: 'candles', partitionCount: 4, replicationFactor: 1, config: {} }], CALL_MS)
      expect(await admin.config('candles', CALL_MS)).toEqual({})
      await admin.close()
      expect(await passThrough(kafka, 'trades')).toBe(50)
    } finally {
      await cluster.close()
    }
  })
})

/** Writes 50 records in a transaction with offsets and reads them as a group; gives the number that came. */
async function passThrough(kafka: ReturnType<typeof openRdKafka>, topic: string): Promise<number> {
  let isAssigned = false
  const consumer = await kafka.openConsumer({
    groupId: 'g',
    instanceId: 'i',
    topics: [topic],
    listener: {
      onAssign(partitions) {
        isAssigned = true
        consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
      },
      onRevoke: () => consumer.unassign(),
    },
  })
  const limits = { recordsMax: 1_000, bytesMax: 1 << 20, waitMs: 100 }
  const pollOnce = async (): Promise<boolean> => {
    await consumer.poll(limits)
    return isAssigned
  }
  await expect.poll(pollOnce, { timeout: CALL_MS }).toBe(true)
  const producer = await kafka.openProducer({ transactionalId: 't' })
  await producer.initTransactions(CALL_MS)
  await producer.begin()
  const writer = new FrameWriter()
  for (let i = 0; i < 50; i++) writer.append(0, i % 3, 1, undefined, new Uint8Array(8))
  await producer.produce(writer.take()!, [topic])
  await producer.flush(CALL_MS)
  const group = consumer.groupMetadata()
  await producer.sendOffsets([{ topic, partition: 0, offset: 1 }], group, CALL_MS)
  await producer.commit(CALL_MS)
  let recordCount = 0
  await expect
    .poll(
      async () => {
        for (const batch of (await consumer.poll(limits)).batches) recordCount += batch.recordCount
        return recordCount
      },
      { timeout: CALL_MS },
    )
    .toBe(50)
  await Promise.all([consumer.close(), producer.close()])
  return recordCount
}

async function newTopic(kafka: ReturnType<typeof openRdKafka>): Promise<string> {
  const admin = await kafka.openAdmin()
  const name = `client-${randomUUID()}`
  await admin.create([{ name, partitionCount: 1, replicationFactor: 1, config: {} }], CALL_MS)
  await admin.close()
  return name
}

/** Takes connections and never says a word. */
function startBlackHole(): Promise<{ address: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => sockets.delete(socket))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('no port')
      resolve({
        address: `127.0.0.1:${address.port}`,
        close: () =>
          new Promise((closed) => {
            for (const socket of sockets) socket.destroy()
            server.close(() => closed())
          }),
      })
    })
  })
}
