// The Nexmark bench in a small size: each query gives what its oracle says, and one that does not is told. See also
// examples/nexmark, whose tests hold oracles and jobs.
import { expect, test } from 'vitest'
import { EventFrames } from '../../bench/lib/event-frames.ts'
import { runQuery } from '../../bench/lib/nexmark-run.ts'
import { RowBalance } from '../../bench/lib/row-balance.ts'
import { nexmarkEvents } from '../../examples/nexmark/generator.ts'
import { type Query, queries } from '../../examples/nexmark/queries.ts'

/** Several frames, commits and windows of processing time. */
const events = nexmarkEvents({ seed: 1, count: 30_000, eventsPerSecond: 1_000 })
const frames = new EventFrames(events)

/** A stateless query, windows, a running result, joins, rows that go on and rows that are taken back: every way in which rows come. */
const names = ['q2', 'q9', 'q12', 'q13', 'q17', 'q19']
const few = queries.filter(({ name }) => names.includes(name))

test.each(few)('$name', async (query) => {
  const run = await runQuery(query, frames)
  expect(run).toMatchObject({ correct: true, differences: [] })
  expect(run.rows).toBeGreaterThanOrEqual([...query.oracle(events, () => 0)].length)
  expect(run.recordsPerSecond).toBeGreaterThan(0)
  expect(run.cpuMicrosPerRecord).toBeGreaterThan(0)
})

test('a row too many, one that is missing and one that is wrong are told', async () => {
  const query = few[0]!
  const changed = (oracle: Query['oracle']): Query => ({ ...query, oracle })
  const missing = changed(function* (...given) {
    const [, ...others] = query.oracle(...given)
    yield* others
  })
  const more = changed(function* (...given) {
    yield* query.oracle(...given)
    yield { auction: 1, price: 2 }
  })
  const wrong = changed(function* (...given) {
    let index = 0
    for (const row of query.oracle(...given)) yield index++ === 3 ? { ...row, price: 0.5 } : row
  })
  expect(await runQuery(missing, frames)).toMatchObject({
    correct: false,
    differences: [expect.stringMatching(/^not expected/)],
  })
  expect(await runQuery(more, frames)).toMatchObject({
    correct: false,
    differences: [expect.stringMatching(/^missing/)],
  })
  const { correct, differences } = await runQuery(wrong, frames)
  expect([correct, differences.length]).toEqual([false, 2])
})

test('a balance counts equal rows, in any order', () => {
  const balance = new RowBalance()
  for (const row of ['a', 'b', 'a']) balance.given(row)
  for (const row of ['b', 'a']) balance.expected(row)
  expect(balance.isEven).toBe(false)
  expect(balance.examples(5)).toEqual(['not expected: a'])
  balance.expected('a')
  expect(balance.isEven).toBe(true)
  balance.expected('c')
  expect(balance.examples(5)).toEqual(['missing: c'])
})
