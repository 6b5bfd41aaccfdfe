// The topics of a job at its start. Holds SPEC: TOPIC-1, SECURE-4, ZSTD-1, JOIN-5.
import { count, job, json, kafka, stream, tumbling } from 'millrace'
import { expect, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import { prepareTopics } from '../../src/engine/topics.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import type { Admin } from '../../src/kafka/port.ts'

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
  await expect(prepare(kafka, true)).resolves.toMatchObject({ partitionCounts: [3] })
})

test('what belongs to the job is made: changelog and views are compacted, the rest keeps its records', async () => {
  const kafka = createMemoryKafka({ topics: { in: 3, out: 1, late: 1 } })
  const { partitionCounts, changelogTopicIds } = await prepare(kafka, false)
  const admin = await kafka.openAdmin()
  expect(partitionCounts).toEqual([3])
  const made = await admin.describe(['j-changelog', 'j-dlq', 'j-view-v'], 1_000)
  expect(made.map(({ name, partitionCount }) => [name, partitionCount]).sort()).toEqual([
    ['j-changelog', 3],
    ['j-dlq', 3],
    ['j-view-v', 3],
  ])
  expect(made.find(({ name }) => name === 'j-changelog')!.topicId).toBe(changelogTopicIds[0])
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

/** All topics of the job are there. */
const ALL = { in: 3, late: 3, out: 3, 'j-view-v': 3, 'j-dlq': 3, 'j-changelog': 3 }

function prepareWith(admin: Admin, unreadableCodecs: string[] = []) {
  const topics = planTopics(plan)
  return prepareTopics(admin, {
    plan,
    topics,
    createTopics: false,
    replicationFactor: 1,
    timeoutMs: 1_000,
    unreadableCodecs,
  })
}

test('every right on topics that is missing is named, all at once; a topic that may not be looked at is one of them', async () => {
  const admin = await createMemoryKafka({ topics: ALL }).openAdmin()
  const operations: Record<string, string[]> = {
    in: [],
    out: ['DESCRIBE', 'WRITE'],
    'j-changelog': ['DESCRIBE', 'WRITE', 'DESCRIBE_CONFIGS'],
  }
  const watched: Admin = Object.assign(Object.create(admin), {
    describe: async (names: string[], timeoutMs: number) =>
      (await admin.describe(names, timeoutMs)).map((topic) => ({
        ...topic,
        operations: operations[topic.name] ?? ['READ', 'WRITE', 'DESCRIBE', 'DESCRIBE_CONFIGS'],
      })),
  })
  await expect(prepareWith(watched)).rejects.toMatchObject({
    code: 'MR4034',
    details: { rights: 'Read on topic in, DescribeConfigs on topic out, Read on topic j-changelog' },
  })
})

test.each(['in', 'j-changelog', 'j-view-v'])(
  'a topic that is read, %s, must not be compressed with what cannot be read',
  async (topic) => {
    const zstd = { partitionCount: 3, config: { 'compression.type': 'zstd' } }
    const admin = await createMemoryKafka({ topics: { ...ALL, [topic]: zstd } }).openAdmin()
    await expect(prepareWith(admin, ['zstd'])).rejects.toMatchObject({
      code: 'MR4035',
      details: { topic, codec: 'zstd' },
    })
    await expect(prepareWith(admin)).resolves.toMatchObject({ partitionCounts: [3] })
  },
)

test('the settings of the source are not needed: without the right to look, it is read', async () => {
  const admin = await createMemoryKafka({ topics: ALL }).openAdmin()
  const asked: string[] = []
  const watched: Admin = Object.assign(Object.create(admin), {
    config: (topic: string, timeoutMs: number) => {
      asked.push(topic)
      if (topic === 'in') throw new MillraceError('MR4034', { rights: 'DescribeConfigs on topic in' })
      return admin.config(topic, timeoutMs)
    },
  })
  await expect(prepareWith(watched, ['zstd'])).resolves.toMatchObject({ partitionCounts: [3] })
  expect(asked).toContain('in')
})

test('a repartition topic is made with the partitions of the source, and one that is there keeps its own', async () => {
  const keyed = job('j')
    .from(kafka('in', { value: json<{ a: string }>() }))
    .keyBy('a')
    .aggregate({ n: count() })
    .to(kafka('out'))
    .build()
  const prepareKeyed = async (topics: Record<string, number>) =>
    prepareTopics(await createMemoryKafka({ topics }).openAdmin(), {
      plan: keyed.plan,
      topics: planTopics(keyed.plan),
      createTopics: true,
      replicationFactor: 1,
      timeoutMs: 1_000,
    })
  expect((await prepareKeyed({ in: 3 })).partitionCounts).toEqual([3, 3])
  expect((await prepareKeyed({ in: 3, 'j-repartition': 5 })).partitionCounts).toEqual([3, 5])
  await expect(prepareKeyed({ in: 3, 'j-repartition': 5, 'j-changelog': 3 })).rejects.toMatchObject({
    code: 'MR4003',
    details: { topic: 'j-changelog', actual: 3, expected: 5 },
  })
})

const pairs = job('pairs')
  .from(kafka('in', { value: json<{ sym: string }>(), key: 'sym' }))
  .keyBy('sym')
  .join(
    'pair',
    stream(kafka('in2', { value: json<{ sym: string }>(), key: 'sym' })).keyBy('sym'),
    { within: '1s' },
    (left) => left,
  )
  .to(kafka('out'))
  .build().plan

test('topics that meet need the same number of partitions, and the error says which and how to get there', async () => {
  const kafka = createMemoryKafka({ topics: { in: 3, in2: 2, out: 1 } })
  const admin = await kafka.openAdmin()
  const options = {
    plan: pairs,
    topics: planTopics(pairs),
    createTopics: false,
    replicationFactor: 1,
    timeoutMs: 1_000,
  }
  await expect(prepareTopics(admin, options)).rejects.toMatchObject({
    code: 'MR4036',
    details: { topics: 'in and in2', counts: '3 and 2' },
    remedy: expect.stringContaining('keyBy(field)'),
  })
})

test('topics that meet have a task for each partition, and one changelog', async () => {
  const kafka = createMemoryKafka({ topics: { in: 3, in2: 3, out: 1 } })
  const admin = await kafka.openAdmin()
  const options = {
    plan: pairs,
    topics: planTopics(pairs),
    createTopics: false,
    replicationFactor: 1,
    timeoutMs: 1_000,
  }
  const { partitionCounts, changelogTopicIds } = await prepareTopics(admin, options)
  expect(partitionCounts).toEqual([3, 3])
  expect(changelogTopicIds).toEqual([expect.any(String), undefined])
})
