// What the records of an epoch have come to, until its commit: their counts, and samples for the latency. Main thread.
// Keeps SPEC: COUNT-1 (the counts of an epoch add up before its commit), METRIC-4.

import { addCounts, countsAddUp, noCounts } from '../core/counts.ts'
import { MillraceError } from '../core/errors.ts'
import type { LaneProcessed, TaskCounts } from '../core/message.ts'
import type { LatencySample } from './options.ts'
import type { TaskState } from './task-state.ts'

export class EpochTally {
  #samples: LatencySample[] = []
  #counts: TaskCounts = noCounts()

  add(task: TaskState, { counts, sampleTimestampsMs, sampleWeight: weight }: LaneProcessed): void {
    addCounts(this.#counts, counts)
    if (task.isLast) for (const timestampMs of sampleTimestampsMs) this.#samples.push({ timestampMs, weight })
  }

  /** What there is so far; from here on it is another epoch's. */
  take(): { samples: readonly LatencySample[]; counts: TaskCounts } {
    const taken = { samples: this.#samples, counts: this.#counts }
    this.#samples = []
    this.#counts = noCounts()
    return taken
  }
}

/** Throws MR6005 when the counts of an epoch do not add up. */
export function checkCounts(counts: TaskCounts, tasks: readonly TaskState[]): void {
  if (countsAddUp(counts)) return
  throw new MillraceError('MR6005', { task: tasks.map((task) => task.taskId).join(','), ...counts })
}
