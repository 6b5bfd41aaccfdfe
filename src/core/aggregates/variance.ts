// variance and stddev, of the population and of a sample, by Welford's recurrence, which does not cancel for large means. Hot.
// Runs on a lane; pure.
// Keeps SPEC: AGG-4 (of the population or of a sample; stable for values far from 0).

import type { Aggregate } from './aggregate.ts'

/** Slots: count, mean, sum of squared distances from the mean. */
export const variance: Aggregate = {
  slotCount: 3,
  hasCell: false,
  init(slots, base) {
    slots.fill(0, base, base + 3)
  },
  update(slots, width, at, rows, input, from, to) {
    const values = input.values
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const value = values[i]!
      const count = slots[base]! + 1
      const before = value - slots[base + 1]!
      const mean = slots[base + 1]! + before / count
      slots[base] = count
      slots[base + 1] = mean
      slots[base + 2]! += before * (value - mean)
    }
  },
  /** As Chan, Golub and LeVeque put two samples together. */
  merge(to, toBase, from, fromBase) {
    const more = from[fromBase]!
    if (more === 0) return
    if (to[toBase] === 0) {
      // Nothing to put together, whose distance may be beyond all numbers.
      for (let i = 0; i < 3; i++) to[toBase + i] = from[fromBase + i]!
      return
    }
    const count = to[toBase]! + more
    const apart = from[fromBase + 1]! - to[toBase + 1]!
    to[toBase + 2]! += from[fromBase + 2]! + (apart * apart * to[toBase]! * more) / count
    to[toBase + 1]! += (apart * more) / count
    to[toBase] = count
  },
  result(slots, base) {
    return slots[base + 2]! / slots[base]!
  },
}

/** The square root of the variance: in the unit of the field. */
export const stddev: Aggregate = {
  ...variance,
  result: (slots, base) => Math.sqrt(slots[base + 2]! / slots[base]!),
}

/** The variance as estimated from a sample: one record says nothing about it. */
export const varianceSample: Aggregate = {
  ...variance,
  result: (slots, base) => slots[base + 2]! / (slots[base]! - 1),
}

/** Its square root. */
export const stddevSample: Aggregate = {
  ...variance,
  result: (slots, base) => Math.sqrt(slots[base + 2]! / (slots[base]! - 1)),
}
