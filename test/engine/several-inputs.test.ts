// Tasks that read several topics: their topics fit, their offsets are committed with one state, and are found again.
// Holds SPEC: JOIN-5, R1, RECOVER-1.
import { afterEach, expect, test } from 'vitest'
import { job, kafka, msgpack, stream } from '../../src/index.ts'
import { CRASH_STEPS } from '../../src/testing/crash-steps.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Event {
  id: string
  ts: number
  n: number
}
const events = (topic: string) => kafka(topic, { value: msgpack<Event>(), key: 'id', eventTime: 'ts' })
const built = () =>
  job('pairs')
    .from(events('left'))
    .keyBy('id')
    .join('pair', stream(events('right')).keyBy('id'), { within: '50ms', type: 'outer' }, (left, right) => ({
      left: left?.n ?? null,
      right: right?.n ?? null,
    }))
    .to(kafka('out'))

const opened: TestJob[] = []
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})

/** Rows of 60 records a side, sent in four rounds. */
async function run(
  options: Parameters<typeof testJob>[1],
  between: (t: TestJob, round: number) => void | Promise<void>,
) {
  const t = testJob(built(), options)
  opened.push(t)
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 15; i++) {
      const n = round * 15 + i
      t.send('left', { value: { id: `k${n % 7}`, ts: 1_000 + n * 20, n } })
      if (n % 3 > 0) t.send('right', { value: { id: `k${n % 7}`, ts: 1_010 + n * 20, n } })
    }
    await between(t, round)
    await t.flush()
  }
  await t.end()
  const rows = t.outputs<{ left: number | null; right: number | null }>('out').map(({ value }) => value)
  return { t, rows: rows.map(({ left, right }) => `${left}-${right}`).sort() }
}

const EXPECTED = Array.from({ length: 60 }, (_, n) => `${n}-${n % 3 > 0 ? n : null}`).sort()

test('every row is there once, whatever the partitions and lanes', async () => {
  for (const [partitions, lanes] of [
    [1, 1],
    [3, 2],
  ] as const) {
    const { t, rows } = await run({ partitions, lanes }, () => {})
    expect(rows).toEqual(EXPECTED)
    expect(t.state()).toEqual({ pair: [] })
    expect(t.counts).toMatchObject({ in: 100, late: 0, dead: 0, results: 60 })
  }
})

test.each(['memory', 'lmdb'] as const)(
  'after restarts and with a second instance it is the same, state in %s',
  async (store) => {
    const { rows } = await run({ partitions: 3, store }, async (t, round) => {
      if (round === 1) await t.restart()
      if (round > 0) await t.rebalance()
    })
    expect(rows).toEqual(EXPECTED)
  },
)

test.each(CRASH_STEPS)('a process that dies %s changes nothing', async (step) => {
  const { rows } = await run({ partitions: 2, store: 'lmdb' }, (t) => t.crashAt(step))
  expect(rows).toEqual(EXPECTED)
})
