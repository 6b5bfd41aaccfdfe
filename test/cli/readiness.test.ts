// What `/readyz` says while a job is not ready. Holds SPEC: OPS-1, RESTORE-1.
import { expect, test } from 'vitest'
import { readiness } from '../../src/cli/readiness.ts'

const tasks = [{ taskId: '0_3', rows: 10, bytes: 900, remainingOffsets: 30 }]
const restore = { tasks, rows: 10, bytes: 900, remainingOffsets: 30, share: 0.2506, elapsedMs: 500, etaMs: 1_495 }
const restoring = { isRunning: false, status: 'restoring state' }

test('a restore under way is told with tasks, rows, bytes, share and the seconds that it still takes', () => {
  expect(readiness(restoring, restore, undefined)).toEqual({
    isReady: false,
    reasons: ['restoring state'],
    restore: { rows: 10, bytes: 900, remainingOffsets: 30, share: 0.25, etaSeconds: 2, tasks },
  })
  expect(readiness(restoring, { ...restore, etaMs: undefined }, undefined).restore!.etaSeconds).toBeUndefined()
})

test('a job that runs tells of no restore', () => {
  const running = { isRunning: true, status: 'running' }
  expect(readiness(running, restore, undefined)).toEqual({ isReady: true, reasons: [] })
  expect(readiness(running, undefined, 'views are being read')).toEqual({
    isReady: false,
    reasons: ['views are being read'],
  })
})
