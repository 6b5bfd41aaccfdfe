// Where the records of two streams meet: a step at the end of each, a clock that takes the slower of both, and the records that
// come of it. Runs on a lane.
// Keeps SPEC: R1 (a task with several inputs takes the minimum over those that are not idle or ended).

import type { SlabTable } from '../../state/contract.ts'
import type { ChainState, TableLayout } from '../chain-state.ts'
import type { FrameRun, Step } from '../frame-run.ts'

export interface Meeting {
  /** The last step but one of each stream: left, right. */
  readonly sides: readonly [Step, Step]
  /** Of a task that keeps its state. */
  readonly tables?: readonly TableLayout[]
  /** What it passes on is at most this far behind its own clock. */
  readonly delayMs: number
  /** Looks at a task that is about to run; `tables`: those that it asked for. */
  open?(state: ChainState, tables: readonly SlabTable[]): void
  /** Does what `watermarkMs`, the clock of both streams, makes due. */
  advance(run: FrameRun, state: ChainState, watermarkMs: number): void
}

/** Moves the clock of a stream to record `row`, and the clock of both with it. Gives that of both. Hot. */
export function moveSide(
  stream: ChainState,
  state: ChainState,
  side: 0 | 1,
  timeMs: number,
  watermarkMs: number,
): number {
  if (timeMs > stream.eventTimeMsMax) stream.eventTimeMsMax = timeMs
  if (watermarkMs > stream.watermarkMs) stream.watermarkMs = watermarkMs
  return state.clocks!.set(side, stream.watermarkMs, false)
}
