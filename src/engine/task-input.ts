// What a task takes of a poll: the next records of its partition, up to its end. Main thread.
// Keeps SPEC: R4 (records after the end are not part of the run), LANE-2 (offsets go up).

import { FrameView } from '../core/frame.ts'
import type { SourceBatch } from '../kafka/port.ts'
import { cutFrame } from './input-end.ts'
import type { TaskState } from './task-state.ts'

/**
 * Notes a batch as handed over and gives its frame, cut at the end of the input; undefined when nothing of it is before
 * that. Throws when its records came before.
 */
export function takeBatch(task: TaskState, batch: SourceBatch, nowMs: number): ArrayBuffer | undefined {
  const { frame, partition, nextOffset } = batch
  const view = new FrameView(frame)
  const first = view.offset(view.firstAt)
  if (first < task.dispatchedOffset) {
    throw new Error(`partition ${partition}: offset ${first} came again, ${task.dispatchedOffset} was next`)
  }
  task.highWatermark = Math.max(task.highWatermark, view.highWatermark, nextOffset)
  task.isAtEnd = false
  task.isIdleSent = false
  task.isAwaited = true
  task.lastRecordMs = nowMs
  const isCut = task.endOffset !== undefined && nextOffset > task.endOffset
  task.dispatchedOffset = isCut ? task.endOffset! : nextOffset
  return isCut ? cutFrame(frame, task.endOffset!) : frame
}
