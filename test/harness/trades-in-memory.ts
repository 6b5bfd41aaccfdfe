// A small seeded candles workload for memory-kafka: records in, the rows that must be there, and how the log differs.
import { count, first, job, json, kafka, last, max, min, sum, tumbling, weightedMean } from 'millrace'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { CandleOracle, type OracleTrade, RowComparer, type RowDifferences } from './oracle.ts'

export const PARTITIONS = 3
const RULES = { sizeMs: 1_000, graceMs: 100, outOfOrderMs: 500 }

/** The candles job over JSON. */
export function candlesJob(
  name = 'candles',
  source = 'trades',
  window = '1s',
  keep: (row: { n: number }) => boolean = () => true,
): CompiledJob {
  return job(name)
    .from(kafka(source, { value: json<OracleTrade>(), key: 'sym', eventTime: 'ts', outOfOrder: '500ms' }))
    .keyBy('sym')
    .window(window, tumbling('1s', { grace: '100ms' }))
    .aggregate({
      open: first('price'),
      high: max('price'),
      low: min('price'),
      close: last('price'),
      volume: sum('qty'),
      vwap: weightedMean('price', 'qty'),
      n: count(),
    })
    .late(kafka('late'))
    .filter((row) => keep(row))
    .to(kafka('rows', { value: json() }), { emit: 'final' })
    .build()
}

/** Appends trades and keeps the oracle up to date with them. */
export class TradeFeed {
  readonly oracle = new CandleOracle(RULES)
  readonly #random: () => number
  readonly #kafka: MemoryKafka
  readonly #partitions: number
  readonly #symbols: number
  #nowMs: number
  count = 0

  constructor(
    kafka: MemoryKafka,
    seed: number,
    startMs = Date.now() - 3_600_000,
    partitions = PARTITIONS,
    symbols = 7,
  ) {
    this.#nowMs = startMs
    this.#partitions = partitions
    this.#symbols = symbols
    this.#kafka = kafka
    this.#random = seeded(seed)
  }
  /** One trade in ten is late or nearly so; time moves 0 to 100 ms a trade, now and then by seconds. */
  append(count: number): void {
    const random = this.#random
    for (let i = 0; i < count; i++) {
      this.#nowMs += Math.floor(random() * 100) + (random() < 0.01 ? 5_000 : 0)
      const lateByMs = random() < 0.1 ? Math.floor(random() * 3_000) : 0
      const symbol = Math.floor(random() * this.#symbols)
      const trade = {
        sym: `S${symbol}`,
        price: Math.floor(random() * 1_000) / 8,
        qty: 1 + Math.floor(random() * 9),
        ts: this.#nowMs - lateByMs,
      }
      const partition = symbol % this.#partitions
      this.#kafka.append('trades', { key: trade.sym, value: JSON.stringify(trade), partition, timestampMs: trade.ts })
      this.oracle.add(partition, trade)
      this.count++
    }
  }
  /** What is committed in `rows`, held against the oracle. */
  differences(): RowDifferences {
    const comparer = new RowComparer(this.oracle.rows())
    for (const row of committedRows(this.#kafka, 'rows', this.#partitions)) comparer.add(row.value, row.at)
    return comparer.finish()
  }
}

/** Committed JSON rows of a topic. */
export function committedRows(
  kafka: MemoryKafka,
  topic: string,
  partitions = PARTITIONS,
): { value: Record<string, unknown>; at: string }[] {
  return Array.from({ length: partitions }, (_, partition) =>
    kafka.log(topic, partition).map((record) => ({
      value: JSON.parse(new TextDecoder().decode(record.value)),
      at: `${topic}-${partition}@${record.offset}`,
    })),
  ).flat()
}
