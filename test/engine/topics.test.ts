// The topics of a job at its start. Holds SPEC: TOPIC-1.
import { count, job, json, kafka, tumbling } from 'millrace'
import { expect, test } from 'vitest'
import { prepareTopics } from '../../src/engine/topics.ts'
import { planTopics } from '../../src/job/plan.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'

const { plan } = job('j')
  .from(kafka('in', { value: json<{ sym: string; ts: number }>(), key: 'sym', eventTime: 'ts' }))
  .keyBy('sym')
  .window('w', tumbling('1s'))
  .aggregate({ n: count() })
  .late(kafka('late'))
  .to(kafka('out'))
  .toView('v')
  .build()

async function prepare(kafka: MemoryKafka, createTopics: boolean) {
  const admin = await kafka.openAdmin()
  return prepareTopics(admin, { plan, topics: planTopics(plan), createTopics, replicationFactor: 1, timeoutMs: 1_000 })
}

test('a source that is missing is told by name, and is not made', async () => {
  const kafka = createMemoryKafka({ topics: { out: 1, late: 1 } })
  await expect(prepare(kafka, true)).rejects.toMatchObject({ code: 'MR4002', details: { topic: 'in' } })
})

test('all topics that are missing are told at once', async () => {
  const kafka = createMemoryKafka({ topics: {} })
  const refusal = { code: 'MR4002', details: { topic: 'in and no topic late and no topic out' } }
  await expect(prepare(kafka, false)).rejects.toMatchObject(refusal)
})

test.each(['out', 'late'])('the topic %s is not made unless it is asked for', async (missing) => {
  const topics = Object.fromEntries(['in', 'out', 'late'].filter((name) => name !== missing).map((name) => [name, 3]))
  const kafka = createMemoryKafka({ topics })
  await expect(prepare(kafka, false)).rejects.toMatchObject({ code: 'MR4002', details: { topic: missing } })
  await expect(prepare(kafka, true)).resolves.toMatchObject({ partitionCount: 3 })
})

test('what belongs to the job is made: changelog and views are compacted, the rest keeps its records', async () => {
  const kafka = createMemoryKafka({ topics: { in: 3, out: 1, late: 1 } })
  const { partitionCount, changelogTopicId } = await prepare(kafka, false)
  const admin = await kafka.openAdmin()
  expect(partitionCount).toBe(3)
  const made = await admin.describe(['j-changelog', 'j-dlq', 'j-view-v'], 1_000)
  expect(made.map(({ name, partitionCount }) => [name, partitionCount]).sort()).toEqual([
    ['j-changelog', 3],
    ['j-dlq', 3],
    ['j-view-v', 3],
  ])
  expect(made.find(({ name }) => name === 'j-changelog')!.topicId).toBe(changelogTopicId)
  for (const name of ['j-changelog', 'j-view-v']) {
    expect(await admin.config(name, 1_000)).toMatchObject({
      'cleanup.policy': 'compact',
      'delete.retention.ms': String(7 * 86_400_000),
    })
  }
  expect(await admin.config('j-dlq', 1_000)).toMatchObject({ 'retention.ms': '-1' })
})

test('a changelog with another number of partitions than the source is refused', async () => {
  const kafka = createMemoryKafka({ topics: { in: 3, out: 1, late: 1, 'j-changelog': 2 } })
  await expect(prepare(kafka, true)).rejects.toMatchObject({
    code: 'MR4003',
    details: { topic: 'j-changelog', actual: 2, expected: 3 },
  })
})

test('the size limits are those of the topics, in the order of the plan', async () => {
  const kafka = createMemoryKafka({
    topics: { in: 1, late: 1, out: { partitionCount: 1, config: { 'max.message.bytes': '777' } } },
  })
  const { names } = planTopics(plan)
  const { messageBytesMax } = await prepare(kafka, false)
  expect(messageBytesMax[names.indexOf('out')]).toBe(777)
  expect(messageBytesMax[names.indexOf('late')]).toBe(1_048_588)
})
