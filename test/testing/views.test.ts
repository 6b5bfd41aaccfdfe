// Views in the test driver, against the store of the push server. Holds SPEC: TEST-8.
import fc from 'fast-check'
import { testJob } from 'millrace/test'
import { expect, it } from 'vitest'
import { historyPlace } from '../../src/core/history-key.ts'
import { count, job, kafka, msgpack, tumbling } from '../../src/index.ts'
import { HistoryStore, timeOf } from '../../src/push/history-store.ts'
import { ViewStore } from '../../src/push/view-store.ts'

interface Tick {
  key: string
  ts: number
}

const LIMITS = { viewRowsMax: 10_000, viewBytesMax: 1 << 24, recentRowsMax: 100 }
const windowed = job('j')
  .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '5ms' }))
  .keyBy('key')
  .window('w', tumbling('10ms', { grace: '5ms' }))
  .aggregate({ n: count() })
const candles = windowed.toView('all', { history: '40ms' }).toView('last', { keep: '40ms' })

const ticks = fc
  .array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), ts: fc.nat(15) }), { minLength: 1, maxLength: 50 })
  .map((list) => list.map((one, i) => ({ ...one, ts: one.ts + 4 * i + (i % 13 === 12 ? 60 : 0) })))

it('shows what the push server shows', async () => {
  await fc.assert(
    fc.asyncProperty(ticks, async (list) => {
      const t = testJob(candles, { partitions: 3 })
      t.send('in', ...list.map((value) => ({ value })))
      await t.flush()
      const newest = new ViewStore('all', [0], LIMITS)
      const history = new HistoryStore('all', [0], LIMITS)
      t.outputs('all').forEach(({ key, value, timestampMs }, offset) => {
        const json = value === undefined ? undefined : JSON.stringify(value)
        history.apply({ key: key!, partition: 0, offset, timestampMs, json }, historyPlace(key!)!, newest)
      })
      const shown = new Map([...newest.rows].map(([key, { json }]) => [key, JSON.parse(json)]))
      expect(new Map([...t.view('all')].map(([key, { value }]) => [key, value]))).toEqual(shown)
      for (const key of ['a', 'b', 'c']) {
        const rows = history.between(key, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)
        const found = t.history('all', key)
        expect(found.map(({ timeMs, value }) => [timeMs, value])).toEqual(
          rows.map((row) => [timeOf(row), JSON.parse(row.json)]),
        )
        expect(t.view('all').get(key)?.value).toEqual(found.at(-1)?.value)
      }
      expect(t.view('last').size).toBeLessThanOrEqual(3)
    }),
    { numRuns: 40 },
  )
})

it('a view without history has none, and says so', async () => {
  const t = testJob(candles)
  t.send('in', { value: { key: 'a', ts: 1 } }, { value: { key: 'a', ts: 12 } })
  await t.flush()
  expect(t.history<{ n: number }>('all', 'a').map(({ key, timeMs, value }) => [key, timeMs, value.n])).toEqual([
    ['a', 0, 1],
    ['a', 10, 1],
  ])
  expect([...t.view('all')]).toMatchObject([['a', { key: 'a', value: { windowStart: 10 } }]])
  expect(() => t.history('last', 'a')).toThrow('the view last has no history')
  expect(() => t.history('none', 'a')).toThrow('the job has no view none')
})
