// The one place that loads node-rdkafka, when it is first needed, and what we use of it, typed. Main thread: it cannot be
// loaded in a worker. Its version is pinned: the addon reads its objects.
import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { MillraceError } from '../../core/errors.ts'
import type { RdkafkaError } from './failure.ts'

export const RDKAFKA_VERSION = '3.6.1'

export type Setting = string | number | boolean
export type Settings = Record<string, Setting | ((...args: never[]) => void)>
export type Callback<T = unknown> = (error: RdkafkaError | null | undefined, result: T) => void

export interface RdTopicPartition {
  topic: string
  partition: number
  offset?: number
  metadata?: string | null
}

export interface RdMessage {
  topic: string
  partition: number
  offset: number
  timestamp: number
  key: Buffer | null
  value: Buffer | null
  headers?: Record<string, Buffer>[]
}

export interface RdMetadata {
  brokers: { id: number; host: string; port: number }[]
  topics: { name: string; partitions: unknown[] }[]
}

export interface RdClient extends EventEmitter {
  readonly _client: object
  connect(options: { allTopics?: boolean; topic?: string; timeout?: number }, done: Callback<RdMetadata>): void
  disconnect(done: Callback): void
  /** Before `connect` or while connected. */
  setOauthBearerToken(token: string): void
  getMetadata(options: { allTopics?: boolean; topic?: string; timeout?: number }, done: Callback<RdMetadata>): void
  queryWatermarkOffsets(
    topic: string,
    partition: number,
    timeoutMs: number,
    done: Callback<{ lowOffset: number; highOffset: number }>,
  ): void
}

export interface RdConsumer extends RdClient {
  subscribe(topics: string[]): void
  unsubscribe(): void
  assign(partitions: RdTopicPartition[]): void
  unassign(): void
  pause(partitions: RdTopicPartition[]): void
  resume(partitions: RdTopicPartition[]): void
  /** Each partition's time in milliseconds stands in its field `offset`. */
  offsetsForTimes(times: RdTopicPartition[], timeoutMs: number, done: Callback<RdTopicPartition[]>): void
  committed(partitions: RdTopicPartition[], timeoutMs: number, done: Callback<RdTopicPartition[]>): void
  /** As the last fetch told them, without asking. */
  getWatermarkOffsets(topic: string, partition: number): { lowOffset: number; highOffset: number }
  setDefaultConsumeTimeout(ms: number): void
  consume(count: number, done: Callback<RdMessage[]>): void
}

export interface RdProducer extends RdClient {
  setPollInterval(ms: number): void
  poll(): void
  produce(
    topic: string,
    partition: number | null,
    value: Buffer | null,
    key: Buffer | null,
    timestampMs: number | null,
    opaque: undefined,
    headers: Record<string, string>[] | undefined,
  ): void
  flush(timeoutMs: number, done: Callback): void
  /** `disconnect` of a client, without the flush that the producer's own puts before it. */
  _disconnect(done: Callback): void
  initTransactions(timeoutMs: number, done: Callback): void
  beginTransaction(done: Callback): void
  commitTransaction(timeoutMs: number, done: Callback): void
  abortTransaction(timeoutMs: number, done: Callback): void
  sendOffsetsToTransaction(offsets: RdTopicPartition[], consumer: RdConsumer, timeoutMs: number, done: Callback): void
}

export interface RdAdmin {
  createTopic(
    topic: { topic: string; num_partitions: number; replication_factor: number; config: Record<string, string> },
    timeoutMs: number,
    done: Callback,
  ): void
  deleteTopic(name: string, timeoutMs: number, done: Callback): void
  disconnect(): void
}

export interface Rdkafka {
  KafkaConsumer: new (settings: Settings, topicSettings: Settings) => RdConsumer
  Producer: new (settings: Settings, topicSettings: Settings) => RdProducer
  AdminClient: { create(settings: Settings, token?: string): RdAdmin }
  /** What librdkafka was built with: `ssl`, `sasl_scram`, `zstd`... */
  features: string[]
  CODES: { ERRORS: Record<string, number> }
  err2str(code: number): string
}

const require = createRequire(import.meta.url)
let loaded: Rdkafka | undefined

/**
 * node-rdkafka, loaded once.
 *
 * @throws MR3005 when it is not built or of another version
 */
export function rdkafka(): Rdkafka {
  loaded ??= load()
  return loaded
}

function load(): Rdkafka {
  const remedy = 'Run `node scripts/build-rdkafka.mjs`, or install node-rdkafka with its install script allowed.'
  try {
    const version = (require('node-rdkafka/package.json') as { version: string }).version.replace(/^v/, '')
    if (version !== RDKAFKA_VERSION) throw new Error(`version ${version} is installed, ${RDKAFKA_VERSION} is needed`)
    const { err2str } = require('node-rdkafka/librdkafka') as Pick<Rdkafka, 'err2str'>
    return { ...(require('node-rdkafka') as Omit<Rdkafka, 'err2str'>), err2str }
  } catch (cause) {
    throw new MillraceError('MR3005', { part: 'node-rdkafka', reason: String(cause), remedy }, { cause })
  }
}
