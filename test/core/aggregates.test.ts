// Each aggregate against a naive oracle, and the same however records are cut into chunks, parted into rows or restored.
// Holds SPEC: AGG-2, AGG-3, AGG-4, AGG-5, AGG-7, AGG-8, R11.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AGGREGATES, type AggregateKind, type AggregateOptions } from '../../src/core/aggregates/catalog.ts'
import { AggregateRows, aggregateOf, cut, type Item, itemsOf, mergedRun, ROWS, run } from './aggregate-rows.ts'

type Numbers = Item & { value: number }

interface Case {
  options?: AggregateOptions
  /** What the records hold in place of whole numbers. */
  shape?: (value: number) => unknown
  oracle: (items: Numbers[]) => unknown
}

const sumOf = (numbers: number[]): number => numbers.reduce((sum, number) => sum + number, 0)
const valuesOf = (items: Numbers[]): number[] => items.map(({ value }) => value)
const meanOf = (numbers: number[]): number => sumOf(numbers) / numbers.length
/** Sum of the products of the distances of two lists from their means. */
const spreadOf = (xs: number[], ys: number[]): number =>
  sumOf(xs.map((x, i) => (x - meanOf(xs)) * (ys[i]! - meanOf(ys))))
const secondsOf = (items: Numbers[]): number[] => items.map(({ second }) => second)
const byTime = (items: Numbers[]): Numbers[] => items.toSorted((a, b) => a.timeMs - b.timeMs)
const orNull = (number: number): number | null => (Number.isNaN(number) ? null : number)
const word = (value: number): string => `w${value % 7}`

function rankOf(items: Numbers[], q: number): number {
  const sorted = valuesOf(items).sort((a, b) => a - b)
  return sorted[Math.floor(q * (sorted.length - 1))]!
}

/** Most frequent first, then by the value. */
function tally(values: string[]): [value: string, count: number][] {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
}

const CASES: Record<AggregateKind, Case> = {
  count: { oracle: (items) => items.length },
  sum: { oracle: (items) => sumOf(valuesOf(items)) },
  min: { oracle: (items) => Math.min(...valuesOf(items)) },
  max: { oracle: (items) => Math.max(...valuesOf(items)) },
  avg: { oracle: (items) => meanOf(valuesOf(items)) },
  weightedMean: {
    oracle: (items) => sumOf(items.map(({ value, second }) => value * second)) / sumOf(secondsOf(items)),
  },
  variance: { oracle: (items) => spreadOf(valuesOf(items), valuesOf(items)) / items.length },
  stddev: { oracle: (items) => Math.sqrt(spreadOf(valuesOf(items), valuesOf(items)) / items.length) },
  varianceSample: { oracle: (items) => orNull(spreadOf(valuesOf(items), valuesOf(items)) / (items.length - 1)) },
  stddevSample: {
    oracle: (items) => orNull(Math.sqrt(spreadOf(valuesOf(items), valuesOf(items)) / (items.length - 1))),
  },
  covariance: { oracle: (items) => spreadOf(valuesOf(items), secondsOf(items)) / items.length },
  correlation: {
    oracle: (items) => {
      const [xs, ys] = [valuesOf(items), secondsOf(items)]
      if (new Set(xs).size === 1 || new Set(ys).size === 1) return null
      return spreadOf(xs, ys) / Math.sqrt(spreadOf(xs, xs) * spreadOf(ys, ys))
    },
  },
  first: { shape: word, oracle: (items) => word(byTime(items)[0]!.value) },
  last: { shape: word, oracle: (items) => word(byTime(items).at(-1)!.value) },
  argMin: { shape: word, oracle: (items) => word(byTime(items).sort((a, b) => a.second - b.second)[0]!.value) },
  argMax: { shape: word, oracle: (items) => word(byTime(items).sort((a, b) => b.second - a.second)[0]!.value) },
  // Within a percent, which is less than 0.5 of whole numbers below 50.
  quantile: {
    options: { q: 0.5 },
    shape: (value) => value % 40,
    oracle: (items) =>
      expect.closeTo(
        rankOf(
          items.map((item) => ({ ...item, value: item.value % 40 })),
          0.5,
        ),
        0,
      ),
  },
  quantiles: {
    options: { q: [0, 1] },
    oracle: (items) => [Math.min(...valuesOf(items)), Math.max(...valuesOf(items))],
  },
  histogram: {
    options: { bounds: [-10, 0, 250.5] },
    oracle: (items) =>
      [
        [-Infinity, -10],
        [-10, 0],
        [0, 250.5],
        [250.5, Infinity],
      ].map(([low, high]) => valuesOf(items).filter((value) => value >= low! && value < high!).length),
  },
  distinctCount: { shape: word, options: { limit: 6 }, oracle: (items) => countOrNull(items, 6) },
  // So few are counted exactly.
  approxDistinctCount: { shape: word, oracle: (items) => new Set(valuesOf(items).map(word)).size },
  topK: {
    shape: word,
    options: { k: 3, capacity: 7 },
    oracle: (items) =>
      tally(valuesOf(items).map(word))
        .slice(0, 3)
        .map(([value, count]) => ({ value, count, error: 0 })),
  },
  collect: {
    shape: word,
    options: { limit: 4 },
    oracle: (items) => ({
      values: valuesOf(byTime(items)).map(word).slice(0, 4),
      dropped: Math.max(0, items.length - 4),
    }),
  },
  decimalSum: {
    shape: (value) => (value / 4).toFixed(2),
    oracle: (items) => (sumOf(valuesOf(items)) / 4).toFixed(2),
  },
}

function countOrNull(items: Numbers[], limit: number): number | null {
  const { size } = new Set(valuesOf(items).map(word))
  return size > limit ? null : size
}

const item: fc.Arbitrary<Numbers> = fc.record({
  row: fc.integer({ min: -1, max: ROWS - 1 }),
  value: fc.integer({ min: -1_000, max: 1_000 }),
  second: fc.integer({ min: 1, max: 9 }),
  timeMs: fc.integer({ min: 0, max: 5 }),
})
const cutItems = cut(fc.array(item, { maxLength: 30 }))
const about = (value: unknown): unknown => (typeof value === 'number' ? expect.closeTo(value, 6) : value)

describe.each(Object.keys(AGGREGATES) as AggregateKind[])('%s', (kind) => {
  const { options = {}, shape = (value) => value, oracle } = CASES[kind]
  const shaped = (items: Numbers[]): Item[] => items.map((each) => ({ ...each, value: shape(each.value) }))
  const expected = (items: Numbers[], results: unknown[]): unknown[] =>
    results.map((_, row) => {
      const own = items.filter((candidate) => candidate.row === row)
      return own.length === 0 ? expect.anything() : about(oracle(own))
    })
  const filled = (items: Numbers[], results: unknown[]): unknown[] =>
    results.map((result, row) => (items.some((each) => each.row === row) ? result : 'no record'))

  test('is what the oracle says, however records are cut into chunks', () => {
    fc.assert(
      fc.property(cutItems, ([items, cuts]) => {
        const results = filled(items, run(kind, shaped(items), cuts, options))
        expect(results).toEqual(expected(items, results))
        expect(results).toEqual(filled(items, run(kind, shaped(items), [], options)))
      }),
    )
  })

  test('is the same when rows are stored and restored', () => {
    fc.assert(
      fc.property(cutItems, ([items, cuts]) => {
        const rows = new AggregateRows(aggregateOf(kind, options))
        let from = 0
        for (const to of [...cuts, items.length]) {
          rows.add(shaped(items).slice(from, to)).restored()
          from = to
        }
        expect(rows.results()).toEqual(run(kind, shaped(items), [], options))
      }),
    )
  })

  test('of merged rows is what the oracle says, however the records were parted', () => {
    fc.assert(
      fc.property(cutItems, ([items, cuts]) => {
        const results = filled(items, mergedRun(kind, shaped(items), cuts, options))
        expect(results).toEqual(expected(items, results))
      }),
    )
  })

  test('of merged rows shares nothing with the part, which goes on by itself', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 10 }), fc.array(item, { maxLength: 10 }), (before, after) => {
        const aggregate = aggregateOf(kind, options, true)
        for (const isRestored of [false, true]) {
          const part = new AggregateRows(aggregate).add(shaped(before))
          if (isRestored) part.restored()
          const whole = new AggregateRows(aggregate).merge(part)
          const ofBefore = whole.results()
          part.add(shaped(after))
          expect(whole.results()).toEqual(ofBefore)
          const ofBoth = part.results()
          whole.add(shaped(after)).add(shaped(after))
          expect(part.results()).toEqual(ofBoth)
        }
      }),
    )
  })
})

test('sums of merged rows are compensated', () => {
  expect(mergedRun('sum', itemsOf([1, 1e100, 1, -1e100]), [1, 2, 3])[0]).toBe(2)
  const parts = itemsOf(new Array(10_000).fill(0.1))
  expect(
    mergedRun(
      'avg',
      parts,
      parts.map((_, i) => i),
    )[0],
  ).toBe(0.1)
})

test.each(['sum', 'avg', 'weightedMean'] as const)('%s of merged rows stays infinite once it is', (kind) => {
  expect(mergedRun(kind, itemsOf([Number.MAX_VALUE, Number.MAX_VALUE, 1]), [1, 2])[0]).toBe(Number.POSITIVE_INFINITY)
})

test('variance, covariance and correlation do not cancel for values far from zero', () => {
  const items = [4, 7, 13, 16].map((value, i) => ({ row: 0, value: 1e9 + value, second: 1e9 - 2 * value, timeMs: i }))
  for (const cuts of [[], [2], [1, 2, 3]]) {
    expect(mergedRun('variance', items, cuts)[0]).toBe(22.5)
    expect(mergedRun('varianceSample', items, cuts)[0]).toBe(30)
    expect(mergedRun('covariance', items, cuts)[0]).toBe(-45)
    expect(mergedRun('correlation', items, cuts)[0]).toBe(-1)
  }
})

test('one record varies by 0, and as a sample says nothing', () => {
  const one = itemsOf([7])
  const kinds = ['variance', 'stddev', 'covariance', 'varianceSample', 'stddevSample', 'correlation'] as const
  expect(kinds.map((kind) => run(kind, one)[0])).toEqual([0, 0, 0, null, null, null])
})

test('sums of whole numbers are exact to 2^53', () => {
  expect(run('sum', itemsOf([2 ** 52, 2 ** 52 - 1, -1, 1]))[0]).toBe(2 ** 53 - 1)
})

test('a weighted mean of weights that sum to 0 has no result', () => {
  expect(run('weightedMean', [{ row: 0, value: 7, second: 0, timeMs: 1 }])[0]).toBeNull()
})

test.each(['first', 'last', 'argMin', 'argMax'] as const)(
  '%s takes any value, and changes between numbers and others',
  (kind) => {
    const mixed = ['a', 2, { b: 1 }, null, 5]
    // Each value is better than the ones before it: in time for first and last, by the other field for the others.
    const items = mixed.map((value, i) => ({
      row: 0,
      value,
      second: kind === 'argMin' ? -i : i,
      timeMs: kind === 'first' ? -i : i,
    }))
    for (let length = 1; length <= mixed.length; length++) {
      const cuts = items.slice(1, length).map((_, i) => i + 1)
      expect(run(kind, items.slice(0, length), [1])[0]).toEqual(mixed[length - 1])
      expect(mergedRun(kind, items.slice(0, length), cuts)[0]).toEqual(mixed[length - 1])
    }
  },
)

test('argMin and argMax take the earliest among equals, by event time, then by place', () => {
  const items = [
    { row: 0, value: 'later', second: 5, timeMs: 9 },
    { row: 0, value: 'earliest', second: 5, timeMs: 3 },
    { row: 0, value: 'as early, behind it', second: 5, timeMs: 3 },
  ]
  for (const kind of ['argMin', 'argMax'] as const) {
    expect(run(kind, items)[0]).toBe('earliest')
    expect(mergedRun(kind, items, [1, 2])[0]).toBe('earliest')
  }
})

test('a bucket of a histogram takes its lower bound', () => {
  expect(run('histogram', itemsOf([9, 10, 10.5, 20, 21]), [], { bounds: [10, 20] })[0]).toEqual([1, 2, 2])
})
