// Writes a trade stream to a topic, at a rate or as fast as the broker takes it. Main thread.
// Keeps SPEC: GEN-2 (what is counted as written is delivered).

import type { Clock, Scheduler } from '../core/clock.ts'
import { delay } from '../core/clock.ts'
import { FrameWriter } from '../core/frame.ts'
import type { Producer } from '../kafka/port.ts'
import type { TradeStream } from './trades.ts'

/** Trades of one frame at full speed, and its bytes: what is in memory at once. */
const BATCH_RECORDS = 10_000
const BATCH_BYTES = 1 << 21
/** With a rate, what is due is written this often. */
const PACE_MS = 10

export interface TradeProducing {
  producer: Producer
  topic: string
  trades: TradeStream
  /** Stops after this many. */
  records: number
  /** Records per second; 0: as fast as the broker takes them. */
  rate: number
  clock: Clock
  scheduler: Scheduler
  flushMs: number
  /** Asked between batches. */
  isStopped(): boolean
  /** Trades `from` to `to` (exclusive) are handed over. */
  onWritten?(from: number, to: number): void
}

/**
 * Writes trades from number 0 on and waits until all are delivered. Returns how many. Rejects with the first delivery
 * that failed.
 */
export async function produceTrades(options: TradeProducing): Promise<number> {
  const { producer, topic, trades, clock, scheduler } = options
  const writer = new FrameWriter(BATCH_BYTES)
  const batch = Math.min(BATCH_RECORDS, trades.countWithin(BATCH_BYTES))
  const startMs = clock.monotonicMs()
  let written = 0
  while (written < options.records && !options.isStopped()) {
    const due =
      options.rate === 0 ? options.records : Math.floor(((clock.monotonicMs() - startMs) * options.rate) / 1000)
    const to = Math.min(options.records, due, written + batch)
    if (to > written) {
      trades.fill(writer, 0, written, to)
      await producer.produce(writer.take()!, [topic])
      options.onWritten?.(written, to)
      written = to
    }
    if (options.rate > 0 && written < options.records) await delay(scheduler, PACE_MS)
  }
  await producer.flush(options.flushMs)
  return written
}
