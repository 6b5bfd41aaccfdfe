// quantile and quantiles: a DDSketch of a row's values, whose buckets grow by a constant factor. Hot.
// Runs on a lane; pure. No object a record: counts are in two arrays a row, one for each sign.
// Keeps SPEC: AGG-9 (relative error of a quantile, bounded buckets), AGG-2, AGG-5 (buckets just add up).

/*
 * With accuracy a, bucket i holds the magnitudes in (g^(i-1), g^i], g = (1 + a) / (1 - a); the value 2 g^i / (g + 1) is within a
 * of all of them. A row keeps, for each sign, the buckets from `first` on:
 *
 *   slots   0 count | 1 zeros | 2 least | 3 greatest | 4 first of the positive | 5 first of the negative
 *   cell    [counts of the positive, counts of the negative]
 *
 * Of a sign, buckets reach RANGE below its greatest magnitude; what is smaller counts in the lowest bucket.
 */
import type { Aggregate } from './aggregate.ts'
import { cellOf, setCell, setMergedCell } from './cells.ts'

const RANGE = 1e12
const SLOTS = 6
const FIRST_POSITIVE = 4
const FIRST_NEGATIVE = 5

type Stores = [positive: number[], negative: number[]]

/** The value of which a share `q` of the others are less: that at rank floor(q * (count - 1)). */
export function quantile(q: number, accuracy: number): Aggregate {
  const { sketch, valueAt } = ddSketch(accuracy)
  return { ...sketch, result: (slots, base, cell) => valueAt(slots, base, cell as Stores | null, q) }
}

/** Several of one sketch. */
export function quantiles(qs: readonly number[], accuracy: number): Aggregate {
  const { sketch, valueAt } = ddSketch(accuracy)
  return { ...sketch, other: (slots, base, cell) => qs.map((q) => valueAt(slots, base, cell as Stores | null, q)) }
}

interface DdSketch {
  sketch: Aggregate
  valueAt(slots: Float64Array, base: number, cell: Stores | null | undefined, q: number): number
}

function ddSketch(accuracy: number): DdSketch {
  const growth = (1 + accuracy) / (1 - accuracy)
  const logGrowth = Math.log(growth)
  // Two more: both the greatest and the lowest bucket reach beyond the values that they are of.
  const bucketsMax = Math.ceil(Math.log(RANGE) / logGrowth) + 2
  const bucketOf = (magnitude: number): number => Math.ceil(Math.log(magnitude) / logGrowth)
  const middleOf = (bucket: number): number => (2 * Math.exp(bucket * logGrowth)) / (growth + 1)

  const sketch: Aggregate = {
    slotCount: SLOTS,
    hasCell: true,
    init(slots, base) {
      slots.fill(0, base, base + SLOTS)
      slots[base + 2] = Number.POSITIVE_INFINITY
      slots[base + 3] = Number.NEGATIVE_INFINITY
    },
    update(slots, width, at, rows, input, from, to) {
      const values = input.values
      for (let i = from; i < to; i++) {
        const row = rows[i]!
        if (row < 0) continue
        const base = row * width + at
        const value = values[i]!
        slots[base]! += 1
        if (value < slots[base + 2]!) slots[base + 2] = value
        if (value > slots[base + 3]!) slots[base + 3] = value
        let stores = cellOf(input, row) as Stores | undefined
        if (stores === undefined) {
          stores = [[], []]
          setCell(input, row, stores)
        }
        if (value > 0) add(slots, base + FIRST_POSITIVE, stores[0], bucketOf(value), 1, bucketsMax)
        else if (value < 0) add(slots, base + FIRST_NEGATIVE, stores[1], bucketOf(-value), 1, bucketsMax)
        else slots[base + 1]! += 1
      }
    },
    merge(to, toBase, from, fromBase, cells, cell) {
      const more = cells.from?.[cell] as Stores | null | undefined
      if (more === null || more === undefined) return
      const stores = (cells.to[cell] ?? [[], []]) as Stores
      setMergedCell(cells, cell, stores)
      to[toBase]! += from[fromBase]!
      to[toBase + 1]! += from[fromBase + 1]!
      to[toBase + 2] = Math.min(to[toBase + 2]!, from[fromBase + 2]!)
      to[toBase + 3] = Math.max(to[toBase + 3]!, from[fromBase + 3]!)
      for (let sign = 0; sign < 2; sign++) {
        const at = FIRST_POSITIVE + sign
        // From the greatest bucket down: what would be collapsed anyway makes no room first.
        for (let i = more[sign]!.length - 1; i >= 0; i--) {
          const count = more[sign]![i]!
          if (count > 0) add(to, toBase + at, stores[sign]!, from[fromBase + at]! + i, count, bucketsMax)
        }
      }
    },
    result: () => Number.NaN,
  }

  const valueAt: DdSketch['valueAt'] = (slots, base, cell, q) => {
    const rank = Math.floor(q * (slots[base]! - 1))
    if (rank === 0) return slots[base + 2]!
    if (rank === slots[base]! - 1) return slots[base + 3]!
    const value = valueOfRank(slots, base, cell ?? [[], []], rank, middleOf)
    return Math.max(slots[base + 2]!, Math.min(slots[base + 3]!, value))
  }
  return { sketch, valueAt }
}

/** Walks the buckets in the order of their values. Of a row without records, anything. */
function valueOfRank(
  slots: Float64Array,
  base: number,
  [positive, negative]: Stores,
  rank: number,
  middleOf: (bucket: number) => number,
): number {
  let below = 0
  for (let i = negative.length - 1; i >= 0; i--) {
    below += negative[i]!
    if (below > rank) return -middleOf(slots[base + FIRST_NEGATIVE]! + i)
  }
  below += slots[base + 1]!
  if (below > rank) return 0
  for (let i = 0; i < positive.length; i++) {
    below += positive[i]!
    if (below > rank) return middleOf(slots[base + FIRST_POSITIVE]! + i)
  }
  return Number.POSITIVE_INFINITY
}

/** Counts in a bucket; the array grows at either end, and where it would be too long its lowest buckets become one. */
function add(slots: Float64Array, firstAt: number, counts: number[], bucket: number, count: number, max: number): void {
  if (counts.length === 0) slots[firstAt] = bucket
  let at = bucket - slots[firstAt]!
  if (at < 0) {
    const grown = Math.min(-at, max - counts.length)
    if (grown > 0) counts.unshift(...new Array<number>(grown).fill(0))
    slots[firstAt]! -= grown
    at = 0
  } else if (at >= counts.length) {
    if (at >= max) {
      const gone = at - max + 1
      const lowest = counts.splice(0, gone).reduce((sum, each) => sum + each, 0)
      counts[0] = (counts[0] ?? 0) + lowest
      slots[firstAt]! += gone
      at = max - 1
    }
    while (counts.length <= at) counts.push(0)
  }
  counts[at]! += count
}
