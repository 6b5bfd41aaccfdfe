// The histogram against sorted arrays. Keeps SPEC: METRIC-1.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Histogram } from '../../src/core/histogram.ts'

const ERROR_SHARE = 1 / 256 + 1e-9

/** The exact nearest-rank percentile. */
function exactPercentile(values: number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]!
}

function filled(values: number[]): Histogram {
  const histogram = new Histogram()
  for (const value of values) histogram.record(value)
  return histogram
}

const latencies = fc.array(fc.double({ min: 0.001, max: 1e10, noNaN: true }), { minLength: 1, maxLength: 300 })

describe('a histogram', () => {
  test('gives every percentile within 0.4 % of the exact nearest rank', () => {
    fc.assert(
      fc.property(latencies, fc.constantFrom(0, 1, 25, 50, 75, 90, 95, 99, 99.9, 100), (values, percent) => {
        const exact = exactPercentile(values, percent)
        expect(Math.abs(filled(values).percentile(percent) - exact)).toBeLessThanOrEqual(exact * ERROR_SHARE)
      }),
    )
  })

  test('keeps count, least, greatest and mean exactly', () => {
    fc.assert(
      fc.property(latencies, (values) => {
        const histogram = filled(values)
        const sum = values.reduce((a, b) => a + b, 0)
        expect(histogram.count).toBe(values.length)
        expect(histogram.min).toBe(Math.min(...values))
        expect(histogram.max).toBe(Math.max(...values))
        expect(histogram.mean).toBeCloseTo(sum / values.length, -Math.log10(sum * 1e-9))
      }),
    )
  })

  test('is the same merged from parts as filled at once', () => {
    fc.assert(
      fc.property(latencies, latencies, (left, right) => {
        const merged = filled(left)
        merged.merge(filled(right))
        const whole = filled([...left, ...right])
        for (const percent of [0, 50, 99, 100]) expect(merged.percentile(percent)).toBe(whole.percentile(percent))
        expect(merged.count).toBe(whole.count)
      }),
    )
  })

  test('counts a weight as that many equal values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: 1, max: 1e4, noNaN: true }), fc.integer({ min: 1, max: 9 })), {
          minLength: 1,
        }),
        (pairs) => {
          const weighted = new Histogram()
          for (const [value, weight] of pairs) weighted.record(value, weight)
          const repeated = filled(pairs.flatMap(([value, weight]) => Array<number>(weight).fill(value)))
          expect(weighted.count).toBe(repeated.count)
          expect(weighted.percentile(90)).toBe(repeated.percentile(90))
        },
      ),
    )
  })

  test('counts negative values and NaN as zero and clamps values beyond its range', () => {
    const histogram = filled([-5, Number.NaN, 0])
    expect([histogram.count, histogram.percentile(99), histogram.max]).toEqual([3, 0, 0])
    histogram.record(1e300)
    expect(histogram.percentile(100)).toBe(1e300)
  })

  test('takes 1 kB for each power of two that its values fall into, not more', () => {
    const histogram = filled([])
    expect(histogram.cellBytes).toBe(0)
    for (let value = 1; value < 1024; value++) histogram.record(value)
    expect(histogram.cellBytes).toBe(10 * 1024)
  })

  test('is empty after a reset', () => {
    const histogram = filled([1, 2, 3])
    histogram.reset()
    expect([histogram.count, histogram.sum, histogram.percentile(50), histogram.min, histogram.max]).toEqual([
      0, 0, 0, 0, 0,
    ])
  })
})
