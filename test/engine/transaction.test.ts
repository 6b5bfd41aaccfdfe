// One transaction after the other over memory-kafka: what belongs to an epoch is in its transaction, and nothing else.
// Holds SPEC: EPOCH-4, EPOCH-5.
import { expect, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import type { TaskPosition } from '../../src/core/message.ts'
import { Transaction } from '../../src/engine/transaction.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import type { GroupConsumer, GroupMetadata } from '../../src/kafka/port.ts'
import { systemClock, systemScheduler } from '../../src/ops/system-clock.ts'

const CALL_MS = 1_000
const TOPICS = ['rows', 'changes']
const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes)

function frame(topicIndex: number, value: string): ArrayBuffer {
  const writer = new FrameWriter()
  writer.append(topicIndex, 0, 1, undefined, new TextEncoder().encode(value))
  return writer.take()!
}

/** A position of which only the offset counts here. */
const at = (inputOffset: number): TaskPosition => ({
  taskId: '0_0',
  epoch: 0,
  instanceId: 'i',
  inputOffset,
  watermarkMs: 0,
  eventTimeMsMax: 0,
  isEnded: false,
  source: 'trades',
  planHash: '',
  counts: { in: 0, expanded: 0, accepted: 0, late: 0, dead: 0, filtered: 0, refused: 0, results: 0 },
})
const offsets = (inputOffset: number) => [{ topic: 'in', partition: 0, position: at(inputOffset) }]

async function joined(kafka: MemoryKafka): Promise<{ consumer: GroupConsumer; group: GroupMetadata }> {
  let isAssigned = false
  const consumer = await kafka.openConsumer({
    groupId: 'g',
    instanceId: 'i',
    topics: ['in'],
    listener: { onAssign: () => (isAssigned = true), onRevoke: () => {} },
  })
  while (!isAssigned) await consumer.poll({ recordsMax: 1, bytesMax: 1, waitMs: 1 })
  return { consumer, group: consumer.groupMetadata() }
}

async function scene() {
  const kafka = createMemoryKafka({ topics: { in: 1, rows: 1, changes: 1 } })
  const { consumer, group } = await joined(kafka)
  const producer = await kafka.openProducer({ transactionalId: 't' })
  await producer.initTransactions(CALL_MS)
  const transaction = new Transaction({
    producer,
    topicNames: TOPICS,
    clock: systemClock,
    scheduler: systemScheduler,
    callMs: CALL_MS,
  })
  const committed = () => ({
    rows: kafka.log('rows', 0).map(({ value }) => text(value)),
    changes: kafka.log('changes', 0).map(({ value }) => text(value)),
    offset: kafka.committedOffset('g', 'in', 0).offset,
  })
  return { kafka, consumer, group, transaction, committed }
}

test('an epoch commits its results, its changelog and its offsets; results of the next one wait for the next', async () => {
  const { consumer, group, transaction, committed } = await scene()
  // Lanes answer each at their own pace.
  transaction.add(2, frame(0, 'of the next'))
  transaction.add(1, frame(0, 'a'))
  transaction.add(2, frame(0, 'and one more'))
  await transaction.commitEpoch(1, [frame(1, 'change of 1')], offsets(5), group)
  expect(committed()).toEqual({ rows: ['a'], changes: ['change of 1'], offset: 5 })
  expect(transaction.pendingBytes).toBeGreaterThan(0)
  await transaction.commitEpoch(2, [], offsets(9), group)
  expect(committed()).toEqual({ rows: ['a', 'of the next', 'and one more'], changes: ['change of 1'], offset: 9 })
  expect(transaction.pendingBytes).toBe(0)
  await consumer.close()
})

test('results that are produced while the epoch runs are seen with its commit, not before', async () => {
  const { kafka, consumer, group, transaction, committed } = await scene()
  transaction.add(1, frame(0, 'x'.repeat(300_000)))
  await transaction.produceWaiting(1)
  expect(transaction.pendingBytes).toBe(0)
  expect(kafka.offsets('rows', 0).high).toBe(1)
  expect(committed()).toEqual({ rows: [], changes: [], offset: undefined })
  await transaction.commitEpoch(1, [], offsets(1), group)
  expect(committed().rows).toHaveLength(1)
  await consumer.close()
})

test('a delivery that fails commits nothing of its epoch', async () => {
  const { kafka, consumer, group, transaction, committed } = await scene()
  kafka.createTopic('small', 1, { 'max.message.bytes': '100' })
  TOPICS.push('small')
  transaction.add(1, frame(0, 'a'))
  transaction.add(1, frame(2, 'x'.repeat(200)))
  await expect(transaction.commitEpoch(1, [frame(1, 'change')], offsets(5), group)).rejects.toThrow(/epoch 1/)
  expect(committed()).toEqual({ rows: [], changes: [], offset: undefined })
  await consumer.close()
})
