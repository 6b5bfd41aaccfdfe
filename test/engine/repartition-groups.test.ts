// Several instances of a job whose records move to another key, on simulated time: they come, go and fail, and no total changes.
// Holds SPEC: REPART-2, GROUP-1, GROUP-2, EPOCH-4, R1.
import { expect, test } from 'vitest'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { VirtualTime } from '../../src/testing/virtual-time.ts'
import { failCalls } from '../harness/failing-calls.ts'
import { type MemoryJob, startMemoryJob } from '../harness/memory-job.ts'
import { ORDER_PARTITIONS, OrderFeed, totalsJob } from '../harness/orders-in-memory.ts'

/** An attempt may end for what was injected alone, never for an error of ours. */
const KAFKA_ERROR = /[A-Z_]+ \(-?\d+\): /
const START_MS = 1_760_000_000_000
const HOUR_MS = 3_600_000
const job = totalsJob()

test.each([1, 2, 3, 4, 5, 6])(
  'a rebalance each second, deliveries that fail and answers that are lost change no total (seed %i)',
  async (seed) => {
    const time = new VirtualTime(START_MS)
    const kafka = createMemoryKafka({ topics: { orders: ORDER_PARTITIONS }, clock: time, scheduler: time })
    const random = seeded(seed)
    const feed = new OrderFeed(kafka, seed, [START_MS - HOUR_MS, START_MS - 2 * HOUR_MS, START_MS - HOUR_MS])
    const faults = failCalls(kafka, time, random)
    const start = (instanceId: string, untilEnd: boolean): Promise<MemoryJob> =>
      startMemoryJob({
        kafka,
        job,
        instanceId,
        untilEnd,
        clock: time,
        scheduler: time,
        limits: { pollRecordsMax: 20, attemptsMax: 1_000, flushEveryMs: 50, callMs: 5_000, trimEveryMs: 200 },
      })
    const runs = new Map<string, MemoryJob>()
    const everRan: MemoryJob[] = []
    let joining: Promise<void> = Promise.resolve()
    const join = (name: string): void => {
      joining = joining.then(async () => {
        const run = await start(name, false)
        runs.set(name, run)
        everRan.push(run)
      })
    }
    join('a')
    await time.until(() => runs.has('a'), 5_000)
    for (let second = 0; second < 12; second++) {
      const name = 'abc'[Math.floor(random() * 3)]!
      const run = runs.get(name)
      if (run === undefined) join(name)
      else if (runs.size > 1 && random() < 0.6) {
        run.engine.stop()
        runs.delete(name)
      }
      for (let step = 0; step < 10; step++) {
        feed.append(15)
        await time.pass(100)
      }
    }
    faults.stop()
    await time.until(() => everRan.every((run) => run.engine.isRunning || !isIn(runs, run)), 60_000)
    for (const run of runs.values()) run.engine.stop()
    await ended(time, everRan)
    const last = await start('last', true)
    await ended(time, [last])
    expect(feed.committed()).toEqual(feed.expected())
    for (const run of [...everRan, last]) expect(run.counts).toMatchObject({ late: 0, dead: 0 })
    const reasons = everRan.flatMap(({ rebuilds }) => rebuilds)
    expect(reasons.length).toBeGreaterThan(1)
    for (const reason of reasons) expect(reason).toMatch(KAFKA_ERROR)
  },
)

function isIn(runs: ReadonlyMap<string, MemoryJob>, run: MemoryJob): boolean {
  return [...runs.values()].includes(run)
}

async function ended(time: VirtualTime, runs: readonly MemoryJob[]): Promise<void> {
  const all = Promise.allSettled(runs.map((run) => run.done))
  let isDone = false
  void all.then(() => {
    isDone = true
  })
  await time.until(() => isDone, 120_000)
  for (const run of runs) await run.done
}
