// The join bench in a small size: its rows are those of all pairs of the load.
import { expect, test } from 'vitest'
import { expectedPairs } from '../../bench/lib/join-load.ts'
import { runJoin } from '../../bench/lib/join-run.ts'

test.each([true, false])('state on disk: %s', async (isOnDisk) => {
  const load = { records: 40_000, keys: 500, live: 2_500, rate: 5_000 }
  const expected = expectedPairs(load)
  const { pairs, liveRows } = await runJoin(load, isOnDisk)
  expect(pairs).toEqual(expected)
  expect(expected.count).toBeGreaterThan(10_000)
  expect(liveRows).toBeGreaterThan(4_000)
})
