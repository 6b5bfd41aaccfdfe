// The demo's oracle: which of the generated trades are late, worked out from the stream alone. Main thread; pure.
// Keeps SPEC: R3 (a record is judged at its own place in its partition's order).

import { partitionOfKey } from '../core/murmur2.ts'
import type { TradeStream } from './trades.ts'

export interface WindowRule {
  outOfOrderMs: number
  sizeMs: number
  graceMs: number
}

/**
 * Follows a trade stream partition by partition and counts late trades, as a job with one tumbling window must.
 *
 * @example
 * const check = new DemoCheck(trades, 4, { outOfOrderMs: 2000, sizeMs: 1000, graceMs: 500 })
 * check.follow(0, 1000)
 * check.late // how many of the first thousand
 */
export class DemoCheck {
  readonly #trades: TradeStream
  readonly #rule: WindowRule
  readonly #eventTimeMsMax: Float64Array
  readonly #partitions = new Map<string, number>()
  late = 0
  records = 0

  constructor(trades: TradeStream, partitionCount: number, rule: WindowRule) {
    this.#trades = trades
    this.#rule = rule
    this.#eventTimeMsMax = new Float64Array(partitionCount).fill(Number.NEGATIVE_INFINITY)
  }
  /** Judges the trades `from` to `to` (exclusive); call it in their order. */
  follow(from: number, to: number): void {
    const { outOfOrderMs, sizeMs, graceMs } = this.#rule
    for (let i = from; i < to; i++) {
      const { sym, ts } = this.#trades.next(i)
      const partition = this.#partitionOf(sym)
      const maxMs = Math.max(this.#eventTimeMsMax[partition]!, ts)
      this.#eventTimeMsMax[partition] = maxMs
      const closesAtMs = Math.floor(ts / sizeMs) * sizeMs + sizeMs + graceMs
      if (maxMs - outOfOrderMs >= closesAtMs) this.late++
    }
    this.records += to - from
  }
  #partitionOf(sym: string): number {
    const known = this.#partitions.get(sym)
    if (known !== undefined) return known
    const partition = partitionOfKey(new TextEncoder().encode(sym), this.#eventTimeMsMax.length)
    this.#partitions.set(sym, partition)
    return partition
  }
}
