// Interval joins against nested loops over lists of records: every type, bound, cut, restart and store; and what follows them.
// Holds SPEC: JOIN-1, JOIN-2, JOIN-3, JOIN-4, COUNT-1, R3.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { count, job, kafka, msgpack, stream, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { testJob } from '../../src/testing/index.ts'
import type { DriveOptions } from '../lane/lane-driver.ts'
import { driveStreams } from '../lane/streams-driver.ts'
import {
  type Event,
  expectOracle,
  idsOf,
  inputOf,
  joined,
  ms,
  oracle,
  type Pair,
  pairsOf,
  type Shape,
  SIDES,
  type Side,
  texts,
  toOut,
} from './join-oracle.ts'

/** Streams that mostly go on together, in runs of one side, before 1970 or now, with records far out of order. */
const events: fc.Arbitrary<Event[]> = fc
  .tuple(
    fc.constantFrom(0, -1_000, 1_750_000_000_000),
    fc.array(
      fc.record({
        side: fc.constantFrom<Side>(0, 1),
        run: fc.integer({ min: 1, max: 4 }),
        key: fc.oneof(fc.constantFrom('a', 'b'), fc.integer({ min: 1, max: 9 }).map(String)),
        back: fc.oneof({ weight: 6, arbitrary: fc.nat(12) }, { weight: 1, arbitrary: fc.nat(90) }),
        from: fc.integer({ min: -3, max: 32 }),
        to: fc.integer({ min: -3, max: 32 }),
      }),
      { maxLength: 60, size: 'max' },
    ),
  )
  .map(([base, list]) => {
    const all = list.flatMap(({ run, ...one }, i) => Array.from({ length: run }, (_, n) => ({ ...one, i, n })))
    return all.map(({ side, key, back, from, to, i, n }, id) => {
      const ts = base + i * 5 + (i % 19 === 0 ? 60 : 0) - back + n
      return { id, side, key, ts, from: ts - from, to: ts + to }
    })
  })
const shapes: fc.Arbitrary<Shape> = fc.record({
  type: fc.constantFrom('inner', 'left', 'right', 'outer'),
  before: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })),
  after: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })),
  isOfFields: fc.boolean(),
  grace: fc.oneof(fc.constant(0), fc.nat(15)),
  outOfOrder: fc.tuple(fc.nat(20), fc.nat(20)),
})
const modes: fc.Arbitrary<DriveOptions> = fc.record({
  frameRecords: fc.integer({ min: 1, max: 9 }),
  restart: fc.constantFrom('never', 'changelog'),
  path: fc.constantFrom('planned', 'free'),
})
describe('interval joins', () => {
  test('give the rows of nested loops, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(events, shapes, modes, async (list, shape, mode) => {
        expectOracle(await driveStreams(toOut(shape), inputOf(list), mode), list, shape)
      }),
      { numRuns: 250 },
    )
  })

  test('give the same rows in the same order, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(events, shapes, modes, async (list, shape, mode) => {
        const whole = await driveStreams(toOut(shape), inputOf(list))
        const cut = await driveStreams(toOut(shape), inputOf(list), mode)
        expect(texts(pairsOf(cut))).toEqual(texts(pairsOf(whole)))
      }),
      { numRuns: 80 },
    )
  })

  test.each([
    ['reopened from disk after each frame', { store: 'lmdb', restart: 'store' }],
    ['of which nothing stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } }],
    ['of which half stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 6_000 } }],
  ] as [string, DriveOptions][])('%s give the same rows', async (_, options) => {
    await fc.assert(
      fc.asyncProperty(events, shapes, async (list, shape) => {
        expectOracle(await driveStreams(toOut(shape), inputOf(list), { ...options, frameRecords: 4 }), list, shape)
      }),
      { numRuns: 15 },
    )
  })
})

test('a topic that meets itself gives the rows of each record read twice, whatever the frames and restarts', async () => {
  const selfJob = (shape: Shape): CompiledJob => {
    const { type, before, after, grace, outOfOrder } = shape
    const source = kafka('in', {
      value: msgpack<Event>(),
      key: 'key',
      eventTime: 'ts',
      outOfOrder: ms(outOfOrder[0]),
    })
    const options = { within: { before: ms(before), after: ms(after) }, type, grace: ms(grace) }
    return job('j')
      .from(source)
      .keyBy('key')
      .join('j', stream(source).keyBy('key'), options, (left, right) => ({
        left: left?.id ?? -1,
        right: right?.id ?? -1,
      }))
      .late(kafka('late'))
      .to(kafka('out'))
      .build()
  }
  await fc.assert(
    fc.asyncProperty(events, shapes, modes, async (list, shape, mode) => {
      const same: Shape = { ...shape, isOfFields: false, outOfOrder: [shape.outOfOrder[0], shape.outOfOrder[0]] }
      const twice = list.flatMap((event) => [0, 1].map((side): Event => ({ ...event, side: side as Side })))
      const input = inputOf(list).map((record) => ({ ...record, topic: 'in' }))
      const driven = await driveStreams(selfJob(same), input, mode)
      const expected = oracle(twice, same)
      expect(texts(pairsOf(driven)).sort()).toEqual(texts(expected.rows).sort())
      expect(idsOf(driven.rows, 'late')).toEqual(expected.late)
      expect(driven.counts).toMatchObject({ in: list.length, expanded: list.length + expected.rows.length, dead: 0 })
      expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
    }),
    { numRuns: 80 },
  )
})

describe('records within outOfOrder', () => {
  /** All pairs, whatever the time. */
  function allPairs(list: readonly Event[], shape: Shape): string[] {
    const { type, before, after } = shape
    const pairs = list.flatMap((left) =>
      list
        .filter(
          ({ side, key, ts }) =>
            left.side < side && key === left.key && left.ts - before <= ts && ts <= left.ts + after,
        )
        .map((right): Pair => ({ key: left.key, ts: Math.max(left.ts, right.ts), left: left.id, right: right.id })),
    )
    const met = new Set(pairs.flatMap(({ left, right }) => [left, right]))
    const alone = list
      .filter(({ id, side }) => !met.has(id) && (type === 'outer' || type === SIDES[side]))
      .map(({ id, side, key, ts }): Pair => ({ key, ts, left: side === 0 ? id : -1, right: side === 1 ? id : -1 }))
    return texts([...pairs, ...alone]).sort()
  }

  test('give the same rows however the streams meet, on one partition or three, with restarts and deaths', async () => {
    const cases = fc.record({
      // Kafka has no timestamps before 1970.
      list: events.map((list) => list.map((event) => ({ ...event, ts: event.ts + 10_000 }))),
      // The farthest record comes 148 ms after a later one: 60 + 3 of the first far one, 90 back at the second step of 5.
      shape: shapes.map((shape): Shape => ({ ...shape, isOfFields: false, outOfOrder: [150, 150] })),
      partitions: fc.constantFrom(1, 3),
      store: fc.constantFrom('memory', 'lmdb'),
      order: fc.infiniteStream(fc.boolean()),
      between: fc.array(fc.constantFrom('nothing', 'restart', 'rebalance', 'death'), { minLength: 3, maxLength: 3 }),
      seed: fc.nat(99),
    })
    await fc.assert(
      fc.asyncProperty(cases, async ({ list, shape, partitions, store, order, between, seed }) => {
        const t = testJob(toOut(shape), {
          partitions,
          lanes: 2,
          store: store as 'memory',
          seed,
          startMs: list[0]?.ts ?? 0,
        })
        const queues = [0, 1].map((side) => list.filter((one) => one.side === side))
        try {
          for (let sent = 0; sent < list.length; sent++) {
            const side = queues[0]!.length > 0 && (order.next().value || queues[1]!.length === 0) ? 0 : 1
            t.send(SIDES[side], { value: queues[side]!.shift()! })
            const part = Math.ceil(list.length / 4)
            if ((sent + 1) % part !== 0) continue
            const what = between[(sent + 1) / part - 1]
            if (what === 'restart') await t.restart()
            else if (what === 'rebalance') await t.rebalance()
            else if (what === 'death') t.crashAt('answer-lost')
          }
          await t.end()
          const rows = t.outputs<{ left: number; right: number }>('out')
          const pairs = rows.map(({ key, timestampMs: ts, value }): Pair => ({ key: key!, ts, ...value }))
          expect(texts(pairs).sort()).toEqual(allPairs(list, shape))
          expect(t.counts).toMatchObject({ in: list.length, expanded: pairs.length, late: 0, dead: 0 })
          expect(t.state()).toEqual({ j: [] })
        } finally {
          await t.close()
        }
      }),
      { numRuns: 40 },
    )
  })
})

test('what follows a join sees none of its rows as late, whatever the frames', async () => {
  const windowed = (shape: Shape): CompiledJob =>
    joined(shape)
      .to(kafka('out'))
      .window('w', tumbling('20ms'))
      .aggregate({ n: count(), ids: sum('left') })
      .to(kafka('windows', { value: msgpack() }))
      .build()
  await fc.assert(
    fc.asyncProperty(events, shapes, modes, async (list, shape, mode) => {
      const groups = new Map<string, unknown>()
      const { rows } = oracle(list, shape)
      const startOf = (pair: Pair): number => Math.floor(pair.ts / 20) * 20
      for (const pair of [...rows].sort((a, b) => startOf(a) - startOf(b) || (a.key < b.key ? -1 : 1))) {
        const windowStart = startOf(pair)
        const own = rows.filter((one) => one.key === pair.key && startOf(one) === windowStart)
        const ids = own.reduce((total, { left }) => total + left, 0)
        const row = { key: pair.key, windowStart, windowEnd: windowStart + 20, n: own.length, ids }
        groups.set(`${pair.key} ${windowStart}`, row)
      }
      for (const cut of [{}, { frameRecords: 1 }, { frameRecords: 2 }, mode]) {
        const driven = await driveStreams(windowed(shape), inputOf(list), cut)
        const found = driven.rows.filter(({ topic }) => topic === 'windows').map(({ value }) => unpack(value!))
        expect(found).toEqual([...groups.values()])
        expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
      }
    }),
    { numRuns: 40 },
  )
})
