// How far a task is behind. Holds SPEC: OPS-3.
import { expect, test } from 'vitest'
import { lagOf, type TaskState } from '../../src/engine/task-state.ts'

const at = (more: Partial<TaskState>): TaskState =>
  ({
    highWatermark: 11,
    processedOffset: 10,
    dispatchedOffset: 10,
    isAtEnd: false,
    endSeenOffset: -1,
    ...more,
  }) as TaskState

test.each([
  ['records that were not processed yet', { processedOffset: 4 }, 7],
  ['what comes next while the end was not seen', {}, 1],
  ['none at the end, where the last offset is that of a transaction', { isAtEnd: true, endSeenOffset: 11 }, 0],
  ['records on a lane, though the end was read', { isAtEnd: true, endSeenOffset: 11, processedOffset: 4 }, 7],
  ['records that came behind the end that was seen', { isAtEnd: true, endSeenOffset: 11, highWatermark: 15 }, 5],
] as const)('the lag is %s', (_, task, lag) => {
  expect(lagOf(at(task))).toBe(lag)
})
