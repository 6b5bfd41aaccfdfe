// The candles oracle and its comparer, against cases made by hand. Holds SPEC: R1, R2, R3, R4.
import { describe, expect, test } from 'vitest'
import { type Candle, CandleOracle, type CandleRules, isEqual, RowComparer } from './oracle.ts'

const RULES: CandleRules = { sizeMs: 10, graceMs: 2, outOfOrderMs: 3 }

function trade(sym: string, ts: number, price: number, qty = 1) {
  return { sym, ts, price, qty }
}

function candle(more: Partial<Candle>): Candle {
  const row = { sym: 'A', windowStart: 0, windowEnd: 10, open: 5, high: 5, low: 5, close: 5, volume: 1, vwap: 5, n: 1 }
  return { ...row, ...more }
}

describe('the candles oracle', () => {
  test('gives the rows of closed windows away and then knows them no more', () => {
    const oracle = new CandleOracle(RULES)
    for (const ts of [4, 11, 25]) oracle.add(0, trade('A', ts, 5))
    expect(oracle.watermarkMs(0)).toBe(22)
    expect(oracle.takeRows(20).map(({ windowEnd }) => windowEnd)).toEqual([10, 20])
    expect(oracle.rows().map(({ windowEnd }) => windowEnd)).toEqual([30])
  })

  test('opens at the least and closes at the greatest event time, the first and the last among equal ones', () => {
    const oracle = new CandleOracle(RULES)
    for (const [ts, price] of [
      [4, 10],
      [2, 20],
      [2, 30],
      [9, 40],
      [9, 50],
      [3, 60],
    ] as const) {
      oracle.add(0, trade('A', ts, price, 2))
    }
    expect(oracle.rows()).toEqual([
      candle({ open: 20, close: 50, high: 60, low: 10, volume: 12, vwap: (10 + 20 + 30 + 40 + 50 + 60) / 6, n: 6 }),
    ])
  })

  /*
   *   watermark = greatest ts - 3        [0, 10) + grace 2 is closed at 12
   *   ts 14 -> 11: open       ts 15 -> 12: closed
   */
  test('takes a trade for a window until the watermark before it reaches its end and the grace', () => {
    const oracle = new CandleOracle(RULES)
    for (const [ts, price] of [
      [1, 5],
      [14, 6],
      [9, 7],
      [15, 6],
      [9, 8],
    ] as const)
      oracle.add(0, trade('A', ts, price))
    expect(oracle.lateCount).toBe(1)
    expect(oracle.recordCount).toBe(5)
    const first = oracle.rows().find((row) => row.windowStart === 0)
    expect([first?.n, first?.close]).toEqual([2, 7])
  })

  test('keeps a watermark for each partition', () => {
    const oracle = new CandleOracle(RULES)
    oracle.add(0, trade('A', 100, 5))
    oracle.add(1, trade('B', 1, 5))
    expect(oracle.lateCount).toBe(0)
    oracle.add(0, trade('A', 1, 5))
    expect(oracle.lateCount).toBe(1)
  })

  test('puts the border of two windows into the later one', () => {
    const oracle = new CandleOracle(RULES)
    oracle.add(0, trade('A', 10, 5))
    expect(oracle.rows()).toEqual([candle({ windowStart: 10, windowEnd: 20 })])
  })
})

describe('the row comparer', () => {
  const expected = [candle({}), candle({ sym: 'B' }), candle({ windowStart: 10, windowEnd: 20 })]

  test('finds equal rows equal in any order', () => {
    const comparer = new RowComparer(expected)
    for (const row of [...expected].reverse()) comparer.add({ ...row }, 'here')
    const differences = comparer.finish()
    expect(differences).toEqual({ rows: 3, expectedRows: 3, lost: 0, duplicated: 0, wrong: 0, examples: [] })
    expect(isEqual(differences)).toBe(true)
  })

  test.each([
    ['a missing row', [candle({}), candle({ sym: 'B' })], [1, 0, 0], 'lost: A 10 of 1 trades'],
    ['a row twice', [...expected, candle({})], [0, 1, 0], 'at 3: A 0 came again, it was already at at 0'],
    ['another value', [candle({ high: 6 }), ...expected.slice(1)], [0, 0, 1], 'at 0: A 0 differs: high 6 instead of 5'],
    [
      'a field too many',
      [{ ...candle({}), x: 1 }, ...expected.slice(1)],
      [0, 0, 1],
      'at 0: A 0 differs: x is too much',
    ],
    ['a stranger', [...expected, candle({ sym: 'C' })], [0, 0, 1], 'at 3: a row that must not be there: '],
    ['a row twice, the second wrong', [...expected, candle({ n: 2 })], [0, 1, 1], 'at 3: A 0 came again'],
  ])('tells %s', (_, rows, [lost, duplicated, wrong], words) => {
    const comparer = new RowComparer(expected)
    for (const [i, row] of rows.entries()) comparer.add(row, `at ${i}`)
    const differences = comparer.finish()
    expect(differences).toMatchObject({ lost, duplicated, wrong })
    expect(differences.examples[0]).toContain(words)
    expect(isEqual(differences)).toBe(false)
  })

  test('counts a row that cannot be read as wrong', () => {
    const comparer = new RowComparer([])
    comparer.addUnreadable('no msgpack', 'at 7')
    expect(comparer.finish()).toMatchObject({ rows: 1, wrong: 1, examples: ['at 7: no msgpack'] })
  })

  test('shows ten differences and counts the rest', () => {
    const comparer = new RowComparer(Array.from({ length: 50 }, (_, i) => candle({ windowStart: i * 10 })))
    const differences = comparer.finish()
    expect(differences.lost).toBe(50)
    expect(differences.examples).toHaveLength(10)
  })
})
