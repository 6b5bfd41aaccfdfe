// Compares the output topic of a candles job, row by row, with the oracle over the trades it was given. Main thread.
import { unpack } from 'msgpackr'
import { TRADE_KEY_BYTES, type TradeStream } from '../../src/cli/trades.ts'
import type { FrameRecord } from '../../src/core/frame.ts'
import { partitionOfKey } from '../../src/kafka/murmur2.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import {
  BENCH_CANDLE_RULES,
  type Candle,
  CandleOracle,
  RowComparer,
  type RowDifferences,
} from '../../test/harness/oracle.ts'
import { readCommitted } from './topic-reader.ts'

const textDecoder = new TextDecoder()
const textEncoder = new TextEncoder()

/** Finds the partition of a symbol, as every producer of ours does. */
export class SymbolPartitions {
  readonly #partitionCount: number
  readonly #known = new Map<string, number>()

  constructor(partitionCount: number) {
    this.#partitionCount = partitionCount
  }
  of(sym: string): number {
    let partition = this.#known.get(sym)
    if (partition === undefined) {
      const key = textEncoder.encode(sym)
      if (key.length !== TRADE_KEY_BYTES) throw new RangeError(`${sym} is no symbol of the generator`)
      partition = partitionOfKey(key, this.#partitionCount)
      this.#known.set(sym, partition)
    }
    return partition
  }
}

/** The oracle of the first `recordCount` trades, and how many of them went to each partition. */
export function candleOracle(
  trades: TradeStream,
  recordCount: number,
  partitionCount: number,
): { oracle: CandleOracle; partitionCounts: number[] } {
  const oracle = new CandleOracle(BENCH_CANDLE_RULES)
  const partitions = new SymbolPartitions(partitionCount)
  const partitionCounts = new Array<number>(partitionCount).fill(0)
  for (let i = 0; i < recordCount; i++) {
    const trade = trades.next(i)
    const partition = partitions.of(trade.sym)
    partitionCounts[partition]!++
    oracle.add(partition, trade)
  }
  return { oracle, partitionCounts }
}

export interface CandleCheck {
  kafka: Kafka
  topic: string
  partitionCount: number
  /** Final rows carry their window's end - 1 ms as Kafka timestamp. */
  checksTimestamps: boolean
}

/** Reads every committed row of the output and compares it: value, Kafka key, timestamp, partition. */
export async function checkCandles(check: CandleCheck, expected: readonly Candle[]): Promise<RowDifferences> {
  const comparer = new RowComparer(expected)
  const partitions = new SymbolPartitions(check.partitionCount)
  await readCommitted(check.kafka, check.topic, check.partitionCount, (record, partition) => {
    const place = `${check.topic}/${partition} at ${record.offset}`
    const row = readRow(record)
    if (typeof row === 'string') {
      comparer.addUnreadable(row, place)
      return
    }
    comparer.add(row, place)
    const problem = envelopeProblem(record, row, check, partition === partitions.of(row.sym))
    if (problem !== undefined) comparer.addWrongEnvelope(problem, place)
  })
  return comparer.finish()
}

/** The row, or why there is none. */
function readRow(record: FrameRecord): Candle | string {
  if (record.value === undefined) return 'a row without a value'
  try {
    const row = unpack(record.value) as Candle
    if (typeof row?.sym === 'string' && row.sym.length === TRADE_KEY_BYTES) return row
    return `no row of a candle: ${JSON.stringify(row)}`
  } catch (error) {
    return `a value that is no msgpack: ${String(error)}`
  }
}

function envelopeProblem(
  record: FrameRecord,
  row: Candle,
  check: CandleCheck,
  isInItsPartition: boolean,
): string | undefined {
  if (textDecoder.decode(record.key) !== row.sym) return `the key is ${textDecoder.decode(record.key)}`
  if (!isInItsPartition) return 'it is in the wrong partition'
  if (check.checksTimestamps && record.timestampMs !== row.windowEnd - 1)
    return `the timestamp is ${record.timestampMs}`
  return undefined
}
