// Windows by count, and the global window as the largest of them, against slices of the list of a key's records: every emission, cut,
// restart and store. Holds SPEC: R3, R4, R9, WIN-8, WIN-9, AGG-5, EMIT-2.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import {
  count,
  countWindow,
  custom,
  first,
  globalWindow,
  job,
  kafka,
  last,
  max,
  msgpack,
  sum,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type InputRecord } from '../lane/lane-driver.ts'

interface Tick {
  key: string
  ts: number
  value: number
  name: string
}
interface Shape {
  size: number
  hop: number
}
/** What no list of records here fills: the global window. */
const GLOBAL: Shape = { size: 1_000, hop: 1_000 }
/** An accumulator throws on it: the record is dead, and in no window. */
const POISON = 9

type Emission = 'final' | 'updates' | { every: '7ms' }
type Accumulator = 'none' | 'merged' | 'not merged'

function build(shape: Shape, emit: Emission, accumulator: Accumulator): CompiledJob {
  const all = custom<Tick, number[], string, readonly ['value']>({
    fields: ['value'],
    init: () => [],
    add: (state, value) => {
      if (value === POISON) throw new RangeError('poison')
      state.push(value)
      return state
    },
    ...(accumulator === 'merged' && {
      merge: (state: number[], later: number[]) => {
        state.push(...later)
        return state
      },
    }),
    result: (state) => state.join(' '),
  })
  return job('c')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '5ms' }))
    .keyBy('key')
    .window('w', shape === GLOBAL ? globalWindow() : countWindow(shape.size, { hop: shape.hop }))
    .aggregate({
      n: count(),
      v: sum('value'),
      high: max('value'),
      from: first('name'),
      to: last('value'),
      ...(accumulator === 'none' ? {} : { all }),
    })
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

/** Window n of a key is its records from n * hop on; what a row of `updates` shows is as much of it as there is. */
function oracle(ticks: readonly Tick[], { size, hop }: Shape, emit: Emission, accumulator: Accumulator) {
  const ofKey = new Map<string, Tick[]>()
  const rows: unknown[] = []
  let dead = 0
  for (const tick of ticks) {
    const { key } = tick
    if (accumulator !== 'none' && tick.value === POISON) {
      dead++
      continue
    }
    const own = [...(ofKey.get(key) ?? []), tick]
    ofKey.set(key, own)
    const starts = own.map((_, i) => i).filter((i) => i % hop === 0 && i + size >= own.length)
    if (emit === 'updates') rows.push(...starts.map((i) => rowOf(i, own.slice(i), 'early')))
    const full = starts.filter((i) => i + size === own.length)
    rows.push(...full.map((i) => rowOf(i, own.slice(i), 'final')))
  }
  for (const [, own] of [...ofKey].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const starts = own.map((_, i) => i).filter((i) => i % hop === 0 && i + size > own.length)
    rows.push(...starts.map((i) => rowOf(i, own.slice(i), 'final')))
  }
  return { rows, dead }

  function rowOf(start: number, own: readonly Tick[], phase: 'early' | 'final'): unknown {
    const { key } = own[0]!
    const times = own.map(({ ts }) => ts)
    const values = own.map(({ value }) => value)
    const isGlobal = size === GLOBAL.size
    const rev = emit !== 'updates' ? 1 : phase === 'early' ? own.length : own.length + 1
    return {
      id: isGlobal ? `w-aggregate:${key}` : `w-aggregate:${key}:#${start / hop}`,
      ...{ phase, rev: emit !== 'final' && emit !== 'updates' ? expect.any(Number) : rev, time: Math.max(...times) },
      ...(isGlobal ? { key } : { key, windowStart: Math.min(...times), windowEnd: Math.max(...times) }),
      ...{ n: own.length, v: values.reduce((a, b) => a + b, 0), high: Math.max(...values) },
      from: own.reduce((best, tick) => (tick.ts < best.ts ? tick : best)).name,
      to: own.reduce((best, tick) => (tick.ts >= best.ts ? tick : best)).value,
      ...(accumulator === 'none' ? {} : { all: values.join(' ') }),
    }
  }
}

function rowsOf({ rows }: Driven): { phase: string }[] {
  return rows
    .filter(({ topic }) => topic === 'out')
    .map(({ value, headers, timestampMs }) => ({
      id: headers['millrace-id'],
      phase: headers['millrace-phase']!,
      rev: Number(headers['millrace-rev']),
      time: timestampMs,
      ...(unpack(value!) as object),
    }))
}

function expectRows(driven: Driven, list: readonly Tick[], shape: Shape, emit: Emission, kind: Accumulator): void {
  const { rows, dead } = oracle(list, shape, emit, kind)
  const told = rowsOf(driven)
  // What a tick finds is told by the other property and by golden tables.
  expect(typeof emit === 'object' ? told.filter(({ phase }) => phase === 'final') : told).toEqual(rows)
  expect(driven.counts).toMatchObject({ in: list.length, accepted: list.length - dead, dead, late: 0, refused: 0 })
  expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
}

const tick = fc.record({
  key: fc.oneof(fc.constantFrom('a', 'b'), fc.integer({ min: 10, max: 25 }).map(String)),
  ts: fc.integer({ min: -20, max: 60 }),
  value: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: -9, max: 8 }) },
    { weight: 2, arbitrary: fc.constant(POISON) },
  ),
  name: fc.constantFrom('x', 'y', 'z'),
})
const ticks = fc.array(tick, { maxLength: 90, size: 'max' })
const shapes = fc.oneof(
  { weight: 1, arbitrary: fc.constant(GLOBAL) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 12 }), fc.nat())
      .map(([size, n]): Shape => ({ size, hop: 1 + (n % size) })),
  },
)
const emissions = fc.constantFrom<Emission[]>('final', 'updates', { every: '7ms' })
const accumulators = fc.constantFrom<Accumulator[]>('none', 'merged', 'not merged')
const modes: fc.Arbitrary<DriveOptions> = fc.record({
  frameRecords: fc.integer({ min: 1, max: 9 }),
  restart: fc.constantFrom('never', 'changelog'),
  path: fc.constantFrom('planned', 'free'),
})
const inputOf = (list: readonly Tick[]): InputRecord[] => list.map((value) => ({ key: value.key, value }))

describe('windows by count', () => {
  test('give the rows of the oracle, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(ticks, shapes, emissions, accumulators, modes, async (list, shape, emit, kind, mode) => {
        expectRows(await drive(build(shape, emit, kind), inputOf(list), mode), list, shape, emit, kind)
      }),
      { numRuns: 300 },
    )
  })

  test('give the same rows in the same order, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(ticks, shapes, emissions, accumulators, modes, async (list, shape, emit, kind, mode) => {
        const whole = await drive(build(shape, emit, kind), inputOf(list))
        const cut = await drive(build(shape, emit, kind), inputOf(list), mode)
        expect(rowsOf(cut)).toEqual(rowsOf(whole))
      }),
      { numRuns: 100 },
    )
  })
})

test.each([
  ['reopened from disk after each frame', { store: 'lmdb', restart: 'store' }],
  ['of which nothing stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } }],
  ['of which half stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 5_000 } }],
] as [string, DriveOptions][])('windows by count %s give the same rows', async (_, options) => {
  await fc.assert(
    fc.asyncProperty(ticks, shapes, emissions, accumulators, async (list, shape, emit, kind) => {
      const driven = await drive(build(shape, emit, kind), inputOf(list), { ...options, frameRecords: 4 })
      expectRows(driven, list, shape, emit, kind)
    }),
    { numRuns: 25 },
  )
})
