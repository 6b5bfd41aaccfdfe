// When all that a topic had was read, by its partitions, though it may never rest. No clock and no I/O: times are arguments. Main thread.
// Keeps SPEC: PUSH-11 (a view is served once it was read to an end that was seen not long ago), PUSH-41 (since when a copy is whole).

import type { Offsets } from './position-token.ts'

/*
 *   offsets of a partition   |---- read ----> position        mark           end
 *                                                             seen at seenMs  as last seen
 *
 * Once the position is at the mark, all that there was at `seenMs` is read, and the end that is known by then becomes the next mark. So it
 * needs no moment without new records, of which a busy topic has none: the broker says that a reader is at the end only when a fetch
 * finds nothing.
 */
interface Reading {
  position: number
  /** The end that was seen at `seenMs`. */
  mark: number
  seenMs: number
}

export class EndMarks {
  readonly #readings: Reading[]

  /** `ends`: by partition, seen at `seenMs`. */
  constructor(ends: Offsets, seenMs: number) {
    this.#readings = ends.map((mark) => ({ position: 0, mark, seenMs }))
  }

  /**
   * All records of a partition before `position` were read. `end`: as it is known now, -1: not known. Gives as of when nothing is
   * missing; undefined: no end that was seen is reached, or the reader is beyond it since.
   */
  read(partition: number, position: number, end: number, nowMs: number): number | undefined {
    const reading = this.#readings[partition]!
    if (position < reading.position) return undefined
    reading.position = position
    const isAtEnd = end >= 0 && position >= end
    if (position < reading.mark && !isAtEnd) return undefined
    const { seenMs } = reading
    if (end >= 0) {
      reading.mark = Math.max(position, end)
      reading.seenMs = nowMs
    }
    return isAtEnd ? nowMs : seenMs
  }
}
