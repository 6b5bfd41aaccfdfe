// A Kafka cluster inside this process, for a demo with no broker: librdkafka's mock cluster, which serves other clients
// over TCP. Main thread. It accepts transactions but keeps none: nothing about exactly-once can be tested on it.
// 5 MiB and 100,000 records a partition, 4 partitions a topic unless `createTopic` says otherwise.
import { KafkaError, type KafkaFailure } from '../port.ts'
import { type Addon, loadAddon } from './addon.ts'
import { ClientLife } from './client-life.ts'
import { localFailure } from './failure.ts'
import { type RdMetadata, type RdProducer, rdkafka } from './node-rdkafka.ts'

const METADATA_LIMIT_MS = 10_000

export interface MockCluster {
  /** Address for `openRdKafka`. */
  readonly brokers: string
  /** Makes a topic; with the addon only, the plain path makes topics of 4 partitions when they are first asked for. */
  createTopic(name: string, partitionCount: number): void
  close(): Promise<void>
}

/**
 * Starts a mock cluster of `brokerCount` brokers on free ports of the loopback interface.
 *
 * @example
 * const cluster = await startMockCluster()
 * const kafka = openRdKafka({ brokers: cluster.brokers })
 */
export async function startMockCluster(brokerCount = 1): Promise<MockCluster> {
  const client = new (rdkafka().Producer)({ 'test.mock.num.brokers': brokerCount, 'client.id': 'millrace-mock' }, {})
  const connecting = {
    brokers: 'mock cluster',
    settings: {},
    tokens: undefined,
    connectMs: METADATA_LIMIT_MS,
    stopping: undefined,
  }
  const rights = { topics: 'Describe' } as const
  const life = await ClientLife.open<RdProducer>(
    client,
    addonOrNone(),
    rights,
    (done) => client._disconnect(done),
    connecting,
  )
  const metadata = await life.callPlain<RdMetadata>((owner, done) =>
    owner.getMetadata({ allTopics: true, timeout: METADATA_LIMIT_MS }, done),
  )
  const brokers = metadata.brokers.map(({ host, port }) => `${host}:${port}`).join(',')
  running.add(brokers)
  return {
    brokers,
    createTopic: (name, partitionCount) => createTopic(life, name, partitionCount, brokerCount),
    close: () => {
      running.delete(brokers)
      return life.close()
    },
  }
}

/** Addresses of the mock clusters of this process. */
const running = new Set<string>()

/** True for the address of a mock cluster that runs in this process. */
export function isMockCluster(brokers: string): boolean {
  return running.has(brokers)
}

function createTopic(life: ClientLife<RdProducer>, name: string, partitionCount: number, brokerCount: number): void {
  life.requireOpen()
  if (life.native === undefined)
    throw new KafkaError(localFailure(-165, 'topics of a mock cluster are made by the addon'))
  try {
    life.native.mockTopic(name, partitionCount, Math.min(brokerCount, 3))
  } catch (failure) {
    throw failure instanceof Error ? failure : new KafkaError(failure as KafkaFailure)
  }
}

function addonOrNone(): Addon | undefined {
  try {
    return loadAddon()
  } catch {
    // Its absence is told by whoever opens the cluster's clients.
    return undefined
  }
}
