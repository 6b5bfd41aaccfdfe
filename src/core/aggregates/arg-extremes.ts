// argMin and argMax: the value of one field where another is least or greatest. Hot.
// Runs on a lane; pure. Numbers live in slots; any other value lives in the row's cell and the slot is NaN.
// Keeps SPEC: AGG-7 (among equals the earliest, by event time, then by place).

import type { Aggregate } from './aggregate.ts'
import { setValue, takeValue } from './picks.ts'

/** The value where `by` is least. */
export const argMin = argExtreme(1)
/** The value where `by` is greatest. */
export const argMax = argExtreme(-1)

/** The value where `by * sign` is least. Slots: by * sign, event time, value. */
function argExtreme(sign: 1 | -1): Aggregate {
  return {
    slotCount: 3,
    hasCell: true,
    init(slots, base) {
      slots[base] = Number.POSITIVE_INFINITY
      slots[base + 1] = Number.POSITIVE_INFINITY
      slots[base + 2] = Number.NaN
    },
    update(slots, width, at, rows, input, from, to) {
      const { values, second, timesMs } = input
      for (let i = from; i < to; i++) {
        const row = rows[i]!
        if (row < 0) continue
        const base = row * width + at
        const by = second[i]! * sign
        if (by > slots[base]! || (by === slots[base] && timesMs[i]! >= slots[base + 1]!)) continue
        slots[base] = by
        slots[base + 1] = timesMs[i]!
        const value = values[i]!
        if (!Number.isNaN(value) && !Number.isNaN(slots[base + 2])) slots[base + 2] = value
        else setValue(slots, base + 2, row, i, input)
      }
    },
    merge(to, toBase, from, fromBase, cells, cell) {
      const by = from[fromBase]!
      const timeMs = from[fromBase + 1]!
      if (by > to[toBase]! || (by === to[toBase] && timeMs >= to[toBase + 1]!)) return
      to[toBase] = by
      to[toBase + 1] = timeMs
      takeValue(to, toBase + 2, from, fromBase + 2, cells, cell)
    },
    result(slots, base) {
      return slots[base + 2]!
    },
    other: (_slots, _base, cell) => cell,
  }
}
