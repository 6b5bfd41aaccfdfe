// A candles job with a view on memory-kafka, run, reset and run again: what a run gives alone, held against the oracle.
import { count, job, json, kafka, max, sum, tumbling } from 'millrace'
import type { TaskPosition } from '../../src/core/message.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { decodeMarker } from '../../src/lane/marker.ts'
import { systemClock, systemScheduler } from '../../src/ops/system-clock.ts'
import { type ResetOptions, type ResetReport, resetJob } from '../../src/reset/reset-job.ts'
import { parseTarget } from '../../src/reset/target.ts'
import { isMarkerKey } from '../../src/state/keys.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { TEST_ENGINE_LIMITS } from './memory-job.ts'
import { CandleOracle, type OracleTrade } from './oracle.ts'
import { PARTITIONS } from './trades-in-memory.ts'

export const RESET_RULES = { sizeMs: 1_000, graceMs: 100, outOfOrderMs: 500 }
export const VIEW_TOPIC = 'candles-view-now'
export const CHANGELOG = 'candles-changelog'
export const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)

/** Another `window` is another operator; another `extra` under the same name another meaning. */
export function resettableJob(window = '1s', extra: 'high' | 'none' = 'none', source = 'trades'): CompiledJob {
  const windowed = job('candles')
    .from(kafka(source, { value: json<OracleTrade>(), key: 'sym', eventTime: 'ts', outOfOrder: '500ms' }))
    .keyBy('sym')
    .window(window, tumbling('1s', { grace: '100ms' }))
  const rows =
    extra === 'high'
      ? windowed.aggregate({ volume: sum('qty'), n: count(), high: max('price') })
      : windowed.aggregate({ volume: sum('qty'), n: count() })
  return rows
    .to(kafka('rows', { value: json() }), { emit: 'final' })
    .toView('now', { emit: 'updates' })
    .build()
}

/** Seeded trades, and the sums that a run over a part of them must give. */
export class SumFeed {
  readonly kafka: MemoryKafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  readonly #trades: { partition: number; offset: number; trade: OracleTrade }[] = []
  readonly #random: () => number
  #nowMs = 1_750_000_000_000

  constructor(seed: number) {
    this.#random = seeded(seed)
  }

  append(count: number): void {
    const random = this.#random
    for (let i = 0; i < count; i++) {
      this.#nowMs += Math.floor(random() * 100)
      const symbol = Math.floor(random() * 7)
      const partition = symbol % PARTITIONS
      const trade = { sym: `S${symbol}`, price: 1, qty: 1 + Math.floor(random() * 9), ts: this.#nowMs }
      const record = { key: trade.sym, value: JSON.stringify(trade), partition, timestampMs: trade.ts }
      this.#trades.push({ partition, offset: this.kafka.append('trades', record), trade })
    }
  }
  get nowMs(): number {
    return this.#nowMs
  }

  /** Rows of a run that read from `fromOffsets` on with empty state, to the end. */
  expected(fromOffsets: (partition: number) => number = () => 0): string[] {
    const oracle = new CandleOracle(RESET_RULES)
    for (const { partition, offset, trade } of this.#trades) {
      if (offset >= fromOffsets(partition)) oracle.add(partition, trade)
    }
    return oracle
      .rows()
      .map(({ sym, windowStart, volume, n }) => rowText(sym, windowStart, volume, n))
      .sort()
  }

  /** Committed rows of the sink from these offsets on, in the same form. */
  rows(from: readonly number[] = []): string[] {
    return partitions
      .flatMap((partition) =>
        this.kafka.log('rows', partition).filter(({ offset }) => offset >= (from[partition] ?? 0)),
      )
      .map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as Record<string, number | string>)
      .map((row) => rowText(String(row.sym), Number(row.windowStart), Number(row.volume), Number(row.n)))
      .sort()
  }
  /** Ends of the sink: what comes later is of the next run. */
  sinkEnds(): number[] {
    return partitions.map((partition) => this.kafka.offsets('rows', partition).high)
  }
}

function rowText(sym: string, startMs: number, volume: number, n: number): string {
  return `${sym} ${startMs} ${volume} ${n}`
}

/** The live rows of a compacted topic, markers aside: `partition key`. */
export function liveKeys(kafka: MemoryKafka, topic: string): string[] {
  const live = new Set<string>()
  for (const partition of partitions) {
    for (const { key, value } of kafka.log(topic, partition)) {
      if (key === undefined || isMarkerKey(key)) continue
      const name = `${partition} ${Buffer.from(key).toString('latin1')}`
      if (value === undefined) live.delete(name)
      else live.add(name)
    }
  }
  return [...live]
}

/** The last marker of each partition of the changelog. */
export function lastMarkers(kafka: MemoryKafka): (TaskPosition | undefined)[] {
  return partitions.map((partition) => {
    const markers = kafka.log(CHANGELOG, partition).filter(({ key }) => key !== undefined && isMarkerKey(key))
    const value = markers.at(-1)?.value
    return value === undefined ? undefined : decodeMarker(value)
  })
}

export function committedOffsets(kafka: MemoryKafka): (number | undefined)[] {
  return partitions.map((partition) => kafka.committedOffset('candles', 'trades', partition).offset)
}

/** Resets the job as the command does. */
export function reset(kafka: MemoryKafka, to: string, more: Partial<ResetOptions> = {}): Promise<ResetReport> {
  return resetJob({
    kafka,
    plan: resettableJob().plan,
    target: parseTarget(to),
    isDryRun: false,
    keepsViews: false,
    waitMs: 0,
    clock: systemClock,
    scheduler: systemScheduler,
    limits: { ...TEST_ENGINE_LIMITS, keysBytesMax: 1 << 20 },
    say: () => {},
    isStopped: () => false,
    ...more,
  })
}
