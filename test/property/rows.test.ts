// Rows of an aggregate that go on as records, against a grouping of the rows that its sink got: every kind of window, cut and
// restart. Holds SPEC: ROWS-1, R3, R4.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import {
  count,
  countWindow,
  cumulate,
  globalWindow,
  hopping,
  job,
  kafka,
  max,
  msgpack,
  session,
  sliding,
  sum,
  tumbling,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'
import { inputOf, type Tick, tickUpTo } from './ticks.ts'

const SECOND_MS = 50
const keyed = (outOfOrder: number) =>
  job('r')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: `${outOfOrder}ms` as '1ms' }))
    .keyBy('key')

const WINDOWS = {
  tumbling: tumbling('10ms', { grace: '3ms' }),
  hopping: hopping('20ms', '5ms'),
  cumulate: cumulate('20ms', '5ms'),
  session: session('8ms', { grace: '2ms' }),
  sliding: sliding('10ms'),
  counted: countWindow(3),
  global: globalWindow(),
}
type Kind = keyof typeof WINDOWS | 'running'

/** Rows of the first aggregate go to a sink of their own and on as records. */
function build(kind: Kind, outOfOrder: number): CompiledJob {
  const first =
    kind === 'running'
      ? keyed(outOfOrder)
          .aggregate({ n: count(), v: sum('value') })
          .to(kafka('first', { value: msgpack() }))
      : keyed(outOfOrder)
          .window('first', WINDOWS[kind])
          .aggregate({ n: count(), v: sum('value') })
          .to(kafka('first', { value: msgpack() }))
  return first
    .keyBy('key')
    .window('second', tumbling(`${SECOND_MS}ms`))
    .aggregate({ rows: count(), n: sum('n'), most: max('n'), v: sum('v') })
    .to(kafka('second', { value: msgpack() }))
    .build()
}

interface First {
  n: number
  v: number
}
interface Second {
  rows: number
  n: number
}

const ticks = fc
  .array(fc.tuple(tickUpTo(9), fc.nat(40)), { maxLength: 80, size: 'max' })
  .map((list) => list.map(([one, back], i) => ({ ...one, ts: one.ts + i * 3 + (i % 13 === 0 ? 60 : 0) - back })))
const modes: fc.Arbitrary<DriveOptions> = fc.record({
  frameRecords: fc.integer({ min: 1, max: 9 }),
  restart: fc.constantFrom('never', 'changelog'),
})

const rowsOf = ({ rows }: Driven, topic: string): Row[] => rows.filter((row) => row.topic === topic)

/** The rows of the second windows by the rows of the first. */
function grouped(firsts: readonly { row: Row; timeMs: number }[]): unknown[] {
  const groups = new Map<string, { key: string; windowStart: number; own: First[] }>()
  for (const { row, timeMs } of firsts) {
    const windowStart = Math.floor(timeMs / SECOND_MS) * SECOND_MS
    const name = `${row.key} ${windowStart}`
    const group = groups.get(name) ?? { key: row.key!, windowStart, own: [] }
    group.own.push(unpack(row.value!) as First)
    groups.set(name, group)
  }
  const sorted = [...groups.values()].sort((a, b) => a.windowStart - b.windowStart || (a.key < b.key ? -1 : 1))
  const total = (own: readonly First[], of: (row: First) => number): number =>
    own.reduce((all, row) => all + of(row), 0)
  return sorted.map(({ key, windowStart, own }) => ({
    key,
    windowStart,
    windowEnd: windowStart + SECOND_MS,
    rows: own.length,
    n: total(own, ({ n }) => n),
    most: Math.max(...own.map(({ n }) => n)),
    v: total(own, ({ v }) => v),
  }))
}

test.each(['tumbling', 'hopping', 'cumulate', 'session', 'sliding'] as const)(
  'rows of %s windows are records of their last moment, and none is late',
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(ticks, fc.nat(20), modes, async (list, outOfOrder, mode) => {
        for (const cut of [{}, { frameRecords: 1 }, { frameRecords: 2 }, mode]) {
          const driven = await drive(build(kind, outOfOrder), inputOf(list), cut)
          const firsts = rowsOf(driven, 'first').map((row) => ({ row, timeMs: row.timestampMs }))
          expect(rowsOf(driven, 'second').map(({ value }) => unpack(value!))).toEqual(grouped(firsts))
          expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
        }
      }),
      { numRuns: 25 },
    )
  },
)

test.each(['counted', 'global', 'running'] as const)(
  'rows of %s results are each a record of a second window, the same whatever the frames, and none is late',
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(ticks, fc.nat(20), modes, async (list, outOfOrder, mode) => {
        const whole = await drive(build(kind, outOfOrder), inputOf(list))
        const seconds = rowsOf(whole, 'second').map(({ value }) => unpack(value!) as Second)
        // A running result has its last row at the end of the input once more, for sinks alone.
        const firsts = rowsOf(whole, 'first')
          .filter(({ headers }) => kind !== 'running' || headers['millrace-phase'] === 'early')
          .map(({ value }) => unpack(value!) as First)
        const sumOf = (values: readonly number[]): number => values.reduce((total, one) => total + one, 0)
        expect(sumOf(seconds.map(({ rows }) => rows))).toBe(firsts.length)
        expect(sumOf(seconds.map(({ n }) => n))).toBe(sumOf(firsts.map(({ n }) => n)))
        expect(whole.counts.late).toBe(0)
        for (const cut of [{ frameRecords: 1 }, { frameRecords: 2 }, mode]) {
          const driven = await drive(build(kind, outOfOrder), inputOf(list), cut)
          expect(rowsOf(driven, 'second').map(({ value }) => unpack(value!))).toEqual(seconds)
        }
      }),
      { numRuns: 40 },
    )
  },
)
