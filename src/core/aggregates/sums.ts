// count, sum, avg and weightedMean: aggregates that add. Hot: no object a record.
// Runs on a lane; pure.
// Keeps SPEC: R11 (sums are exact for integers to 2^53 and in record order).

import type { Aggregate, AggregateInput } from './aggregate.ts'

/** How many records. Slots: count. */
export const count: Aggregate = {
  slotCount: 1,
  hasCell: false,
  needsNumber: false,
  init(slots, base) {
    slots[base] = 0
  },
  update(slots, width, at, rows, _input, from, to) {
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row >= 0) slots[row * width + at]! += 1
    }
  },
  result(slots, base) {
    return slots[base]!
  },
}

/** The sum in record order. Slots: sum. */
export const sum: Aggregate = {
  slotCount: 1,
  hasCell: false,
  needsNumber: true,
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
  result(slots, base) {
    return slots[base]!
  },
}

/** The mean. Slots: sum, count. */
export const avg: Aggregate = {
  slotCount: 2,
  hasCell: false,
  needsNumber: true,
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
  result(slots, base) {
    return slots[base]! / slots[base + 1]!
  },
}

/** sum(value * weight) / sum(weight); no result when the weights sum to 0. Slots: weighted sum, sum of weights. */
export const weightedMean: Aggregate = {
  slotCount: 2,
  hasCell: false,
  needsNumber: true,
  init(slots, base) {
    slots[base] = 0
    slots[base + 1] = 0
  },
  update(slots: Float64Array, width: number, at: number, rows: Int32Array, input: AggregateInput, from, to) {
    const { values, weights } = input
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const weight = weights[i]!
      slots[base]! += values[i]! * weight
      slots[base + 1]! += weight
    }
  },
  result(slots, base) {
    const weight = slots[base + 1]!
    return weight === 0 ? Number.NaN : slots[base]! / weight
  },
}
