// Records that move to the partition of another key, the engine whole on memory-kafka.
// Holds SPEC: REPART-1, REPART-2, R1 (a partition that is behind makes nothing late), R4, R5, EPOCH-4.
import { testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import { CARRIED_IDLE, CarriedPrefix } from '../../src/core/carried.ts'
import { type Clock, delay } from '../../src/core/clock.ts'
import type { LaneSetup } from '../../src/core/message.ts'
import type { Lanes } from '../../src/engine/lanes.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError, partitionKey, type TopicPartition } from '../../src/kafka/port.ts'
import { systemClock, systemScheduler } from '../../src/ops/system-clock.ts'
import { seeded } from '../../src/testing/seeded.ts'
import { lanesOf, startMemoryJob } from '../harness/memory-job.ts'
import { ORDER_PARTITIONS, OrderFeed, totalsJob } from '../harness/orders-in-memory.ts'

const START_MS = 1_760_000_000_000
const HOUR_MS = 3_600_000
const job = totalsJob()
const partitions = Array.from({ length: ORDER_PARTITIONS }, (_, partition) => partition)

function newKafka(): MemoryKafka {
  return createMemoryKafka({ topics: { orders: ORDER_PARTITIONS } })
}

/** The group has committed all records of a partition. */
function isThrough(kafka: MemoryKafka, topic: string, partition: number): boolean {
  const last = kafka.log(topic, partition).at(-1)
  return last === undefined || (kafka.committedOffset('totals', topic, partition).offset ?? 0) > last.offset
}

/** What the first partition of the repartition topic has heard of each source partition last. */
function lastKinds(kafka: MemoryKafka): number[] {
  const kinds: number[] = []
  const prefix = new CarriedPrefix()
  for (const { value } of kafka.log('totals-repartition', 0)) {
    prefix.read(new DataView(value!.buffer, value!.byteOffset), 0, value!.length)
    kinds[prefix.partition] = prefix.kind
  }
  return kinds
}

interface HeldBack {
  kafka: MemoryKafka
  release(): void
  /** Holds them back again. */
  hold(): void
}

/** A Kafka whose group consumer does not read some partitions until `release`. */
function heldBack(kafka: MemoryKafka, held: readonly TopicPartition[]): HeldBack {
  const keys = new Set(held.map(partitionKey))
  let isHeld = true
  let apply = () => {}
  const openConsumer: MemoryKafka['openConsumer'] = async (options) => {
    const consumer = await kafka.openConsumer(options)
    const assign: typeof consumer.assign = (assigned) => {
      consumer.assign(assigned)
      const ours = assigned.filter((one) => keys.has(partitionKey(one)))
      apply = () => (isHeld ? consumer.pause(ours) : consumer.resume(ours))
      apply()
    }
    return overriding(consumer, { assign })
  }
  const set = (value: boolean): void => {
    isHeld = value
    apply()
  }
  return { kafka: overriding(kafka, { openConsumer }), release: () => set(false), hold: () => set(true) }
}

/** An object with some methods of its own, and all others of `target`. */
function overriding<T extends object>(target: T, own: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(name in own ? own : target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

test('a run to the end gives exactly the totals by the other key, and nothing is late', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 1, [START_MS, START_MS, START_MS])
  feed.append(2_000)
  const run = await startMemoryJob({ kafka, job })
  await run.done
  expect(feed.committed()).toEqual(feed.expected())
  expect(run.counts).toMatchObject({ in: 2_000, accepted: 2_000, late: 0, dead: 0, filtered: 0 })
  expect(kafka.openTransactions()).toEqual([])
})

test.each([1, 2])(
  'a source partition an hour behind makes nothing late that is within its own bound, with %i lanes',
  async (laneCount) => {
    const kafka = newKafka()
    const feed = new OrderFeed(kafka, 2, [START_MS, START_MS - HOUR_MS, START_MS + HOUR_MS])
    feed.append(1_500)
    const run = await startMemoryJob({ kafka, job, laneCount, limits: { pollRecordsMax: 7 } })
    await run.done
    expect(run.counts).toMatchObject({ in: 1_500, accepted: 1_500, late: 0, dead: 0 })
    expect(feed.committed()).toEqual(feed.expected())
  },
)

test('a partition that catches up after it was away is waited for, run after run', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 3, [START_MS, START_MS, START_MS])
  feed.append(600, [0, 2])
  const first = await startMemoryJob({ kafka, job, untilEnd: false })
  await expect.poll(() => first.counts.accepted).toBe(600)
  first.engine.stop()
  await first.done
  // Nothing is known of partition 1, so no window has closed; its records are as old as the first ones.
  expect(feed.committed()).toEqual([])
  feed.append(300, [1])
  const second = await startMemoryJob({ kafka, job })
  await second.done
  expect(first.counts.late + second.counts.late).toBe(0)
  expect(feed.committed()).toEqual(feed.expected())
})

test('a source partition without records holds the others back no longer than idleAfter', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 4, [START_MS, START_MS, START_MS])
  feed.append(900, [0, 2])
  const run = await startMemoryJob({ kafka, job: totalsJob({ idleAfter: '50ms' }), untilEnd: false })
  await expect.poll(() => feed.committed().length, { timeout: 5_000 }).toBeGreaterThan(50)
  run.engine.stop()
  await run.done
  const expected = new Set(feed.expected())
  expect(feed.committed().filter((row) => !expected.has(row))).toEqual([])
})

test('windows behind the topic close on a quiet input after a restart too, though no record tells the time again', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 10, [START_MS, START_MS, START_MS])
  feed.append(300)
  const first = await startMemoryJob({ kafka, job: totalsJob({ closeOnIdle: { maxDelay: '0ms' } }), untilEnd: false })
  await expect.poll(() => first.counts.accepted).toBe(300)
  first.engine.stop()
  await first.done
  const open = feed.expected().length - feed.committed().length
  expect(open).toBeGreaterThan(0)
  const quiet = totalsJob({ idleAfter: '50ms', closeOnIdle: { maxDelay: '0ms' } })
  const second = await startMemoryJob({ kafka, job: quiet, untilEnd: false })
  await expect.poll(() => feed.committed().length, { timeout: 10_000 }).toBe(feed.expected().length)
  second.engine.stop()
  await second.done
  expect(feed.committed()).toEqual(feed.expected())
  expect(kafka.log('late', 0)).toEqual([])
})

test('a task that moves to another instance knows which source partitions are quiet, though nobody tells it again', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 8, [START_MS, START_MS, START_MS])
  const quiet = totalsJob({ idleAfter: '50ms' })
  feed.append(300, [1, 2])
  const a = await startMemoryJob({ kafka, job: quiet, instanceId: 'a', untilEnd: false })
  await expect.poll(() => feed.committed().length, { timeout: 5_000 }).toBeGreaterThan(20)
  const b = await startMemoryJob({ kafka, job: quiet, instanceId: 'b', untilEnd: false })
  await expect.poll(() => b.engine.isRunning && a.engine.isRunning, { timeout: 5_000 }).toBe(true)
  expect(b.engine.tasks.map(({ taskId }) => taskId).sort()).toEqual(['0_2', '1_2'])
  // Partition 0 stays with the first instance, which has told that it is quiet.
  const before = kafka.log('totals', 2).length
  feed.append(300, [1, 2])
  await expect.poll(() => kafka.log('totals', 2).length, { timeout: 5_000 }).toBeGreaterThan(before + 5)
  for (const run of [a, b]) run.engine.stop()
  await Promise.all([a.done, b.done])
})

test.each(['produce', 'flush', 'sendOffsets', 'commit'] as const)(
  'every total is there once when %s fails now and then',
  async (failing) => {
    const kafka = newKafka()
    const feed = new OrderFeed(kafka, 5, [START_MS, START_MS - HOUR_MS, START_MS])
    feed.append(1_500)
    const random = seeded(6)
    for (const when of ['before', 'after'] as const) {
      kafka.faults[when] = ({ call }) => {
        if (call === failing && random() < 0.04) throw timedOut()
        return undefined
      }
    }
    const run = await startMemoryJob({ kafka, job, limits: { pollRecordsMax: 20, attemptsMax: 1_000 } })
    await run.done
    expect(run.rebuilds.length).toBeGreaterThan(0)
    expect(feed.committed()).toEqual(feed.expected())
    expect(kafka.log('late', 0)).toEqual([])
  },
)

/** Lanes on which the tasks behind the topic take a while to get ready: those that stay commit meanwhile. */
function slowlyReady(lanes: Lanes): Lanes {
  return {
    count: lanes.count,
    close: () => lanes.close(),
    async send(lane, request) {
      if (request.op === 'ready' && request.taskId.startsWith('1_')) await delay(systemScheduler, 50)
      return lanes.send(lane, request)
    },
  }
}

test('tasks that stay go on while partitions with records waiting move to them', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 12, [START_MS, START_MS, START_MS])
  const makeLanes = (setups: LaneSetup[]): Lanes => slowlyReady(lanesOf(job, setups))
  const a = await startMemoryJob({ kafka, job, instanceId: 'a', untilEnd: false, makeLanes })
  await expect.poll(() => a.engine.isRunning, { timeout: 5_000 }).toBe(true)
  const b = await startMemoryJob({ kafka, job, instanceId: 'b', untilEnd: false })
  await expect.poll(() => a.engine.isRunning && b.engine.isRunning, { timeout: 5_000 }).toBe(true)
  feed.append(300)
  await expect.poll(() => a.counts.accepted + b.counts.accepted, { timeout: 5_000 }).toBe(300)
  b.engine.stop()
  const isWhole = (): boolean => {
    feed.append(5)
    return a.engine.tasks.length === 2 * ORDER_PARTITIONS
  }
  await expect.poll(isWhole, { timeout: 10_000, interval: 1 }).toBe(true)
  await b.done
  await expect.poll(() => a.counts.accepted + b.counts.accepted, { timeout: 10_000 }).toBe(feed.count)
  a.engine.stop()
  await a.done
  expect(a.rebuilds).toEqual([])
  await (await startMemoryJob({ kafka, job, instanceId: 'a' })).done
  expect(feed.committed()).toEqual(feed.expected())
})

/** 400 orders, some of which cannot be summed: they are dead behind the topic. */
function appendOrders(kafka: MemoryKafka, deadOfTen: number): void {
  for (let i = 0; i < 400; i++) {
    const amount = i % 10 < deadOfTen ? 'no number' : 1
    const order = { id: `o${i}`, user: `u${i % 9}`, amount, ts: START_MS + i }
    const at = { partition: i % ORDER_PARTITIONS, timestampMs: order.ts }
    kafka.append('orders', { key: order.id, value: JSON.stringify(order), ...at })
  }
}

test('dead records behind the topic are no flood while their share is small, however far the source is ahead', async () => {
  const kafka = newKafka()
  appendOrders(kafka, 1)
  const held = heldBack(
    kafka,
    partitions.map((partition) => ({ topic: 'totals-repartition', partition })),
  )
  const run = await startMemoryJob({ kafka: held.kafka, job, limits: { deadShareMax: 0.2, deadWindow: 100 } })
  await expect.poll(() => partitions.every((partition) => isThrough(kafka, 'orders', partition))).toBe(true)
  held.release()
  await run.done
  expect(run.counts).toMatchObject({ in: 400, accepted: 360, dead: 40 })
})

test('dead records behind the topic are judged by the records there', async () => {
  const kafka = newKafka()
  appendOrders(kafka, 3)
  const run = await startMemoryJob({ kafka, job, limits: { deadShareMax: 0.2, deadWindow: 2_000 } })
  await expect(run.done).rejects.toMatchObject({ code: 'MR6001' })
})

test('a partition that was told to be quiet and has records at a start is waited for', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 11, [START_MS, START_MS, START_MS])
  feed.append(300)
  const limits = { trimEveryMs: 60_000 }
  const quiet = await startMemoryJob({ kafka, job: totalsJob({ idleAfter: '20ms' }), untilEnd: false, limits })
  await expect.poll(() => lastKinds(kafka), { timeout: 5_000 }).toEqual([CARRIED_IDLE, CARRIED_IDLE, CARRIED_IDLE])
  quiet.engine.stop()
  await quiet.done
  feed.append(300)
  const held = heldBack(kafka, [{ topic: 'orders', partition: 0 }])
  const run = await startMemoryJob({ kafka: held.kafka, job: totalsJob({ idleAfter: '1h' }), limits })
  // All others have come through before the first record of partition 0 is read.
  const open = (): string[] => [
    ...[1, 2].filter((partition) => !isThrough(kafka, 'orders', partition)).map((partition) => `orders ${partition}`),
    ...partitions.filter((partition) => !isThrough(kafka, 'totals-repartition', partition)).map(String),
  ]
  await expect.poll(open, { timeout: 10_000 }).toEqual([])
  held.release()
  await run.done
  expect(run.counts.late).toBe(0)
  expect(feed.committed()).toEqual(feed.expected())
})

test.each(['the same process', 'another one'])(
  'a source that was quiet as a whole and has records again is waited for as a whole, in %s',
  async (where) => {
    const kafka = newKafka()
    const feed = new OrderFeed(kafka, 13, [START_MS, START_MS, START_MS])
    feed.append(300)
    const limits = { trimEveryMs: 60_000 }
    const held = heldBack(kafka, [{ topic: 'orders', partition: 0 }])
    let aheadMs = 0
    const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs }
    const hourLong = totalsJob({ idleAfter: '1h' })
    const start = () => startMemoryJob({ kafka: held.kafka, job: hourLong, untilEnd: false, limits, clock })
    held.release()
    let run = await start()
    await expect.poll(() => run.counts.accepted, { timeout: 5_000 }).toBe(300)
    aheadMs += HOUR_MS
    await expect.poll(() => lastKinds(kafka), { timeout: 5_000 }).toEqual([CARRIED_IDLE, CARRIED_IDLE, CARRIED_IDLE])
    held.hold()
    if (where === 'another one') {
      run.engine.stop()
      await run.done
      run = await start()
      await expect.poll(() => run.engine.isRunning).toBe(true)
    }
    // A burst: the records of partition 0 are read when those of the others are through.
    feed.append(300)
    const open = (): string[] => [
      ...[1, 2].filter((partition) => !isThrough(kafka, 'orders', partition)).map((partition) => `orders ${partition}`),
      ...partitions.filter((partition) => !isThrough(kafka, 'totals-repartition', partition)).map(String),
    ]
    await expect.poll(open, { timeout: 5_000 }).toEqual([])
    held.release()
    await expect.poll(() => isThrough(kafka, 'orders', 0), { timeout: 5_000 }).toBe(true)
    run.engine.stop()
    await run.done
    await (await startMemoryJob({ kafka, job, limits })).done
    expect(kafka.log('late', 0)).toEqual([])
    expect(feed.committed()).toEqual(feed.expected())
  },
)

test.each(['before-begin', 'after-marker', 'commit-lost', 'answer-lost'] as const)(
  'a source that comes back as a whole makes nothing late when its process dies meanwhile, %s',
  async (step) => {
    const t = testJob(totalsJob({ idleAfter: '1s' }), { partitions: 2 })
    const order = (partition: number, ts: number) => ({ partition, value: { id: 'o', user: 'ann', amount: 1, ts } })
    t.send('orders', order(0, START_MS), order(1, START_MS))
    await t.flush()
    await t.advanceWall(5_000)
    t.crashAt(step)
    t.send('orders', order(0, START_MS + HOUR_MS), order(0, START_MS + 2 * HOUR_MS))
    await t.flush()
    t.send('orders', order(0, START_MS + 2 * HOUR_MS + 1))
    await t.flush()
    t.send('orders', order(1, START_MS + HOUR_MS), order(1, START_MS + 2 * HOUR_MS))
    await t.end()
    expect(t.counts).toMatchObject({ in: 7, accepted: 7, late: 0 })
  },
)

test('an offset of the source that the group has forgotten stops the job: its records would be counted twice', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 9, [START_MS, START_MS, START_MS])
  feed.append(300)
  const first = await startMemoryJob({ kafka, job, untilEnd: false })
  await expect.poll(() => first.counts.accepted).toBe(300)
  first.engine.stop()
  await first.done
  kafka.forgetOffset('totals', 'orders', 1)
  const second = await startMemoryJob({ kafka, job })
  await expect(second.done).rejects.toMatchObject({ code: 'MR5006', details: { topic: 'orders', partition: 1 } })
})

test('what is behind the commit is deleted from the repartition topic', async () => {
  const kafka = newKafka()
  const feed = new OrderFeed(kafka, 7, [START_MS, START_MS, START_MS])
  feed.append(900)
  const run = await startMemoryJob({ kafka, job, untilEnd: false })
  const lowest = () =>
    Math.min(
      ...Array.from({ length: ORDER_PARTITIONS }, (_, partition) => kafka.offsets('totals-repartition', partition).low),
    )
  await expect.poll(lowest, { timeout: 5_000 }).toBeGreaterThan(0)
  feed.append(900)
  await expect.poll(() => run.counts.accepted).toBe(1_800)
  run.engine.stop()
  await run.done
  const again = await startMemoryJob({ kafka, job })
  await again.done
  expect(feed.committed()).toEqual(feed.expected())
})

function timedOut(): KafkaError {
  return new KafkaError({
    code: -185,
    name: '_TIMED_OUT',
    message: 'injected',
    isFatal: false,
    isRetriable: true,
    requiresAbort: false,
  })
}
