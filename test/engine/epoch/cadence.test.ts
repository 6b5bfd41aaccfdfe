// Golden table of the cadence: facts in, decision in the last column.
import { expect, test } from 'vitest'
import { type CadenceFacts, decideCadence } from '../../../src/engine/epoch/cadence.ts'

const limits = { commitMinMs: 5, commitMaxMs: 100, catchUpRecords: 1_000, catchUpMs: 250 }
const quiet: CadenceFacts = {
  hasWork: true,
  sinceCutMs: 0,
  partitionCount: 4,
  lagRecords: 0,
  pendingShare: 0,
  isAwaited: false,
}

test.each([
  ['nothing to commit is idle, however long ago', { hasWork: false, sinceCutMs: 9_999 }, { kind: 'idle' }],
  ['nothing to commit is idle while stopping', { hasWork: false, isAwaited: true }, { kind: 'idle' }],
  ['work waits out the shortest interval', { sinceCutMs: 2 }, { kind: 'wait', delayMs: 3 }],
  ['work is cut at the shortest interval', { sinceCutMs: 5 }, { kind: 'cut' }],
  ['many partitions stretch the interval', { partitionCount: 64, sinceCutMs: 5 }, { kind: 'wait', delayMs: 27 }],
  ['the stretch ends at the longest interval', { partitionCount: 4_000, sinceCutMs: 100 }, { kind: 'cut' }],
  ['a backlog is caught up with in long epochs', { lagRecords: 1_001, sinceCutMs: 5 }, { kind: 'wait', delayMs: 245 }],
  ['a backlog at the limit is none', { lagRecords: 1_000, sinceCutMs: 5 }, { kind: 'cut' }],
  ['half-full results are cut at once', { pendingShare: 0.5, lagRecords: 9_999 }, { kind: 'cut' }],
  ['a stop or a caller that waits cuts at once', { isAwaited: true, lagRecords: 9_999 }, { kind: 'cut' }],
] as const)('%s', (_, facts, decision) => {
  expect(decideCadence({ ...quiet, ...facts }, limits)).toEqual(decision)
})
