// The consumer of the latency bench: reads rows read_committed as they become visible, measures and checks each.
// Main thread.
import { unpack } from 'msgpackr'
import { sourceRecords } from '../../src/core/frame.ts'
import { Histogram } from '../../src/core/histogram.ts'
import type { Kafka, PollLimits } from '../../src/kafka/port.ts'
import { SymbolPartitions } from './candle-check.ts'
import { intendedMs, machineMs } from './paced.ts'
import { type SentOptions, SumCheck, type SumRow } from './sent-records.ts'
import { partitionsOf } from './topic-reader.ts'

export interface SeenRows {
  /** From the intended time of a record to its row in hand; warm-up left out. */
  latencyMs: Histogram
  rows: number
  missing: number
  wrong: number
  /** The first wrong rows, in words. */
  examples: string[]
}

const POLL: PollLimits = { recordsMax: 20_000, bytesMax: 4 << 20, waitMs: 100 }
/** Rows that are still missing so long after their record was due will not come. */
const TAIL_MS_MAX = 30_000
const EXAMPLES_MAX = 5

/** Reads until every record has its row, or until they are overdue. Records below `warmUpCount` are checked only. */
export async function readSumRows(
  kafka: Kafka,
  topic: string,
  sent: SentOptions & { recordCount: number },
  partitionCount: number,
  warmUpCount: number,
): Promise<SeenRows> {
  const partitions = new SymbolPartitions(partitionCount)
  const check = new SumCheck(sent, sent.recordCount, (sym) => partitions.of(sym))
  const seen: SeenRows = { latencyMs: new Histogram(), rows: 0, missing: 0, wrong: 0, examples: [] }
  const lastMs = intendedMs(sent, sent.recordCount) + TAIL_MS_MAX
  const reader = await kafka.openReader({})
  try {
    reader.assign(partitionsOf(topic, partitionCount).map((one) => ({ ...one, offset: 0 })))
    while (!check.isComplete && machineMs() < lastMs) {
      const { batches, errors } = await reader.poll(POLL)
      const visibleMs = machineMs()
      if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '))
      for (const { partition, frame } of batches) {
        for (const { value } of sourceRecords(frame)) {
          const row = unpack(value ?? new Uint8Array()) as SumRow
          if (row.id >= warmUpCount) seen.latencyMs.record(visibleMs - row.sentMs)
          note(seen, check.add(partition, row))
        }
      }
    }
  } finally {
    await reader.close()
  }
  seen.rows = check.rowCount
  seen.missing = Math.max(0, sent.recordCount - check.rowCount)
  return seen
}

function note(seen: SeenRows, problem: string | undefined): void {
  if (problem === undefined) return
  seen.wrong++
  if (seen.examples.length < EXAMPLES_MAX) seen.examples.push(problem)
}
