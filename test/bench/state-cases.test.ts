// The state bench in a small size: more keys than fit give all their results, within the limit of memory.
// Holds SPEC: LIMIT-1.
import { expect, test } from 'vitest'
import { stateCases } from '../../bench/lib/state-cases.ts'
import { runStateCase } from '../../bench/lib/state-run.ts'
import { testLimits } from '../../src/testing/test-limits.ts'

const KEYS = 20_000
const LIMITS = testLimits({ stateMemoryBytesMax: 1_500_000, unflushedBytesMax: 4 << 20 })

test.each(stateCases(KEYS).map((one) => [one.name, one] as const))('%s', async (_, one) => {
  const run = await runStateCase(one, LIMITS)
  expect(run).toMatchObject({ problem: undefined, excessBytesMax: 0, isFlushedInTime: true })
  expect(run.flushedStateBytesMax).toBeGreaterThan(0)
  expect(run.evictedRows).toBeGreaterThan(KEYS / 4)
  expect(run.stateBytesMax).toBeGreaterThan(LIMITS.stateMemoryBytesMax)
})

test('a result that is wrong, missing or there twice is found', async () => {
  const [running] = stateCases(100)
  expect(running!.problem()).toContain('100 of 100 keys')
  const run = await runStateCase(running!, LIMITS)
  expect(run.problem).toBeUndefined()
  await runStateCase(running!, LIMITS)
  expect(running!.problem()).toContain('are wrong')
})
