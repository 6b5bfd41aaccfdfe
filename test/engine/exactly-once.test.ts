// The engine whole on memory-kafka: every row once, whatever call fails, is lost or comes late.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FaultCall } from '../../src/kafka/memory-kafka/faults.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, committedRows, PARTITIONS, TradeFeed } from '../harness/trades-in-memory.ts'

const exact = { lost: 0, duplicated: 0, wrong: 0, examples: [] }
const job = candlesJob()
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-engine-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function newKafka(): MemoryKafka {
  return createMemoryKafka({ topics: { trades: PARTITIONS } })
}

function fault(name: string, flags: { requiresAbort?: boolean; isFatal?: boolean } = {}): KafkaError {
  return new KafkaError({
    code: -1,
    name,
    message: 'injected',
    isFatal: false,
    isRetriable: false,
    requiresAbort: false,
    ...flags,
  })
}

test('a job reads to the end and gives exactly the rows of the oracle; late records are in their topic', async () => {
  const kafka = newKafka()
  const feed = new TradeFeed(kafka, 1)
  feed.append(2_000)
  const run = await startMemoryJob({ kafka, job })
  await run.done
  expect(feed.differences()).toMatchObject(exact)
  expect(committedRows(kafka, 'late')).toHaveLength(feed.oracle.lateCount)
  expect(feed.oracle.lateCount).toBeGreaterThan(20)
  expect(run.counts).toMatchObject({ in: 2_000, late: feed.oracle.lateCount, dead: 0, filtered: 0 })
  expect(run.counts.accepted + run.counts.late).toBe(2_000)
  expect(kafka.openTransactions()).toEqual([])
})

test('records that come after the end was fixed are not part of the run', async () => {
  const kafka = newKafka()
  const feed = new TradeFeed(kafka, 2)
  feed.append(500)
  const ends = Array.from({ length: PARTITIONS }, (_, partition) => kafka.offsets('trades', partition).high)
  let isFirstPoll = true
  kafka.faults.before = ({ call, client }) => {
    if (call === 'poll' && client === 'one' && isFirstPoll) {
      isFirstPoll = false
      // Between the fixing of the end and the first record read.
      for (let i = 0; i < 50; i++) {
        const trade = { sym: 'S0', price: 1, qty: 1, ts: Date.now() }
        kafka.append('trades', { key: 'S0', value: JSON.stringify(trade), partition: 0, timestampMs: trade.ts })
      }
    }
    return undefined
  }
  const run = await startMemoryJob({ kafka, job, limits: { pollRecordsMax: 10_000 } })
  await run.done
  expect(run.counts.in).toBeLessThanOrEqual(550)
  ends.forEach((end, partition) => {
    const committed = kafka.committedOffset('candles', 'trades', partition).offset
    expect(committed).toBeGreaterThanOrEqual(end)
  })
})

const calls: FaultCall[] = [
  'initTransactions',
  'begin',
  'produce',
  'flush',
  'sendOffsets',
  'commit',
  'watermarks',
  'committed',
]
const shapes = [
  ['fails before it is applied', 'before'],
  ['is applied and its answer is lost', 'after'],
  ['times out and is applied late', 'late'],
] as const

describe.each(shapes)('a call that %s', (_, shape) => {
  test.each(calls)('%s: every row is there once', async (call) => {
    const kafka = newKafka()
    const feed = new TradeFeed(kafka, 3)
    feed.append(600)
    const isOurs = (client: string): boolean => client.includes('one') || client === 'reader'
    let releaseLate = (): void => {}
    const hitCount: Partial<Record<FaultCall, number>> = { initTransactions: 1, committed: 1, produce: 4 }
    const isHit = (count: number): boolean => count === (hitCount[call] ?? 2)
    let hits = 0
    if (shape === 'after') {
      kafka.faults.after = (point) => {
        if (point.call !== call || !isOurs(point.client) || !isHit(point.count)) return
        hits++
        throw fault('_TIMED_OUT')
      }
    } else {
      kafka.faults.before = (point) => {
        if (point.call !== call || !isOurs(point.client) || !isHit(point.count)) return undefined
        hits++
        if (shape === 'before') throw fault('_TRANSPORT', { requiresAbort: true })
        return { lateUntil: new Promise<void>((resolve) => (releaseLate = resolve)) }
      }
    }
    const run = await startMemoryJob({ kafka, job })
    run.done.finally(() => releaseLate()).catch(() => {})
    while (hits === 0) await new Promise((resolve) => setImmediate(resolve))
    setImmediate(() => releaseLate())
    await run.done
    expect(feed.differences()).toMatchObject(exact)
  })
})

test('a process that takes over fences the one before it, and nothing is lost or repeated', async () => {
  const kafka = newKafka()
  const feed = new TradeFeed(kafka, 4)
  feed.append(1_500)
  const old = await startMemoryJob({ kafka, job, untilEnd: false, limits: { pollRecordsMax: 10 } })
  while ((kafka.committedOffset('candles', 'trades', 0).offset ?? 0) < 100)
    await new Promise((resolve) => setImmediate(resolve))
  const next = await startMemoryJob({ kafka, job })
  await expect(old.done).rejects.toThrow(/MR4005/)
  await next.done
  expect(feed.differences()).toMatchObject(exact)
})

test('a clean stop and a warm start go on where the last one ended', async () => {
  const kafka = newKafka()
  const feed = new TradeFeed(kafka, 5)
  const stateDir = join(folder, 'warm')
  for (let round = 0; round < 3; round++) {
    feed.append(400)
    const target = Array.from({ length: PARTITIONS }, (_, partition) => kafka.offsets('trades', partition).high)
    const run = await startMemoryJob({ kafka, job, untilEnd: false, stateDir })
    const isThere = (): boolean =>
      target.every((end, partition) => kafka.committedOffset('candles', 'trades', partition).offset === end)
    while (!isThere()) await new Promise((resolve) => setTimeout(resolve, 1))
    run.engine.stop()
    await run.done
    expect(run.rebuilds).toEqual([])
  }
  await (await startMemoryJob({ kafka, job, stateDir })).done
  expect(feed.differences()).toMatchObject(exact)
})

test('a flood of dead records stops the job after committing what it saw', async () => {
  const kafka = newKafka()
  for (let i = 0; i < 2_000; i++) kafka.append('trades', { key: 'S0', value: 'not json', partition: 0 })
  const run = await startMemoryJob({ kafka, job, limits: { deadShareMax: 0.2, deadWindow: 500 } })
  await expect(run.done).rejects.toMatchObject({ code: 'MR6001' })
  const dead = Array.from({ length: PARTITIONS }, (_, partition) => kafka.log('candles-dlq', partition).length)
  expect(dead.reduce((sum, count) => sum + count)).toBe(run.counts.dead)
  expect(run.counts.dead).toBeLessThan(2_000)
})

test.each([11, 12, 13, 14, 15, 16])('a storm of faults, seed %i: the job converges to the exact rows', async (seed) => {
  const kafka = newKafka()
  const feed = new TradeFeed(kafka, seed)
  feed.append(800)
  const random = seeded(seed)
  const late: (() => void)[] = []
  let faults = 25
  // A poll is no request whose answer can be lost: the client owns what it fetched.
  const draw = (point: { call: FaultCall; client: string }): boolean => {
    if (
      point.call === 'poll' ||
      faults === 0 ||
      !(point.client.includes('one') || point.client === 'reader') ||
      random() > 0.08
    )
      return false
    faults--
    return true
  }
  kafka.faults.before = (point) => {
    if (!draw(point)) return undefined
    if (random() < 0.5) throw fault('_TRANSPORT', { requiresAbort: random() < 0.5 })
    return { lateUntil: new Promise<void>((resolve) => late.push(resolve)) }
  }
  kafka.faults.after = (point) => {
    if (random() < 0.3) late.shift()?.()
    if (draw(point)) throw fault('_TIMED_OUT')
  }
  let isStorm = true
  while (isStorm) {
    const run = await startMemoryJob({ kafka, job, limits: { callMs: 200 } })
    isStorm = await run.done.then(
      () => false,
      () => true,
    )
  }
  for (const release of late) release()
  expect(feed.differences()).toMatchObject(exact)
})

test('a function that refuses every result row stops the job too, instead of draining the output into dead letters', async () => {
  const kafka = newKafka()
  const feed = new TradeFeed(kafka, 7)
  feed.append(3_000)
  const refusing = candlesJob('refusing', 'trades', '1s', () => {
    throw new Error('no row is good enough')
  })
  const run = await startMemoryJob({ kafka, job: refusing, limits: { deadShareMax: 0.05, deadWindow: 500 } })
  await expect(run.done).rejects.toMatchObject({ code: 'MR6001' })
  const letters = Array.from({ length: PARTITIONS }, (_, partition) => kafka.log('refusing-dlq', partition)).flat()
  expect(letters.length).toBeGreaterThan(10)
  expect(run.counts.in).toBeLessThan(3_000)
})
