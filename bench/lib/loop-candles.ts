// The hand-written peer: candles in a Map, as a consumer loop has them. Knows no Kafka; main thread of the peer's process.
import { pack, unpack } from 'msgpackr'
import type { Trade } from '../../src/cli/trades.ts'

interface LoopCandle {
  open: number
  high: number
  low: number
  close: number
  volume: number
  weighted: number
  n: number
  firstMs: number
  lastMs: number
}

export interface LoopRow {
  key: string
  value: Buffer
  timestamp: string
}

const SIZE_MS = 1_000
const OUT_OF_ORDER_MS = 500

/**
 * Candles of one second of one partition: decode, find the candle, update it, hand out rows once the watermark passes
 * their window's end. The same rules as bench/jobs/candles.ts.
 *
 * @example
 * const candles = new LoopCandles()
 * const rows = candles.add(values)
 * const rest = candles.close()
 */
export class LoopCandles {
  readonly #windows = new Map<number, Map<string, LoopCandle>>()
  #watermarkMs = Number.NEGATIVE_INFINITY
  lateCount = 0

  /** Takes the values of a batch and gives the rows of the windows that they closed. */
  add(values: Iterable<Buffer>): LoopRow[] {
    for (const value of values) this.#addTrade(unpack(value) as Trade)
    return this.#closed(this.#watermarkMs)
  }

  /** The input has ended: gives the rows of all windows. */
  close(): LoopRow[] {
    return this.#closed(Number.POSITIVE_INFINITY)
  }

  #addTrade({ sym, price, qty, ts }: Trade): void {
    const start = Math.floor(ts / SIZE_MS) * SIZE_MS
    if (start + SIZE_MS <= this.#watermarkMs) {
      this.lateCount++
      return
    }
    if (ts - OUT_OF_ORDER_MS > this.#watermarkMs) this.#watermarkMs = ts - OUT_OF_ORDER_MS
    let window = this.#windows.get(start)
    if (window === undefined) {
      window = new Map()
      this.#windows.set(start, window)
    }
    const candle = window.get(sym)
    if (candle === undefined) {
      window.set(sym, {
        open: price,
        high: price,
        low: price,
        close: price,
        volume: qty,
        weighted: price * qty,
        n: 1,
        firstMs: ts,
        lastMs: ts,
      })
    } else update(candle, price, qty, ts)
  }

  #closed(watermarkMs: number): LoopRow[] {
    const rows: LoopRow[] = []
    for (const [windowStart, window] of this.#windows) {
      const windowEnd = windowStart + SIZE_MS
      if (windowEnd > watermarkMs) continue
      this.#windows.delete(windowStart)
      for (const [sym, { open, high, low, close, volume, weighted, n }] of window) {
        const row = { sym, windowStart, windowEnd, open, high, low, close, volume, vwap: weighted / volume, n }
        rows.push({ key: sym, value: pack(row), timestamp: String(windowEnd - 1) })
      }
    }
    return rows
  }
}

function update(candle: LoopCandle, price: number, qty: number, ts: number): void {
  if (ts < candle.firstMs) {
    candle.firstMs = ts
    candle.open = price
  }
  if (ts >= candle.lastMs) {
    candle.lastMs = ts
    candle.close = price
  }
  if (price > candle.high) candle.high = price
  if (price < candle.low) candle.low = price
  candle.volume += qty
  candle.weighted += price * qty
  candle.n++
}
