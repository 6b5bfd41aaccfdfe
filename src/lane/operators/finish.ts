// The end of every chain: counts what became of each record and writes the dead letters, in the order of the partition.
// Runs on a lane. Hot: one loop over the statuses.
// Keeps SPEC: R6 / COUNT-1 (every record ends as accepted, late, dead or filtered), DLQ-1 (a bad record is never lost).

import { STATUS_DEAD, STATUS_FILTERED, STATUS_LATE, STATUS_OK } from '../../core/record-status.ts'
import { watermarkAfter } from '../../core/watermark.ts'
import type { Chunk } from '../chunk.ts'
import type { FrameRun, Step } from '../frame-run.ts'
import type { DeadLetters } from './dead-letters.ts'

export class Finish implements Step {
  readonly #deadLetters: DeadLetters
  /** For jobs without a stateful operator, which otherwise moves the clock; undefined with one. */
  readonly #outOfOrderMs: number | undefined

  constructor(deadLetters: DeadLetters, outOfOrderMs: number | undefined) {
    this.#deadLetters = deadLetters
    this.#outOfOrderMs = outOfOrderMs
  }

  run(chunk: Chunk, run: FrameRun): void {
    const { status } = chunk
    let accepted = 0
    let late = 0
    let filtered = 0
    for (let row = 0; row < chunk.count; row++) {
      const state = status[row]!
      if (state === STATUS_OK) accepted++
      else if (state === STATUS_FILTERED) filtered++
      else if (state === STATUS_LATE) late++
    }
    const counts = run.task.tally.counts
    counts.accepted += accepted
    counts.late += late
    counts.filtered += filtered
    const dead = chunk.count - accepted - late - filtered
    counts.dead += dead
    if (dead > 0) this.#bury(chunk, run)
    if (this.#outOfOrderMs !== undefined && chunk.carried === undefined) this.#moveClock(chunk, run, this.#outOfOrderMs)
  }

  #bury(chunk: Chunk, run: FrameRun): void {
    for (let row = 0; row < chunk.count; row++) {
      if (chunk.status[row]! >= STATUS_DEAD) run.task.tally.lastDead = this.#deadLetters.write(chunk, row, run)
    }
  }

  #moveClock(chunk: Chunk, run: FrameRun, outOfOrderMs: number): void {
    const { task } = run
    let timeMsMax = task.eventTimeMsMax
    for (let row = 0; row < chunk.count; row++) if (chunk.timesMs[row]! > timeMsMax) timeMsMax = chunk.timesMs[row]!
    task.eventTimeMsMax = timeMsMax
    if (timeMsMax !== Number.NEGATIVE_INFINITY) {
      task.watermarkMs = watermarkAfter(task.watermarkMs, timeMsMax, outOfOrderMs)
    }
  }
}
