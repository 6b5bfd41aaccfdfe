// Loads seeded trades into a topic, as fast as it goes: idempotent, lz4, partition by key. Main thread.
import type { TradeStream } from '../../src/cli/trades.ts'
import { FrameWriter } from '../../src/core/frame.ts'
import type { Kafka, Producer } from '../../src/kafka/port.ts'

const FRAME_RECORDS = 10_000
const FRAME_BYTES = 1 << 21
const FLUSH_MS = 120_000

/** Settings of a producer of trades: big compressed batches. */
export const LOAD_SETTINGS = { 'compression.codec': 'lz4', 'linger.ms': 20, 'batch.size': 1_000_000 }

/** Opens a plain idempotent producer; what it sends arrives once and in order. */
export function openLoader(kafka: Kafka): Promise<Producer> {
  return kafka.openProducer({ settings: LOAD_SETTINGS })
}

/** Writes the trades 0 to `recordCount` to a topic and waits until all are delivered. */
export async function loadTrades(kafka: Kafka, topic: string, trades: TradeStream, recordCount: number): Promise<void> {
  const producer = await openLoader(kafka)
  try {
    const writer = new FrameWriter(FRAME_BYTES)
    for (let from = 0; from < recordCount; from += FRAME_RECORDS) {
      trades.fill(writer, 0, from, Math.min(recordCount, from + FRAME_RECORDS))
      await producer.produce(writer.take()!, [topic])
    }
    await producer.flush(FLUSH_MS)
  } finally {
    await producer.close()
  }
}
