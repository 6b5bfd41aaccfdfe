// The join bench in a small size: its rows are those of all pairs of the load.
import { expect, test } from 'vitest'
import { expectedPairs } from '../../bench/lib/join-load.ts'
import { runJoin } from '../../bench/lib/join-run.ts'

test.each([true, false])('state on disk: %s', async (isOnDisk) => {
  const load = { records: 400_000, keys: 2_000, live: 2_500, rate: 5_000 }
  const expected = expectedPairs(load)
  const { pairs, liveRecords } = await runJoin(load, isOnDisk)
  expect(pairs).toEqual(expected)
  expect(expected.count).toBeGreaterThan(100_000)
  expect(liveRecords).toBeGreaterThan(4_000)
})
