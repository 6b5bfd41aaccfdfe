// The flood rule: too many dead records among the last ones stop the job instead of draining the topic. Main thread.
// Keeps SPEC: DLQ-3 (a flood of dead records stops the job).

import { MillraceError } from '../core/errors.ts'
import type { LaneProcessed } from '../core/message.ts'

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

/** The flood rule of a job: one window a sub-topology, since a record that moves to another key is looked at by each. */
export class JobFloods {
  readonly #floods: readonly DeadFlood[]
  readonly #shareMax: number

  constructor(subCount: number, { deadWindow, deadShareMax }: { deadWindow: number; deadShareMax: number }) {
    this.#floods = Array.from({ length: subCount }, () => new DeadFlood(deadWindow, deadShareMax))
    this.#shareMax = deadShareMax
  }

  /** What stops the job after this answer of a sub-topology: the numbers, and the last dead record as an example. */
  judge(sub: number, { counts, deadResults, lastDead: last }: LaneProcessed): MillraceError | undefined {
    const flood = this.#floods[sub]!
    if (!flood.add(counts.in + deadResults, counts.dead + deadResults)) return undefined
    const { dead, records } = flood
    const example = { code: last?.code ?? '', reason: last?.message ?? '' }
    return new MillraceError('MR6001', { dead, records, limit: this.#shareMax, ...example })
  }
}
