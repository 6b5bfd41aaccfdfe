// What a task hands over when an epoch is cut: changed rows and its marker, and word to those behind a repartition topic.
// Runs on a lane.
// Keeps SPEC: STATE-1 (rows leave only with a seal), LANE-4 (positions), R1 (every moved watermark is told at the commit).

import type { FrameWriter } from '../core/frame.ts'
import type { TaskPosition } from '../core/message.ts'
import type { Plan } from '../job/plan.ts'
import { inputTopics } from '../job/topology.ts'
import type { TaskStore } from '../state/contract.ts'
import { MARKER_KEY } from '../state/keys.ts'
import type { Pipeline } from './compile.ts'
import { encodeMarker } from './marker.ts'
import type { Task } from './task.ts'

/** The rows of a home that changed, then its marker. */
export function sealState(
  task: Task,
  store: TaskStore,
  position: TaskPosition,
  changelog: FrameWriter,
  topicIndex: number,
): void {
  const { epoch } = position
  for (const table of task.allTables) table.seal(epoch, changelog, topicIndex, task.partition)
  changelog.append(topicIndex, task.partition, -1, MARKER_KEY, encodeMarker(position))
  store.sealed(epoch, position)
  task.sealedEpochs.push(epoch)
}

/** Tells the partitions of the unit's repartition topics how far the chains have come that a task keeps. */
export function tellNext(
  plan: Plan,
  pipeline: Pipeline,
  task: Task,
  out: FrameWriter,
  partitionCounts: readonly number[],
): void {
  for (const { chain, of } of pipeline.repartitions) {
    const state = pipeline.keptBy(task, chain)
    if (state === undefined) continue
    of.mark(state, task.inputOffset, out, partitionCounts[inputTopics(plan).indexOf(of.topic)] ?? 0)
  }
}
