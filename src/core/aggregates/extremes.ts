// min and max. Hot: no object a record.
// Runs on a lane; pure.
// Keeps SPEC: AGG-2 (the result is the same however records were cut into chunks).

import type { Aggregate } from './aggregate.ts'

/** The least value. Slots: least so far. */
export const min: Aggregate = {
  slotCount: 1,
  hasCell: false,
  init(slots, base) {
    slots[base] = Number.POSITIVE_INFINITY
  },
  update(slots, width, at, rows, input, from, to) {
    const values = input.values
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const value = values[i]!
      if (value < slots[base]!) slots[base] = value
    }
  },
  merge(to, toBase, from, fromBase) {
    if (from[fromBase]! < to[toBase]!) to[toBase] = from[fromBase]!
  },
  result(slots, base) {
    return slots[base]!
  },
}

/** The greatest value. Slots: greatest so far. */
export const max: Aggregate = {
  slotCount: 1,
  hasCell: false,
  init(slots, base) {
    slots[base] = Number.NEGATIVE_INFINITY
  },
  update(slots, width, at, rows, input, from, to) {
    const values = input.values
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const value = values[i]!
      if (value > slots[base]!) slots[base] = value
    }
  },
  merge(to, toBase, from, fromBase) {
    if (from[fromBase]! > to[toBase]!) to[toBase] = from[fromBase]!
  },
  result(slots, base) {
    return slots[base]!
  },
}
