// The Kafka that a bench works on: the one of KAFKA_BROKERS, or a broker of its own for the run. Main thread.
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kafka, NewTopic } from '../../src/kafka/port.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { startBroker } from '../../test/harness/broker.ts'
import { tell } from './report.ts'

export interface Cluster {
  readonly brokers: string
  readonly kafka: Kafka
  /** A name that no other run uses. */
  name(stem: string): string
  /** Creates a topic that deletes nothing; it goes with `close`, where the broker is not ours alone. */
  createTopic(name: string, partitionCount: number): Promise<void>
  /** A topic that a job made goes with `close` too. */
  alsoDelete(name: string): void
  /** Deletes its topics or ends its broker. */
  close(): Promise<void>
}

const CALL_MS = 30_000

/**
 * Finds or starts a Kafka.
 *
 * @example
 * const cluster = await openCluster()
 * try { await cluster.createTopic(cluster.name('trades'), 4) } finally { await cluster.close() }
 */
export async function openCluster(): Promise<Cluster> {
  const given = process.env.KAFKA_BROKERS
  if (given !== undefined && given !== '') return cluster(given, () => Promise.resolve(), true)
  const broker = await startBroker()
  tell(`started a broker at ${broker.brokers}`)
  return cluster(broker.brokers, () => broker.stop(), false)
}

/** What `use` gives, called with a cluster and an empty folder of its own; both are gone after it. */
export async function onCluster<T>(use: (cluster: Cluster, folder: string) => Promise<T>): Promise<T> {
  const cluster = await openCluster()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  try {
    return await use(cluster, folder)
  } finally {
    await cluster.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** A cluster on a broker that somebody else keeps: its topics are deleted by `close`. */
export function clusterOn(brokers: string): Cluster {
  return cluster(brokers, () => Promise.resolve(), true)
}

function cluster(brokers: string, stop: () => Promise<void>, isShared: boolean): Cluster {
  const kafka = openRdKafka({ brokers, settings: {} })
  const run = randomUUID().slice(0, 8)
  const created: string[] = []
  return {
    brokers,
    kafka,
    name: (stem) => `bench-${run}-${stem}`,
    async createTopic(name, partitionCount) {
      const config = { 'retention.ms': '-1', 'retention.bytes': '-1', 'compression.type': 'producer' }
      await createTopics(kafka, [{ name, partitionCount, replicationFactor: -1, config }])
      created.push(name)
    },
    alsoDelete(name) {
      created.push(name)
    },
    async close() {
      if (isShared && created.length > 0) await deleteTopics(kafka, created)
      await stop()
    },
  }
}

async function createTopics(kafka: Kafka, topics: NewTopic[]): Promise<void> {
  const admin = await kafka.openAdmin()
  try {
    await admin.create(topics, CALL_MS)
  } finally {
    await admin.close()
  }
}

async function deleteTopics(kafka: Kafka, names: string[]): Promise<void> {
  const admin = await kafka.openAdmin()
  try {
    await admin.delete(names, CALL_MS)
  } finally {
    await admin.close()
  }
}
