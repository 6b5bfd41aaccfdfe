// Session windows against a sort and sweep over lists of records: every emission, cut, restart and store.
// Holds SPEC: R2, R3, R4, R6, R10, WIN-4, WIN-5, AGG-5.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { count, custom, first, job, kafka, last, max, msgpack, session, sum } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'
import { inputOf, POISON, resultsOf, type Tick, tickUpTo } from './ticks.ts'

interface Shape {
  gap: number
  grace: number
  outOfOrder: number
}

type Emission = 'final' | 'updates' | { every: '7ms' }

function build({ gap, grace, outOfOrder }: Shape, emit: Emission, isPoisoned: boolean): CompiledJob {
  const all = custom<Tick, number[], string, readonly ['value']>({
    fields: ['value'],
    init: () => [],
    add: (state, value) => {
      if (value === POISON) throw new RangeError('poison')
      state.push(value)
      return state
    },
    merge: (state, later) => {
      state.push(...later)
      return state
    },
    result: (state) => [...state].sort((a, b) => a - b).join(' '),
  })
  return job('s')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: `${outOfOrder}ms` }))
    .keyBy('key')
    .window('w', session(`${gap}ms`, { grace: `${grace}ms` }))
    .aggregate({
      n: count(),
      v: sum('value'),
      high: max('value'),
      from: first('name'),
      to: last('value'),
      ...(isPoisoned ? { all } : {}),
    })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

interface Session {
  key: string
  own: Tick[]
}
const start = ({ own }: Session): number => Math.min(...own.map(({ ts }) => ts))
const end = ({ own }: Session): number => Math.max(...own.map(({ ts }) => ts))

/** A list a session: judged record by record, all open sessions that are near become one. */
function oracle(ticks: readonly Tick[], shape: Shape, isPoisoned: boolean) {
  let open: Session[] = []
  const closed: Session[] = []
  let watermark = Number.NEGATIVE_INFINITY
  let [late, dead] = [0, 0]
  const close = (to: number): void => {
    const due = open.filter((one) => to > end(one) + shape.gap + shape.grace)
    open = open.filter((one) => !due.includes(one))
    due.sort((a, b) => end(a) - end(b) || (a.key < b.key ? -1 : 1))
    closed.push(...due)
  }
  for (const tick of ticks) {
    watermark = Math.max(watermark, tick.ts - shape.outOfOrder)
    close(watermark)
    const near = open.filter(
      (one) => one.key === tick.key && tick.ts >= start(one) - shape.gap && tick.ts <= end(one) + shape.gap,
    )
    if (near.length === 0 && watermark > tick.ts + shape.gap + shape.grace) late++
    else if (isPoisoned && tick.value === POISON) dead++
    else {
      open = open.filter((one) => !near.includes(one))
      // In the order of the partition, as `first` and `last` want it.
      const own = near.flatMap((one) => one.own).sort((a, b) => ticks.indexOf(a) - ticks.indexOf(b))
      open.push({ key: tick.key, own: [...own, tick] })
    }
  }
  close(Number.POSITIVE_INFINITY)
  return { rows: closed.map((one) => rowOf(one, isPoisoned)), late, dead }
}

function rowOf(one: Session, isPoisoned: boolean): unknown {
  const { key, own } = one
  const values = own.map(({ value }) => value)
  return {
    key,
    windowStart: start(one),
    windowEnd: end(one),
    ...resultsOf(own),
    ...(isPoisoned ? { all: values.sort((a, b) => a - b).join(' ') } : {}),
  }
}

/** Times that mostly go up, with leaps, and come back to sessions that were left. */
const ticks = fc
  .array(fc.tuple(tickUpTo(8), fc.nat(30)), { maxLength: 90, size: 'max' })
  .map((list) => list.map(([one, back], i) => ({ ...one, ts: one.ts + i * 2 + (i % 17 === 0 ? 40 : 0) - back })))
const shapes = fc.record({ gap: fc.integer({ min: 1, max: 60 }), grace: fc.nat(20), outOfOrder: fc.nat(25) })
const out = (driven: Driven): Row[] => driven.rows.filter(({ topic }) => topic === 'out')

function expectRows(driven: Driven, list: readonly Tick[], shape: Shape, isPoisoned: boolean): void {
  const expected = oracle(list, shape, isPoisoned)
  const finals = out(driven).filter(({ headers }) => headers['millrace-phase'] === 'final')
  expect(finals.map(({ value }) => unpack(value!))).toEqual(expected.rows)
  const { late, dead } = expected
  expect(driven.counts).toMatchObject({ in: list.length, accepted: list.length - late - dead, late, dead, refused: 0 })
  expect(driven.rows.filter(({ topic }) => topic === 'late')).toHaveLength(late)
  expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
}

/** A reader that keeps the newest row of each id: what is left at the end are the final rows, nothing twice and nothing else. */
function expectReader(driven: Driven): void {
  const live = new Map<string, { rev: number; row: Row }>()
  for (const row of out(driven)) {
    const id = row.headers['millrace-id']!
    const rev = Number(row.headers['millrace-rev'])
    const before = live.get(id)
    expect(before?.row.headers['millrace-phase']).not.toBe('final')
    expect(rev).toBe((before?.rev ?? 0) + 1)
    live.set(id, { rev, row })
  }
  const phases = [...live.values()].map(({ row }) => row.headers['millrace-phase'])
  expect(phases.filter((phase) => phase === 'early')).toEqual([])
}

const modes: fc.Arbitrary<DriveOptions> = fc.record({
  frameRecords: fc.integer({ min: 1, max: 9 }),
  restart: fc.constantFrom('never', 'changelog'),
  path: fc.constantFrom('planned', 'free'),
})

describe.each(['final', 'updates', { every: '7ms' }] as const)('sessions, emit %j', (emit) => {
  test('give the rows of the oracle, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(ticks, shapes, modes, fc.boolean(), async (list, shape, mode, isPoisoned) => {
        const driven = await drive(build(shape, emit, isPoisoned), inputOf(list), mode)
        expectRows(driven, list, shape, isPoisoned)
        if (emit === 'updates') expectReader(driven)
      }),
      { numRuns: 120 },
    )
  })

  test('give the same rows in the same order, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(ticks, shapes, modes, async (list, shape, mode) => {
        const rows = (driven: Driven): unknown => out(driven).map(({ value, headers }) => [unpack(value!), headers])
        const whole = await drive(build(shape, emit, false), inputOf(list))
        const cut = await drive(build(shape, emit, false), inputOf(list), mode)
        expect(rows(cut)).toEqual(rows(whole))
      }),
      { numRuns: 60 },
    )
  })
})

test.each([
  ['reopened from disk after each frame', { store: 'lmdb', restart: 'store' }],
  ['of which nothing stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } }],
  ['of which half stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 5_000 } }],
] as [string, DriveOptions][])('sessions %s give the same rows', async (_, options) => {
  await fc.assert(
    fc.asyncProperty(ticks, shapes, fc.constantFrom('final', 'updates'), async (list, shape, emit) => {
      const driven = await drive(build(shape, emit as Emission, false), inputOf(list), { ...options, frameRecords: 4 })
      expectRows(driven, list, shape, false)
    }),
    { numRuns: 20 },
  )
})
