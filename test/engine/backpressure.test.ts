// Limits in bytes between Kafka, the lanes and the producer. Holds SPEC: FLOW-1.
import { expect, test } from 'vitest'
import type { Lanes } from '../../src/engine/lanes.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { lanesOf, startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS, TradeFeed } from '../harness/trades-in-memory.ts'

const job = candlesJob()
const exact = { lost: 0, duplicated: 0, wrong: 0 }
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Frame bytes that the lane holds, and the most there ever were. It takes 20 turns of the event loop for a request. */
function slowed(lanes: Lanes, held: { bytes: number; most: number }): Lanes {
  let last: Promise<unknown> = Promise.resolve()
  return {
    count: lanes.count,
    close: () => lanes.close(),
    send(lane, request) {
      const bytes = request.op === 'frame' ? request.frame.byteLength : 0
      held.bytes += bytes
      held.most = Math.max(held.most, held.bytes)
      // One after the other, as a worker answers.
      const answer = last.then(async () => {
        for (let i = 0; i < 20; i++) await turn()
        return lanes.send(lane, request)
      })
      last = answer.catch(() => {}).then(() => (held.bytes -= bytes))
      return answer
    },
  }
}

test('a lane that does not keep up is not given more than its limit and one poll', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, 31)
  feed.append(2_000)
  const held = { bytes: 0, most: 0 }
  const limits = { laneBytesMax: 8_000, pollBytesMax: 4_000, pollRecordsMax: 1_000 }
  const run = await startMemoryJob({
    kafka,
    job,
    limits,
    laneCount: 1,
    makeLanes: (setups) => slowed(lanesOf(job, setups), held),
  })
  await run.done
  // A frame has its header and rounds up beyond the bytes that a poll counts.
  expect(held.most).toBeLessThan(limits.laneBytesMax + 2 * limits.pollBytesMax)
  expect(held.most).toBeGreaterThan(limits.pollBytesMax)
  expect(feed.differences()).toMatchObject(exact)
})

test('while results wait for a commit that hangs nothing is fetched, and the group still hears of the process', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, 32)
  feed.append(3_000)
  let release = (): void => {}
  const commitHangs = new Promise<void>((resolve) => (release = resolve))
  let isHanging = false
  let lastPollMs = 0
  let pausedPolls = 0
  kafka.faults.before = async ({ call }) => {
    if (call === 'poll') {
      // Without room the next poll comes only after a second, with all partitions paused.
      if (isHanging && performance.now() - lastPollMs > 900) pausedPolls++
      lastPollMs = performance.now()
    }
    if (call !== 'commit' || isHanging) return undefined
    isHanging = true
    await commitHangs
    return undefined
  }
  const limits = { pendingOutputBytesMax: 4_000, pollRecordsMax: 100, callMs: 60_000 }
  const run = await startMemoryJob({ kafka, job, limits })
  while (pausedPolls < 1) await new Promise((resolve) => setTimeout(resolve, 10))
  const read = run.counts.in
  expect(read).toBeGreaterThan(0)
  expect(read).toBeLessThan(3_000)
  while (pausedPolls < 2) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(run.counts.in).toBe(read)
  release()
  await run.done
  expect(feed.differences()).toMatchObject(exact)
})

/** A disk that takes 400 turns of the event loop for a flush, and the most changelog bytes that were sealed during one. */
function withSlowDisk(lanes: Lanes, seen: { duringFlush: number; most: number }): Lanes {
  let flushing = 0
  return {
    count: lanes.count,
    close: () => lanes.close(),
    async send(lane, request) {
      if (request.op === 'flush') {
        if (flushing++ === 0) seen.duringFlush = 0
        for (let i = 0; i < 400; i++) await turn()
        flushing--
      }
      const answer = await lanes.send(lane, request)
      const sealed = 'tasks' in answer && 'out' in answer ? (answer.out as ArrayBuffer | undefined) : undefined
      if (flushing > 0 && sealed !== undefined) {
        seen.duringFlush += sealed.byteLength
        seen.most = Math.max(seen.most, seen.duringFlush)
      }
      return answer
    },
  }
}

test('records wait for a disk that is slower than they are', async () => {
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  const feed = new TradeFeed(kafka, 33)
  feed.append(20_000)
  const seen = { duringFlush: 0, most: 0 }
  const limits = { flushEveryMs: 1, unflushedBytesMax: 4_000, pollRecordsMax: 50, commitMinMs: 0, commitMaxMs: 1 }
  const run = await startMemoryJob({
    kafka,
    job,
    limits,
    laneCount: 1,
    makeLanes: (setups) => withSlowDisk(lanesOf(job, setups), seen),
  })
  await run.done
  expect(seen.most).toBeGreaterThan(limits.unflushedBytesMax)
  // Two limits, and what was on its way when they were reached.
  expect(seen.most).toBeLessThan(6 * limits.unflushedBytesMax)
  expect(feed.differences()).toMatchObject(exact)
})
