// The flood rule: too many dead records among the last ones stop the job instead of draining the topic. Main thread.
// Keeps SPEC: DLQ-3 (a flood of dead records stops the job).

import { type ErrorData, MillraceError } from '../core/errors.ts'

/** Slices that the window is counted in: it slides by one slice. */
const SLICES = 10

/**
 * Counts dead records over a sliding window of records.
 *
 * @example
 * const flood = new DeadFlood(1_000, 0.5)
 * flood.add(100, 80)
 */
export class DeadFlood {
  readonly #sliceRecords: number
  readonly #shareMax: number
  readonly #records = new Array<number>(SLICES).fill(0)
  readonly #dead = new Array<number>(SLICES).fill(0)
  #at = 0

  constructor(windowRecords: number, shareMax: number) {
    this.#sliceRecords = Math.max(1, Math.floor(windowRecords / SLICES))
    this.#shareMax = shareMax
  }
  get records(): number {
    return this.#records.reduce((sum, count) => sum + count, 0)
  }
  get dead(): number {
    return this.#dead.reduce((sum, count) => sum + count, 0)
  }
  /** True when the share is over its limit, judged over at least a tenth of the window. */
  add(records: number, dead: number): boolean {
    this.#records[this.#at]! += records
    this.#dead[this.#at]! += dead
    const isOver = this.records >= this.#sliceRecords && this.dead > this.#shareMax * this.records
    if (this.#records[this.#at]! >= this.#sliceRecords) {
      this.#at = (this.#at + 1) % SLICES
      this.#records[this.#at] = 0
      this.#dead[this.#at] = 0
    }
    return isOver
  }
}

/** What stops the job then: the numbers, and the last dead record as an example. */
export function floodError({ dead, records }: DeadFlood, limit: number, last: ErrorData | undefined): MillraceError {
  return new MillraceError('MR6001', { dead, records, limit, code: last?.code ?? '', reason: last?.message ?? '' })
}
