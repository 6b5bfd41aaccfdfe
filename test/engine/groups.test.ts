// Several instances of a job in one thread, on simulated time: they come, go and fail, and no row changes.
// Holds SPEC: GROUP-1, GROUP-2, GROUP-3, GROUP-4, EPOCH-3, EPOCH-4, EPOCH-7, R3.
import { expect, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import type { Lanes } from '../../src/engine/lanes.ts'
import { kafkaError } from '../../src/kafka/memory-kafka/failure.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { decodeMarker } from '../../src/lane/marker.ts'
import { isMarkerKey } from '../../src/state/keys.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { VirtualTime } from '../../src/testing/virtual-time.ts'
import { failCalls } from '../harness/failing-calls.ts'
import { lanesOf, type MemoryJob, type MemoryJobOptions, startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS, TradeFeed } from '../harness/trades-in-memory.ts'

/** An attempt may end for what was injected alone, never for an error of ours. */
const KAFKA_ERROR = /[A-Z_]+ \(-?\d+\): /
const START_MS = 1_760_000_000_000
const job = candlesJob()

interface Scene {
  time: VirtualTime
  kafka: MemoryKafka
  feed: TradeFeed
  random: () => number
  start: (instanceId: string, more?: Partial<MemoryJobOptions>) => Promise<MemoryJob>
}

function scene(seed: number): Scene {
  const time = new VirtualTime(START_MS)
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS }, clock: time, scheduler: time })
  const random = seeded(seed)
  return {
    time,
    kafka,
    random,
    feed: new TradeFeed(kafka, seed, START_MS - 3_600_000),
    start: (instanceId, more = {}) =>
      startMemoryJob({
        kafka,
        job,
        instanceId,
        untilEnd: false,
        clock: time,
        scheduler: time,
        limits: { pollRecordsMax: 20, attemptsMax: 1_000, flushEveryMs: 50, callMs: 5_000 },
        makeLanes: (setups) => slowLanes(lanesOf(job, setups), time, random),
        ...more,
      }),
  }
}

/** Lanes that take 0 to 3 ms a request, each one after the other, as worker threads do. */
function slowLanes(lanes: Lanes, time: VirtualTime, random: () => number): Lanes {
  const tails = new Map<number, Promise<unknown>>()
  return {
    count: lanes.count,
    close: () => lanes.close(),
    send(lane, request) {
      const before = tails.get(lane) ?? Promise.resolve()
      const answer = before.then(() => time.sleep(Math.floor(random() * 4))).then(() => lanes.send(lane, request))
      tails.set(
        lane,
        answer.catch(() => {}),
      )
      return answer
    },
  }
}

const messagesOf = (run: MemoryJob, start: string): string[] =>
  run.logged.map(({ message }) => message).filter((message) => message.startsWith(start))
const committedOf = (kafka: MemoryKafka, partition: number): number =>
  kafka.committedOffset('candles', 'trades', partition).offset ?? 0
const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
const isCaughtUp = (kafka: MemoryKafka): boolean =>
  partitions.every((partition) => committedOf(kafka, partition) === kafka.offsets('trades', partition).high)
const numbersOf = (run: MemoryJob): number[] => run.engine.tasks.map(({ partition }) => partition).sort()

async function stop(time: VirtualTime, run: MemoryJob): Promise<void> {
  let isDone = false
  run.done
    .finally(() => {
      isDone = true
    })
    .catch(() => {})
  run.engine.stop()
  await time.until(() => isDone, 30_000)
  await run.done
}

/** Reads the rest and closes all windows; whoever owned a partition, its epochs have only gone up. */
async function finish({ time, start, kafka }: Scene): Promise<void> {
  const last = await start('last', { untilEnd: true })
  let isDone = false
  last.done
    .finally(() => {
      isDone = true
    })
    .catch(() => {})
  await time.until(() => isDone, 60_000)
  await last.done
  for (const partition of partitions) {
    const epochs = markerEpochs(kafka, partition)
    expect(epochs).toEqual([...new Set(epochs)].sort((a, b) => a - b))
  }
}

function markerEpochs(kafka: MemoryKafka, partition: number): number[] {
  return kafka
    .log('candles-changelog', partition)
    .filter(({ key }) => isMarkerKey(key!))
    .map(({ value }) => decodeMarker(value!)!.epoch)
}

test('one instance, then three, then two give the rows of one; a task that stays keeps its state', async () => {
  const all = scene(101)
  const { time, kafka, feed, start } = all
  feed.append(300)
  const a = await start('a')
  await time.until(() => isCaughtUp(kafka), 10_000)
  feed.append(300)
  const b = await start('b')
  await time.until(() => b.engine.isRunning, 10_000)
  const c = await start('c')
  await time.until(() => [a, b, c].every((run) => run.engine.isRunning && run.engine.tasks.length === 1), 10_000)
  expect([numbersOf(a), numbersOf(b), numbersOf(c)]).toEqual([[0], [1], [2]])
  feed.append(300)
  await time.until(() => isCaughtUp(kafka), 10_000)
  const openedBefore = messagesOf(a, 'task opened').length
  await stop(time, c)
  feed.append(300)
  await time.until(() => isCaughtUp(kafka), 10_000)
  expect([numbersOf(a), numbersOf(b)]).toEqual([[0, 1], [2]])
  expect(openedBefore).toBe(3)
  // Of the first, task 0 stayed through each rebalance; what came to it later was opened.
  expect(a.logged.filter(({ task, message }) => task === '0_0' && message.startsWith('task resumed'))).toHaveLength(3)
  expect(a.logged.filter(({ task, message }) => task === '0_0' && message.startsWith('task opened'))).toHaveLength(1)
  expect([...a.rebuilds, ...b.rebuilds, ...c.rebuilds]).toEqual([])
  await stop(time, a)
  await stop(time, b)
  await finish(all)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})

test.each([1, 2, 3, 4, 5, 6])(
  'a rebalance each second, deliveries that fail and answers that are lost change no row (seed %i)',
  async (seed) => {
    const all = scene(seed)
    const { time, kafka, feed, random, start } = all
    const faults = failCalls(kafka, time, random)
    const runs = new Map<string, MemoryJob>()
    const everRan: MemoryJob[] = []
    const join = async (name: string): Promise<void> => {
      const run = await start(name)
      runs.set(name, run)
      everRan.push(run)
    }
    const startJoin = (name: string): void => {
      joining = joining.then(() => join(name))
    }
    let joining: Promise<void> = Promise.resolve()
    startJoin('a')
    await time.until(() => runs.has('a'), 1_000)
    for (let second = 0; second < 20; second++) {
      const name = 'abcd'[Math.floor(random() * 4)]!
      const run = runs.get(name)
      if (run === undefined) startJoin(name)
      else if (runs.size > 1 && random() < 0.5) {
        run.engine.stop()
        runs.delete(name)
      } else if (random() < 0.5) loseSession(kafka, name)
      for (let step = 0; step < 10; step++) {
        feed.append(20)
        await time.pass(100)
      }
    }
    faults.stop()
    await time.until(() => isCaughtUp(kafka), 30_000)
    for (const run of runs.values()) await stop(time, run)
    for (const run of everRan) await run.done
    await finish(all)
    expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
    const reasons = everRan.flatMap(({ rebuilds }) => rebuilds)
    expect(reasons.length).toBeGreaterThan(3)
    for (const reason of reasons) expect(reason).toMatch(KAFKA_ERROR)
    expect(everRan.flatMap((run) => messagesOf(run, 'task resumed')).length).toBeGreaterThan(3)
  },
)

function loseSession(kafka: MemoryKafka, instanceId: string): void {
  try {
    kafka.expireSession('candles', instanceId)
  } catch {
    // It is between two memberships at this moment.
  }
}

test('partitions whose owner died in a transaction go on after its session, not after its transaction', async () => {
  const all = scene(7)
  const { time, kafka, feed, start } = all
  feed.append(300)
  const a = await start('a')
  await time.until(() => isCaughtUp(kafka), 10_000)
  // From its next commit on nothing of it gets through: as if it had been killed there.
  kafka.faults.before = ({ call, client }) =>
    client === 'candles-a' && call === 'commit' ? new Promise(() => {}) : undefined
  feed.append(300)
  await time.until(() => kafka.openTransactions().includes('candles-a'), 10_000)
  const b = await start('b')
  kafka.expireSession('candles', 'a')
  const diedMs = time.monotonicMs()
  await time.until(() => isCaughtUp(kafka), 3_000)
  expect(time.monotonicMs() - diedMs).toBeGreaterThan(500)
  expect(time.monotonicMs() - diedMs).toBeLessThan(1_000)
  expect(messagesOf(b, 'the open transaction of an instance that is gone was ended')).toHaveLength(1)
  expect(numbersOf(b)).toEqual(partitions)
  expect(a.engine.isRunning).toBe(true)
  await stop(time, b)
  await finish(all)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})

test('an owner that is alive is left alone, though its marker is the last before a transaction that blocks', async () => {
  const all = scene(8)
  const { time, kafka, feed, start } = all
  feed.append(300)
  const a = await start('a')
  await time.until(() => isCaughtUp(kafka), 10_000)
  const foreign = await kafka.openProducer({ transactionalId: 'foreign', transactionTimeoutMs: 5_000 })
  await foreign.initTransactions(1_000)
  await foreign.begin()
  const writer = new FrameWriter()
  writer.append(0, 2, START_MS, new TextEncoder().encode('key'), new Uint8Array(1))
  await foreign.produce(writer.take()!, ['candles-changelog'])
  const b = await start('b')
  await time.until(() => a.engine.tasks.length === 2 && b.engine.status === 'restoring state', 10_000)
  await time.pass(2_000)
  expect(b.engine.status).toBe('restoring state')
  await time.until(() => b.engine.isRunning, 10_000)
  feed.append(300)
  await time.until(() => isCaughtUp(kafka), 10_000)
  expect(a.rebuilds).toEqual([])
  await stop(time, a)
  await stop(time, b)
  await foreign.close()
  await finish(all)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})

test.each([
  ['when nobody has taken its name', false],
  ['when the group cannot be asked who has its name', true],
])('an instance whose transaction was ended by another goes on %s', async (_, isAway) => {
  const all = scene(9)
  const { time, kafka, feed, start } = all
  kafka.faults.before = ({ call }) => {
    if (call === 'groupMembers' && isAway) throw kafkaError('_TIMED_OUT', 'the coordinator is loading')
    return undefined
  }
  feed.append(300)
  const a = await start('a')
  await time.until(() => isCaughtUp(kafka), 10_000)
  const other = await kafka.openProducer({ transactionalId: 'candles-a' })
  await other.initTransactions(1_000)
  await other.close()
  feed.append(300)
  await time.until(() => isCaughtUp(kafka), 10_000)
  expect(a.rebuilds).toEqual([expect.stringContaining('_FENCED')])
  await stop(time, a)
  await finish(all)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})

test.each(['begin', 'sendOffsets', 'flush', 'commit'] as const)(
  'an epoch whose %s call never comes back is dropped and done again',
  async (hanging) => {
    const all = scene(10)
    const { time, kafka, feed, start } = all
    let count = 0
    kafka.faults.before = ({ call }) => (call === hanging && ++count === 3 ? new Promise(() => {}) : undefined)
    feed.append(300)
    const a = await start('a')
    await time.until(() => isCaughtUp(kafka), 10_000)
    for (let step = 0; step < 20; step++) {
      feed.append(20)
      await time.pass(100)
    }
    await time.until(() => isCaughtUp(kafka), 60_000)
    expect(count).toBeGreaterThan(3)
    expect(a.rebuilds).toEqual([expect.stringContaining('_TIMED_OUT')])
    await stop(time, a)
    await finish(all)
    expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
  },
)

test('a task whose offsets somebody moved while it was suspended is opened anew', async () => {
  const all = scene(10)
  const { time, kafka, feed, start } = all
  feed.append(300)
  const a = await start('a')
  await time.until(() => isCaughtUp(kafka), 10_000)
  const b = await start('b')
  kafka.forgetOffset('candles', 'trades', 0)
  await time.until(() => b.engine.isRunning && a.engine.isRunning && a.engine.tasks.length === 2, 10_000)
  expect(messagesOf(a, 'the offset of a task was moved')).toHaveLength(1)
  expect(a.logged.filter(({ task, message }) => task === '0_0' && message.startsWith('task opened'))).toHaveLength(2)
  expect(a.logged.filter(({ task, message }) => task === '0_1' && message.startsWith('task opened'))).toHaveLength(1)
  await stop(time, a)
  await stop(time, b)
  await finish(all)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})

test('kept tasks give results while the changelogs of moved ones are still being read', async () => {
  const all = scene(11)
  const { time, kafka, feed, start } = all
  feed.append(300)
  const a = await start('a')
  const b = await start('b')
  await time.until(() => a.engine.tasks.length === 2 && b.engine.isRunning && isCaughtUp(kafka), 10_000)
  kafka.faults.before = ({ call, client }) =>
    call === 'poll' && client === 'reader' ? time.sleep(5_000).then(() => undefined) : undefined
  await stop(time, b)
  await time.until(() => a.engine.tasks.length === 2 && !a.engine.isRunning, 10_000)
  const before = partitions.map((partition) => committedOf(kafka, partition))
  feed.append(300)
  await time.until(() => committedOf(kafka, 0) > before[0]! && committedOf(kafka, 1) > before[1]!, 2_000)
  expect(committedOf(kafka, 2)).toBe(before[2])
  expect(a.engine.status).toBe('restoring state')
  await time.until(() => a.engine.isRunning && isCaughtUp(kafka), 20_000)
  await stop(time, a)
  kafka.faults.before = undefined
  await finish(all)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})

test('an instance that stops without leaving keeps its partitions for its next start', async () => {
  const all = scene(12)
  const { time, kafka, feed, start } = all
  feed.append(300)
  const a = await start('a')
  const b = await start('b', { leavesOnStop: false })
  await time.until(() => a.engine.tasks.length === 2 && b.engine.tasks.length === 1 && isCaughtUp(kafka), 10_000)
  const rebalances = (): number => messagesOf(a, 'partitions revoked').length
  const before = rebalances()
  await stop(time, b)
  const again = await start('b', { leavesOnStop: false })
  await time.until(() => again.engine.tasks.length === 1, 10_000)
  expect(numbersOf(again)).toEqual([2])
  expect(rebalances()).toBe(before)
  await stop(time, a)
  await stop(time, again)
  await finish(all)
  expect(feed.differences()).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
})
