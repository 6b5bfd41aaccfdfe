// What of node-rdkafka is called while it deletes a client's handle on a thread of its own: nothing. A call then reads freed
// memory: the process ends with SIGSEGV, or its main thread waits for ever. Keeps SPEC: NATIVE-1.
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { GroupConsumer } from '../../src/kafka/port.ts'
import { type MockCluster, startMockCluster } from '../../src/kafka/rdkafka/mock-cluster.ts'
import { type RdConsumer, type RdProducer, rdkafka } from '../../src/kafka/rdkafka/node-rdkafka.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'

let cluster: MockCluster
beforeEach(async () => {
  cluster = await startMockCluster()
})
afterEach(() => cluster.close())

/** Notes the calls of a method, and goes on with them; `undo` takes that back. */
function watch(owner: object, method: string, note: (self: unknown) => void): () => void {
  const methods = owner as Record<string, (...args: unknown[]) => unknown>
  const original = methods[method]!
  methods[method] = function watched(this: unknown, ...args) {
    note(this)
    return original.apply(this, args)
  }
  return () => {
    methods[method] = original
  }
}

test('a producer is not polled from a timer once its disconnect has begun', async () => {
  const timers: unknown[] = []
  const timerOf = (self: unknown): unknown => (self as { pollInterval: unknown }).pollInterval
  const undo = watch(rdkafka().Producer.prototype as RdProducer, '_disconnect', (self) => timers.push(timerOf(self)))
  try {
    const producer = await openRdKafka({ brokers: cluster.brokers }).openProducer({})
    await producer.close()
  } finally {
    undo()
  }
  expect(timers).toEqual([undefined])
})

/** A member of the group, with its partitions. */
async function member(fetchClients: number): Promise<GroupConsumer> {
  cluster.createTopic('trades', 2)
  let isAssigned = false
  const consumer = await openRdKafka({ brokers: cluster.brokers, fetchClients }).openConsumer({
    groupId: 'g',
    instanceId: 'i',
    topics: ['trades'],
    listener: {
      onAssign(partitions) {
        isAssigned = true
        consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
      },
      onRevoke: () => consumer.unassign(),
    },
  })
  const pollOnce = async (): Promise<boolean> => {
    await consumer.poll({ recordsMax: 10, bytesMax: 1 << 20, waitMs: 50 })
    return isAssigned
  }
  await expect.poll(pollOnce, { timeout: 20_000 }).toBe(true)
  return consumer
}

/** What of node-rdkafka's consumers is called in a close, in order. */
async function callsOfClose(consumer: GroupConsumer): Promise<string[]> {
  const calls: string[] = []
  const prototype = rdkafka().KafkaConsumer.prototype as RdConsumer
  const undo = ['unassign', 'disconnect'].map((method) => watch(prototype, method, () => calls.push(method)))
  try {
    await consumer.close()
  } finally {
    for (const one of undo) one()
  }
  return calls
}

test('the rebalance that a close brings is answered before the disconnect begins', async () => {
  expect(await callsOfClose(await member(1))).toEqual(['unassign', 'disconnect'])
})

test('a member that has left answers nothing more: librdkafka would not hear it', async () => {
  const consumer = await member(2)
  await consumer.leave(5_000)
  expect(await callsOfClose(consumer)).toEqual(['disconnect', 'disconnect', 'disconnect'])
})
