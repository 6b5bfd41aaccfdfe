// distinctCount: how many different values, exactly, up to a limit.
// Runs on a lane; pure. The values are a Set in the row's cell.
// Keeps SPEC: AGG-10 (an exact count, or null beyond the limit), AGG-6 (bounded).

import type { Aggregate, AggregateInput } from './aggregate.ts'
import { CELL_BYTES_MAX, cellOf, setCell, setMergedCell, valueBytes } from './cells.ts'

/**
 * Slots: how many values (NaN: more than may be kept), their bytes. Beyond the limit the values are let go: the answer stays
 * null, whatever comes and in which order, and the row is small again.
 */
export function distinctCount(limit: number): Aggregate {
  /** False when the value was one too many. */
  const add = (slots: Float64Array, base: number, values: Set<unknown>, value: unknown): boolean => {
    if (values.has(value)) return true
    values.add(value)
    slots[base] = values.size
    slots[base + 1]! += valueBytes(value)
    if (values.size <= limit && slots[base + 1]! <= CELL_BYTES_MAX) return true
    slots[base] = Number.NaN
    slots[base + 1] = 0
    return false
  }
  return {
    slotCount: 2,
    hasCell: true,
    isGrowing: true,
    init(slots, base) {
      slots.fill(0, base, base + 2)
    },
    update(slots, width, at, rows, input, from, to) {
      for (let i = from; i < to; i++) {
        const row = rows[i]!
        if (row < 0) continue
        const base = row * width + at
        if (Number.isNaN(slots[base])) continue
        const value = input.columns.valueAt(input.field, i)
        if (!add(slots, base, valuesOf(input, row), value)) setCell(input, row, null)
      }
    },
    merge(to, toBase, from, fromBase, cells, cell) {
      if (Number.isNaN(to[toBase])) return
      const more = cells.from?.[cell] as Set<unknown> | null | undefined
      const values = (cells.to[cell] ?? new Set()) as Set<unknown>
      let fits = !Number.isNaN(from[fromBase])
      if (!fits) to[toBase] = Number.NaN
      for (const value of fits ? (more ?? []) : []) {
        fits = add(to, toBase, values, value)
        if (!fits) break
      }
      setMergedCell(cells, cell, fits ? values : null)
    },
    result(slots, base) {
      return slots[base]!
    },
  }
}

function valuesOf(input: AggregateInput, row: number): Set<unknown> {
  const known = cellOf(input, row) as Set<unknown> | undefined
  if (known !== undefined) return known
  const values = new Set<unknown>()
  setCell(input, row, values)
  return values
}
