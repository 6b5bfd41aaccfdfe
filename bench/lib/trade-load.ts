// Loads seeded trades into a topic, as fast as it goes: idempotent, lz4, partition by key. Main thread.
import { produceTrades } from '../../src/cli/trade-producer.ts'
import type { TradeStream } from '../../src/cli/trades.ts'
import type { Kafka, Producer } from '../../src/kafka/port.ts'
import { systemClock, systemScheduler } from '../../src/ops/system-clock.ts'

const FLUSH_MS = 120_000

/** Settings of a producer of trades: big compressed batches, and a bound on what waits for the broker. */
export const LOAD_SETTINGS = {
  'compression.codec': 'lz4',
  'linger.ms': 20,
  'batch.size': 1_000_000,
  'queue.buffering.max.kbytes': 64 * 1024,
}

/** Opens a plain idempotent producer; what it sends arrives once and in order. */
export function openLoader(kafka: Kafka): Promise<Producer> {
  return kafka.openProducer({ settings: LOAD_SETTINGS })
}

/** Writes the trades 0 to `recordCount` to a topic and waits until all are delivered. */
export async function loadTrades(kafka: Kafka, topic: string, trades: TradeStream, recordCount: number): Promise<void> {
  const producer = await openLoader(kafka)
  try {
    await produceTrades({
      producer,
      topic,
      trades,
      records: recordCount,
      rate: 0,
      clock: systemClock,
      scheduler: systemScheduler,
      flushMs: FLUSH_MS,
      isStopped: () => false,
    })
  } finally {
    await producer.close()
  }
}
