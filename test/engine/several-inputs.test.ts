// Tasks that read several topics: their topics fit, their offsets are committed with one state, and are found again.
// Holds SPEC: JOIN-5, MEET-1, TABLE-1, R1, RECOVER-1.

import { unpack } from 'msgpackr'
import { afterEach, expect, test } from 'vitest'
import { encodeValue } from '../../src/codec/encode.ts'
import { job, kafka, msgpack, stream, table } from '../../src/index.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { CRASH_STEPS } from '../../src/testing/crash-steps.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'
import { startMemoryJob } from '../harness/memory-job.ts'

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

test('a table is read to the end that it has at the start before the stream that is joined with it', async () => {
  const kafkaNow = createMemoryKafka({ topics: { clicks: 2, users: 2 } })
  const writer = (topic: string, i: number, value: unknown): void => {
    kafkaNow.append(topic, {
      key: Buffer.from(`k${i}`),
      value: encodeValue('msgpack', value),
      timestampMs: 1_000,
      headers: [],
    })
  }
  for (let i = 0; i < 40; i++) writer('clicks', i, { id: `k${i}`, ts: 1_000, n: i })
  for (let i = 0; i < 400; i++) writer('users', i % 40, { id: `k${i % 40}`, ts: 1_000, n: i })
  const compiled = job('visits')
    .from(events('clicks'))
    .keyBy('id')
    .joinTable('who', table(events('users')), {}, (click, user) => ({ n: click.n, user: user.n }))
    .to(kafka('out'))
    .build()
  const run = await startMemoryJob({ kafka: kafkaNow, job: compiled, untilEnd: true, limits: { pollRecordsMax: 7 } })
  await run.done
  const rows = [0, 1].flatMap((partition) =>
    kafkaNow
      .log('out', partition)
      .flatMap(({ value }) => (value === undefined ? [] : [unpack(value) as { n: number; user: number }])),
  )
  expect(rows.sort((a, b) => a.n - b.n)).toEqual(Array.from({ length: 40 }, (_, n) => ({ n, user: 360 + n })))
})

test('after a pause of both streams each is waited for, for idleAfter: what one of them has first makes nothing of the other late', async () => {
  const quick = (topic: string) =>
    kafka(topic, { value: msgpack<Event>(), key: 'id', eventTime: 'ts', idleAfter: '2s' })
  const t = testJob(
    job('pairs')
      .from(quick('left'))
      .keyBy('id')
      .join('pair', stream(quick('right')).keyBy('id'), { within: '100ms', type: 'left' }, (left, right) => [
        left.n,
        right?.n ?? null,
      ])
      .to(kafka('out')),
  )
  opened.push(t)
  const send = (topic: string, ts: number, n: number): void => t.send(topic, { value: { id: 'a', ts, n } })
  const rows = (): unknown[] => t.outputs('out').map(({ value }) => value)
  for (const topic of ['left', 'right']) send(topic, 1_000, 1)
  await t.flush()
  await t.advanceWall(3_000)
  for (const round of [1, 2]) {
    const ts = round * 10_000
    send('left', ts, round * 10)
    send('left', ts + 500, round * 10 + 1)
    await t.process()
    send('right', ts - 50, round * 10)
    await t.flush()
    expect(rows()).toContainEqual([round * 10, round * 10])
    // The right one has no more: it holds the left one back no longer than idleAfter.
    expect(rows()).not.toContainEqual([round * 10 + 1, null])
    send('left', ts + 1_000, round * 10 + 2)
    await t.flush()
    await t.advanceWall(1_500)
    send('left', ts + 1_001, round * 10 + 3)
    await t.flush()
    await t.advanceWall(1_000)
    expect(rows()).toContainEqual([round * 10 + 1, null])
    await t.advanceWall(3_000)
    if (round === 1) await t.restart()
  }
  expect(t.counts).toMatchObject({ late: 0 })
})
