// The oracle: what a candles job must give, worked out the naive way, and a comparer that tells what differs.
// For tests and benches; pure. Holds SPEC: R1, R2, R3, R4 against the real thing.

/** One trade as the oracle needs it. */
export interface OracleTrade {
  readonly sym: string
  readonly price: number
  readonly qty: number
  readonly ts: number
}

/** A final row of the candles job. */
export interface Candle {
  sym: string
  windowStart: number
  windowEnd: number
  open: number
  high: number
  low: number
  close: number
  volume: number
  vwap: number
  n: number
}

export interface CandleRules {
  sizeMs: number
  graceMs: number
  /** The watermark of a partition is its greatest event time so far less this. */
  outOfOrderMs: number
}

/** The rules of bench/jobs/candles.ts. */
export const BENCH_CANDLE_RULES: CandleRules = { sizeMs: 1_000, graceMs: 0, outOfOrderMs: 500 }

interface OpenCandle extends Candle {
  firstMs: number
  lastMs: number
  weighted: number
}

/**
 * Takes the trades of each partition in offset order and gives the rows that must be there after the end of input.
 *
 * ```
 *   watermark = greatest ts - outOfOrder, per partition
 *   a trade is late when its window's end + grace <= the watermark before it
 * ```
 *
 * @example
 * const oracle = new CandleOracle({ sizeMs: 1000, graceMs: 0, outOfOrderMs: 500 })
 * oracle.add(0, { sym: 'A', price: 2, qty: 3, ts: 100 })
 * oracle.rows() // [{ sym: 'A', windowStart: 0, windowEnd: 1000, open: 2, ..., n: 1 }]
 */
export class CandleOracle {
  readonly #rules: CandleRules
  readonly #watermarksMs: number[] = []
  /** By window start, then symbol. */
  readonly #windows = new Map<number, Map<string, OpenCandle>>()
  recordCount = 0
  lateCount = 0

  constructor(rules: CandleRules = BENCH_CANDLE_RULES) {
    this.#rules = rules
  }

  add(partition: number, trade: OracleTrade): void {
    const { sizeMs, graceMs, outOfOrderMs } = this.#rules
    const watermarkMs = this.watermarkMs(partition)
    const windowStart = Math.floor(trade.ts / sizeMs) * sizeMs
    this.#watermarksMs[partition] = Math.max(watermarkMs, trade.ts - outOfOrderMs)
    this.recordCount++
    if (windowStart + sizeMs + graceMs <= watermarkMs) this.lateCount++
    else addTo(this.#candle(windowStart, trade), trade)
  }

  #candle(windowStart: number, trade: OracleTrade): OpenCandle {
    let window = this.#windows.get(windowStart)
    if (window === undefined) {
      window = new Map()
      this.#windows.set(windowStart, window)
    }
    let candle = window.get(trade.sym)
    if (candle === undefined) {
      candle = newCandle(trade.sym, windowStart, windowStart + this.#rules.sizeMs)
      window.set(trade.sym, candle)
    }
    return candle
  }

  /** Every row that was not taken, by window and symbol in no order. */
  rows(): Candle[] {
    return [...this.#windows.values()].flatMap(rowsOf)
  }

  /** Watermark of a partition, ms since the epoch; -Infinity before its first trade. */
  watermarkMs(partition: number): number {
    return this.#watermarksMs[partition] ?? Number.NEGATIVE_INFINITY
  }

  /** Takes the rows of the windows that end up to `endMs`, which must be closed: nothing is added to them any more. */
  takeRows(endMs: number): Candle[] {
    const rows: Candle[] = []
    for (const [windowStart, window] of this.#windows) {
      if (windowStart + this.#rules.sizeMs > endMs) continue
      this.#windows.delete(windowStart)
      for (const row of rowsOf(window)) rows.push(row)
    }
    return rows
  }
}

function rowsOf(window: ReadonlyMap<string, OpenCandle>): Candle[] {
  return Array.from(window.values(), ({ firstMs: _first, lastMs: _last, weighted, ...candle }) => ({
    ...candle,
    vwap: weighted / candle.volume,
  }))
}

function newCandle(sym: string, windowStart: number, windowEnd: number): OpenCandle {
  return {
    sym,
    windowStart,
    windowEnd,
    open: Number.NaN,
    high: Number.NEGATIVE_INFINITY,
    low: Number.POSITIVE_INFINITY,
    close: Number.NaN,
    volume: 0,
    vwap: Number.NaN,
    n: 0,
    firstMs: Number.POSITIVE_INFINITY,
    lastMs: Number.NEGATIVE_INFINITY,
    weighted: 0,
  }
}

function addTo(candle: OpenCandle, { price, qty, ts }: OracleTrade): void {
  if (ts < candle.firstMs) {
    candle.firstMs = ts
    candle.open = price
  }
  if (ts >= candle.lastMs) {
    candle.lastMs = ts
    candle.close = price
  }
  candle.high = Math.max(candle.high, price)
  candle.low = Math.min(candle.low, price)
  candle.volume += qty
  candle.weighted += price * qty
  candle.n++
}

/** How rows differ from what they must be. All counts 0: they are equal. */
export interface RowDifferences {
  rows: number
  expectedRows: number
  /** Rows that must be there and are not. */
  lost: number
  /** Rows beyond the first of their key and window. */
  duplicated: number
  /** Rows with another value, or that must not be there. */
  wrong: number
  /** The first differences in words, at most 10. */
  examples: string[]
}

const EXAMPLES_MAX = 10
const FIELDS = [
  'sym',
  'windowStart',
  'windowEnd',
  'open',
  'high',
  'low',
  'close',
  'volume',
  'vwap',
  'n',
] as const satisfies readonly (keyof Candle)[]

/**
 * Compares rows, in whatever order they come, with those of an oracle. Values must be equal to the bit: the trades'
 * prices are whole 64ths, so that no order of summing changes a sum.
 *
 * @example
 * const comparer = new RowComparer(oracle.rows())
 * comparer.add(row, 'candles-1s/0 at 17')
 * comparer.finish() // { rows: 1, expectedRows: 1, lost: 0, duplicated: 0, wrong: 0, examples: [] }
 */
export class RowComparer {
  readonly #expected = new Map<string, Candle>()
  readonly #seenAt = new Map<string, string>()
  readonly #differences: RowDifferences

  constructor(expected: readonly Candle[] = []) {
    this.#differences = { rows: 0, expectedRows: 0, lost: 0, duplicated: 0, wrong: 0, examples: [] }
    this.expect(expected)
  }

  /** More rows that must be there. */
  expect(rows: readonly Candle[]): void {
    for (const row of rows) this.#expected.set(rowId(row), row)
    this.#differences.expectedRows += rows.length
  }

  /** The rows of windows that end up to `endMs` have all come: what is missing is lost, what still comes is wrong. */
  settle(endMs: number): void {
    for (const [id, row] of this.#expected) {
      if (row.windowEnd > endMs) continue
      this.#countIfLost(id, row)
      this.#expected.delete(id)
      this.#seenAt.delete(id)
    }
  }

  /** `place` says where the row was found, for the differences' words. */
  add(row: unknown, place: string): void {
    const differences = this.#differences
    differences.rows++
    const id = rowId(row)
    const expected = this.#expected.get(id)
    const seenAt = this.#seenAt.get(id)
    if (expected === undefined) {
      differences.wrong++
      this.#tell(`${place}: a row that must not be there: ${JSON.stringify(row)}`)
      return
    }
    if (seenAt !== undefined) {
      differences.duplicated++
      this.#tell(`${place}: ${id} came again, it was already at ${seenAt}`)
    } else this.#seenAt.set(id, place)
    const fields = differingFields(expected, row)
    if (fields.length === 0) return
    differences.wrong++
    this.#tell(`${place}: ${id} differs: ${fields.join(', ')}`)
  }

  /** A row could not even be read. */
  addUnreadable(reason: string, place: string): void {
    this.#differences.rows++
    this.#differences.wrong++
    this.#tell(`${place}: ${reason}`)
  }

  /** A row that was added has a wrong Kafka key, timestamp or partition. */
  addWrongEnvelope(reason: string, place: string): void {
    this.#differences.wrong++
    this.#tell(`${place}: ${reason}`)
  }

  /** Counts what is missing and tells everything. */
  finish(): RowDifferences {
    for (const [id, row] of this.#expected) this.#countIfLost(id, row)
    return this.#differences
  }

  #countIfLost(id: string, row: Candle): void {
    if (this.#seenAt.has(id)) return
    this.#differences.lost++
    this.#tell(`lost: ${id} of ${row.n} trades`)
  }

  #tell(text: string): void {
    if (this.#differences.examples.length < EXAMPLES_MAX) this.#differences.examples.push(text)
  }
}

export function isEqual({ lost, duplicated, wrong }: RowDifferences): boolean {
  return lost === 0 && duplicated === 0 && wrong === 0
}

function rowId(row: unknown): string {
  const { sym, windowStart } = row as Partial<Candle>
  return `${sym} ${windowStart}`
}

/** `high 3 instead of 4` for each field that differs; fields that are too many count as well. */
function differingFields(expected: Candle, row: unknown): string[] {
  const actual = row as Partial<Record<string, unknown>>
  const differing = FIELDS.filter((field) => !Object.is(actual[field], expected[field])).map(
    (field) => `${field} ${String(actual[field])} instead of ${expected[field]}`,
  )
  const known: readonly string[] = FIELDS
  return [
    ...differing,
    ...Object.keys(actual)
      .filter((field) => !known.includes(field))
      .map((field) => `${field} is too much`),
  ]
}
