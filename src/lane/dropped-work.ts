// The answer to work of an older attempt: nothing was done. Runs on a lane.
// Keeps SPEC: LANE-1 (work of an older attempt is dropped).

import { noCounts } from '../core/counts.ts'
import type { LaneProcessed, LaneRequest } from '../core/message.ts'

type Work = Extract<LaneRequest, { op: 'frame' | 'idle' | 'wall' | 'advance' | 'end' }>

/** `frame`: the input that goes back unread. */
export function dropped(request: Work, frame: ArrayBuffer | undefined): LaneProcessed {
  return {
    op: request.op,
    taskId: request.taskId,
    attempt: request.attempt,
    epoch: request.epoch,
    isDropped: true,
    out: undefined,
    recycled: frame,
    frameBytes: frame?.byteLength ?? 0,
    inputOffset: 0,
    watermarkMs: Number.NEGATIVE_INFINITY,
    wallTimerMs: Number.POSITIVE_INFINITY,
    counts: noCounts(),
    deadResults: 0,
    lastDead: undefined,
    moved: 0,
    sampleTimestampsMs: [],
    sampleWeight: 0,
  }
}
