// Takes a slice of a topic from a broker, to be replayed in a test. Main thread.
// Keeps SPEC: TEST-6 (a captured slice replays byte for byte).

import { sourceRecords } from '../core/frame.ts'
import { type Kafka, KafkaError, type TopicPartition } from '../kafka/port.ts'
import type { SliceRecord } from './slice-file.ts'

export interface CaptureOptions {
  from: TopicPartition & { offset: number }
  records: number
  /** One call to the broker. */
  callMs: number
}

const POLL_BYTES_MAX = 4 << 20
const POLL_WAIT_MS = 1_000

/**
 * The committed records of a partition from an offset on (that of the first record at the earliest), `records` of them, or
 * fewer where it ends.
 *
 * @example
 * for await (const record of capture(kafka, { from: { topic: 'trades', partition: 0, offset: 0 }, records: 100, callMs: 10_000 })) use(record)
 */
export async function* capture(kafka: Kafka, options: CaptureOptions): AsyncGenerator<SliceRecord> {
  const { topic, partition, offset } = options.from
  const reader = await kafka.openReader({})
  try {
    const { low } = await reader.watermarks({ topic, partition }, options.callMs)
    reader.assign([{ topic, partition, offset: Math.max(low, offset) }])
    for (let left = options.records; left > 0; ) {
      const { batches, ends, errors } = await reader.poll({
        recordsMax: left,
        bytesMax: POLL_BYTES_MAX,
        waitMs: POLL_WAIT_MS,
      })
      if (errors[0] !== undefined) throw new KafkaError(errors[0])
      for (const { frame } of batches) {
        for (const record of sourceRecords(frame).slice(0, left)) {
          left--
          yield { topic, partition, ...record }
        }
      }
      if (ends.length > 0) return
    }
  } finally {
    await reader.close()
  }
}
