// Rows of one aggregate without a lane: records are added in chunks, rows are merged, stored and restored.
// Test processes.
import fc from 'fast-check'
import type { Aggregate, AggregateInput } from '../../src/core/aggregates/aggregate.ts'
import { AGGREGATES, type AggregateKind, type AggregateOptions } from '../../src/core/aggregates/catalog.ts'
import { Columns } from '../../src/core/columns.ts'
import { packCells, unpackCells } from '../../src/state/row-codec.ts'

export interface Item {
  /** -1: left out. */
  row: number
  value: unknown
  second: number
  timeMs: number
}

export const ROWS = 3
/** Slots before the aggregate's own, and a cell before its own. */
const AT = 2
const CELL = 1

export class AggregateRows {
  readonly aggregate: Aggregate
  readonly #width: number
  readonly #slots: Float64Array
  readonly #cells: (unknown[] | undefined)[] = []

  constructor(aggregate: Aggregate) {
    this.aggregate = aggregate
    this.#width = AT + aggregate.slotCount
    this.#slots = new Float64Array(ROWS * this.#width)
    for (let row = 0; row < ROWS; row++) aggregate.init(this.#slots, row * this.#width + AT)
  }

  /** Adds the items in chunks that end at `cuts`. */
  add(items: readonly Item[], cuts: readonly number[] = []): this {
    const columns = new Columns(['value', 'second'], Math.max(1, items.length))
    items.forEach((item, i) => {
      columns.setValue(0, i, item.value)
      columns.setValue(1, i, item.second)
    })
    const input: AggregateInput = {
      values: columns.valuesOf(0),
      second: columns.valuesOf(1),
      timesMs: Float64Array.from(items, (item) => item.timeMs),
      columns,
      field: 0,
      cells: this.#cells,
      cell: CELL,
    }
    const rows = Int32Array.from(items, (item) => item.row)
    let from = 0
    for (const to of [...cuts, items.length]) {
      this.aggregate.update(this.#slots, this.#width, AT, rows, input, from, to)
      from = to
    }
    return this
  }

  /** Adds what each row of a part holds to the row of the same number. */
  merge(part: AggregateRows): this {
    for (let row = 0; row < ROWS; row++) {
      const base = row * this.#width + AT
      const to = this.#cells[row] ?? []
      this.#cells[row] = to
      const cells = { to, from: part.#cells[row] }
      this.aggregate.merge(this.#slots, base, part.#slots, base, cells, CELL)
    }
    return this
  }

  /** As a restart leaves them: cells have been to msgpack and back. */
  restored(): this {
    for (let row = 0; row < ROWS; row++) {
      const packed = packCells(this.#cells[row])
      this.#cells[row] = packed && unpackCells(packed, 0)
    }
    return this
  }

  /** Bytes of a row's cells in the changelog. */
  cellBytes(row = 0): number {
    return packCells(this.#cells[row])?.length ?? 0
  }

  results(): unknown[] {
    return Array.from({ length: ROWS }, (_, row) => {
      const base = row * this.#width + AT
      const cell = this.#cells[row]?.[CELL]
      const number = this.aggregate.result(this.#slots, base, cell)
      return Number.isNaN(number) ? (this.aggregate.other?.(this.#slots, base, cell) ?? null) : number
    })
  }
}

export const aggregateOf = (kind: AggregateKind, options: AggregateOptions = {}, isMerged = false): Aggregate => {
  const needs = Object.entries(AGGREGATES[kind].options ?? {})
  const defaults = needs.flatMap(([name, { fallback }]) => (fallback === undefined ? [] : [[name, fallback]]))
  return AGGREGATES[kind].make({ ...Object.fromEntries(defaults), ...options }, isMerged)
}

/** The results of items that are added in chunks. */
export function run(
  kind: AggregateKind,
  items: readonly Item[],
  cuts: readonly number[] = [],
  options: AggregateOptions = {},
): unknown[] {
  return new AggregateRows(aggregateOf(kind, options)).add(items, cuts).results()
}

/** The results of items in parts, each aggregated by itself, then merged from the first part to the last. */
export function mergedRun(
  kind: AggregateKind,
  items: readonly Item[],
  cuts: readonly number[],
  options: AggregateOptions = {},
): unknown[] {
  const aggregate = aggregateOf(kind, options, true)
  const whole = new AggregateRows(aggregate)
  let from = 0
  for (const to of [...cuts, items.length]) {
    whole.merge(new AggregateRows(aggregate).add(items.slice(from, to)))
    from = to
  }
  return whole.results()
}

/** Items of row 0, one a ms. */
export const itemsOf = (values: readonly unknown[]): Item[] =>
  values.map((value, i) => ({ row: 0, value, second: 1, timeMs: i }))

/** Items and places to cut them. */
export function cut<T>(items: fc.Arbitrary<T[]>): fc.Arbitrary<[items: T[], cuts: number[]]> {
  return items.chain((list) =>
    fc.tuple(
      fc.constant(list),
      fc.array(fc.nat(list.length), { maxLength: 5 }).map((cuts) => cuts.sort((a, b) => a - b)),
    ),
  )
}

/** Numbers below 1 that are the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
