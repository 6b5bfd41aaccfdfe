// State and offsets after restarts, where they are most likely to disagree: 32 partitions whose markers appear late and each
// at its own time, every epoch flushed, every row evicted, and processes that die at a commit. Holds SPEC: RECOVER-1.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, TradeFeed } from '../harness/trades-in-memory.ts'

const PARTITIONS = 32
const ROUNDS = 6
const RECORDS_A_ROUND = 640
/** Every epoch is over the limit of what may be unflushed, and no row may stay in memory. */
const FORCED = { unflushedBytesMax: 1, flushEveryMs: 10, pollRecordsMax: 40, attemptsMax: 100 }
const job = candlesJob()
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-disagree-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Markers stay away from half of the partitions, drawn anew each time, until some later turn. */
function delayMarkers(kafka: MemoryKafka, random: () => number): () => void {
  kafka.faults.holdMarkers = () => random() < 0.5
  const timer = setInterval(() => {
    if (random() < 0.5) kafka.releaseMarkers()
  }, 1)
  return () => {
    clearInterval(timer)
    kafka.faults.holdMarkers = undefined
    kafka.releaseMarkers()
  }
}

/** The process dies at its nth commit: before it took effect, or after it did and before the process knows. */
function dieAtCommit(kafka: MemoryKafka, nth: number, when: 'before' | 'after'): void {
  let commits = 0
  const hook = ({ call }: { call: string }): undefined => {
    if (call !== 'commit' || ++commits < nth) return undefined
    const failure = {
      code: 82,
      name: 'FENCED_INSTANCE_ID',
      message: 'injected',
      isRetriable: false,
      requiresAbort: false,
    }
    throw new KafkaError({ ...failure, isFatal: true })
  }
  kafka.faults.before = when === 'before' ? hook : undefined
  kafka.faults.after = when === 'after' ? hook : undefined
}

test.each([61, 62, 63])('seed %i: whatever a restart finds, every row is there once', async (seed) => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const random = seeded(seed)
  const feed = new TradeFeed(kafka, seed, undefined, PARTITIONS, 80)
  const stopDelays = delayMarkers(kafka, random)
  const options = { kafka, job, stateDir: join(folder, String(seed)), stateMemoryBytesMax: 1, limits: FORCED }
  for (let round = 0; round < ROUNDS; round++) {
    feed.append(RECORDS_A_ROUND)
    dieAtCommit(kafka, 2 + Math.floor(random() * 3), round % 2 === 0 ? 'before' : 'after')
    const run = await startMemoryJob({ ...options, untilEnd: false })
    let isDead = false
    run.done.catch(() => {
      isDead = true
    })
    // In how many commits a round is done, nobody knows: records come until the fatal one.
    while (!isDead) {
      feed.append(5)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await expect(run.done).rejects.toMatchObject({ code: 'MR4005' })
  }
  kafka.faults.before = undefined
  kafka.faults.after = undefined
  const last = await startMemoryJob(options)
  await last.done
  stopDelays()
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0, examples: [] })
  expect(feed.oracle.rows().length).toBeGreaterThan(RECORDS_A_ROUND)
})
