// The cluster inside the process, as the demo uses it. Keeps SPEC: KAFKA-7 (a demo needs no broker).
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FrameWriter, sourceRecords } from '../../src/core/frame.ts'
import { type MockCluster, startMockCluster } from '../../src/kafka/rdkafka/mock-cluster.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'

const LIMIT_MS = 10_000
let cluster: MockCluster
beforeEach(async () => {
  cluster = await startMockCluster()
})
afterEach(() => cluster.close())

test('an admin finds topics of any partition count and makes one by asking for it, without waiting for a controller', async () => {
  cluster.createTopic('made', 7)
  const admin = await openRdKafka({ brokers: cluster.brokers }).openAdmin()
  const startMs = performance.now()
  expect(await admin.describe(['made', 'none'], LIMIT_MS)).toEqual([
    { name: 'made', partitionCount: 7, topicId: undefined },
  ])
  await admin.create([{ name: 'asked', partitionCount: 4, replicationFactor: -1, config: {} }], LIMIT_MS)
  expect(await admin.describe(['asked'], LIMIT_MS)).toEqual([{ name: 'asked', partitionCount: 4, topicId: undefined }])
  expect(await admin.config('made', LIMIT_MS)).toEqual({})
  expect(performance.now() - startMs).toBeLessThan(LIMIT_MS / 2)
  await expect(admin.delete(['made'], LIMIT_MS)).rejects.toThrow('cannot delete topics')
  await admin.close()
})

test('what is produced can be read back', async () => {
  cluster.createTopic('records', 1)
  const kafka = openRdKafka({ brokers: cluster.brokers })
  const producer = await kafka.openProducer({})
  const writer = new FrameWriter()
  for (let i = 0; i < 100; i++) writer.append(0, -1, 1000 + i, new Uint8Array([i]), new Uint8Array([i, 1]))
  await producer.produce(writer.take()!, ['records'])
  await producer.flush(LIMIT_MS)
  await producer.close()
  const reader = await kafka.openReader({})
  reader.assign([{ topic: 'records', partition: 0, offset: 0 }])
  const values: number[] = []
  while (values.length < 100) {
    const { batches, errors } = await reader.poll({ recordsMax: 1000, bytesMax: 1 << 20, waitMs: 1000 })
    expect(errors).toEqual([])
    for (const batch of batches) values.push(...sourceRecords(batch.frame).map((record) => record.value![0]!))
  }
  expect(values).toEqual(Array.from({ length: 100 }, (_, i) => i))
  await reader.close()
})
