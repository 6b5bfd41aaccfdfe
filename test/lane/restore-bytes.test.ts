// How much of a restore may wait in memory. Holds SPEC: RESTORE-3.
import { expect, test } from 'vitest'
import { restoreBytesMax } from '../../src/lane/restore.ts'

const MIB = 1 << 20
const limits = { stateMemoryBytesMax: 256 * MIB, unflushedBytesMax: 16 * MIB }

test.each([
  [1, 64],
  [2, 64],
  [4, 32],
  [8, 16],
  [64, 16],
])('of %i tasks each keeps %i MiB at most', (taskCount, mebibytes) => {
  expect(restoreBytesMax(limits, taskCount)).toBe(mebibytes * MIB)
})
