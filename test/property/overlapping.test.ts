// Windows that overlap, hopping and cumulate, against a list of records a window: every emission, cut, restart and store.
// Holds SPEC: R2, R3, R4, R6, WIN-1, WIN-2, WIN-3, AGG-5.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import {
  count,
  cumulate,
  custom,
  first,
  hopping,
  job,
  kafka,
  last,
  max,
  msgpack,
  sum,
  type WindowSpec,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'
import { inputOf, POISON, resultsOf, type Tick, tickUpTo } from './ticks.ts'

const OUT_OF_ORDER = 3

/** What a window is, for the oracle: its bounds by number, and when it closes. */
interface Shape {
  spec: WindowSpec
  graceMs: number
  /** All windows that hold a time, as [start, end). */
  around(ts: number): [start: number, end: number][]
}

function hops(size: number, hop: number, offset: number, grace: number): Shape {
  return {
    spec: hopping(`${size}ms`, `${hop}ms`, { offset: `${offset}ms`, grace: `${grace}ms` }),
    graceMs: grace,
    around(ts) {
      const found: [number, number][] = []
      for (let n = -100; n < 200; n++) {
        const start = n * hop + offset
        if (start <= ts && ts < start + size) found.push([start, start + size])
      }
      return found
    },
  }
}

function steps(size: number, step: number, offset: number, grace: number): Shape {
  return {
    spec: cumulate(`${size}ms`, `${step}ms`, { offset: `${offset}ms`, grace: `${grace}ms` }),
    graceMs: grace,
    around(ts) {
      const found: [number, number][] = []
      for (let n = -100; n < 100; n++) {
        const start = n * size + offset
        for (let end = start + step; end <= start + size; end += step)
          if (start <= ts && ts < end) found.push([start, end])
      }
      return found
    },
  }
}

const shapes = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), fc.nat(11), fc.nat(4))
    .map(([a, b, offset, grace]) => hops(Math.max(a, b), Math.min(a, b), offset % Math.min(a, b), grace)),
  fc
    .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 4 }), fc.nat(3), fc.nat(4))
    .map(([step, times, offset, grace]) => steps(step * times, step, offset % (step * times), grace)),
)

type Emission = 'final' | 'updates' | 'unmerged'

/** `unmerged`: rows of the close alone, and an accumulator that cannot be merged: windows have rows of their own. */
function build({ spec }: Shape, emission: Emission): CompiledJob {
  const list = {
    fields: ['value'] as const,
    init: (): number[] => [],
    add: (state: number[], value: number) => {
      if (value === POISON) throw new RangeError('poison')
      state.push(value)
      return state
    },
    result: (state: number[]) => [...state].sort((a, b) => a - b).join(' '),
  }
  const merge = (state: number[], later: number[]): number[] => {
    state.push(...later)
    return state
  }
  return job('o')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: `${OUT_OF_ORDER}ms` }))
    .keyBy('key')
    .window('w', spec)
    .aggregate({
      n: count(),
      v: sum('value'),
      high: max('value'),
      from: first('name'),
      to: last('value'),
      all: custom<Tick, number[], string, readonly ['value']>(emission === 'unmerged' ? list : { ...list, merge }),
    })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit: emission === 'updates' ? 'updates' : 'final' })
    .build()
}

interface Expected {
  rows: unknown[]
  late: number
  dead: number
  refused: number
  updates: number
}

function oracle(ticks: readonly Tick[], shape: Shape): Expected {
  const windows = new Map<string, { start: number; end: number; own: Tick[] }>()
  let watermark = Number.NEGATIVE_INFINITY
  let [late, dead, refused, updates] = [0, 0, 0, 0]
  for (const tick of ticks) {
    watermark = Math.max(watermark, tick.ts - OUT_OF_ORDER)
    const around = shape.around(tick.ts)
    const open = around.filter(([, end]) => end + shape.graceMs > watermark)
    if (open.length === 0) late++
    else if (tick.value === POISON) dead++
    else refused += around.length - open.length
    if (tick.value === POISON) continue
    updates += open.length
    for (const [start, end] of open) {
      const id = `${tick.key}/${start}/${end}`
      const window = windows.get(id) ?? { start, end, own: [] }
      window.own.push(tick)
      windows.set(id, window)
    }
  }
  const rows = [...windows.values()]
    .sort((a, b) => a.end - b.end || (a.own[0]!.key < b.own[0]!.key ? -1 : 1))
    .map(({ start, end, own }) => {
      const values = own.map(({ value }) => value)
      return {
        key: own[0]!.key,
        windowStart: start,
        windowEnd: end,
        ...resultsOf(own),
        all: values.sort((a, b) => a - b).join(' '),
      }
    })
  return { rows, late, dead, refused, updates }
}

/** Times that mostly go up, so that windows close all the time, and come back to panes that were merged. */
const ticks = fc
  .array(fc.tuple(tickUpTo(3), fc.nat(9)), { maxLength: 90, size: 'max' })
  .map((list) => list.map(([one, back], i) => ({ ...one, ts: one.ts + Math.floor(i / 2) - back })))
const out = (driven: Driven, phase: string): Row[] =>
  driven.rows.filter(({ topic, headers }) => topic === 'out' && headers['millrace-phase'] === phase)

function expectRows(driven: Driven, list: readonly Tick[], expected: Expected): void {
  expect(out(driven, 'final').map(({ value }) => unpack(value!))).toEqual(expected.rows)
  expect(driven.counts).toMatchObject({
    in: list.length,
    accepted: list.length - expected.late - expected.dead,
    late: expected.late,
    refused: expected.refused,
    dead: expected.dead,
  })
  expect(driven.rows.filter(({ topic }) => topic === 'late')).toHaveLength(expected.late)
  expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
}

const modes: fc.Arbitrary<DriveOptions> = fc.record({
  frameRecords: fc.integer({ min: 1, max: 9 }),
  restart: fc.constantFrom('never', 'changelog'),
  path: fc.constantFrom('planned', 'free'),
})

describe.each(['final', 'updates', 'unmerged'] as const)('overlapping windows, %s', (emission) => {
  test('give the rows of the oracle, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(ticks, shapes, modes, async (list, shape, mode) => {
        const driven = await drive(build(shape, emission), inputOf(list), mode)
        const expected = oracle(list, shape)
        expectRows(driven, list, expected)
        expect(out(driven, 'early')).toHaveLength(emission === 'updates' ? expected.updates : 0)
      }),
      { numRuns: 120 },
    )
  })
})

test.each([
  ['reopened from disk after each frame', { store: 'lmdb', restart: 'store' }],
  ['of which nothing stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } }],
  ['of which half stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 3_000 } }],
] as [string, DriveOptions][])('panes %s give the same rows', async (_, options) => {
  await fc.assert(
    fc.asyncProperty(ticks, shapes, async (list, shape) => {
      const driven = await drive(build(shape, 'final'), inputOf(list), { ...options, frameRecords: 4 })
      expectRows(driven, list, oracle(list, shape))
    }),
    { numRuns: 25 },
  )
})
