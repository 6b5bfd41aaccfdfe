// librdkafka's settings: what we set, with the reason, what may be passed through and what may not. Pure.
// Keeps SPEC: KAFKA-1 (read committed only), KAFKA-2, KAFKA-3 (murmur2), SIZE-2 (no batch over the limit of a topic).
import { MillraceError } from '../../core/errors.ts'
import { settingProblem } from '../../core/rdkafka-settings.ts'
import type { Setting } from './node-rdkafka.ts'

export type PlainSettings = Record<string, Setting>

/** Settings of one client: librdkafka keeps those of topics apart. */
export interface ClientSettings {
  global: PlainSettings
  topic: PlainSettings
}

/** Settings that exactly-once owns, and why they are refused. */
const OWNED: Readonly<Record<string, string>> = {
  'bootstrap.servers': 'it is `brokers`',
  'metadata.broker.list': 'it is `brokers`',
  'isolation.level': 'a reader says `readUncommitted`',
  'enable.auto.commit': 'offsets ride in the transaction of their results',
  'auto.commit.enable': 'offsets ride in the transaction of their results',
  'enable.auto.offset.store': 'offsets ride in the transaction of their results',
  'enable.partition.eof': 'the ends of partitions are always reported',
  'enable.idempotence': 'exactly-once needs the idempotent producer',
  'transactional.id': 'it is an option of the producer',
  'group.id': 'it is an option of the consumer',
  'group.instance.id': 'it is an option of the consumer',
  'group.protocol': 'the assignment of joined topics needs the classic protocol',
  'partition.assignment.strategy': 'joins need `range`: equal partitions of their topics on one instance',
  partitioner: 'all producers spread by murmur2, as Java does',
  'partitioner.consistent': 'all producers spread by murmur2, as Java does',
  acks: 'the idempotent producer waits for all replicas',
  'request.required.acks': 'the idempotent producer waits for all replicas',
  'delivery.report.only.error': 'only failed deliveries are reported',
  'plugin.library.paths': 'the addon is the plugin',
  'check.crcs': 'checksums are always verified',
}

/** Settings that librdkafka keeps per topic, as far as they may be passed through. */
const TOPIC_SETTINGS = new Set([
  'auto.offset.reset',
  'compression.codec',
  'compression.level',
  'compression.type',
  'delivery.timeout.ms',
  'message.timeout.ms',
  'msg.order.cmp',
  'queuing.strategy',
  'request.timeout.ms',
])

/** For every client: quick to come back after a broker was away, silent about itself. */
const COMMON: PlainSettings = {
  'client.id': 'millrace',
  'reconnect.backoff.ms': 20,
  'reconnect.backoff.max.ms': 500,
  'socket.nagle.disable': true,
  'enable.metrics.push': false,
}

/**
 * A broker answers a fetch at once when it has a byte; `fetch.wait.max.ms` bounds how long a partition that was just
 * assigned or resumed waits for the fetch that is out. A full queue is looked at again after `fetch.queue.backoff.ms`
 * (1 s by default, which would stall a fast reader). Small records cost librdkafka 5 times their size, so the number of
 * records bounds the memory before the kilobytes do. A megabyte a partition and fetch, since only one fetch a broker is out at
 * a time: half of it costs less CPU a record, but a job at full speed then waits for fetches (a tenth of its throughput).
 */
const CONSUMER: PlainSettings = {
  'fetch.min.bytes': 1,
  'fetch.wait.max.ms': 100,
  'fetch.message.max.bytes': 1_048_576,
  'fetch.max.bytes': 16_777_216,
  'fetch.queue.backoff.ms': 2,
  'fetch.error.backoff.ms': 50,
  'queued.min.messages': 100_000,
  'queued.max.messages.kbytes': 16_384,
  'allow.auto.create.topics': false,
}

const CONSUMER_OWNED: PlainSettings = {
  'enable.auto.commit': false,
  'enable.auto.offset.store': false,
  'enable.partition.eof': true,
  'check.crcs': true,
}

/**
 * After a rebalance the offsets that were just committed are asked for, while the broker may still write their markers: with
 * librdkafka's own back-off of 100 ms a kept task would stand still for it.
 */
const GROUP: PlainSettings = {
  'session.timeout.ms': 10_000,
  'heartbeat.interval.ms': 250,
  'retry.backoff.ms': 5,
  'retry.backoff.max.ms': 100,
}

/** The queue to the brokers is limited to 64 MB; `produce` waits when it is full. */
const PRODUCER: PlainSettings = {
  'linger.ms': 1,
  'queue.buffering.max.messages': 200_000,
  'queue.buffering.max.kbytes': 65_536,
  'message.max.bytes': 16_777_216,
  'batch.size': 1_000_000,
  'compression.codec': 'lz4',
}

/**
 * The broker answers CONCURRENT_TRANSACTIONS while it still writes the last transaction's markers; with librdkafka's own
 * back-off of 100 ms each transaction would take 103 ms instead of 5. Its records come in frames and are flushed at once, so
 * waiting for more of them only costs: `linger.ms` 1 instead of 0 made the flush of 50 records 8.5 ms instead of 5.2.
 * Not compressed, as in Kafka Streams: an epoch of milliseconds is a few records a partition, and to unpack hundreds of tiny
 * batches a second costs the broker more than it saves. `kafka.compression.codec` sets another.
 */
const TRANSACTIONAL: PlainSettings = {
  'linger.ms': 0,
  'retry.backoff.ms': 1,
  'retry.backoff.max.ms': 5,
  'compression.codec': 'none',
}

/** The largest message that the client itself takes. */
export function clientBytesMax(settings: PlainSettings): number {
  return Number(settings['message.max.bytes'] ?? PRODUCER['message.max.bytes'])
}

/** Names in `settings` that may not be set, each with the reason; empty when all is well. */
export function refusedSettings(settings: PlainSettings): string[] {
  return Object.keys(settings)
    .filter((name) => Object.hasOwn(OWNED, name))
    .map((name) => `kafka.${name} cannot be set: ${OWNED[name]}`)
}

/** The same, and those that librdkafka does not have or take, without their values. */
export function wrongSettings(settings: PlainSettings): string[] {
  const unknown = Object.entries(settings).flatMap(([name, value]) => {
    const problem = Object.hasOwn(OWNED, name) ? undefined : settingProblem(name, value)
    return problem === undefined ? [] : [`kafka.${name} ${problem}`]
  })
  return [...refusedSettings(settings), ...unknown]
}

function refuseOwned(settings: PlainSettings): void {
  const problems = refusedSettings(settings)
  if (problems.length > 0) throw new MillraceError('MR3001', { problems: problems.join('; ') })
}

export interface ConsumerChoice {
  brokers: string
  readUncommitted: boolean
  /** Undefined: a reader, whose group is never joined. */
  group: { groupId: string; instanceId: string } | undefined
  settings: PlainSettings
}

/** @throws MR3001 when a setting is owned */
export function consumerSettings(choice: ConsumerChoice): ClientSettings {
  refuseOwned(choice.settings)
  const group =
    choice.group === undefined
      ? { 'group.id': 'millrace-reader' }
      : {
          'group.id': choice.group.groupId,
          // Without one the member is dynamic.
          ...(choice.group.instanceId === '' ? {} : { 'group.instance.id': choice.group.instanceId }),
          'partition.assignment.strategy': 'range',
        }
  const isolation = { 'isolation.level': choice.readUncommitted ? 'read_uncommitted' : 'read_committed' }
  return split(
    { ...COMMON, ...CONSUMER, ...(choice.group === undefined ? {} : GROUP), 'auto.offset.reset': 'error' },
    choice.settings,
    { ...CONSUMER_OWNED, ...group, ...isolation, 'bootstrap.servers': choice.brokers },
  )
}

export interface ProducerChoice {
  brokers: string
  transactionalId: string | undefined
  transactionTimeoutMs: number
  /** Least max.message.bytes of the topics; undefined: not known. */
  batchBytesMax: number | undefined
  /** Path of the addon, which librdkafka tells of deliveries; undefined for the plain twin. */
  plugin: string | undefined
  settings: PlainSettings
}

/** @throws MR3001 when a setting is owned */
export function producerSettings(choice: ProducerChoice): ClientSettings {
  refuseOwned(choice.settings)
  const transactional =
    choice.transactionalId === undefined
      ? {}
      : { 'transactional.id': choice.transactionalId, 'transaction.timeout.ms': choice.transactionTimeoutMs }
  const asked = Number(choice.settings['batch.size'] ?? PRODUCER['batch.size'])
  return split(
    { ...COMMON, ...PRODUCER, ...(choice.transactionalId === undefined ? {} : TRANSACTIONAL) },
    choice.settings,
    {
      ...transactional,
      // A record larger than this still goes, alone; brokers refuse a whole batch over max.message.bytes of its topic.
      'batch.size': Math.min(asked, choice.batchBytesMax ?? asked),
      'enable.idempotence': true,
      'delivery.report.only.error': true,
      partitioner: 'murmur2_random',
      'bootstrap.servers': choice.brokers,
      ...(choice.plugin === undefined ? { dr_msg_cb: true } : { 'plugin.library.paths': choice.plugin }),
    },
  )
}

/** @throws MR3001 when a setting is owned */
export function adminSettings(brokers: string, settings: PlainSettings): ClientSettings {
  refuseOwned(settings)
  return split(COMMON, settings, { 'bootstrap.servers': brokers })
}

function split(defaults: PlainSettings, given: PlainSettings, owned: PlainSettings): ClientSettings {
  const result: ClientSettings = { global: {}, topic: {} }
  for (const [name, value] of Object.entries({ ...defaults, ...given, ...owned })) {
    const isTopic = TOPIC_SETTINGS.has(name) || name === 'partitioner'
    result[isTopic ? 'topic' : 'global'][name] = value
  }
  return result
}
