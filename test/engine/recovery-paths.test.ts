// Restarts over what Kafka may have lost, hidden or not yet shown. Holds SPEC: RECOVER-1, RECOVER-2, RECOVER-3, RECOVER-5,
// LANE-1, EPOCH-6.
import { expect, test } from 'vitest'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS, TradeFeed } from '../harness/trades-in-memory.ts'

const exact = { lost: 0, duplicated: 0, wrong: 0 }
const job = candlesJob()
const CHANGELOG = 'candles-changelog'
const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

/** A job that has committed all of `count` records and was stopped. */
async function stoppedAfter(count: number, seed: number): Promise<{ kafka: MemoryKafka; feed: TradeFeed }> {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, seed)
  feed.append(count)
  const run = await startMemoryJob({ kafka, job, untilEnd: false })
  await untilCommitted(kafka)
  run.engine.stop()
  await run.done
  return { kafka, feed }
}

async function untilCommitted(kafka: MemoryKafka): Promise<void> {
  const isThere = (partition: number): boolean =>
    kafka.committedOffset('candles', 'trades', partition).offset === kafka.offsets('trades', partition).high
  while (!partitions.every(isThere)) await turn()
}

test('offsets that are ahead of a changelog which lost its rows stop the job', async () => {
  const { kafka } = await stoppedAfter(300, 41)
  for (const partition of partitions) {
    kafka.deleteRecordsBefore(CHANGELOG, partition, kafka.offsets(CHANGELOG, partition).high)
  }
  const run = await startMemoryJob({ kafka, job })
  await expect(run.done).rejects.toMatchObject({ code: 'MR5004', details: { marker: 'none' } })
})

test('where the group has forgotten its offsets the marker is trusted', async () => {
  const { kafka, feed } = await stoppedAfter(300, 42)
  for (const partition of partitions) kafka.forgetOffset('candles', 'trades', partition)
  feed.append(300)
  const run = await startMemoryJob({ kafka, job })
  await run.done
  expect(run.counts.in).toBe(300)
  expect(feed.differences()).toMatchObject(exact)
})

test('while the end of a transaction does not show in the changelog yet, a restart waits for it', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, 43)
  feed.append(300)
  const first = await startMemoryJob({ kafka, job, untilEnd: false })
  await untilCommitted(kafka)
  kafka.faults.holdMarkers = (topic) => topic === CHANGELOG
  // One record is one epoch: its producer could begin no other before the markers are written.
  feed.append(1)
  await untilCommitted(kafka)
  first.engine.stop()
  await first.done
  expect(partitions.some((p) => kafka.offsets(CHANGELOG, p).stable < kafka.offsets(CHANGELOG, p).high)).toBe(true)
  feed.append(100)
  let polls = 0
  kafka.faults.before = ({ call, client }) => {
    if (call === 'poll' && client === 'reader') polls++
    return undefined
  }
  // Another process: one with the same transactional id would not get past its initialisation before the markers are there.
  const second = await startMemoryJob({ kafka, job, instanceId: 'two' })
  while (polls < 3) await turn()
  expect(second.engine.status).toBe('restoring state')
  kafka.faults.holdMarkers = undefined
  kafka.releaseMarkers()
  await second.done
  expect(second.counts.in).toBe(100)
  expect(feed.differences()).toMatchObject(exact)
})

test('input that retention deleted before it was read stops the job', async () => {
  const { kafka, feed } = await stoppedAfter(300, 44)
  const next = kafka.committedOffset('candles', 'trades', 0).offset!
  feed.append(300)
  kafka.deleteRecordsBefore('trades', 0, next + 1)
  const run = await startMemoryJob({ kafka, job })
  await expect(run.done).rejects.toMatchObject({
    code: 'MR4010',
    details: { topic: 'trades', partition: 0, offset: next, low: next + 1 },
  })
})

test('an input topic that was made anew under its old name stops the job', async () => {
  const { kafka } = await stoppedAfter(300, 47)
  const admin = await kafka.openAdmin()
  await admin.delete(['trades'], 1_000)
  kafka.createTopic('trades', PARTITIONS)
  const run = await startMemoryJob({ kafka, job })
  await expect(run.done).rejects.toMatchObject({ code: 'MR4012', details: { topic: 'trades', high: 0 } })
})

test('a lost assignment drops the epoch, and the job joins again and gives every row once', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, 45)
  feed.append(2_000)
  const run = await startMemoryJob({ kafka, job, limits: { pollRecordsMax: 10 } })
  while (run.counts.in < 100) await turn()
  kafka.expireSession('candles', 'one')
  const countThen = run.counts.in
  while (run.counts.in < countThen + 100) await turn()
  kafka.expireSession('candles', 'one')
  await run.done
  expect(feed.differences()).toMatchObject(exact)
  // Each time all partitions were told to be gone, so that nothing is shown of one that may not come back.
  expect(run.released.slice(0, PARTITIONS).sort()).toEqual(partitions.map((partition) => `0_${partition}`))
})

test('a job that cannot commit gives up after its attempts', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  new TradeFeed(kafka, 46).append(100)
  let commits = 0
  kafka.faults.before = ({ call }) => {
    if (call !== 'commit') return undefined
    commits++
    const failure = { code: -195, name: '_TRANSPORT', message: 'injected', isFatal: false, isRetriable: false }
    throw new KafkaError({ ...failure, requiresAbort: true })
  }
  const run = await startMemoryJob({ kafka, job, limits: { attemptsMax: 3, backoffMaxMs: 1 } })
  await expect(run.done).rejects.toMatchObject({ code: 'MR6002', details: { attempts: 3 } })
  expect(commits).toBe(4)
  expect(partitions.flatMap((partition) => kafka.log('rows', partition))).toEqual([])
})

test('a process whose second client had to be abandoned stops, before it waits for a third', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  new TradeFeed(kafka, 50).append(100)
  let abandoned = 1
  kafka.abandonedClients = () => abandoned
  kafka.faults.before = ({ call }) => {
    if (call !== 'commit') return undefined
    abandoned = 2
    const failure = { code: -185, name: '_TIMED_OUT', message: 'injected', isFatal: false, isRetriable: true }
    throw new KafkaError({ ...failure, requiresAbort: false })
  }
  const run = await startMemoryJob({ kafka, job })
  await expect(run.done).rejects.toMatchObject({ code: 'MR4014', details: { count: 2 } })
  expect(run.rebuilds).toHaveLength(1)
})

test('a job whose source is another topic now is refused: its offsets are of the old one', async () => {
  const { kafka } = await stoppedAfter(300, 49)
  kafka.createTopic('other-trades', PARTITIONS)
  const run = await startMemoryJob({ kafka, job: candlesJob('candles', 'other-trades', 'renamed') })
  await expect(run.done).rejects.toMatchObject({ code: 'MR1006', details: { stored: 'trades', topic: 'other-trades' } })
})
