// Closing clients while their broker is frozen and a call is out: nothing crashes, close returns within its limits, and
// what was abandoned is freed when the broker answers again. The broker is the test's own, so that it may be frozen.
// Holds SPEC: NATIVE-1 (node-rdkafka's disconnect deletes the handle that a call still uses, so it is never called then).
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { type GroupConsumer, type Kafka, KafkaError, type Producer } from '../../src/kafka/port.ts'
import { abandonedClients } from '../../src/kafka/rdkafka/client-life.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { type Broker, startBroker } from '../harness/broker.ts'

const CALL_MS = 30_000
/** Waiting for the call, then for the disconnect, and some air. */
const CLOSE_MS = 12_000

let broker: Broker
let topic: string

beforeAll(async () => {
  broker = await startBroker()
  topic = `teardown-${randomUUID()}`
  const admin = await openRdKafka({ brokers: broker.brokers }).openAdmin()
  await admin.create([{ name: topic, partitionCount: 1, replicationFactor: 1, config: {} }], CALL_MS)
  await admin.close()
})
afterEach(async () => {
  process.kill(broker.pid, 'SIGCONT')
  await expect.poll(abandonedClients, { timeout: CALL_MS }).toBe(0)
})
afterAll(() => broker.stop())

for (const native of ['addon', 'plain'] as const) {
  describe(`with a frozen broker, ${native === 'addon' ? 'with the addon' : 'in plain JavaScript'}`, () => {
    const open = (): Kafka => openRdKafka({ brokers: broker.brokers, native })

    it('a poll that waits does not hold up the close', async () => {
      const consumer = await member(open())
      await freeze()
      const polling = outcomeOf(consumer.poll({ recordsMax: 10, bytesMax: 1_000, waitMs: 60_000 }))
      await closeInTime(consumer)
      expect(['ended', '_DESTROY']).toContain(await polling)
    })

    it('a member that leaves while nothing is out is freed when the broker answers again', async () => {
      const consumer = await member(open())
      await freeze()
      await consumer.leave(1_000)
      await closeInTime(consumer)
    })

    it('a member that has lost its partitions and not answered that is closed', async () => {
      let isLost: boolean | undefined
      const consumer = await member(open(), 6_000, (lost) => {
        isLost = lost
      })
      await freeze()
      const pollOnce = async (): Promise<boolean> => {
        await consumer.poll({ recordsMax: 10, bytesMax: 1_000, waitMs: 50 })
        return isLost !== undefined
      }
      await expect.poll(pollOnce, { timeout: CALL_MS }).toBe(true)
      thaw()
      await closeInTime(consumer)
    })

    it('a question for committed offsets ends before its client is freed', async () => {
      const consumer = await member(open())
      await freeze()
      const asking = outcomeOf(consumer.committed([{ topic, partition: 0 }], CALL_MS))
      await closeInTime(consumer)
      // Without the addon the member leaves its group first, which ends the question sooner or later.
      if (native === 'addon') expect(abandonedClients()).toBe(1)
      thaw()
      expect(await asking).toMatch(/^(ended|_\w+|[A-Z]\w+)$/)
    })

    it('a commit that hangs ends before its client is freed', async () => {
      const producer = await transactional(open())
      await producer.begin()
      await producer.produce(oneRecord(), [topic])
      await producer.flush(CALL_MS)
      await freeze()
      const committing = outcomeOf(producer.commit(CALL_MS))
      await closeInTime(producer)
      expect(abandonedClients()).toBe(1)
      thaw()
      expect(await committing).toMatch(/^(ended|_\w+|[A-Z]\w+)$/)
    })

    it('a flush that hangs ends before its client is freed', async () => {
      const producer = await transactional(open())
      await producer.begin()
      await freeze()
      await producer.produce(oneRecord(), [topic])
      const flushing = outcomeOf(producer.flush(4_000))
      await closeInTime(producer)
      expect(await flushing).toMatch(/^(_TIMED_OUT|_DESTROY)$/)
    })

    it('offsets on their way to a transaction end before their client is freed', async () => {
      const kafka = open()
      const consumer = await member(kafka)
      const producer = await transactional(kafka)
      const group = consumer.groupMetadata()
      await producer.begin()
      await freeze()
      const sending = outcomeOf(producer.sendOffsets([{ topic, partition: 0, offset: 1 }], group, CALL_MS))
      await closeInTime(producer)
      expect(abandonedClients()).toBe(1)
      thaw()
      expect(await sending).toMatch(/^(ended|_\w+|[A-Z]\w+)$/)
      await consumer.close()
    })
  })
}

/** Stops the broker's process, and returns when each of its threads stands still. */
async function freeze(): Promise<void> {
  process.kill(broker.pid, 'SIGSTOP')
  const running = (): string[] =>
    readdirSync(`/proc/${broker.pid}/task`).filter(
      (thread) => !/\) T /.test(readFileSync(`/proc/${broker.pid}/task/${thread}/stat`, 'utf8')),
    )
  await expect.poll(running, { interval: 5, timeout: CALL_MS }).toEqual([])
}
function thaw(): void {
  process.kill(broker.pid, 'SIGCONT')
}

async function closeInTime(client: { close(): Promise<void> }): Promise<void> {
  const startMs = performance.now()
  await client.close()
  expect(performance.now() - startMs).toBeLessThan(CLOSE_MS)
}

/** A member that has its partitions; without `onRevoke` it answers when they are taken. */
async function member(
  kafka: Kafka,
  sessionMs = 45_000,
  onRevoke: (isLost: boolean, consumer: GroupConsumer) => void = (_, consumer) => consumer.unassign(),
): Promise<GroupConsumer> {
  let isAssigned = false
  const consumer = await kafka.openConsumer({
    groupId: `teardown-${randomUUID()}`,
    instanceId: 'a',
    topics: [topic],
    listener: {
      onAssign(partitions) {
        isAssigned = true
        consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
      },
      onRevoke: (_, isLost) => onRevoke(isLost, consumer),
    },
    settings: { 'session.timeout.ms': sessionMs },
  })
  const pollOnce = async (): Promise<boolean> => {
    await consumer.poll({ recordsMax: 10, bytesMax: 1_000, waitMs: 50 })
    return isAssigned
  }
  await expect.poll(pollOnce, { timeout: CALL_MS }).toBe(true)
  return consumer
}

async function transactional(kafka: Kafka): Promise<Producer> {
  const producer = await kafka.openProducer({ transactionalId: `teardown-${randomUUID()}` })
  await producer.initTransactions(CALL_MS)
  return producer
}

function oneRecord(): ArrayBuffer {
  const writer = new FrameWriter()
  writer.append(0, 0, -1, undefined, new Uint8Array(8))
  return writer.take()!
}

/** `ended`, or the name of the failure; anything else is thrown. */
async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ended'
  } catch (error) {
    if (error instanceof KafkaError) return error.failure.name
    throw error
  }
}
