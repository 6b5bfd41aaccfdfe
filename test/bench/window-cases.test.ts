// The window bench in a small size: the rows of each kind hold every record as often as it is in a window.
import { expect, test } from 'vitest'
import { runWindowCase, windowCases } from '../../bench/lib/window-cases.ts'

test.each(windowCases().map((one) => [one.name, one] as const))('%s', async (_, one) => {
  const run = await runWindowCase(one, { records: 20_000, keys: 50, rate: 2_000 })
  expect(run).toMatchObject({ taken: run.expected, isCorrect: true })
  expect(run.expected).toBeGreaterThanOrEqual(20_000)
})
