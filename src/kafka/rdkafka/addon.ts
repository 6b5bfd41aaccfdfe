// The one place that loads the native addon (native/), and its functions, typed. Main thread.
// Its calls do not block: they run on threads of the addon and call back on the main thread.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MillraceError } from '../../core/errors.ts'
import type {
  CommittedOffset,
  DeliveryFailure,
  GroupMember,
  GroupMetadata,
  KafkaFailure,
  NewTopic,
  PollResult,
  TopicDescription,
  TopicPartition,
  TopicPartitionOffset,
} from '../port.ts'
import { rdkafka } from './node-rdkafka.ts'

export type Done<T = undefined> = (failure: KafkaFailure | undefined, result: T) => void

/** What a produce call failed on: frames before `frameIndex` are queued, those after it were not tried. */
export type ProduceFailure = KafkaFailure & { frameIndex?: number }

/** The addon's view of one connected client of node-rdkafka. A call after `release` throws a KafkaFailure object. */
export interface NativeClient {
  /** Ends a poll that waits. */
  wake(): void
  /** Calls that wait come back early from now on. */
  stop(): void
  /** Calls that are out. */
  leases(): number
  /** Lets go of the handle: before node-rdkafka's disconnect. Throws while a call is out. */
  release(): void
  /** SASL OAUTHBEARER: from now on this token is shown. `extensions`: name, value, name, value. Throws a KafkaFailure. */
  setToken(token: string, expiresAtMs: number, extensions: readonly string[]): void
  poll(recordsMax: number, bytesMax: number, waitMs: number, done: Done<PollResult>): void
  produce(frames: ArrayBuffer[], topics: (readonly string[])[], done: Done): void
  flush(timeoutMs: number, done: Done): void
  failures(): DeliveryFailure[]
  initTransactions(timeoutMs: number, done: Done): void
  begin(timeoutMs: number, done: Done): void
  commit(timeoutMs: number, done: Done): void
  abort(timeoutMs: number, done: Done): void
  sendOffsets(offsets: TopicPartitionOffset[], group: GroupMetadata, timeoutMs: number, done: Done): void
  groupMetadata(): GroupMetadata
  isAssignmentLost(): boolean
  /**
   * Of a consumer, before its release: the rebalance that it brings is answered while the handle is there. It ends when
   * librdkafka has closed the consumer, with a failure when it was closed already or has failed for good.
   */
  close(done: Done): void
  committed(partitions: TopicPartition[], timeoutMs: number, done: Done<CommittedOffset[]>): void
  seek(partitions: TopicPartitionOffset[]): void
  watermarks(topic: string, partition: number, timeoutMs: number, done: Done<{ low: number; high: number }>): void
  /** Each partition's time in milliseconds stands in its field `offset`. */
  offsetsForTimes(times: TopicPartitionOffset[], timeoutMs: number, done: Done<CommittedOffset[]>): void
  describeTopics(names: string[], timeoutMs: number, done: Done<TopicDescription[]>): void
  describeConfig(topic: string, timeoutMs: number, done: Done<Record<string, string>>): void
  createTopics(topics: NewTopic[], timeoutMs: number, done: Done): void
  deleteRecords(before: TopicPartitionOffset[], timeoutMs: number, done: Done): void
  deleteTopics(names: string[], timeoutMs: number, done: Done): void
  groupMembers(groupId: string, timeoutMs: number, done: Done<GroupMember[]>): void
  mockTopic(name: string, partitionCount: number, replicationFactor: number): void
}

export interface Addon {
  NativeClient: new (client: object) => NativeClient
  /** Frees a frame's memory now; the ArrayBuffer is detached. */
  freeFrame(frame: ArrayBuffer): void
  /** Where its file is: librdkafka loads it as a plugin, to tell it of deliveries. */
  path: string
}

const require = createRequire(import.meta.url)
let loaded: Addon | undefined

/**
 * The addon, loaded once.
 *
 * @throws MR3005 when it is not built, or does not fit the node-rdkafka that is installed
 */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded
  rdkafka() // first: the addon finds librdkafka in the process, and its version is checked there
  // Another build of the same sources may be tested, e.g. one under AddressSanitizer.
  const path =
    process.env.MILLRACE_KAFKA_ADDON ??
    join(packageFolder(), 'src/kafka/rdkafka/native/build/Release/millrace_kafka.node')
  try {
    const { NativeClient, freeFrame } = require(path) as Omit<Addon, 'path'>
    loaded = { NativeClient, freeFrame, path }
    return loaded
  } catch (cause) {
    const remedy = 'Run `node scripts/build-addon.mjs`; it needs a C++20 compiler, make and python3.'
    throw new MillraceError('MR3005', { part: 'millrace_kafka.node', reason: String(cause), remedy }, { cause })
  }
}

/** The folder of our package.json, above this file whether it runs from sources or from dist. */
function packageFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const path = join(folder, 'package.json')
    if (existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).name === 'millrace') return folder
    if (folder === dirname(folder)) throw new Error('the package.json of millrace is not above its own code')
  }
}
