// covariance and correlation: how two fields move together, by Welford's recurrence. Hot: no object a record.
// Runs on a lane; pure.
// Keeps SPEC: AGG-4 (of the population; stable for values far from 0).

import type { Aggregate } from './aggregate.ts'

/*
 * Slots: 0 count | 1 mean of x | 2 mean of y | 3 sum of products of distances | 4, 5 sums of squared distances of x, of y
 */
const moments: Aggregate = {
  slotCount: 6,
  hasCell: false,
  init(slots, base) {
    slots.fill(0, base, base + 6)
  },
  update(slots, width, at, rows, input, from, to) {
    const { values, second } = input
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const x = values[i]!
      const y = second[i]!
      const count = slots[base]! + 1
      const beforeX = x - slots[base + 1]!
      const beforeY = y - slots[base + 2]!
      slots[base] = count
      slots[base + 1]! += beforeX / count
      slots[base + 2]! += beforeY / count
      const afterY = y - slots[base + 2]!
      slots[base + 3]! += beforeX * afterY
      slots[base + 4]! += beforeX * (x - slots[base + 1]!)
      slots[base + 5]! += beforeY * afterY
    }
  },
  /** As Chan, Golub and LeVeque put two samples together. */
  merge(to, toBase, from, fromBase) {
    const more = from[fromBase]!
    if (more === 0) return
    if (to[toBase] === 0) {
      // Nothing to put together, whose distance may be beyond all numbers.
      for (let i = 0; i < 6; i++) to[toBase + i] = from[fromBase + i]!
      return
    }
    const count = to[toBase]! + more
    const apartX = from[fromBase + 1]! - to[toBase + 1]!
    const apartY = from[fromBase + 2]! - to[toBase + 2]!
    const share = (to[toBase]! * more) / count
    to[toBase + 3]! += from[fromBase + 3]! + apartX * apartY * share
    to[toBase + 4]! += from[fromBase + 4]! + apartX * apartX * share
    to[toBase + 5]! += from[fromBase + 5]! + apartY * apartY * share
    to[toBase + 1]! += (apartX * more) / count
    to[toBase + 2]! += (apartY * more) / count
    to[toBase] = count
  },
  result: () => Number.NaN,
}

/** The mean product of the distances of two fields from their means. */
export const covariance: Aggregate = {
  ...moments,
  result: (slots, base) => slots[base + 3]! / slots[base]!,
}

/** Pearson's: -1 to 1; no result where a field has one value only. */
export const correlation: Aggregate = {
  ...moments,
  result(slots, base) {
    const spread = Math.sqrt(slots[base + 4]!) * Math.sqrt(slots[base + 5]!)
    return spread === 0 ? Number.NaN : Math.max(-1, Math.min(1, slots[base + 3]! / spread))
  },
}
