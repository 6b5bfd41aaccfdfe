// Lanes that begin anew, and with them the tables that a lane has as a whole: no record is joined with a part of one.
// Holds SPEC: TABLE-5, LANE-3.
import { expect, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import type { LaneRequest } from '../../src/core/message.ts'
import type { AnswerTo, Lanes } from '../../src/engine/lanes.ts'
import { globalTable, job, json, kafka } from '../../src/index.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { VirtualTime } from '../../src/testing/virtual-time.ts'
import { lanesOf, type MemoryJob, startMemoryJob } from '../harness/memory-job.ts'

const PARTITIONS = 4
const RATES = 20
const LIMIT_MS = 60_000

interface Order {
  id: number
  rate: string
}
const rates = kafka('rates', { value: json<{ rate: string; n: number }>(), key: 'rate' })
/** Orders that find no rate are filtered: they would be missing. */
const built = job('priced')
  .from(kafka('orders', { value: json<Order>() }))
  .joinTable('rate', globalTable(rates), { on: 'rate' }, ({ id }, { n }) => ({ id, n }))
  .to(kafka('out', { value: json() }))
  .build()

/** What becomes of a lane at a request: it dies of it, or has died before, while nobody waited for it. */
type Fate = (request: LaneRequest, lane: number) => 'lives' | 'dies' | 'has died'

/** Lanes that take their time and die: what they knew is gone, and nobody is told but who waits for an answer. */
class MortalLanes {
  fate: Fate = () => 'lives'
  readonly #make: () => Lanes
  readonly #time: VirtualTime
  readonly #lanes: Lanes[]
  readonly #tails: Promise<unknown>[] = []

  constructor(make: () => Lanes, count: number, time: VirtualTime) {
    this.#make = make
    this.#time = time
    this.#lanes = Array.from({ length: count }, make)
  }

  get lanes(): Lanes {
    return {
      count: this.#lanes.length,
      close: async () => {},
      send: (lane, request) => {
        const before = this.#tails[lane] ?? Promise.resolve()
        const answer = before.then(() => this.#time.sleep(1)).then(() => this.#serve(lane, request))
        this.#tails[lane] = answer.catch(() => {})
        return answer
      },
    }
  }

  #serve<R extends LaneRequest>(lane: number, request: R): Promise<AnswerTo<R>> {
    const fate = this.fate(request, lane)
    if (fate !== 'lives') this.#lanes[lane] = this.#make()
    if (fate === 'dies') throw new MillraceError('MR6004', { lane, reason: 'it died' })
    return this.#lanes[lane]!.send(lane, request)
  }
}

interface Scene {
  time: VirtualTime
  kafka: MemoryKafka
  start: (instanceId: string) => Promise<{ run: MemoryJob; mortal: MortalLanes }>
  rates: (from: number, to: number) => void
  orders: (count: number) => void
  /** Every order has met its rate, once. */
  untilAll: () => Promise<void>
}

function scene(): Scene {
  const time = new VirtualTime(1_760_000_000_000)
  const broker = createMemoryKafka({
    topics: { orders: PARTITIONS, rates: 1, out: PARTITIONS },
    clock: time,
    scheduler: time,
  })
  let sent = 0
  const ids = (): number[] =>
    Array.from({ length: PARTITIONS }, (_, partition) => broker.log('out', partition))
      .flat()
      .map(({ value }) => (JSON.parse(new TextDecoder().decode(value)) as { id: number }).id)
  return {
    time,
    kafka: broker,
    async start(instanceId) {
      let mortal: MortalLanes | undefined
      const run = await startMemoryJob({
        kafka: broker,
        job: built,
        instanceId,
        untilEnd: false,
        clock: time,
        scheduler: time,
        makeLanes: (setups) => {
          mortal = new MortalLanes(() => lanesOf(built, setups), setups.length, time)
          return mortal.lanes
        },
      })
      return { run, mortal: mortal! }
    },
    rates(from, to) {
      for (let n = from; n < to; n++) {
        broker.append('rates', { key: `r${n}`, value: JSON.stringify({ rate: `r${n}`, n }) })
      }
    },
    orders(count) {
      for (let i = 0; i < count; i++) {
        const value = JSON.stringify({ id: sent, rate: `r${sent % RATES}` })
        broker.append('orders', { value, partition: sent++ % PARTITIONS })
      }
    },
    async untilAll() {
      await time.until(() => ids().length >= sent, LIMIT_MS)
      expect(ids().sort((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, id) => id))
    },
  }
}

/** At the first requests that are meant, of `count` lanes. */
function once(count: number, how: 'dies' | 'has died', isMeant: (request: LaneRequest, lane: number) => boolean): Fate {
  const dead = new Set<number>()
  return (request, lane) => {
    if (dead.size === count || dead.has(lane) || !isMeant(request, lane)) return 'lives'
    dead.add(lane)
    return how
  }
}

const isRevoked = ({ logged }: MemoryJob): boolean => logged.some(({ message }) => message === 'partitions revoked')

async function stop(time: VirtualTime, ...runs: MemoryJob[]): Promise<void> {
  for (const { engine } of runs) engine.stop()
  let left = runs.length
  for (const { done } of runs) done.finally(() => left--).catch(() => {})
  await time.until(() => left === 0, LIMIT_MS)
  for (const { done } of runs) await done
}

test('a lane that dies of a new row of the table is given all of it again', async () => {
  const { time, start, rates, orders, untilAll } = scene()
  rates(0, RATES)
  orders(40)
  const { run, mortal } = await start('a')
  await untilAll()
  mortal.fate = once(1, 'dies', ({ op }, lane) => op === 'global' && lane === 1)
  rates(0, 1)
  await time.until(() => run.rebuilds.length > 0, LIMIT_MS)
  orders(40)
  await untilAll()
  expect(run.rebuilds).toEqual([expect.stringContaining('MR6004')])
  await stop(time, run)
})

test('one that dies while tables are read again, too', async () => {
  const { time, start, rates, orders, untilAll } = scene()
  rates(0, RATES)
  orders(40)
  const { run, mortal } = await start('a')
  await untilAll()
  const first = once(1, 'dies', ({ op }, lane) => op === 'frame' && lane === 0)
  const second = once(1, 'dies', (request, lane) => request.op === 'global' && !request.isFirst && lane === 1)
  mortal.fate = (request, lane) => (first(request, lane) === 'dies' ? 'dies' : second(request, lane))
  orders(40)
  await untilAll()
  expect(run.rebuilds).toHaveLength(2)
  await stop(time, run)
})

test('one that dies while partitions are taken away gives no record without its row', async () => {
  const { time, start, rates, orders, untilAll } = scene()
  rates(0, RATES)
  orders(40)
  const { run: a, mortal } = await start('a')
  await untilAll()
  let hasDied = false
  const fate = once(2, 'dies', ({ op }) => isRevoked(a) && op === 'seal')
  mortal.fate = (request, lane) => {
    const found = fate(request, lane)
    hasDied ||= found === 'dies'
    return found
  }
  const { run: b } = await start('b')
  // It is in the middle of something when they are taken away.
  while (!isRevoked(a)) {
    orders(PARTITIONS)
    await time.pass(1)
  }
  await time.until(() => [a, b].every(({ engine }) => engine.isRunning), LIMIT_MS)
  orders(40)
  await untilAll()
  expect(hasDied).toBe(true)
  await stop(time, a, b)
})

test('one that has died while nobody waited for it opens no task before it has the tables', async () => {
  const { time, start, rates, orders, untilAll, kafka } = scene()
  rates(0, RATES)
  orders(40)
  const { run, mortal } = await start('a')
  await untilAll()
  mortal.fate = once(2, 'has died', ({ op }) => op === 'open')
  kafka.expireSession('priced', 'a')
  await time.until(() => isRevoked(run) && run.engine.isRunning, LIMIT_MS)
  orders(40)
  await untilAll()
  expect(run.rebuilds).toEqual([expect.stringContaining('without the global table of rates')])
  await stop(time, run)
})
