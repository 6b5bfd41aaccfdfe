// count, sum, avg and weightedMean: aggregates that add. Hot: no object a record.
// Runs on a lane; pure.
// Keeps SPEC: R11 (sums are exact for integers to 2^53 and in record order; those of merged rows are compensated).

/*
 * A row of its own keeps plain sums, in record order. Where rows are merged (panes, sessions), a sum has a second slot behind
 * it for what merging lost to rounding: `merged...` have the plain ones' loops and these slots.
 */

import type { Aggregate, AggregateInput } from './aggregate.ts'

/** How many records. Slots: count. */
export const count: Aggregate = {
  slotCount: 1,
  hasCell: false,
  init(slots, base) {
    slots[base] = 0
  },
  update(slots, width, at, rows, _input, from, to) {
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row >= 0) slots[row * width + at]! += 1
    }
  },
  merge(to, toBase, from, fromBase) {
    to[toBase]! += from[fromBase]!
  },
  result(slots, base) {
    return slots[base]!
  },
}

/** The sum in record order. Slots: sum. */
export const sum: Aggregate = {
  slotCount: 1,
  hasCell: false,
  init(slots, base) {
    slots[base] = 0
  },
  update(slots, width, at, rows, input, from, to) {
    const values = input.values
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row >= 0) slots[row * width + at]! += values[i]!
    }
  },
  merge: notMerged,
  result(slots, base) {
    return slots[base]!
  },
}

/** The sum of merged rows. Slots: sum, what rounding took. */
export const mergedSum: Aggregate = {
  ...sum,
  slotCount: 2,
  init: zeros(2),
  merge(to, toBase, from, fromBase) {
    addExactly(to, toBase, toBase + 1, from[fromBase]!, from[fromBase + 1]!)
  },
  result(slots, base) {
    return slots[base]! + slots[base + 1]!
  },
}

/** The mean. Slots: sum, count. */
export const avg: Aggregate = {
  slotCount: 2,
  hasCell: false,
  init(slots, base) {
    slots[base] = 0
    slots[base + 1] = 0
  },
  update(slots, width, at, rows, input, from, to) {
    const values = input.values
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      slots[base]! += values[i]!
      slots[base + 1]! += 1
    }
  },
  merge: notMerged,
  result(slots, base) {
    return slots[base]! / slots[base + 1]!
  },
}

/** The mean of merged rows. Slots: sum, count, what rounding took. */
export const mergedAvg: Aggregate = {
  ...avg,
  slotCount: 3,
  init: zeros(3),
  merge(to, toBase, from, fromBase) {
    addExactly(to, toBase, toBase + 2, from[fromBase]!, from[fromBase + 2]!)
    to[toBase + 1]! += from[fromBase + 1]!
  },
  result(slots, base) {
    return (slots[base]! + slots[base + 2]!) / slots[base + 1]!
  },
}

/** sum(value * weight) / sum(weight); no result when the weights sum to 0. Slots: weighted sum, sum of weights. */
export const weightedMean: Aggregate = {
  slotCount: 2,
  hasCell: false,
  init(slots, base) {
    slots[base] = 0
    slots[base + 1] = 0
  },
  update(slots: Float64Array, width: number, at: number, rows: Int32Array, input: AggregateInput, from, to) {
    const { values, second } = input
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const weight = second[i]!
      slots[base]! += values[i]! * weight
      slots[base + 1]! += weight
    }
  },
  merge: notMerged,
  result(slots, base) {
    const weight = slots[base + 1]!
    return weight === 0 ? Number.NaN : slots[base]! / weight
  },
}

/** The weighted mean of merged rows. Slots: weighted sum, sum of weights, what rounding took of each. */
export const mergedWeightedMean: Aggregate = {
  ...weightedMean,
  slotCount: 4,
  init: zeros(4),
  merge(to, toBase, from, fromBase) {
    addExactly(to, toBase, toBase + 2, from[fromBase]!, from[fromBase + 2]!)
    addExactly(to, toBase + 1, toBase + 3, from[fromBase + 1]!, from[fromBase + 3]!)
  },
  result(slots, base) {
    const weight = slots[base + 1]! + slots[base + 3]!
    return weight === 0 ? Number.NaN : (slots[base]! + slots[base + 2]!) / weight
  },
}

function zeros(count: number): Aggregate['init'] {
  return (slots, base) => {
    slots.fill(0, base, base + count)
  }
}

/** Rows that are merged have the aggregates of `merged...`. */
function notMerged(): never {
  throw new Error('a plain sum is not merged')
}

/** Adds `value` to the sum at `at`; what that rounds away, and `lost`, go to the slot `lostAt` (Neumaier). */
function addExactly(slots: Float64Array, at: number, lostAt: number, value: number, lost: number): void {
  const before = slots[at]!
  const sum = before + value
  slots[at] = sum
  // Sums that left the finite numbers have nothing to make up for.
  if (!Number.isFinite(sum)) return
  const rounded = Math.abs(before) >= Math.abs(value) ? before - sum + value : value - sum + before
  slots[lostAt]! += rounded + lost
}
