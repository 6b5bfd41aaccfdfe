// The rules of time of docs/guide/time.md, on a few visitors each. Run: npx vitest run examples/time
import { job, json, kafka, processingTime, recordTime, sum, tumbling } from 'millrace'
import { type TestJob, testJob } from 'millrace/test'
import { expect, test } from 'vitest'

interface Visit {
  door: string
  hall: string
  people: number
  /** When they came in, ms since the epoch. */
  at: number
}

const visits = job('visits')
  .from(kafka('visits', { value: json<Visit>(), key: 'door', eventTime: 'at', outOfOrder: '5s' }))
  .keyBy('door')
  .window('10s', tumbling('10s'))
  .aggregate({ people: sum('people') })
  .late(kafka('visits-late'))
  .to(kafka('people', { value: json() }))

/** People who came in at a second of event time, through the north door unless another one is said. */
const came = (second: number, people: number, door = 'north') => ({
  value: { door, hall: 'main', people, at: second * 1_000 },
})

/** The windows that a job has given so far, as `first second to last second: people`. */
function windows(t: TestJob): string[] {
  return t
    .outputs<{ windowStart: number; windowEnd: number; people: number }>('people')
    .map(({ value: { windowStart, windowEnd, people } }) => `${windowStart / 1_000} to ${windowEnd / 1_000}: ${people}`)
}

test('a record counts where its event time is, whenever it comes', async () => {
  const t = testJob(visits)
  t.send('visits', came(3, 1), came(12, 4), came(7, 2)) // 7 comes behind 12
  await t.end()
  expect(windows(t)).toEqual(['0 to 10: 3', '10 to 20: 4'])
})

test('the watermark is the greatest event time seen, less outOfOrder', async () => {
  const t = testJob(visits)
  const watermarks: number[] = []
  for (const second of [3, 12, 7, 14, 15]) {
    t.send('visits', came(second, 1))
    await t.flush()
    watermarks.push(t.watermarkMs / 1_000)
  }
  expect(watermarks).toEqual([-2, 7, 7, 9, 10])
  expect(windows(t)).toEqual(['0 to 10: 2']) // closed by the record of second 15, not of 12
})

test('a record that a filter drops moves the watermark, one without a time does not', async () => {
  const t = testJob(
    job('visits')
      .from(kafka('visits', { value: json<Visit>(), key: 'door', eventTime: 'at' }))
      .filter((visit) => visit.people > 0)
      .keyBy('door')
      .window('10s', tumbling('10s'))
      .aggregate({ people: sum('people') })
      .to(kafka('people', { value: json() })),
  )
  t.send('visits', came(3, 1), { value: { door: 'north', people: 1 } }, came(12, 0))
  await t.flush()
  expect(t.watermarkMs).toBe(12_000)
  expect(windows(t)).toEqual(['0 to 10: 1'])
  expect(t.dead()).toMatchObject([{ code: 'MR2006' }])
})

test('outOfOrder is how far a record may be behind and still be on time', async () => {
  const t = testJob(visits)
  t.send('visits', came(14.999, 1), came(9.999, 2)) // the watermark is 9.999: the window is open
  t.send('visits', came(15, 4), came(9.999, 8)) // it is 10: the window is closed
  await t.end()
  expect(windows(t)).toEqual(['0 to 10: 2', '10 to 20: 5'])
  expect(t.counts).toMatchObject({ accepted: 3, late: 1 })
})

test('grace keeps a window open, and leaves the watermark as it is', async () => {
  const t = testJob(
    job('visits')
      .from(kafka('visits', { value: json<Visit>(), key: 'door', eventTime: 'at' }))
      .keyBy('door')
      .window('10s', tumbling('10s', { grace: '5s' }))
      .aggregate({ people: sum('people') })
      .to(kafka('people', { value: json() }))
      .toView('doors', { emit: 'updates' }),
  )
  t.send('visits', came(3, 1), came(14, 2), came(7, 4))
  await t.flush()
  expect(t.watermarkMs).toBe(14_000) // outOfOrder is 0
  expect(windows(t)).toEqual([]) // 10 + 5 is not reached
  t.send('visits', came(15, 8), came(9, 16))
  await t.flush()
  expect(windows(t)).toEqual(['0 to 10: 5'])
  expect(t.counts).toMatchObject({ accepted: 4, late: 1 })
})

test('a late record goes to the late topic, as it came, and says why', async () => {
  const t = testJob(visits)
  t.send('visits', came(3, 1), came(21, 2), { ...came(9, 4), headers: { trace: 'x' } })
  await t.flush()
  expect(windows(t)).toEqual(['0 to 10: 1'])
  expect(t.late()).toMatchObject([
    {
      key: 'north',
      value: { people: 4, at: 9_000 },
      windowStartMs: 0,
      windowEndMs: 10_000,
      watermarkMs: 16_000, // 21 s less 5 s
      lateByMs: 6_000, // behind the end of its window
      headers: { trace: 'x', 'millrace-source-topic': 'visits', 'millrace-source-offset': '2' },
    },
  ])
})

test('a record behind the watermark is on time while its window is open', async () => {
  const t = testJob(visits)
  t.send('visits', came(18, 1), came(11, 2)) // the watermark is 13; the window from 10 to 20 is open
  await t.end()
  expect(windows(t)).toEqual(['10 to 20: 3'])
  expect(t.counts).toMatchObject({ accepted: 2, late: 0 })
})

test('each partition has a watermark of its own', async () => {
  const t = testJob(visits, { partitions: 2 })
  t.send('visits', { ...came(3, 1, 'north'), partition: 0 }, { ...came(4, 2, 'south'), partition: 1 })
  t.send('visits', { ...came(60, 4, 'north'), partition: 0 })
  await t.flush()
  expect(windows(t)).toEqual(['0 to 10: 1']) // of north alone: the watermark of partition 1 is -1
  t.send('visits', { ...came(8, 8, 'south'), partition: 1 }, { ...came(15, 16, 'south'), partition: 1 })
  await t.flush()
  expect(windows(t)).toEqual(['0 to 10: 1', '0 to 10: 10'])
  expect(t.counts).toMatchObject({ late: 0 })
})

const byHall = job('by-hall')
  .from(kafka('visits', { value: json<Visit>(), key: 'door', eventTime: 'at', outOfOrder: '5s', idleAfter: '10s' }))
  .keyBy('hall') // not the Kafka key: the records move
  .window('10s', tumbling('10s'))
  .aggregate({ people: sum('people') })
  .late(kafka('visits-late'))
  .to(kafka('people', { value: json() }))

test('behind a repartition the slowest source partition counts', async () => {
  const t = testJob(byHall, { partitions: 2 })
  t.send('visits', { ...came(3, 1), partition: 0 }, { ...came(4, 2), partition: 1 })
  t.send('visits', { ...came(3_600, 4), partition: 0 }) // an hour ahead
  t.send('visits', { ...came(9, 8), partition: 1 }) // on time in its own partition
  await t.flush()
  expect(windows(t)).toEqual([])
  t.send('visits', { ...came(15, 16), partition: 1 }) // now both are past 10
  await t.flush()
  expect(windows(t)).toEqual(['0 to 10: 11'])
  expect(t.counts).toMatchObject({ late: 0 })
})

test('a source partition without records is waited for no longer than idleAfter', async () => {
  const t = testJob(byHall, { partitions: 2 })
  t.send('visits', { ...came(3, 1), partition: 0 }, { ...came(4, 2), partition: 1 })
  await t.advanceWall(9_000)
  t.send('visits', { ...came(60, 4), partition: 0 })
  await t.flush()
  expect(windows(t)).toEqual([]) // partition 1 has been quiet for 9 s: it is waited for
  await t.advanceWall(1_100)
  expect(windows(t)).toEqual(['0 to 10: 3']) // for more than 10 s: the others go on without it
  t.send('visits', { ...came(5, 8), partition: 1 })
  await t.flush()
  expect(t.late()).toMatchObject([{ value: { people: 8 }, windowEndMs: 10_000 }])
})

test('a source that pauses as a whole and comes back makes nothing late', async () => {
  const t = testJob(byHall, { partitions: 2 })
  t.send('visits', { ...came(3, 1), partition: 0 }, { ...came(4, 2), partition: 1 })
  await t.advanceWall(60_000) // both are quiet
  t.send('visits', { ...came(60, 4), partition: 0 })
  await t.flush()
  t.send('visits', { ...came(5, 8), partition: 1 }) // was waited for again
  await t.end()
  expect(windows(t)).toEqual(['0 to 10: 11', '60 to 70: 4'])
  expect(t.counts).toMatchObject({ late: 0 })
})

const closing = job('closing')
  .from(
    kafka('visits', {
      value: json<Visit>(),
      key: 'door',
      eventTime: 'at',
      outOfOrder: '5s',
      idleAfter: '10s',
      closeOnIdle: { maxDelay: '20s' },
    }),
  )
  .keyBy('door')
  .window('10s', tumbling('10s'))
  .aggregate({ people: sum('people') })
  .late(kafka('visits-late'))
  .to(kafka('people', { value: json() }))

test('with closeOnIdle the last window closes though no record comes', async () => {
  const t = testJob(closing)
  t.send('visits', came(3, 1))
  await t.advanceWall(26_900) // 3 + 26.9 - 20 = 9.9
  expect(windows(t)).toEqual([])
  await t.advanceWall(200)
  expect(windows(t)).toEqual(['0 to 10: 1'])
})

test('without closeOnIdle it stays open, however long the input is quiet', async () => {
  const t = testJob(visits)
  t.send('visits', came(3, 1))
  await t.advanceWall(3_600_000)
  expect(windows(t)).toEqual([])
  expect(t.watermarkMs).toBe(-2_000)
})

test('a time far ahead of its record is dead, and closes nothing', async () => {
  const t = testJob(visits)
  t.send('visits', came(3, 1), { ...came(4_102_444_800, 1), timestampMs: 4_000 }, came(7, 2)) // of the year 2100
  await t.end()
  expect(windows(t)).toEqual(['0 to 10: 3'])
  expect(t.dead()).toMatchObject([{ code: 'MR2004', source: { offset: 1 } }])
})

test('a time far behind its record is dead with maxPast', async () => {
  const t = testJob(
    job('visits')
      .from(kafka('visits', { value: json<Visit>(), key: 'door', eventTime: 'at', maxPast: '1h' }))
      .keyBy('door')
      .window('10s', tumbling('10s'))
      .aggregate({ people: sum('people') })
      .to(kafka('people', { value: json() })),
  )
  t.send('visits', { ...came(0, 1), timestampMs: 3_600_000 }, { ...came(0, 2), timestampMs: 3_600_001 })
  await t.end()
  expect(windows(t)).toEqual(['0 to 10: 1'])
  expect(t.dead()).toMatchObject([{ code: 'MR2004', value: { people: 2 } }])
})

test('recordTime and processingTime take another clock', async () => {
  const by = (eventTime: ReturnType<typeof recordTime> | ReturnType<typeof processingTime>) =>
    job('visits')
      .from(kafka('visits', { value: json<Visit>(), key: 'door', eventTime }))
      .keyBy('door')
      .window('10s', tumbling('10s'))
      .aggregate({ people: sum('people') })
      .to(kafka('people', { value: json() }))
  const record = { ...came(3, 1), timestampMs: 25_000 } // happened at 3, written at 25, read at 40
  const byRecord = testJob(by(recordTime()), { startMs: 40_000 })
  byRecord.send('visits', record)
  await byRecord.end()
  expect(windows(byRecord)).toEqual(['20 to 30: 1'])
  const byClock = testJob(by(processingTime()), { startMs: 40_000 })
  byClock.send('visits', record)
  await byClock.end()
  expect(windows(byClock)).toEqual(['40 to 50: 1'])
})

test('the end of the input closes all windows, for good', async () => {
  const t = testJob(visits)
  t.send('visits', came(3, 1), came(12, 2))
  await t.end()
  expect(windows(t)).toEqual(['0 to 10: 1', '10 to 20: 2'])
  await t.restart()
  t.send('visits', came(100, 4))
  await t.flush()
  expect(t.late()).toMatchObject([{ watermarkMs: Infinity, lateByMs: Infinity }])
})

test('a restart changes nothing', async () => {
  const records = [came(3, 1), came(12, 2), came(21, 4), came(8, 8), came(14, 16)]
  const straight = testJob(visits)
  straight.send('visits', ...records)
  await straight.end()
  const restarted = testJob(visits)
  for (const record of records) {
    restarted.send('visits', record)
    await restarted.restart()
  }
  expect(restarted.watermarkMs).toBe(16_000) // kept, though the last record is of second 14
  await restarted.end()
  expect(restarted.outputs()).toEqual(straight.outputs())
  expect(restarted.late()).toEqual(straight.late())
  expect(restarted.late()).toHaveLength(1)
})

test('a restart does not undo what a quiet input has closed', async () => {
  const t = testJob(closing)
  t.send('visits', came(3, 1))
  await t.advanceWall(30_000)
  expect(windows(t)).toEqual(['0 to 10: 1'])
  await t.restart()
  t.send('visits', came(9, 2))
  await t.end()
  expect(windows(t)).toEqual(['0 to 10: 1'])
  expect(t.late()).toMatchObject([{ value: { people: 2 } }])
})
