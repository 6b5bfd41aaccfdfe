// The push server of the push bench: one view, from Kafka in memory, sent as in a job. Main thread.
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import { Registry } from '../../src/ops/metrics.ts'
import { startPush } from '../../src/push/server.ts'
import type { FanOutRow } from './fan-out.ts'

/** What publishes to clients. */
export interface Fan {
  port: number
  /** Those that are ready for rows. */
  clientCount(): number
  publish(rows: readonly FanOutRow[]): void
  conflated(): number
}

/** `clients`: as many may connect. */
export async function millraceFan(clients: number): Promise<Fan> {
  const topic = 'job-view-prices'
  const kafka = createMemoryKafka({ topics: { [topic]: 1 } })
  const metrics = new Registry({ nowMs: () => performance.now() })
  const log = createLog({
    level: 'warn',
    format: 'json',
    isTerminal: false,
    write: (line) => process.stderr.write(line),
  })
  const limits = { connectionsMax: clients, connectionsPerAddressMax: clients }
  const push = await startPush({ kafka, views: [{ name: 'prices', topic }], port: 0, log, metrics, limits })
  const numberOf = (name: string): number =>
    Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(metrics.text())?.[1] ?? 0)
  return {
    port: push.port,
    clientCount: () => numberOf('millrace_push_subscriptions'),
    publish: (rows) => {
      for (const row of rows) kafka.append(topic, { key: row.sym, value: JSON.stringify(row), timestampMs: row.t })
    },
    conflated: () => numberOf('millrace_push_conflated_total'),
  }
}
