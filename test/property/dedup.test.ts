// Records dropped by their id, against a map of ids: every cut, restart and store. Holds SPEC: DEDUP-1, DEDUP-2, COUNT-1, R3.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { count, job, kafka, msgpack, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type InputRecord } from '../lane/lane-driver.ts'

interface Payment {
  key: string
  id: string | number
  amount: number
  ts: number
}
interface Shape {
  within: number
  outOfOrder: number
}

const keyedOf = ({ outOfOrder }: Shape) =>
  job('d')
    .from(kafka('in', { value: msgpack<Payment>(), key: 'key', eventTime: 'ts', outOfOrder: `${outOfOrder}ms` }))
    .keyBy('key')

function build(shape: Shape, kind: 'window' | 'records' | 'mapped'): CompiledJob {
  const within = `${shape.within}ms` as const
  if (kind === 'records') return keyedOf(shape).dedup('id', { within }).to(kafka('out')).build()
  const keyed = keyedOf(shape)
  const once =
    kind === 'mapped' ? keyed.map((payment) => ({ ...payment })).dedup('id', { within }) : keyed.dedup('id', { within })
  return once
    .window('w', tumbling('10ms', { grace: '1s' }))
    .aggregate({ n: count(), total: sum('amount') })
    .to(kafka('out', { value: msgpack() }))
    .build()
}

/** What is taken of the payments, in order. */
function oracle(payments: readonly Payment[], { within, outOfOrder }: Shape): Payment[] {
  const deadlines = new Map<string, number>()
  let watermark = Number.NEGATIVE_INFINITY
  return payments.filter(({ key, id, ts }) => {
    watermark = Math.max(watermark, ts - outOfOrder)
    const name = JSON.stringify([key, id])
    const deadline = deadlines.get(name)
    if (deadline !== undefined && deadline >= watermark) return false
    deadlines.set(name, ts + within)
    return true
  })
}

const payments = fc
  .array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'ab'),
      id: fc.oneof(fc.integer({ min: 0, max: 6 }), fc.constantFrom('0', '1', 'b0', 'é', 'x'.repeat(200))),
      amount: fc.nat(9),
      ts: fc.nat(12),
    }),
    { maxLength: 80, size: 'max' },
  )
  .map((list) => list.map((one, i) => ({ ...one, ts: one.ts + i * 2 })))
const shapes = fc.record({ within: fc.integer({ min: 1, max: 80 }), outOfOrder: fc.nat(20) })
const modes: fc.Arbitrary<DriveOptions> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      frameRecords: fc.integer({ min: 1, max: 9 }),
      restart: fc.constantFrom('never', 'changelog'),
      path: fc.constantFrom('planned', 'free'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<DriveOptions>(
      { frameRecords: 4, store: 'lmdb', restart: 'store' },
      { frameRecords: 4, store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } },
    ),
  },
)
const inputOf = (list: readonly Payment[]): InputRecord[] => list.map((value) => ({ key: value.key, value }))

function expectCounts(driven: Driven, all: readonly Payment[], taken: readonly Payment[]): void {
  const filtered = all.length - taken.length
  expect(driven.counts).toMatchObject({ in: all.length, accepted: taken.length, filtered, dead: 0, late: 0 })
  expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
}

test('each id is taken once while it is remembered, before a window and before a sink', async () => {
  await fc.assert(
    fc.asyncProperty(payments, shapes, modes, async (list, shape, mode) => {
      const taken = oracle(list, shape)
      const records = await drive(build(shape, 'records'), inputOf(list), mode)
      expect(records.rows.map(({ value }) => unpack(value!))).toEqual(taken)
      expectCounts(records, list, taken)
      for (const kind of ['window', 'mapped'] as const) {
        const windowed = await drive(build(shape, kind), inputOf(list), mode)
        const rows = windowed.rows.map(({ value }) => unpack(value!) as { n: number; total: number })
        expect(rows.reduce((n, row) => n + row.n, 0)).toBe(taken.length)
        expect(rows.reduce((total, row) => total + row.total, 0)).toBe(taken.reduce((v, { amount }) => v + amount, 0))
        expectCounts(windowed, list, taken)
      }
    }),
    { numRuns: 40 },
  )
})
