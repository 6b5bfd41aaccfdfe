// How the clock of a task moves without a record: a quiet input, an event time that is told, the end. Runs on a lane.
// Keeps SPEC: R4 (the end of input is a watermark of +Infinity), R5 (a quiet input moves it by the time it has been quiet),
// TEST-3.

import type { LaneRequest } from '../core/message.ts'
import { idleWatermark } from '../core/watermark.ts'
import type { SubTopology } from '../job/topology.ts'
import type { Task } from './task.ts'

/** What moves a clock; that it did is in the marker of the epoch, with the rows that it closed. */
export type ClockRequest = Extract<LaneRequest, { op: 'idle' | 'wall' | 'advance' | 'end' }>

/**
 * Moves the clock of a task of a sub-topology, never back.
 *
 * @example
 * moveClock(task, { op: 'advance', taskId, attempt, epoch, watermarkMs: 1_000 }, sub)
 */
export function moveClock(
  task: Task,
  request: ClockRequest,
  { source: { closeOnIdle }, isHeard }: Pick<SubTopology, 'source' | 'isHeard'>,
): void {
  const before = task.watermarkMs
  switch (request.op) {
    case 'idle':
      if (!task.isIdle && isHeard) {
        task.isIdle = true
        task.isTouched = true
      }
      if (closeOnIdle === undefined) return
      task.watermarkMs = idleWatermark(before, task.eventTimeMsMax, request.elapsedMs, closeOnIdle.maxDelayMs)
      break
    case 'wall':
      return
    case 'advance':
      task.watermarkMs = Math.max(before, request.watermarkMs)
      break
    case 'end':
      if (!task.isEnded) task.isTouched = true
      task.isEnded = true
      task.watermarkMs = Number.POSITIVE_INFINITY
      break
  }
  if (task.watermarkMs > before) task.isTouched = true
}
