// The poll loop over memory-kafka in a time that is driven by hand.
import { expect, test } from 'vitest'
import { type FrameTaker, Ingest } from '../../src/engine/ingest.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'

/** Timers run when the time is moved to them. */
class HandTime {
  nowMs = 0
  #timers: { atMs: number; run: () => void }[] = []
  wallMs = (): number => this.nowMs
  monotonicMs = (): number => this.nowMs
  after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + delayMs, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }
  async move(byMs: number): Promise<void> {
    this.nowMs += byMs
    for (const timer of this.#timers.filter(({ atMs }) => atMs <= this.nowMs)) {
      this.#timers = this.#timers.filter((one) => one !== timer)
      timer.run()
    }
    await settled()
  }
}
const settled = () => new Promise((resolve) => setImmediate(resolve))

async function scene() {
  const time = new HandTime()
  const kafka = createMemoryKafka({ clock: time, scheduler: time, topics: { in: 1 } })
  const consumer = await kafka.openConsumer({
    groupId: 'g',
    instanceId: 'i',
    topics: ['in'],
    listener: { onAssign: () => {}, onRevoke: () => {} },
  })
  const failures: unknown[] = []
  const ingest = new Ingest({
    consumer,
    clock: time,
    scheduler: time,
    pollRecordsMax: 10,
    pollBytesMax: 1_000,
    onFailure: (error) => failures.push(error),
  })
  ingest.start()
  await time.move(0)
  const close = async () => {
    const closed = ingest.close()
    await time.move(100)
    await closed
    expect(failures).toEqual([])
  }
  return { time, ingest, close }
}

/** Milliseconds until no poll is out. */
async function msToHold(time: HandTime, ingest: Ingest): Promise<number> {
  let isHeld = false
  const startMs = time.nowMs
  void ingest.hold().then(() => (isHeld = true))
  await settled()
  while (!isHeld) await time.move(1)
  return time.nowMs - startMs
}

test('between attempts, and while one ends, an empty poll is over in 10 ms; for one that reads it waits 100', async () => {
  const { time, ingest, close } = await scene()
  expect(await msToHold(time, ingest)).toBe(10)
  let isReading = true
  const taker: FrameTaker = { hasRoom: () => true, isHeld: () => false, wantsMore: () => isReading, accept: () => {} }
  ingest.feed(taker, [])
  ingest.release()
  await settled()
  expect(await msToHold(time, ingest)).toBe(100)
  isReading = false
  ingest.release()
  await settled()
  expect(await msToHold(time, ingest)).toBe(10)
  await close()
})

test('nothing is polled while it is held', async () => {
  const { time, ingest, close } = await scene()
  await msToHold(time, ingest)
  let polls = 0
  ingest.feed({ hasRoom: () => true, wantsMore: () => false, isHeld: () => false, accept: () => polls++ }, [])
  for (let i = 0; i < 5; i++) await time.move(100)
  expect(polls).toBe(0)
  ingest.release()
  await settled()
  await time.move(10)
  expect(polls).toBe(1)
  await close()
})
