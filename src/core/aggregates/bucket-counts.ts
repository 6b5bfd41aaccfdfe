// histogram: how many values lie between given bounds. Hot: no object a record.
// Runs on a lane; pure.
// Keeps SPEC: AGG-8 (a bucket takes its lower bound, not its upper one).

import type { Aggregate } from './aggregate.ts'

/** Counts below the first bound, between each two, from the last one on. Slots: one a bucket. `bounds` ascend. */
export function histogram(bounds: readonly number[]): Aggregate {
  const slotCount = bounds.length + 1
  return {
    slotCount,
    hasCell: false,
    init(slots, base) {
      slots.fill(0, base, base + slotCount)
    },
    update(slots, width, at, rows, input, from, to) {
      const values = input.values
      for (let i = from; i < to; i++) {
        const row = rows[i]!
        if (row >= 0) slots[row * width + at + bucketOf(bounds, values[i]!)]! += 1
      }
    },
    merge(to, toBase, from, fromBase) {
      for (let i = 0; i < slotCount; i++) to[toBase + i]! += from[fromBase + i]!
    },
    result: () => Number.NaN,
    other: (slots, base) => Array.from(slots.subarray(base, base + slotCount)),
  }
}

/** How many bounds are at or below a value. */
function bucketOf(bounds: readonly number[], value: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (bounds[middle]! <= value) low = middle + 1
    else high = middle
  }
  return low
}
