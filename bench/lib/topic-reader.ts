// Reads a topic read_committed, through the port, from its first record to its end. Main thread.
import { type FrameRecord, sourceRecords } from '../../src/core/frame.ts'
import { type Kafka, type PollLimits, partitionKey, type TopicPartition } from '../../src/kafka/port.ts'

const POLL: PollLimits = { recordsMax: 20_000, bytesMax: 4 << 20, waitMs: 200 }
const CALL_MS = 10_000

export type VisitRecord = (record: FrameRecord, partition: number) => void

/** All partitions of a topic. */
export function partitionsOf(topic: string, partitionCount: number): TopicPartition[] {
  return Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition }))
}

/**
 * Visits every committed record of some partitions up to their ends as they are now. A transaction that stays open is an
 * error, since it hides records: nothing comes for `limitMs`.
 */
export async function readCommitted(
  kafka: Kafka,
  partitions: readonly TopicPartition[],
  visit: VisitRecord,
  limitMs = 60_000,
): Promise<void> {
  const reader = await kafka.openReader({})
  try {
    const marks = await Promise.all(partitions.map((one) => reader.watermarks(one, CALL_MS)))
    const missing = new Map<string, number>()
    for (const [i, { low, high }] of marks.entries()) if (high > low) missing.set(partitionKey(partitions[i]!), high)
    reader.assign(partitions.map((one, i) => ({ ...one, offset: marks[i]!.low })))
    for (let cameMs = performance.now(); missing.size > 0; ) {
      if (performance.now() > cameMs + limitMs) throw new Error(`${describe(missing)} not reached in ${limitMs} ms`)
      const { batches, ends, errors } = await reader.poll(POLL)
      if (errors.length > 0) throw new Error(`reading: ${errors.map(({ message }) => message).join('; ')}`)
      for (const { partition, frame } of batches) for (const record of sourceRecords(frame)) visit(record, partition)
      for (const end of ends) if (end.offset >= (missing.get(partitionKey(end)) ?? 0)) missing.delete(partitionKey(end))
      if (batches.length > 0) cameMs = performance.now()
    }
  } finally {
    await reader.close()
  }
}

function describe(missing: ReadonlyMap<string, number>): string {
  return [...missing].map(([place, high]) => `${place}: end ${high}`).join(', ')
}
