// Topics on node-rdkafka: through the addon, and in plain JavaScript as far as node-rdkafka can. Main thread.
import { setTimeout } from 'node:timers/promises'
import {
  type Admin,
  type GroupMember,
  KafkaError,
  type NewTopic,
  type TopicDescription,
  type TopicPartitionOffset,
} from '../port.ts'
import type { ClientLife } from './client-life.ts'
import { failureOf, localFailure } from './failure.ts'
import type { Callback, RdAdmin, RdMetadata, RdProducer } from './node-rdkafka.ts'

/** How often brokers are asked whether they have heard of a new topic. */
const SEEN_AGAIN_MS = 10
const UNSUPPORTED = '_UNSUPPORTED_FEATURE'
const TOPIC_ALREADY_EXISTS = 36
const UNKNOWN_TOPIC_OR_PART = 3

export class AddonAdmin implements Admin {
  readonly #life: ClientLife<RdProducer>

  constructor(life: ClientLife<RdProducer>) {
    this.#life = life
  }

  describe(names: string[], timeoutMs: number): Promise<TopicDescription[]> {
    if (names.length === 0) return Promise.resolve([])
    return this.#life.callNative((native, done) => native.describeTopics(names, timeoutMs, done))
  }

  async create(topics: NewTopic[], timeoutMs: number): Promise<void> {
    if (topics.length === 0) return
    try {
      await this.#life.callNative((native, done) => native.createTopics(topics, timeoutMs, done), { topics: 'Create' })
    } catch (error) {
      if (!isUnsupported(error)) throw error
      await createByAsking(this.#life, topics, timeoutMs)
    }
    await untilSeen(this, topics, timeoutMs)
  }

  async config(topic: string, timeoutMs: number): Promise<Record<string, string>> {
    try {
      return await this.#life.callNative<Record<string, string>>(
        (native, done) => native.describeConfig(topic, timeoutMs, done),
        { topics: 'DescribeConfigs' },
      )
    } catch (error) {
      if (isUnsupported(error)) return {}
      throw error
    }
  }

  deleteRecords(before: TopicPartitionOffset[], timeoutMs: number): Promise<void> {
    if (before.length === 0) return Promise.resolve()
    return this.#life.callNative((native, done) => native.deleteRecords(before, timeoutMs, done))
  }

  delete(names: string[], timeoutMs: number): Promise<void> {
    if (names.length === 0) return Promise.resolve()
    return this.#life.callNative((native, done) => native.deleteTopics(names, timeoutMs, done))
  }

  groupMembers(groupId: string, timeoutMs: number): Promise<GroupMember[]> {
    return this.#life.callNative((native, done) => native.groupMembers(groupId, timeoutMs, done))
  }

  close(): Promise<void> {
    return this.#life.close()
  }
}

/** node-rdkafka's admin: no topic ids, no settings, no members of groups. */
export class PlainAdmin implements Admin {
  readonly #life: ClientLife<RdProducer>
  readonly #openClient: () => RdAdmin
  #client: RdAdmin | undefined

  constructor(life: ClientLife<RdProducer>, openClient: () => RdAdmin) {
    this.#life = life
    this.#openClient = openClient
  }

  describe(names: string[], timeoutMs: number): Promise<TopicDescription[]> {
    return describeByMetadata(this.#life, names, timeoutMs)
  }

  async create(topics: NewTopic[], timeoutMs: number): Promise<void> {
    for (const { name, partitionCount, replicationFactor, config } of topics) {
      const topic = { topic: name, num_partitions: partitionCount, replication_factor: replicationFactor, config }
      try {
        await this.#admin(TOPIC_ALREADY_EXISTS, (client, done) => client.createTopic(topic, timeoutMs, done))
      } catch (error) {
        if (!isUnsupported(error)) throw error
        await createByAsking(this.#life, topics, timeoutMs)
      }
    }
    await untilSeen(this, topics, timeoutMs)
  }

  config(): Promise<Record<string, string>> {
    return Promise.resolve({})
  }

  deleteRecords(): Promise<void> {
    return Promise.reject(new KafkaError(localFailure(-165, 'node-rdkafka cannot delete records')))
  }

  async delete(names: string[], timeoutMs: number): Promise<void> {
    for (const name of names) {
      await this.#admin(UNKNOWN_TOPIC_OR_PART, (client, done) => client.deleteTopic(name, timeoutMs, done))
    }
  }

  groupMembers(): Promise<GroupMember[]> {
    const message = 'node-rdkafka alone cannot ask who is in a group; build the addon'
    return Promise.reject(new KafkaError(localFailure(-165, message)))
  }

  async close(): Promise<void> {
    this.#client?.disconnect()
    this.#client = undefined
    await this.#life.close()
  }

  #admin(accepted: number, start: (client: RdAdmin, done: Callback) => void): Promise<void> {
    this.#life.requireOpen()
    this.#client ??= this.#openClient()
    const client = this.#client
    return new Promise((resolve, reject) => {
      start(client, (error) =>
        error && error.code !== accepted
          ? reject(this.#life.errorOf(failureOf(error), { topics: 'Create' }))
          : resolve(),
      )
    })
  }
}

/**
 * For the mock cluster, which has no controller: every admin call would wait for one until its time-out. Topics are found
 * in the metadata and made by asking for them.
 */
export class MockAdmin implements Admin {
  readonly #life: ClientLife<RdProducer>

  constructor(life: ClientLife<RdProducer>) {
    this.#life = life
  }
  describe(names: string[], timeoutMs: number): Promise<TopicDescription[]> {
    return describeByMetadata(this.#life, names, timeoutMs)
  }
  create(topics: NewTopic[], timeoutMs: number): Promise<void> {
    return createByAsking(this.#life, topics, timeoutMs)
  }
  config(): Promise<Record<string, string>> {
    return Promise.resolve({})
  }
  deleteRecords(): Promise<void> {
    return Promise.reject(new KafkaError(localFailure(-165, 'a mock cluster cannot delete records')))
  }
  delete(): Promise<void> {
    return Promise.reject(new KafkaError(localFailure(-165, 'a mock cluster cannot delete topics')))
  }
  groupMembers(): Promise<GroupMember[]> {
    return Promise.reject(new KafkaError(localFailure(-165, 'a mock cluster cannot say who is in a group')))
  }
  close(): Promise<void> {
    return this.#life.close()
  }
}

/** What the metadata says: no topic ids. */
async function describeByMetadata(
  life: ClientLife<RdProducer>,
  names: string[],
  timeoutMs: number,
): Promise<TopicDescription[]> {
  const metadata = await life.callPlain<RdMetadata>((client, done) =>
    client.getMetadata({ allTopics: true, timeout: timeoutMs }, done),
  )
  return metadata.topics
    .filter((topic) => names.includes(topic.name))
    .map((topic) => ({ name: topic.name, partitionCount: topic.partitions.length, topicId: undefined }))
}

/** A topic is created when the controller says so; the brokers hear of it a moment later. */
async function untilSeen(admin: Admin, topics: NewTopic[], timeoutMs: number): Promise<void> {
  const names = topics.map((topic) => topic.name)
  const untilMs = performance.now() + timeoutMs
  while ((await admin.describe(names, timeoutMs)).length < names.length) {
    if (performance.now() > untilMs)
      throw new KafkaError(localFailure(-185, `created, but not seen: ${names.join(', ')}`))
    await setTimeout(SEEN_AGAIN_MS)
  }
}

function isUnsupported(error: unknown): boolean {
  return error instanceof KafkaError && error.failure.name === UNSUPPORTED
}

/** A mock cluster has no CreateTopics, but makes a topic when a producer asks for it, with its own number of partitions. */
async function createByAsking(life: ClientLife<RdProducer>, topics: NewTopic[], timeoutMs: number): Promise<void> {
  for (const { name, partitionCount } of topics) {
    const made = await partitionsOnceAsked(life, name, timeoutMs)
    if (made === partitionCount) continue
    const message = `this cluster cannot create topics by request and made ${name} with ${made} partitions, not ${partitionCount}`
    throw new KafkaError({ ...localFailure(-165, message), topic: name })
  }
}

/** Partitions of a topic that is made by this question; the first answers may not have it yet. 0 after the time-out. */
async function partitionsOnceAsked(life: ClientLife<RdProducer>, name: string, timeoutMs: number): Promise<number> {
  const untilMs = performance.now() + timeoutMs
  for (;;) {
    const metadata = await life.callPlain<RdMetadata>((client, done) =>
      client.getMetadata({ topic: name, timeout: timeoutMs }, done),
    )
    const made = metadata.topics.find((topic) => topic.name === name)?.partitions.length ?? 0
    if (made > 0 || performance.now() > untilMs) return made
    await setTimeout(SEEN_AGAIN_MS)
  }
}
