// Reads a topic read_committed, through the port, from its first record to its end. Main thread.
import { type FrameRecord, sourceRecords } from '../../src/core/frame.ts'
import type { Kafka, PollLimits, TopicPartition } from '../../src/kafka/port.ts'

const POLL: PollLimits = { recordsMax: 20_000, bytesMax: 4 << 20, waitMs: 200 }
const CALL_MS = 10_000

export type VisitRecord = (record: FrameRecord, partition: number) => void

export function partitionsOf(topic: string, partitionCount: number): TopicPartition[] {
  return Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition }))
}

/**
 * Visits every committed record of a topic up to its end as it is now. A transaction that stays open for `limitMs` is an
 * error: it hides records.
 */
export async function readCommitted(
  kafka: Kafka,
  topic: string,
  partitionCount: number,
  visit: VisitRecord,
  limitMs = 60_000,
): Promise<void> {
  const reader = await kafka.openReader({})
  try {
    const partitions = partitionsOf(topic, partitionCount)
    const marks = await Promise.all(partitions.map((one) => reader.watermarks(one, CALL_MS)))
    const missing = new Map(
      marks.flatMap(({ low, high }, partition) => (high > low ? [[partition, high]] : [])) as [number, number][],
    )
    reader.assign(partitions.map((one, i) => ({ ...one, offset: marks[i]!.low })))
    const untilMs = performance.now() + limitMs
    while (missing.size > 0) {
      if (performance.now() > untilMs) throw new Error(`${topic}: ${describe(missing)} not reached in ${limitMs} ms`)
      const { batches, ends, errors } = await reader.poll(POLL)
      if (errors.length > 0) throw new Error(`reading ${topic}: ${errors.map(({ message }) => message).join('; ')}`)
      for (const { partition, frame } of batches) for (const record of sourceRecords(frame)) visit(record, partition)
      for (const { partition, offset } of ends) if (offset >= (missing.get(partition) ?? 0)) missing.delete(partition)
    }
  } finally {
    await reader.close()
  }
}

function describe(missing: ReadonlyMap<number, number>): string {
  return [...missing].map(([partition, high]) => `end ${high} of partition ${partition}`).join(', ')
}
