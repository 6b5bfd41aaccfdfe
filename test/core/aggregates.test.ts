// Each aggregate against a naive oracle, and the same however records are cut into chunks or parted into rows.
// Holds SPEC: AGG-2, AGG-3, AGG-4, AGG-5, R11.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Aggregate, AggregateInput } from '../../src/core/aggregates/aggregate.ts'
import { AGGREGATES, type AggregateKind, MERGED_AGGREGATES } from '../../src/core/aggregates/catalog.ts'
import { Columns } from '../../src/core/columns.ts'

interface Item {
  row: number
  value: number
  weight: number
  timeMs: number
}

const ROWS = 3
const AT = 2

/** Results by row; `cuts`: where chunks end. */
function run(kind: AggregateKind, items: Item[], cuts: number[], others: unknown[] = []): unknown[] {
  return resultsOf(AGGREGATES[kind], rowsOf(AGGREGATES[kind], items, cuts, others))
}

interface Rows {
  slots: Float64Array
  cells: (unknown[] | undefined)[]
}

function rowsOf(aggregate: Aggregate, items: Item[], cuts: number[], others: unknown[] = []): Rows {
  const width = AT + aggregate.slotCount
  const slots = new Float64Array(ROWS * width)
  const columns = new Columns(['value', 'weight'], Math.max(1, items.length))
  items.forEach((item, i) => {
    columns.setValue(0, i, i in others ? others[i] : item.value)
    columns.setValue(1, i, item.weight)
  })
  const cells: (unknown[] | undefined)[] = []
  const timesMs = Float64Array.from(items, (item) => item.timeMs)
  const input: AggregateInput = {
    values: columns.valuesOf(0),
    weights: columns.valuesOf(1),
    timesMs,
    columns,
    field: 0,
    cells,
    cell: 0,
  }
  for (let row = 0; row < ROWS; row++) aggregate.init(slots, row * width + AT)
  const rows = Int32Array.from(items, (item) => item.row)
  let from = 0
  for (const to of [...cuts, items.length]) {
    aggregate.update(slots, width, AT, rows, input, from, to)
    from = to
  }
  return { slots, cells }
}

function resultsOf(aggregate: Aggregate, { slots, cells }: Rows): unknown[] {
  const width = AT + aggregate.slotCount
  return Array.from({ length: ROWS }, (_, row) => {
    const number = aggregate.result(slots, row * width + AT)
    return Number.isNaN(number) && aggregate.hasCell ? cells[row]?.[0] : number
  })
}

const sumOf = (numbers: number[]): number => numbers.reduce((sum, number) => sum + number, 0)
const ORACLES: Record<AggregateKind, (items: Item[]) => number> = {
  count: (items) => items.length,
  sum: (items) => sumOf(items.map(({ value }) => value)),
  min: (items) => Math.min(...items.map(({ value }) => value)),
  max: (items) => Math.max(...items.map(({ value }) => value)),
  avg: (items) => sumOf(items.map(({ value }) => value)) / items.length,
  first: (items) => items.reduce((best, item) => (item.timeMs < best.timeMs ? item : best)).value,
  last: (items) => items.reduce((best, item) => (item.timeMs >= best.timeMs ? item : best)).value,
  variance: (items) => {
    const mean = sumOf(items.map(({ value }) => value)) / items.length
    return sumOf(items.map(({ value }) => (value - mean) ** 2)) / items.length
  },
  weightedMean: (items) =>
    sumOf(items.map(({ value, weight }) => value * weight)) / sumOf(items.map(({ weight }) => weight)),
}

/** Row -1 is a record that is left out. */
const item = fc.record({
  row: fc.integer({ min: -1, max: ROWS - 1 }),
  value: fc.integer({ min: -1_000, max: 1_000 }),
  weight: fc.integer({ min: 1, max: 9 }),
  timeMs: fc.integer({ min: 0, max: 5 }),
})
const cutItems = fc.array(item, { maxLength: 30 }).chain((items) =>
  fc.tuple(
    fc.constant(items),
    fc.array(fc.nat(items.length)).map((cuts) => cuts.sort((a, b) => a - b)),
  ),
)

describe.each(Object.keys(AGGREGATES) as AggregateKind[])('%s', (kind) => {
  test('is what the oracle says, however records are cut into chunks', () => {
    fc.assert(
      fc.property(cutItems, ([items, cuts]) => {
        const results = run(kind, items, cuts)
        for (let row = 0; row < ROWS; row++) {
          const own = items.filter((candidate) => candidate.row === row)
          if (own.length === 0) continue
          if (kind === 'variance') expect(results[row]).toBeCloseTo(ORACLES[kind](own), 6)
          else expect(results[row]).toBe(ORACLES[kind](own))
        }
        expect(results).toEqual(run(kind, items, []))
      }),
    )
  })
})

/** The items in parts, each aggregated by itself, then merged from the first part to the last. */
function mergedRun(kind: AggregateKind, items: Item[], cuts: number[], others: unknown[] = []): unknown[] {
  const aggregate = MERGED_AGGREGATES[kind]
  const width = AT + aggregate.slotCount
  const whole = rowsOf(aggregate, [], [])
  let from = 0
  for (const to of [...cuts, items.length]) {
    const part = rowsOf(aggregate, items.slice(from, to), [], others.slice(from, to))
    for (let row = 0; row < ROWS; row++) {
      whole.cells[row] ??= []
      const cells = { to: whole.cells[row]!, from: part.cells[row] }
      aggregate.merge(whole.slots, row * width + AT, part.slots, row * width + AT, cells, 0)
    }
    from = to
  }
  return resultsOf(aggregate, whole)
}

describe.each(Object.keys(MERGED_AGGREGATES) as AggregateKind[])('%s of merged rows', (kind) => {
  test('is what the oracle says, however the records were parted', () => {
    fc.assert(
      fc.property(cutItems, ([items, cuts]) => {
        const results = mergedRun(kind, items, cuts)
        for (let row = 0; row < ROWS; row++) {
          const own = items.filter((candidate) => candidate.row === row)
          if (own.length > 0) expect(results[row]).toBeCloseTo(ORACLES[kind](own), 6)
        }
      }),
    )
  })
})

test('sums of merged rows are compensated', () => {
  const values = [1, 1e100, 1, -1e100]
  expect(
    mergedRun(
      'sum',
      values.map((value, i) => at(i, value)),
      [1, 2, 3],
    )[0],
  ).toBe(2)
  const parts = Array.from({ length: 10_000 }, (_, i) => at(i, 0.1))
  expect(
    mergedRun(
      'avg',
      parts,
      parts.map((_, i) => i),
    )[0],
  ).toBe(0.1)
})

test.each(['sum', 'avg', 'weightedMean'] as const)('%s of merged rows stays infinite once it is', (kind) => {
  const items = [Number.MAX_VALUE, Number.MAX_VALUE, 1].map((value, i) => at(i, value))
  expect(mergedRun(kind, items, [1, 2])[0]).toBe(Number.POSITIVE_INFINITY)
})

test.each(['first', 'last'] as const)(
  '%s of merged rows takes any value, and the part it comes from goes on by itself',
  (kind) => {
    const mixed = ['a', 2, { b: 1 }, null, 5]
    for (let length = 1; length <= mixed.length; length++) {
      const values = mixed.slice(0, length)
      const items = values.map((_, i) => at(kind === 'last' ? i : -i))
      expect(mergedRun(kind, items, values.map((_, i) => i).slice(1), values)[0]).toEqual(values.at(-1))
    }
  },
)

const at = (timeMs: number, value = 0): Item => ({ row: 0, value, weight: 1, timeMs })

test('variance does not cancel for values far from zero', () => {
  const items = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16].map((value, i) => at(i, value))
  expect(run('variance', items, [2])[0]).toBe(22.5)
})

test('variance of one record is 0', () => {
  expect(run('variance', [at(1, 7)], [])[0]).toBe(0)
})

test('sums of whole numbers are exact to 2^53', () => {
  const items = [2 ** 52, 2 ** 52 - 1, -1, 1].map((value, i) => at(i, value))
  expect(run('sum', items, [])[0]).toBe(2 ** 53 - 1)
})

test('a weighted mean of weights that sum to 0 has no result', () => {
  expect(run('weightedMean', [{ ...at(1, 7), weight: 0 }], [])[0]).toBeNaN()
})

test.each(['first', 'last'] as const)('%s takes any value, and changes between numbers and others', (kind) => {
  const mixed = ['a', 2, { b: 1 }, null, 5]
  for (let length = 1; length <= mixed.length; length++) {
    const values = mixed.slice(0, length)
    const items = values.map((_, i) => at(kind === 'last' ? i : -i))
    expect(run(kind, items, [1], values)[0]).toEqual(values.at(-1))
  }
})
