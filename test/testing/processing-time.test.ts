// Windows by processing time: the clock of whoever reads a record. Holds SPEC: WIN-11, R5.
import { count, job, json, kafka, processingTime, session, tumbling, type WindowSpec } from 'millrace'
import { testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import type { CompiledJob } from '../../src/job/plan.ts'

interface Click {
  user: string
  page: string
}
const START_MS = 1_000_000
const clicks = kafka('clicks', { value: json<Click>(), key: 'user', eventTime: processingTime() })
const click = (user: string, page = 'a') => ({ value: { user, page } })

function clicksIn(window: WindowSpec, keyField: 'user' | 'page' = 'user'): CompiledJob {
  return job('p')
    .from(clicks)
    .keyBy(keyField)
    .window('w', window)
    .aggregate({ n: count() })
    .to(kafka('out', { value: json() }))
    .build()
}

interface Row {
  user: string
  windowStart: number
  windowEnd: number
  n: number
}

test('a record is in the window of the clock, and the window closes by the clock though no record comes', async () => {
  const t = testJob(clicksIn(tumbling('10s')), { startMs: START_MS })
  t.send('clicks', click('ann'), click('ann'), click('bob'))
  await t.flush()
  await t.advanceWall(9_000)
  expect(t.outputs('out')).toEqual([])
  await t.advanceWall(1_500)
  expect(t.outputs<Row>('out').map(({ value }) => value)).toEqual([
    { user: 'ann', windowStart: START_MS, windowEnd: START_MS + 10_000, n: 2 },
    { user: 'bob', windowStart: START_MS, windowEnd: START_MS + 10_000, n: 1 },
  ])
  // The next record comes into a window that no clock has closed, however the clocks of watch and lane differ.
  t.send('clicks', click('ann'))
  await t.end()
  expect(t.outputs<Row>('out').at(-1)?.value).toMatchObject({ windowStart: START_MS + 10_000, n: 1 })
  expect(t.counts).toMatchObject({ in: 4, accepted: 4, late: 0 })
})

test('the time that records bring counts for nothing', async () => {
  const t = testJob(clicksIn(tumbling('10s')), { startMs: START_MS })
  t.send('clicks', { ...click('ann'), timestampMs: 5 }, { ...click('ann'), timestampMs: START_MS * 9 })
  await t.end()
  expect(t.outputs<Row>('out')).toMatchObject([{ value: { windowStart: START_MS, n: 2 } }])
})

test('records that move to another key keep the time at which they were read first', async () => {
  const t = testJob(clicksIn(tumbling('10s'), 'page'), { startMs: START_MS, partitions: 3 })
  t.send('clicks', click('ann', 'x'), click('bob', 'x'), click('cid', 'y'))
  await t.flush()
  await t.advanceWall(20_000)
  const rows = t.outputs<{ page: string; windowStart: number; n: number }>('out').map(({ value }) => value)
  expect(rows.sort((a, b) => (a.page < b.page ? -1 : 1))).toMatchObject([
    { page: 'x', windowStart: START_MS, n: 2 },
    { page: 'y', windowStart: START_MS, n: 1 },
  ])
})

test('sessions end by the clock', async () => {
  const t = testJob(clicksIn(session('5s')), { startMs: START_MS })
  t.send('clicks', click('ann'))
  await t.flush()
  await t.advanceWall(3_000)
  t.send('clicks', click('ann'))
  await t.flush()
  await t.advanceWall(6_000)
  expect(t.outputs<Row>('out')).toMatchObject([{ value: { user: 'ann', n: 2 } }])
  t.send('clicks', click('ann'))
  await t.end()
  expect(t.outputs<Row>('out')).toHaveLength(2)
})

test('what a restart reads again is read at another time, and what was committed stays', async () => {
  const t = testJob(clicksIn(tumbling('10s')), { startMs: START_MS })
  t.send('clicks', click('ann'))
  await t.flush()
  await t.restart()
  t.send('clicks', click('ann'))
  await t.end()
  expect(t.outputs<Row>('out')).toMatchObject([{ value: { windowStart: START_MS, n: 2 } }])
})
