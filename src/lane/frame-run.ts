// What the steps of a job share while one frame runs through them: the frame, its task, where rows go.
// Runs on a lane.
// Keeps SPEC: COUNT-1 (counts of a request are exact).

import type { FrameView, FrameWriter } from '../core/frame.ts'
import type { ChainState } from './chain-state.ts'
import type { Chunk } from './chunk.ts'

/** One object a lane, filled anew for each request. `view` is undefined for idle and end, which have no frame. */
export interface FrameRun {
  task: ChainState
  view: FrameView
  readonly out: FrameWriter
  /** Kafka timestamps of a few records, for the latency statistics. */
  readonly samplesMs: number[]
  /** The wall clock, ms since the epoch, when timers by it are looked at. */
  readonly wallMs?: number | undefined
}

/** A step of a job: sees the records of a chunk in order and may end some, change them, or write rows. */
export interface Step {
  run(chunk: Chunk, run: FrameRun): void
}

/** Gives the decoded event of a row. */
export interface ObjectSource {
  objectAt(row: number): unknown
}
