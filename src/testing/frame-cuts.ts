// Where the records of a test are cut into frames and epochs. Test processes, main thread; pure.
// Keeps SPEC: TEST-2 (the same seed cuts the same).

import { seeded } from './seeded.ts'

/** Records of a frame at most, when a seed cuts: small, so that a few records are several frames. */
const FRAME_RECORDS_MAX = 8
/** One frame in so many ends its epoch. */
const FRAMES_PER_EPOCH = 3

/** What follows the records that were handed over. */
export interface Cut {
  /** Records up to the cut. */
  records: number
  commits: boolean
  restarts: boolean
}

/**
 * Cuts at random by a seed, and where the job starts anew.
 *
 * @example
 * const cuts = new FrameCuts()
 * cuts.seed(7)
 * cuts.next(100) // { records: 3, commits: false, restarts: false }
 */
export class FrameCuts {
  #random: (() => number) | undefined
  readonly #restartsAt = new Set<number>()
  /** Records that were cut off so far. */
  #count = 0

  seed(seed: number): void {
    this.#random = seeded(seed)
  }

  /** The job starts anew behind the n-th record, counted from 1. */
  restartAt(record: number): void {
    if (!Number.isSafeInteger(record) || record <= this.#count)
      throw new RangeError(`record ${record} cannot be restarted at: ${this.#count} were processed already`)
    this.#restartsAt.add(record)
  }

  /** The next cut of `waiting` records. */
  next(waiting: number): Cut {
    const random = this.#random
    const drawn = random === undefined ? waiting : Math.min(waiting, 1 + Math.floor(random() * FRAME_RECORDS_MAX))
    const untilRestart = Math.min(...this.#restartsAt) - this.#count
    const records = Math.min(drawn, untilRestart)
    const commits = random !== undefined && random() < 1 / FRAMES_PER_EPOCH
    this.#count += records
    return { records, commits, restarts: this.#restartsAt.delete(this.#count) }
  }
}
