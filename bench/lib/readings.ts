// The records of the restore bench: one for each key, keys in no order. Pure but for `loadReadings`.
import { pack } from 'msgpackr'
import { FrameWriter } from '../../src/core/frame.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import { openLoader } from './trade-load.ts'

/** All records of one time: no tick of the sink comes due. */
const TIME_MS = 1_760_000_000_000
const FRAME_RECORDS = 10_000
const FLUSH_MS = 120_000
const textEncoder = new TextEncoder()

/** The key of record `i`: 24 characters, as spread as a hash. An odd factor visits every number once. */
export function readingKey(i: number): string {
  const mixed = Math.imul(i, 0x9e3779b1) >>> 0
  return `reading-${mixed.toString(16).padStart(8, '0')}${i.toString(16).padStart(8, '0')}`
}

/** Writes the readings 0 to `count` and waits until all are delivered. */
export async function loadReadings(kafka: Kafka, topic: string, count: number): Promise<void> {
  const producer = await openLoader(kafka)
  try {
    const writer = new FrameWriter(1 << 21)
    for (let i = 0; i < count; i++) {
      const id = readingKey(i)
      writer.append(0, -1, TIME_MS, textEncoder.encode(id), pack({ id, a: i % 1_000, b: 1 + (i % 7) }))
      if (writer.recordCount < FRAME_RECORDS && i < count - 1) continue
      await producer.produce(writer.take()!, [topic])
    }
    await producer.flush(FLUSH_MS)
  } finally {
    await producer.close()
  }
}
