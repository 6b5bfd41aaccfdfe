// Task positions for tests of state. Quick.
// Keeps SPEC: STATE-1.

import type { TaskPosition } from '../../src/core/message.ts'

/** A position of task 0_0 that tells its epoch in every number. */
export function positionAt(epoch: number): TaskPosition {
  const counts = { in: epoch, expanded: 0, accepted: epoch, late: 0, dead: 0, filtered: 0, refused: 0, results: 0 }
  const watermarkMs = epoch === 0 ? Number.NEGATIVE_INFINITY : epoch * 10
  return {
    taskId: '0_0',
    epoch,
    instanceId: 'i',
    inputOffset: epoch * 100,
    watermarkMs,
    eventTimeMsMax: watermarkMs,
    isEnded: false,
    source: 'trades',
    planHash: 'p',
    counts,
  }
}
