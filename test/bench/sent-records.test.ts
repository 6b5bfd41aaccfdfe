// The latency bench's records and the check of their rows: it must find what is missing, doubled, swapped or wrong.
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { readSumRows } from '../../bench/lib/latency-reader.ts'
import { intendedMs, machineMs } from '../../bench/lib/paced.ts'
import { SentRecords, SumCheck, type SumRow } from '../../bench/lib/sent-records.ts'
import { sinkRecords } from '../../src/core/frame.ts'
import { partitionOfKey } from '../../src/core/murmur2.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'

const PARTITIONS = 3
const SENT = { seed: 9, recordsPerSecond: 1_000, startMs: 5_000, startWallMs: 1_790_000_000_000 }
const textEncoder = new TextEncoder()
const partitionOf = (sym: string): number => partitionOfKey(textEncoder.encode(sym), PARTITIONS)

/** The rows that a right job gives, with their partitions. */
function rightRows(count: number, sent = SENT): { partition: number; row: SumRow }[] {
  const sums = new Map<string, { total: number; n: number }>()
  return sinkRecords(new SentRecords(sent).frame(0, count)).map(({ value }) => {
    const { sym, qty, id, sentMs } = unpack(value!) as { sym: string; qty: number; id: number; sentMs: number }
    const { total, n } = sums.get(sym) ?? { total: 0, n: 0 }
    sums.set(sym, { total: total + qty, n: n + 1 })
    return { partition: partitionOf(sym), row: { sym, total: total + qty, n: n + 1, id, sentMs } }
  })
}

function problemsOf(rows: { partition: number; row: SumRow }[], count: number): string[] {
  const check = new SumCheck(SENT, count, partitionOf)
  return rows.flatMap(({ partition, row }) => check.add(partition, row) ?? [])
}

describe('the records sent', () => {
  test('carry their intended time and timestamps that do not go back', () => {
    const records = sinkRecords(new SentRecords(SENT).frame(0, 3_000))
    for (const [id, { value, timestampMs }] of records.entries()) {
      expect((unpack(value!) as SumRow).sentMs).toBe(intendedMs(SENT, id))
      expect(timestampMs).toBeGreaterThanOrEqual(records[id - 1]?.timestampMs ?? 0)
    }
  })
})

describe('the check of running sums', () => {
  test('finds nothing wrong with right rows, whichever partition comes first', () => {
    const rows = rightRows(400)
    expect(problemsOf(rows, 400)).toEqual([])
    const byPartition = [2, 0, 1].flatMap((one) => rows.filter(({ partition }) => partition === one))
    expect(problemsOf(byPartition, 400)).toEqual([])
  })

  test('finds a row that is missing, doubled, swapped, wrong or too many', () => {
    const rows = rightRows(50)
    expect(problemsOf(rows.slice(1), 50)).not.toEqual([])
    expect(problemsOf([rows[0]!, ...rows], 50)).not.toEqual([])
    const [a, b] = rows.filter(({ partition }) => partition === rows[0]!.partition)
    expect(problemsOf([b!, a!], 50)).toHaveLength(2)
    const wrong = rows.map(({ partition, row }, i) => ({ partition, row: i === 7 ? { ...row, total: 0 } : row }))
    expect(problemsOf(wrong, 50)).toHaveLength(1)
    expect(problemsOf([...rows, rows[0]!], 50)[0]).toContain('a row too many')
  })
})

describe('the consumer', () => {
  test('measures from the intended time, leaves the warm-up out and checks all', async () => {
    const kafka = createMemoryKafka({ topics: { sums: PARTITIONS } })
    const sent = { ...SENT, startMs: machineMs() - 1_000 }
    const { pack } = await import('msgpackr')
    for (const { partition, row } of rightRows(100, sent)) kafka.append('sums', { partition, value: pack(row) })
    const seen = await readSumRows(kafka, 'sums', { ...sent, recordCount: 100 }, PARTITIONS, 40)
    expect(seen).toMatchObject({ rows: 100, missing: 0, wrong: 0, examples: [] })
    expect(seen.latencyMs.count).toBe(60)
    expect(seen.latencyMs.min).toBeGreaterThanOrEqual(900)
    expect(seen.latencyMs.max).toBeLessThan(5_000)
  })
})
