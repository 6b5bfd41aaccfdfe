// What the stateful operators of a lane have in common. Runs on a lane.
// Keeps SPEC: R3 (what the clock makes due comes before the next record).

import type { ChainState } from '../chain-state.ts'
import type { FrameRun, Step } from '../frame-run.ts'
import type { Accumulators } from './accumulators.ts'
import type { ChangedRows } from './changed-rows.ts'
import type { LateRecords } from './late.ts'
import type { ResultSinks } from './result-sinks.ts'

/** What every aggregate operator is made of. */
export interface AggregateParts {
  outOfOrderMs: number
  accumulators: Accumulators
  sinks: ResultSinks
  changed: ChangedRows
  late: LateRecords | undefined
  /** Records of a chunk, at most. */
  capacity: number
}

/** What keeps state and follows the clock. */
export interface StatefulPart {
  /** Looks at a task that is about to run: its table and clock are those of its position. */
  open?(task: ChainState): void
  /** Closes what the task's watermark has passed; at the end of a frame, when idle, at the end of input. */
  advance(run: FrameRun): void
  /** The first time of the wall clock that it waits for in a task, +Infinity: none. */
  wallTimerMs?(task: ChainState): number
}

/** An operator with state. */
export interface StatefulStep extends Step, StatefulPart {}
