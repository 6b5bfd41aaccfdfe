// The limits of a job under test: those of the configuration, but for the pace, which the test sets itself. Test processes,
// main thread.
// Keeps SPEC: TEST-1.

import type { LaneLimits } from '../core/message.ts'
import type { EngineLimits } from '../engine/options.ts'
import { CONFIG_ROWS } from '../ops/config-table.ts'

/** Limits that a test may set: those of `limits.*` in the configuration that decide what becomes of a record. */
export type TestLimits = LaneLimits &
  Pick<
    EngineLimits,
    'laneBytesMax' | 'pendingOutputBytesMax' | 'pollRecordsMax' | 'pollBytesMax' | 'deadShareMax' | 'deadWindow'
  >

/**
 * An epoch ends when the test says so; while time is let pass, after so long. It is less than a transaction may take.
 */
const COMMIT_MS = 5_000
/** A stop has all the time it needs: a test's clock stands still meanwhile. */
const FLUSH_ON_STOP_MS = 60_000

/** The default of a key of the configuration. */
function configured(key: string): number {
  const row = CONFIG_ROWS.find((candidate) => candidate.key === key)
  if (typeof row?.default !== 'number') throw new RangeError(`the configuration has no number ${key}`)
  return row.default
}

export function testLimits(own: Partial<TestLimits>): TestLimits {
  const limits: TestLimits = {
    stateMemoryBytesMax: configured('limits.stateMemoryBytesMax'),
    unflushedBytesMax: configured('limits.unflushedBytesMax'),
    valueBytesMax: configured('limits.valueBytesMax'),
    keyBytesMax: configured('limits.keyBytesMax'),
    decodeDepthMax: configured('limits.decodeDepthMax'),
    decodeNodesMax: configured('limits.decodeNodesMax'),
    laneBytesMax: configured('limits.laneBytesMax'),
    pendingOutputBytesMax: configured('limits.pendingOutputBytesMax'),
    pollRecordsMax: configured('limits.pollRecordsMax'),
    pollBytesMax: configured('limits.pollBytesMax'),
    deadShareMax: configured('limits.deadShareMax'),
    deadWindow: configured('limits.deadWindow'),
  }
  return { ...limits, ...own }
}

/** What a lane takes of them. */
export function laneLimits(limits: TestLimits): LaneLimits {
  const { stateMemoryBytesMax, unflushedBytesMax, valueBytesMax, keyBytesMax, decodeDepthMax, decodeNodesMax } = limits
  return { stateMemoryBytesMax, unflushedBytesMax, valueBytesMax, keyBytesMax, decodeDepthMax, decodeNodesMax }
}

/** What an engine takes of them. */
export function engineLimits(limits: TestLimits): EngineLimits {
  return {
    ...limits,
    commitMinMs: COMMIT_MS,
    commitMaxMs: COMMIT_MS,
    catchUpRecords: configured('commit.catchUpRecords'),
    catchUpMs: COMMIT_MS,
    flushEveryMs: configured('flush.everyMs'),
    flushOnStopMs: FLUSH_ON_STOP_MS,
    trimEveryMs: configured('repartition.trimEveryMs'),
    callMs: configured('limits.callMs'),
    connectMs: configured('limits.connectMs'),
    attemptsMax: configured('limits.attemptsMax'),
    backoffMaxMs: configured('limits.backoffMaxMs'),
  }
}
