// Compares the output topic of a candles job, row by row, with the oracle over the trades it was given. Main thread.
import { unpack } from 'msgpackr'
import { TRADE_KEY_BYTES } from '../../src/cli/symbols.ts'
import type { TradeStream } from '../../src/cli/trades.ts'
import type { FrameRecord } from '../../src/core/frame.ts'
import { partitionOfKey } from '../../src/core/murmur2.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import {
  BENCH_CANDLE_RULES,
  type Candle,
  CandleOracle,
  RowComparer,
  type RowDifferences,
} from '../../test/harness/oracle.ts'
import { partitionsOf, readCommitted } from './topic-reader.ts'

const textDecoder = new TextDecoder()
const textEncoder = new TextEncoder()

/** Finds the partition of a symbol by its name, as every producer of ours does. */
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

/** The partition of each symbol, by its number, as every producer of ours finds it. */
export function symbolPartitions({ symbols }: TradeStream, partitionCount: number): Int32Array {
  const { bytes, keyCount } = symbols
  return Int32Array.from({ length: keyCount }, (_, symbol) => {
    const from = symbol * TRADE_KEY_BYTES
    return partitionOfKey(bytes.subarray(from, from + TRADE_KEY_BYTES), partitionCount)
  })
}

/** The oracle of the first `recordCount` trades, and how many of them went to each partition. */
export function candleOracle(
  trades: TradeStream,
  recordCount: number,
  partitionCount: number,
): { oracle: CandleOracle; partitionCounts: number[] } {
  const oracle = new CandleOracle(BENCH_CANDLE_RULES)
  const partitions = symbolPartitions(trades, partitionCount)
  const partitionCounts = new Array<number>(partitionCount).fill(0)
  for (let i = 0; i < recordCount; i++) {
    const partition = partitions[trades.symbolOf(i)]!
    partitionCounts[partition]!++
    oracle.add(partition, trades.next(i))
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
  const homes = new SymbolPartitions(check.partitionCount)
  await readCommitted(check.kafka, partitionsOf(check.topic, check.partitionCount), (record, partition) => {
    const row = readRow(record)
    compareRow(comparer, check, record, row, partition, (sym) => homes.of(sym) === partition)
  })
  return comparer.finish()
}

/** Every row is expected in the one partition that is read, so that a row elsewhere is a row too much. */
const IS_HOME = (): boolean => true

/**
 * As `checkCandles`, for outputs of any size: partition by partition, and in each the oracle computes no further ahead than
 * the windows of the rows that come, so that the rows of a few windows are in memory. Rows must come by window, ascending:
 * a row that comes two windows late is counted as lost and as wrong. Also tells how many trades are late.
 */
export async function checkManyCandles(
  check: CandleCheck,
  trades: TradeStream,
  recordCount: number,
): Promise<{ differences: RowDifferences; lateCount: number }> {
  const comparer = new RowComparer()
  const homes = symbolPartitions(trades, check.partitionCount)
  let lateCount = 0
  for (const one of partitionsOf(check.topic, check.partitionCount)) {
    const due = new DueCandles(trades, recordCount, (symbol) => homes[symbol] === one.partition)
    let newestEndMs = Number.NEGATIVE_INFINITY
    await readCommitted(check.kafka, [one], (record) => {
      const row = readRow(record)
      if (typeof row !== 'string' && row.windowEnd > newestEndMs) {
        comparer.settle(newestEndMs - BENCH_CANDLE_RULES.sizeMs)
        comparer.expect(due.upTo(row.windowEnd))
        newestEndMs = row.windowEnd
      }
      compareRow(comparer, check, record, row, one.partition, IS_HOME)
    })
    comparer.expect(due.upTo(Number.POSITIVE_INFINITY))
    comparer.settle(Number.POSITIVE_INFINITY)
    lateCount += due.lateCount
  }
  return { differences: comparer.finish(), lateCount }
}

/** The rows of one partition, window by window: the oracle takes its trades as far as they are needed. */
class DueCandles {
  readonly #oracle = new CandleOracle(BENCH_CANDLE_RULES)
  readonly #trades: TradeStream
  readonly #recordCount: number
  readonly #isOurs: (symbol: number) => boolean
  #next = 0

  constructor(trades: TradeStream, recordCount: number, isOurs: (symbol: number) => boolean) {
    this.#trades = trades
    this.#recordCount = recordCount
    this.#isOurs = isOurs
  }
  get lateCount(): number {
    return this.#oracle.lateCount
  }

  /** The rows of windows that end up to `endMs` and were not given before. */
  upTo(endMs: number): Candle[] {
    while (this.#next < this.#recordCount && this.#oracle.watermarkMs(0) < endMs) {
      const i = this.#next++
      if (this.#isOurs(this.#trades.symbolOf(i))) this.#oracle.add(0, this.#trades.next(i))
    }
    return this.#oracle.takeRows(endMs)
  }
}

/** Compares what `readRow` gave, the record's key, timestamp and partition. */
function compareRow(
  comparer: RowComparer,
  check: CandleCheck,
  record: FrameRecord,
  row: Candle | string,
  partition: number,
  isHome: (sym: string) => boolean,
): void {
  const place = `${check.topic}/${partition} at ${record.offset}`
  if (typeof row === 'string') {
    comparer.addUnreadable(row, place)
    return
  }
  comparer.add(row, place)
  const problem = envelopeProblem(record, row, check, isHome(row.sym))
  if (problem !== undefined) comparer.addWrongEnvelope(problem, place)
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
  { checksTimestamps }: CandleCheck,
  isHome: boolean,
): string | undefined {
  if (textDecoder.decode(record.key) !== row.sym) return `the key is ${textDecoder.decode(record.key)}`
  if (!isHome) return 'it is in the wrong partition'
  if (checksTimestamps && record.timestampMs !== row.windowEnd - 1) return `the timestamp is ${record.timestampMs}`
  return undefined
}
