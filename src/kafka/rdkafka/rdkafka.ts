// Kafka for real: the port on node-rdkafka and librdkafka, with the addon or, where it cannot be built, without. Main
// thread; the work is done on librdkafka's and the addon's threads.
// Keeps SPEC: KAFKA-1, KAFKA-2, KAFKA-3, NATIVE-1.

import { MillraceError } from '../../core/errors.ts'
import type {
  Admin,
  GroupConsumer,
  GroupConsumerOptions,
  Kafka,
  Producer,
  ProducerOptions,
  Reader,
  ReaderOptions,
} from '../port.ts'
import { type Addon, loadAddon } from './addon.ts'
import { AddonConsumerDriver } from './addon-consumer.ts'
import { AddonProducerDriver } from './addon-producer.ts'
import { AddonAdmin, MockAdmin, PlainAdmin } from './admin.ts'
import { abandonedClients, ClientLife } from './client-life.ts'
import { type Connecting, madeClient } from './connect.ts'
import { RdKafkaConsumer } from './consumer.ts'
import type { RdkafkaError } from './failure.ts'
import { FetchGroup } from './fetch-group.ts'
import { isMockCluster } from './mock-cluster.ts'
import {
  type Callback,
  type RdConsumer,
  type RdProducer,
  type RdTopicPartition,
  rdkafka,
  type Settings,
} from './node-rdkafka.ts'
import { PlainConsumerDriver } from './plain-consumer.ts'
import { PlainProducerDriver } from './plain-producer.ts'
import { RdKafkaProducer } from './producer.ts'
import type { ClientRights } from './refusal.ts'
import {
  adminSettings,
  type ClientSettings,
  type ConsumerChoice,
  consumerSettings,
  type PlainSettings,
  producerSettings,
  wrongSettings,
} from './settings.ts'
import { unreadableFiles } from './tls-files.ts'
import { takeTokenSettings } from './token-source.ts'

const CONNECT_MS_DEFAULT = 30_000
const TRANSACTION_TIMEOUT_MS = 10_000
/** As `fetchClients` of the configuration. */
const FETCH_CLIENTS = 2
/** How often an idle producer serves librdkafka's callbacks. */
const IDLE_POLL_MS = 1_000

export interface RdKafkaOptions {
  /** `host:port,host:port` */
  brokers: string
  /** librdkafka's settings by its own names; those that exactly-once owns are refused. */
  settings?: PlainSettings
  /** How long the first answer of a broker is waited for; default 30 s. */
  connectMs?: number
  /** Ends clients that still wait for their first answer of a broker; those that have it are not concerned. */
  stopping?: AbortSignal
  /**
   * `addon`: packed batches off the main thread, or an error. `plain`: node-rdkafka alone, about ten times the CPU a record.
   * `auto` (the default): the addon, or the plain path with the reason told once.
   */
  native?: 'auto' | 'addon' | 'plain'
  /** Clients that a group consumer fetches through, with the addon; default 2, one: the member of the group itself. */
  fetchClients?: number
  /** Told once, when `auto` has to take the plain path. Default: a warning of the process. */
  onPlain?: (reason: string) => void
  /** Told when a token could not be renewed (it is tried again). Default: a warning of the process. */
  onWarning?: (text: string) => void
}

/**
 * Kafka through librdkafka. Nothing is connected until a client is opened.
 *
 * @throws MR3001 for a setting that exactly-once owns or that librdkafka does not have; MR3005 when a native part is missing
 * @example
 * const kafka = openRdKafka({ brokers: 'localhost:9092', settings: { 'socket.timeout.ms': 9000 } })
 * const producer = await kafka.openProducer({ transactionalId: 'candles-1' })
 */
export function openRdKafka(options: RdKafkaOptions): Kafka {
  const wrong = wrongSettings(options.settings ?? {})
  wrong.push(...unreadableFiles(options.settings ?? {}))
  if (wrong.length > 0) throw new MillraceError('MR3001', { problems: wrong.join('; ') })
  return new RdKafka(options, chooseAddon(options))
}

class RdKafka implements Kafka {
  readonly kind = 'rdkafka'
  readonly abandonedClients = abandonedClients
  readonly #brokers: string
  readonly #settings: PlainSettings
  readonly #connecting: Connecting
  readonly #fetchClients: number
  readonly #addon: Addon | undefined

  constructor(options: RdKafkaOptions, addon: Addon | undefined) {
    this.#brokers = options.brokers
    const { settings, tokens } = takeTokenSettings(options.settings ?? {}, options.onWarning ?? warn)
    const { brokers, stopping, connectMs = CONNECT_MS_DEFAULT } = options
    this.#settings = settings
    this.#connecting = { brokers, settings, tokens, connectMs, stopping }
    this.#fetchClients = options.fetchClients ?? FETCH_CLIENTS
    this.#addon = addon
  }

  /** zstd is in librdkafka only where libzstd was there when it was built. */
  get unreadableCodecs(): readonly string[] {
    return rdkafka().features.includes('zstd') ? [] : ['zstd']
  }

  async openConsumer(options: GroupConsumerOptions): Promise<GroupConsumer> {
    if (this.#addon === undefined || this.#fetchClients < 2) return joined(await this.#openMember(options), options)
    const { readUncommitted, settings } = options
    const fetching: ReaderOptions = {
      ...(readUncommitted === undefined ? {} : { readUncommitted }),
      ...(settings === undefined ? {} : { settings }),
    }
    const fetchers = Array.from({ length: this.#fetchClients }, () => this.openReader(fetching))
    const clients = await allOrNone([this.#openMember(options), ...fetchers])
    return new FetchGroup(joined(clients[0] as RdKafkaConsumer, options), clients.slice(1))
  }

  /** Connected; it joins its group when all clients are there. */
  async #openMember(options: GroupConsumerOptions): Promise<RdKafkaConsumer> {
    const { groupId, instanceId, listener } = options
    const settings = consumerSettings({ ...this.#consumerChoice(options), group: { groupId, instanceId } })
    // Rebalances come from polls, so the consumer below is there when the first one does.
    const rebalance = (error: RdkafkaError | undefined, assignment: RdTopicPartition[]) =>
      consumer.onRebalance(error, assignment, listener)
    const life = await this.#openRdConsumer(settings, { rebalance_cb: rebalance }, groupId)
    const consumer = new RdKafkaConsumer(life, this.#consumerDriver(life, instanceId))
    return consumer
  }

  async openReader(options: ReaderOptions): Promise<Reader> {
    const life = await this.#openRdConsumer(consumerSettings(this.#consumerChoice(options)), {})
    return new RdKafkaConsumer(life, this.#consumerDriver(life, 'reader'))
  }

  async openProducer(options: ProducerOptions): Promise<Producer> {
    const life = await this.#openRdProducer(
      producerSettings({
        brokers: this.#brokers,
        transactionalId: options.transactionalId,
        transactionTimeoutMs: options.transactionTimeoutMs ?? TRANSACTION_TIMEOUT_MS,
        batchBytesMax: options.batchBytesMax,
        plugin: this.#addon?.path,
        settings: { ...this.#settings, ...options.settings },
      }),
      { topics: 'Write', transactionalId: options.transactionalId },
    )
    life.client.setPollInterval(IDLE_POLL_MS)
    const isNative = this.#addon !== undefined
    return new RdKafkaProducer(life, isNative ? new AddonProducerDriver(life) : new PlainProducerDriver(life))
  }

  async openAdmin(): Promise<Admin> {
    const settings = adminSettings(this.#brokers, this.#settings)
    const life = await this.#openRdProducer(settings, { topics: 'Describe' })
    if (isMockCluster(this.#brokers)) return new MockAdmin(life)
    if (this.#addon !== undefined) return new AddonAdmin(life)
    const { tokens } = this.#connecting
    const token = await tokens?.current(0)
    return new PlainAdmin(life, () => rdkafka().AdminClient.create({ ...settings.global }, token?.value))
  }

  #consumerChoice(options: ReaderOptions): ConsumerChoice {
    return {
      brokers: this.#brokers,
      readUncommitted: options.readUncommitted ?? false,
      group: undefined,
      settings: { ...this.#settings, ...options.settings },
    }
  }

  #consumerDriver(life: ClientLife<RdConsumer>, instanceId: string): AddonConsumerDriver | PlainConsumerDriver {
    if (this.#addon !== undefined) return new AddonConsumerDriver(life)
    const uncommitted = consumerSettings(this.#consumerChoice({ readUncommitted: true }))
    return new PlainConsumerDriver(life, { instanceId, openUncommitted: () => this.#openRdConsumer(uncommitted, {}) })
  }

  #openRdConsumer(
    { global, topic }: ClientSettings,
    callbacks: Settings,
    groupId?: string,
  ): Promise<ClientLife<RdConsumer>> {
    const client = madeClient(() => new (rdkafka().KafkaConsumer)({ ...global, ...callbacks }, topic))
    const rights: ClientRights = { topics: 'Read', groupId }
    const disconnect = (done: Callback) => client.disconnect(done)
    return ClientLife.open(client, this.#addon, rights, disconnect, this.#connecting)
  }

  #openRdProducer({ global, topic }: ClientSettings, rights: ClientRights): Promise<ClientLife<RdProducer>> {
    const client = madeClient(() => new (rdkafka().Producer)(global, topic))
    const disconnect = (done: Callback) => {
      // Its timer would poll the handle while another thread deletes it.
      client.setPollInterval(0)
      client._disconnect(done)
    }
    return ClientLife.open(client, this.#addon, rights, disconnect, this.#connecting)
  }
}

function joined(consumer: RdKafkaConsumer, { topics }: GroupConsumerOptions): RdKafkaConsumer {
  if (topics.length > 0) consumer.subscribe(topics)
  return consumer
}

/** Clients that open side by side; when one does not, the others are closed. */
async function allOrNone(opening: readonly Promise<Reader>[]): Promise<Reader[]> {
  const opened = await Promise.allSettled(opening)
  const failed = opened.find((one) => one.status === 'rejected')
  const clients = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (failed === undefined) return clients
  await Promise.all(clients.map((client) => client.close()))
  throw failed.reason
}

let isPlainTold = false

function chooseAddon({ native = 'auto', onPlain = warn }: RdKafkaOptions): Addon | undefined {
  if (native === 'plain') return undefined
  try {
    return loadAddon()
  } catch (error) {
    if (native === 'addon' || !(error instanceof MillraceError) || error.details.part === 'node-rdkafka') throw error
    if (!isPlainTold)
      onPlain(`${error.message} ${error.remedy} Going on without it, at about ten times the CPU a record.`)
    isPlainTold = true
    return undefined
  }
}

function warn(reason: string): void {
  process.emitWarning(reason, { type: 'Millrace', code: 'MR3005' })
}
