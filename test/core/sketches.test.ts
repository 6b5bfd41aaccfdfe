// The aggregates that answer within an error, or up to a limit: the error is what they say, the state what they may have.
// Holds SPEC: AGG-6, AGG-9, AGG-10, AGG-11, AGG-12, AGG-13, AGG-14.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isDecimal } from '../../src/core/aggregates/decimal-sum.ts'
import type { TopValue } from '../../src/core/aggregates/top-k.ts'
import { AggregateRows, aggregateOf, cut, type Item, itemsOf, mergedRun, run, seeded } from './aggregate-rows.ts'

const KIB = 1 << 10

describe('quantiles', () => {
  const QS = [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 1]
  const rankOf = (sorted: readonly number[], q: number): number => sorted[Math.floor(q * (sorted.length - 1))]!
  const value = fc
    .oneof(
      fc.integer({ min: -1_000, max: 1_000 }),
      fc.double({ min: -1e6, max: 1e6, noNaN: true }).filter((each) => each === 0 || Math.abs(each) > 1e-5),
      fc.constant(0),
    )
    .map((each) => each + 0)

  test.each([0.1, 0.01, 0.001])(
    'are within an accuracy of %s of the exact ones, of both signs, however parted',
    (accuracy) => {
      fc.assert(
        fc.property(cut(fc.array(value, { minLength: 1, maxLength: 60 })), ([values, cuts]) => {
          const sorted = values.toSorted((a, b) => a - b)
          const items = itemsOf(values)
          const options = { q: QS, accuracy }
          const results = run('quantiles', items, cuts, options)[0] as number[]
          QS.forEach((q, i) => {
            const exact = rankOf(sorted, q)
            expect(Math.abs(results[i]! - exact)).toBeLessThanOrEqual(accuracy * Math.abs(exact) * (1 + 1e-9))
          })
          expect([results.at(0), results.at(-1)]).toEqual([sorted.at(0), sorted.at(-1)])
          expect(mergedRun('quantiles', items, cuts, options)[0]).toEqual(results)
          expect(run('quantile', items, [], { q: 0.75, accuracy })[0]).toBe(results[4])
        }),
      )
    },
  )

  // Magnitudes over 30 decades: more than the buckets of a sign span.
  const wide = fc
    .tuple(fc.constantFrom(1, -1), fc.double({ min: 1, max: 10, noNaN: true }), fc.integer({ min: -15, max: 15 }))
    .map(([sign, digits, exponent]) => sign * digits * 10 ** exponent)

  test('of values over more decades than there are buckets are wrong only close to 0, in whatever order they came', () => {
    fc.assert(
      fc.property(cut(fc.array(wide, { minLength: 1, maxLength: 60 })), ([values, cuts]) => {
        const sorted = values.toSorted((a, b) => a - b)
        const options = { q: QS, accuracy: 0.1 }
        const results = run('quantiles', itemsOf(values), [], options)[0] as number[]
        const greatest = { '1': Math.max(0, ...values), '-1': Math.max(0, ...values.map((each) => -each)) }
        QS.forEach((q, i) => {
          const exact = rankOf(sorted, q)
          const closeTo0 = 1e-12 * greatest[exact > 0 ? '1' : '-1']
          const error = Math.abs(exact) > closeTo0 ? 0.1 * Math.abs(exact) : closeTo0
          expect(Math.abs(results[i]! - exact)).toBeLessThanOrEqual(error * (1 + 1e-9))
        })
        expect(mergedRun('quantiles', itemsOf(values), cuts, options)[0]).toEqual(results)
        expect(run('quantiles', itemsOf(values.toReversed()), [], options)[0]).toEqual(results)
      }),
    )
  })

  test('keep a bounded number of buckets, few where values are alike', () => {
    const sketch = (values: number[]): number =>
      new AggregateRows(aggregateOf('quantile', { q: 0.5 })).add(itemsOf(values)).cellBytes()
    const decades = Array.from({ length: 600 }, (_, i) => 10 ** (i - 300))
    expect(sketch([...decades, ...decades.map((each) => -each)])).toBeLessThan(6 * KIB)
    expect(sketch(Array.from({ length: 10_000 }, (_, i) => 100 + (i % 100) / 50))).toBeLessThan(40)
  })
})

describe('distinctCount', () => {
  test('counts to its limit, and says null from there on, whatever comes in whichever parts', () => {
    const options = { limit: 3 }
    const many = itemsOf([1, 2, 2, 3, 1, 4, 4])
    expect(run('distinctCount', many.slice(0, 5), [], options)[0]).toBe(3)
    expect(run('distinctCount', many, [], options)[0]).toBeNull()
    for (const cuts of [[1], [3], [2, 4, 6]]) {
      expect(mergedRun('distinctCount', many.slice(0, 5), cuts, options)[0]).toBe(3)
      expect(mergedRun('distinctCount', many, cuts, options)[0]).toBeNull()
      expect(mergedRun('distinctCount', [...many, ...many.slice(0, 1)], [...cuts, 7], options)[0]).toBeNull()
    }
  })

  test('tells text, numbers and booleans apart', () => {
    const values = [1, '1', true, 'true', 0, -0, 1.5, '1.5', false, 1]
    expect(run('distinctCount', itemsOf(values))[0]).toBe(8)
    expect(run('approxDistinctCount', itemsOf(values))[0]).toBe(8)
  })

  test('keeps 256 KiB of values at most, and nothing beyond the limit', () => {
    const texts = (count: number): Item[] =>
      itemsOf(Array.from({ length: count }, (_, i) => `${i}`.padStart(1_021, 'x')))
    const full = new AggregateRows(aggregateOf('distinctCount')).add(texts(256))
    expect(full.results()[0]).toBe(256)
    expect(full.cellBytes()).toBeGreaterThan(255 * KIB)
    const over = new AggregateRows(aggregateOf('distinctCount')).add(texts(257))
    expect(over.results()[0]).toBeNull()
    expect(over.cellBytes()).toBeLessThan(10)
    expect(over.restored().add(texts(1)).results()[0]).toBeNull()
  })
})

describe('approxDistinctCount', () => {
  const kinds: [name: string, make: (i: number) => unknown][] = [
    ['whole numbers', (i) => i],
    ['multiples', (i) => i * 4096],
    ['fractions', (i) => i / 1024],
    ['numbers and their like below 0', (i) => (i % 2 === 0 ? i : -i)],
    ['texts that count up', (i) => `user-${i}`],
    ['texts of 8 digits', (i) => `${i}`.padStart(8, '0')],
    ['texts that differ at their start', (i) => `${i}${'.'.repeat(20)}`],
  ]

  test.each(kinds)('is within three standard errors: %s', (_name, make) => {
    for (const precision of [10, 14]) {
      const error = 1.04 / Math.sqrt(2 ** precision)
      for (const count of [1, 10, 100, 1_000, 5_000, 30_000]) {
        const items = itemsOf(Array.from({ length: count }, (_, i) => make(i)))
        const estimate = run('approxDistinctCount', [...items, ...items.slice(0, 100)], [], { precision })[0] as number
        expect(Math.abs(estimate - count)).toBeLessThanOrEqual(3 * error * count)
      }
    }
  })

  test('has the standard error that it says, and no bias, around and beyond what it has registers for', () => {
    const precision = 8
    const error = 1.04 / Math.sqrt(2 ** precision)
    for (const count of [100, 640, 1_000, 4_000]) {
      const sets = 200
      const offs = Array.from({ length: sets }, (_, set) => {
        const values = Array.from({ length: count }, (_, i) => `${set}/${i}`)
        return (run('approxDistinctCount', itemsOf(values), [], { precision })[0] as number) / count - 1
      })
      const bias = offs.reduce((sum, off) => sum + off, 0) / sets
      const spread = Math.sqrt(offs.reduce((sum, off) => sum + off * off, 0) / sets)
      expect(Math.abs(bias)).toBeLessThan((3 * error) / Math.sqrt(sets))
      expect(spread).toBeLessThan(1.15 * error)
    }
  })

  test('gives merged rows the estimate of all records, at a fixed size', () => {
    const next = seeded(7)
    const items = itemsOf(Array.from({ length: 5_000 }, () => Math.floor(next() * 3_000)))
    expect(mergedRun('approxDistinctCount', items, [10, 2_000, 4_000])).toEqual(run('approxDistinctCount', items))
    const rows = new AggregateRows(aggregateOf('approxDistinctCount'))
    expect(rows.add(items.slice(0, 1)).cellBytes()).toBe(rows.add(items).cellBytes())
    expect(rows.cellBytes()).toBeLessThan(4 * KIB + 10)
  })

  test('hashes are the same in every process: these are stored', () => {
    const estimates = [3, 100, 1_000].map(
      (count) =>
        run('approxDistinctCount', itemsOf(Array.from({ length: count }, (_, i) => `${i}`)), [], { precision: 4 })[0],
    )
    expect(estimates).toMatchInlineSnapshot(`
      [
        2,
        87,
        905,
      ]
    `)
  })
})

describe('topK', () => {
  const CAPACITY = 4
  const options = { k: CAPACITY, capacity: CAPACITY }
  // Some values come often, and there are many more than have a counter.
  const value = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 60 })).map((each) => `v${each}`)

  test('counts are within their error, and the error within records / (capacity + 1), however parted', () => {
    fc.assert(
      fc.property(cut(fc.array(value, { minLength: 1, maxLength: 150 })), ([values, cuts]) => {
        const exact = new Map<unknown, number>()
        for (const each of values) exact.set(each, (exact.get(each) ?? 0) + 1)
        const items = itemsOf(values)
        for (const results of [run('topK', items, [], options), mergedRun('topK', items, cuts, options)]) {
          const top = results[0] as TopValue<string>[]
          const error = top[0]?.error ?? values.length / (CAPACITY + 1)
          expect(error).toBeLessThanOrEqual(values.length / (CAPACITY + 1))
          for (const { value, count } of top) {
            expect(count).toBeLessThanOrEqual(exact.get(value)!)
            expect(count + error).toBeGreaterThanOrEqual(exact.get(value)!)
          }
          // What came more often than the error, and so often that only k others can be before it, is there.
          const sure = [...exact].filter(([, count]) => count > values.length / (CAPACITY + 1) + error)
          expect(top.map(({ value }) => value)).toEqual(expect.arrayContaining(sure.map(([value]) => value)))
        }
      }),
    )
  })

  test('is exact for twice as many values as its capacity, equal counts in the order of the values', () => {
    const values = ['b', 'a', 'c', 'a', 3, 20, true, false, 'b']
    const expected = ['a', 'b', 3, 20, 'c', false, true].map((value, i) => ({ value, count: i < 2 ? 2 : 1, error: 0 }))
    for (const cuts of [[], [1], [3, 5]]) {
      const top = mergedRun('topK', itemsOf(values), cuts, { k: 10, capacity: CAPACITY })[0]
      expect(top).toEqual(expected)
    }
    const more = [...values, 'd', 'e']
    // The fifth most frequent of nine came once, so each loses one.
    expect(run('topK', itemsOf(more), [], options)[0]).toEqual([
      { value: 'a', count: 1, error: 1 },
      { value: 'b', count: 1, error: 1 },
    ])
  })

  test('keeps what is frequent in a long tail, in bounded bytes', () => {
    const next = seeded(1)
    const long = (i: number): string => `${i}`.padStart(2_000, '-')
    const values = Array.from({ length: 5_000 }, (_, i) => (i % 10 === 0 ? long(-1) : long(Math.floor(next() * 4_000))))
    const rows = new AggregateRows(aggregateOf('topK', { k: 1 })).add(itemsOf(values))
    const [first] = rows.results()[0] as TopValue<string>[]
    expect(first!.value).toBe(long(-1))
    expect(first!.count).toBeLessThanOrEqual(500)
    expect(first!.count + first!.error).toBeGreaterThanOrEqual(500)
    expect(rows.cellBytes()).toBeLessThan(260 * KIB)
  })
})

describe('collect', () => {
  const item: fc.Arbitrary<Item> = fc.record({
    row: fc.constant(0),
    value: fc.integer({ min: 0, max: 9 }).map((each) => 'x'.repeat(each * 10_000)),
    second: fc.constant(0),
    timeMs: fc.nat(8),
  })

  test('keeps the first by time up to the first one too many or too large, and counts the others', () => {
    fc.assert(
      fc.property(cut(fc.array(item, { minLength: 1, maxLength: 20 })), ([items, cuts]) => {
        const sorted = items.toSorted((a, b) => a.timeMs - b.timeMs).map(({ value }) => value as string)
        let bytes = 0
        const fits = sorted.findIndex((value, i) => {
          bytes += 3 + value.length
          return i >= 7 || bytes > 256 * KIB
        })
        const kept = fits < 0 ? sorted : sorted.slice(0, fits)
        const expected = { values: kept, dropped: items.length - kept.length }
        expect(run('collect', items, cuts, { limit: 7 })[0]).toEqual(expected)
        expect(mergedRun('collect', items, cuts, { limit: 7 })[0]).toEqual(expected)
      }),
    )
  })

  test('has a place where it ends: what is behind it stays out, though there would be room', () => {
    const items = itemsOf([200_000, 100_000, 1, 1].map((length) => 'x'.repeat(length)))
    for (const cuts of [[], [2], [1, 3], [1, 2, 3]]) {
      const expected = { values: [items[0]!.value], dropped: 3 }
      expect(run('collect', items, cuts, { limit: 9 })[0]).toEqual(expected)
      expect(mergedRun('collect', items, cuts, { limit: 9 })[0]).toEqual(expected)
    }
  })

  test('takes any value, and gives a list of its own', () => {
    const values = [1, 'a', null, { b: [2] }, new Uint8Array([3]), true]
    const rows = new AggregateRows(aggregateOf('collect', { limit: 10 })).add(itemsOf(values))
    const result = rows.results()[0] as { values: unknown[] }
    expect(result).toEqual({ values, dropped: 0 })
    result.values.length = 0
    expect(rows.results()[0]).toEqual({ values, dropped: 0 })
  })
})

describe('decimalSum', () => {
  const digits = (max: number): fc.Arbitrary<string> =>
    fc.array(fc.constantFrom(...'0123456789'), { minLength: 1, maxLength: max }).map((each) => each.join(''))
  const decimal = fc
    .tuple(fc.constantFrom('', '-', '+'), digits(25), fc.option(digits(25)))
    .map(([sign, whole, fraction]) => `${sign}${whole}${fraction === null ? '' : `.${fraction}`}`)

  /** All at the greatest scale, as integers. */
  function exact(texts: string[]): string {
    const scale = Math.max(...texts.map((text) => text.split('.')[1]?.length ?? 0))
    const sum = texts.reduce((total, text) => {
      const [whole, fraction = ''] = text.split('.')
      return total + BigInt(whole!.replace('+', '') + fraction.padEnd(scale, '0'))
    }, 0n)
    const padded = String(sum < 0n ? -sum : sum).padStart(scale + 1, '0')
    const text = scale === 0 ? padded : `${padded.slice(0, -scale)}.${padded.slice(-scale)}`
    return sum < 0n ? `-${text}` : text
  }

  test('is the exact sum with the greatest scale, however large and however parted', () => {
    fc.assert(
      fc.property(cut(fc.array(decimal, { minLength: 1, maxLength: 12 })), ([texts, cuts]) => {
        expect(run('decimalSum', itemsOf(texts), cuts)[0]).toBe(exact(texts))
        expect(mergedRun('decimalSum', itemsOf(texts), cuts)[0]).toBe(exact(texts))
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    [['0.1', '0.2'], '0.3'],
    [['12.30', '-12.3'], '0.00'],
    [['-0.05'], '-0.05'],
    [['9007199254740991', '1', '0.5'], '9007199254740992.5'],
    [['9007199254740993', '-9007199254740993'], '0'],
    [['007', '+1'], '8'],
    [[`1${'0'.repeat(99)}`, `0.${'0'.repeat(97)}1`], `1${'0'.repeat(99)}.${'0'.repeat(97)}1`],
  ])('of %j is %s', (texts, sum) => {
    expect(run('decimalSum', itemsOf(texts))[0]).toBe(sum)
    expect(mergedRun('decimalSum', itemsOf(texts), [1])[0]).toBe(sum)
  })

  test.each(['', '.5', '5.', '1e3', '1,5', ' 1', '1\n', '0x10', 'NaN', '--1', '1.2.3', '٣', '1'.repeat(101), 1, null])(
    '%j is no decimal',
    (value) => {
      expect(isDecimal(value)).toBe(false)
    },
  )
})
