// The records of the latency bench: what is sent, and what must come back for each. Pure.
import { pack } from 'msgpackr'
import { type TradeStream, tradeStream } from '../../src/cli/trades.ts'
import { FrameWriter } from '../../src/core/frame.ts'
import { intendedMs } from './paced.ts'

export interface SentOptions {
  seed: number
  recordsPerSecond: number
  /** Intended time of record 0, milliseconds of the machine's monotonic clock. */
  startMs: number
  /** The same on the wall clock. Kafka timestamps count from it: they must not go back, or `last` would keep an older record. */
  startWallMs: number
}

/** A row of bench/jobs/running-sum.ts. */
export interface SumRow {
  sym: string
  total: number
  n: number
  id: number
  sentMs: number
}

/** Of the trades that give symbols and quantities; their prices are not used. */
const TRADES_START_MS = 1_760_000_000_000
const textEncoder = new TextEncoder()

export function sentTrades({ seed }: Pick<SentOptions, 'seed'>): TradeStream {
  return tradeStream({ seed, count: Number.POSITIVE_INFINITY, startMs: TRADES_START_MS })
}

/**
 * Makes the frames that are sent.
 *
 * @example
 * producer.produce(new SentRecords({ seed: 1, recordsPerSecond: 10_000, startMs }).frame(0, 10), ['sent'])
 */
export class SentRecords {
  readonly #options: SentOptions
  readonly #trades: TradeStream
  readonly #writer = new FrameWriter()

  constructor(options: SentOptions) {
    this.#options = options
    this.#trades = sentTrades(options)
  }

  /** Records `from` to `to` (exclusive) as a sink frame of topic 0. */
  frame(from: number, to: number): ArrayBuffer {
    for (let id = from; id < to; id++) {
      const { sym, qty } = this.#trades.next(id)
      const sentMs = intendedMs(this.#options, id)
      const timestampMs = Math.floor(this.#options.startWallMs + (id * 1_000) / this.#options.recordsPerSecond)
      this.#writer.append(0, -1, timestampMs, textEncoder.encode(sym), pack({ sym, qty, id, sentMs }))
    }
    return this.#writer.take()!
  }
}

/**
 * Checks rows against what was sent: every record gives exactly one row, in the order of its partition, with the sum of
 * its key so far.
 *
 * @example
 * const check = new SumCheck({ seed: 1, recordsPerSecond, startMs }, 300_000, partitionOf)
 * check.add(0, row) // undefined, or what is wrong
 */
export class SumCheck {
  readonly #options: SentOptions
  readonly #recordCount: number
  readonly #partitionOf: (sym: string) => number
  readonly #trades: TradeStream
  /** By partition: ids whose row is awaited, filled as far as needed. */
  readonly #awaited: number[][] = []
  /** By partition: how many of `#awaited` have come. */
  readonly #taken: number[] = []
  readonly #totals = new Map<string, { total: number; n: number }>()
  #nextId = 0
  /** Rows that came. */
  rowCount = 0

  constructor(options: SentOptions, recordCount: number, partitionOf: (sym: string) => number) {
    this.#options = options
    this.#recordCount = recordCount
    this.#partitionOf = partitionOf
    this.#trades = sentTrades(options)
  }
  /** Every record has its row. */
  get isComplete(): boolean {
    return this.rowCount >= this.#recordCount
  }

  /** Takes the next row of a partition; returns what is wrong with it. */
  add(partition: number, row: SumRow): string | undefined {
    this.rowCount++
    const id = this.#nextOf(partition)
    if (id === undefined) return `a row too many: ${JSON.stringify(row)}`
    const { sym, qty } = this.#trades.next(id)
    const sum = this.#totals.get(sym) ?? { total: 0, n: 0 }
    const expected: SumRow = { sym, total: sum.total + qty, n: sum.n + 1, id, sentMs: intendedMs(this.#options, id) }
    this.#totals.set(sym, { total: expected.total, n: expected.n })
    const isRight =
      row.sym === sym &&
      row.total === expected.total &&
      row.n === expected.n &&
      row.id === id &&
      row.sentMs === expected.sentMs
    return isRight ? undefined : `${JSON.stringify(row)} instead of ${JSON.stringify(expected)}`
  }

  /** The record whose row comes next in a partition; undefined beyond the last. */
  #nextOf(partition: number): number | undefined {
    const place = this.#taken[partition] ?? 0
    while ((this.#awaited[partition]?.length ?? 0) <= place) {
      if (this.#nextId >= this.#recordCount) return undefined
      const id = this.#nextId++
      const home = this.#partitionOf(this.#trades.next(id).sym)
      const awaited = this.#awaited[home]
      if (awaited === undefined) this.#awaited[home] = [id]
      else awaited.push(id)
    }
    this.#taken[partition] = place + 1
    return this.#awaited[partition]![place]
  }
}
