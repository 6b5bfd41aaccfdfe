// Micro bench of the commit: the engine's transaction over Kafka in memory. What is timed is our own part of a commit.
import assert from 'node:assert/strict'
import { noCounts } from '../../src/core/counts.ts'
import type { TaskPosition } from '../../src/core/message.ts'
import { type EpochOffset, Transaction } from '../../src/engine/transaction.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import type { GroupConsumer, GroupMetadata, Producer } from '../../src/kafka/port.ts'
import { systemClock, systemScheduler } from '../../src/ops/system-clock.ts'
import { tradeFrame } from './frame-cases.ts'
import type { MicroCase } from './micro-case.ts'

const GROUP = 'bench'
const SOURCE = 'trades'
const SINK = 'rows'
const PARTITIONS = 4
const CALL_MS = 5_000

interface Opened {
  kafka: MemoryKafka
  consumer: GroupConsumer
  producer: Producer
  transaction: Transaction
  group: GroupMetadata
}

/** An epoch of `rowCount` rows and the offsets of four tasks. */
export async function commitCase(rowCount = 1_000): Promise<MicroCase> {
  const opened = await open()
  const frame = tradeFrame(rowCount)
  let epoch = 0
  return {
    name: `commit: epoch of ${rowCount} rows (Kafka in memory)`,
    recordsPerRun: rowCount,
    async run() {
      epoch++
      opened.transaction.add(epoch, frame.slice(0))
      await opened.transaction.commitEpoch(epoch, [], offsetsOf(epoch), opened.group)
    },
    check: () => checkCommitted(opened.kafka, epoch, epoch * rowCount),
    async close() {
      await opened.consumer.close()
      await opened.producer.close()
    },
  }
}

async function open(): Promise<Opened> {
  const kafka = createMemoryKafka({ topics: { [SOURCE]: PARTITIONS, [SINK]: PARTITIONS }, bytesMax: 2 ** 31 })
  const { consumer, group } = await joinGroup(kafka)
  const producer = await kafka.openProducer({ transactionalId: GROUP })
  await producer.initTransactions(CALL_MS)
  const transaction = new Transaction({
    producer,
    topicNames: [SINK],
    clock: systemClock,
    scheduler: systemScheduler,
    callMs: CALL_MS,
  })
  return { kafka, consumer, producer, transaction, group }
}

function joinGroup(kafka: MemoryKafka): Promise<{ consumer: GroupConsumer; group: GroupMetadata }> {
  return new Promise((resolve, reject) => {
    const opening = kafka.openConsumer({
      groupId: GROUP,
      instanceId: GROUP,
      topics: [SOURCE],
      listener: {
        onAssign: () => {
          opening.then((consumer) => resolve({ consumer, group: consumer.groupMetadata() })).catch(reject)
        },
        onRevoke: () => reject(new Error('the partitions were taken away')),
      },
    })
    opening.catch(reject)
  })
}

function offsetsOf(epoch: number): EpochOffset[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => ({
    topic: SOURCE,
    partition,
    position: positionOf(partition, epoch),
  }))
}

function positionOf(partition: number, epoch: number): TaskPosition {
  return {
    taskId: `0_${partition}`,
    epoch,
    instanceId: GROUP,
    inputOffset: epoch,
    watermarkMs: 0,
    eventTimeMsMax: 0,
    isEnded: false,
    source: 'trades',
    planHash: '',
    counts: noCounts(),
  }
}

/** Every row is there, committed; so are the offsets of the last epoch; no transaction is open. */
function checkCommitted(kafka: MemoryKafka, epoch: number, rowCount: number): void {
  let rows = 0
  for (let partition = 0; partition < PARTITIONS; partition++) {
    rows += kafka.log(SINK, partition).length
    assert.equal(kafka.committedOffset(GROUP, SOURCE, partition).offset, epoch)
  }
  assert.equal(rows, rowCount)
  assert.deepEqual(kafka.openTransactions(), [])
}
