// Flushes of a running job: they never lead the commit, and what they store as the start of a later restore is safe.
// Holds SPEC: STATE-1, RECOVER-4.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { delay } from '../../src/core/clock.ts'
import type { LaneSetup } from '../../src/core/message.ts'
import type { Lanes } from '../../src/engine/lanes.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { decodeMarker } from '../../src/lane/marker.ts'
import { systemScheduler } from '../../src/ops/system-clock.ts'
import { isMarkerKey } from '../../src/state/keys.ts'
import { lanesOf, startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS, TradeFeed } from '../harness/trades-in-memory.ts'

const job = candlesJob()

interface Flush {
  partition: number
  /** What a later restore reads from, and the epoch that is on disk. */
  changelogOffset: number
  epoch: number
  /** Committed by the group when the flush was answered. */
  committedEpoch: number
}

/** Notes every flush on its way through. */
function watched(lanes: Lanes, kafka: MemoryKafka, flushes: Flush[]): Lanes {
  return {
    count: lanes.count,
    close: () => lanes.close(),
    async send(lane, request) {
      const answer = await lanes.send(lane, request)
      if (request.op === 'flush' && 'epoch' in answer) {
        const partition = Number(request.taskId.split('_')[1])
        const metadata = kafka.committedOffset('candles', 'trades', partition).metadata
        const committedEpoch = Number(/epoch=(\d+)/.exec(metadata)?.[1])
        flushes.push({
          partition,
          changelogOffset: request.changelogOffset,
          epoch: Number(answer.epoch),
          committedEpoch,
        })
      }
      return answer
    },
  }
}

/** The epoch of each row of a changelog partition by its offset: that of the marker which follows it. */
function epochsByOffset(kafka: MemoryKafka, partition: number): [offset: number, epoch: number][] {
  const epochs: [number, number][] = []
  let waiting: number[] = []
  for (const { offset, key, value } of kafka.log('candles-changelog', partition)) {
    waiting.push(offset)
    if (!isMarkerKey(key!)) continue
    const { epoch } = decodeMarker(value!)!
    for (const row of waiting) epochs.push([row, epoch])
    waiting = []
  }
  return epochs
}

test('no flush leads the commit, and before its offset lies no row that it does not cover', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-flusher-'))
  const feed = new TradeFeed(kafka, 21)
  const flushes: Flush[] = []
  feed.append(500)
  const run = await startMemoryJob({
    kafka,
    job,
    stateDir,
    untilEnd: false,
    limits: { flushEveryMs: 1, pollRecordsMax: 20 },
    makeLanes: (setups) => watched(lanesOf(job, setups), kafka, flushes),
  })
  // New input after each few flushes, so that there are many epochs and many flushes.
  for (let round = 0; round < 20; round++) {
    const before = flushes.length
    feed.append(60)
    while (flushes.length < before + PARTITIONS) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  run.engine.stop()
  await run.done
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const epochs = epochsByOffset(kafka, partition)
    const own = flushes.filter((flush) => flush.partition === partition)
    for (const { changelogOffset, epoch, committedEpoch } of own) {
      expect(epoch).toBeLessThanOrEqual(committedEpoch)
      const uncovered = epochs.filter(([offset, of]) => offset < changelogOffset && of > epoch)
      expect(uncovered).toEqual([])
    }
    // The bound moves on while the job runs.
    expect(new Set(own.map(({ changelogOffset }) => changelogOffset)).size).toBeGreaterThan(3)
  }
  await rm(stateDir, { recursive: true })
})

test('a stop flushes for its time only, and the next start reads the rest from the changelog', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-flush-'))
  try {
    const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
    const feed = new TradeFeed(kafka, 97)
    feed.append(500)
    let flushCount = 0
    /** Flushes take all the time that a stop has for them. */
    const slow = (lanes: Lanes): Lanes => ({
      count: lanes.count,
      close: () => lanes.close(),
      async send(lane, request) {
        if (request.op === 'flush' && ++flushCount > 0) await delay(systemScheduler, 30)
        return lanes.send(lane, request)
      },
    })
    const limits = { flushEveryMs: 60_000, flushOnStopMs: 20 }
    const makeLanes = (setups: LaneSetup[]): Lanes => slow(lanesOf(job, setups))
    const run = await startMemoryJob({ kafka, job, stateDir, untilEnd: false, limits, makeLanes })
    await expect.poll(() => run.counts.in).toBe(500)
    run.engine.stop()
    await run.done
    expect(flushCount).toBe(1)
    expect(run.logged.filter(({ message }) => message.startsWith('not flushed'))).toHaveLength(PARTITIONS - 1)
    feed.append(500)
    await (await startMemoryJob({ kafka, job, stateDir })).done
    expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
  } finally {
    await rm(stateDir, { recursive: true, force: true })
  }
})
