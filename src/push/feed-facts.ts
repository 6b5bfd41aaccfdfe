// What the reader of a topic has seen, and what follows for the rows of a view: fresh, silent, behind or cut off. No clock and no
// I/O: times are arguments. Main thread.
// Keeps SPEC: PUSH-36 (a view whose rows do not move says why, as far as it can be known).

import type { FeedState } from '../protocol/messages.ts'

export interface FeedLimits {
  /** No record of the view for so long: it is quiet. */
  staleAfterMs: number
  /** What was the end of the topic so long ago and is not read yet: it is behind. */
  behindAfterMs: number
  /** The newest row's timestamp is older than this while rows come: it is behind; 0: not looked at. */
  rowLagMsMax: number
}

/** Times are monotonic ms, but for those of rows. */
export interface Judgement {
  state: FeedState
  sinceMs: number
  /** Offsets up to the end of the topic as it was last seen. */
  lagRecords: number
}

/** An end of a partition that was seen and is not reached yet. */
interface EndMark {
  offset: number
  seenMs: number
}

/*
 *   offsets of a partition   |---- read ----> position        mark           end
 *                                             |               |              |
 *                                             what comes next seen at seenMs  as last seen
 *
 * A mark stays until the position is there, then the end that is known by then becomes the next one. So a reader that follows a
 * moving end is never behind, and one that stands still is, as soon as its mark is old. An open transaction holds a reader back too:
 * its records are there and must not be read.
 */
export class FeedFacts {
  readonly #limits: FeedLimits
  readonly #positions: number[]
  readonly #ends: number[]
  readonly #marks: (EndMark | undefined)[]
  #heardMs: number
  #cutSinceMs: number | undefined
  /** Rows lag since then. */
  #lateSinceMs: number | undefined
  #liveSinceMs: number
  /** Greatest timestamp of a record, ms since the epoch; undefined: none was read. */
  newestMs: number | undefined

  /** `positions`: where reading begins. */
  constructor(positions: readonly number[], limits: FeedLimits, nowMs: number) {
    this.#limits = limits
    this.#positions = [...positions]
    this.#ends = [...positions]
    this.#marks = positions.map(() => undefined)
    this.#heardMs = nowMs
    this.#liveSinceMs = nowMs
  }

  /** Records were read. `end`: the high watermark when they were fetched, -1: not known. */
  took(partition: number, nextOffset: number, end: number, newestMs: number, nowMs: number): void {
    this.#heardMs = nowMs
    this.newestMs = Math.max(this.newestMs ?? newestMs, newestMs)
    this.#move(partition, nextOffset)
    this.sawEnd(partition, end, nowMs)
    this.reached(nowMs)
  }

  /** All that may be read up to `offset` was read. */
  atEnd(partition: number, offset: number, nowMs: number): void {
    this.#move(partition, offset)
    this.reached(nowMs)
  }

  /** The partition ends at `end`, -1: not known. */
  sawEnd(partition: number, end: number, nowMs: number): void {
    this.#ends[partition] = Math.max(this.#ends[partition]!, end)
    const isMarked = this.#marks[partition] !== undefined
    if (!isMarked && end > this.#positions[partition]!) this.#marks[partition] = { offset: end, seenMs: nowMs }
  }

  /** Kafka cannot be reached. */
  cut(nowMs: number): void {
    this.#cutSinceMs ??= nowMs
  }

  /** A broker has answered for the topic. */
  reached(nowMs: number): void {
    if (this.#cutSinceMs === undefined) return
    this.#cutSinceMs = undefined
    this.#liveSinceMs = nowMs
  }

  judge(nowMs: number, wallMs: number): Judgement {
    const { staleAfterMs, behindAfterMs } = this.#limits
    const lagRecords = this.#ends.reduce((sum, end, i) => sum + Math.max(0, end - this.#positions[i]!), 0)
    const markedMs = this.#marks.reduce((least, mark) => Math.min(least, mark?.seenMs ?? least), nowMs)
    const lateSinceMs = this.#lateSince(nowMs, wallMs)
    const told = (state: FeedState, sinceMs: number): Judgement => {
      if (state !== 'live') this.#liveSinceMs = nowMs
      return { state, sinceMs, lagRecords }
    }
    if (this.#cutSinceMs !== undefined) return told('cut', this.#cutSinceMs)
    if (nowMs - markedMs >= behindAfterMs) return told('behind', markedMs)
    if (nowMs - this.#heardMs >= staleAfterMs) return told('quiet', this.#heardMs)
    if (lateSinceMs !== undefined) return told('behind', lateSinceMs)
    return told('live', this.#liveSinceMs)
  }

  #lateSince(nowMs: number, wallMs: number): number | undefined {
    const { rowLagMsMax } = this.#limits
    const isLate = rowLagMsMax > 0 && this.newestMs !== undefined && wallMs - this.newestMs > rowLagMsMax
    this.#lateSinceMs = isLate ? (this.#lateSinceMs ?? nowMs) : undefined
    return this.#lateSinceMs
  }

  #move(partition: number, position: number): void {
    this.#positions[partition] = Math.max(this.#positions[partition]!, position)
    const mark = this.#marks[partition]
    if (mark !== undefined && position >= mark.offset) this.#marks[partition] = undefined
  }
}
