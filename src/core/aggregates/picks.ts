// first and last: the value at the least and at the greatest event time; among equal times by place. Hot.
// Runs on a lane; pure. Numbers live in slots; any other value lives in the row's cell and the slot is NaN.
// Keeps SPEC: AGG-3 (first keeps the earlier place among equal times, last takes the later).

import type { Aggregate, AggregateInput, MergedCells } from './aggregate.ts'
import { setCell, setMergedCell } from './cells.ts'

/** Slots: event time, value. */
export const first: Aggregate = {
  slotCount: 2,
  hasCell: true,
  init(slots, base) {
    slots[base] = Number.POSITIVE_INFINITY
    slots[base + 1] = Number.NaN
  },
  update(slots, width, at, rows, input, from, to) {
    const { values, timesMs } = input
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const timeMs = timesMs[i]!
      if (timeMs >= slots[base]!) continue
      slots[base] = timeMs
      const value = values[i]!
      if (!Number.isNaN(value) && !Number.isNaN(slots[base + 1])) slots[base + 1] = value
      else setValue(slots, base + 1, row, i, input)
    }
  },
  merge(to, toBase, from, fromBase, cells, cell) {
    if (from[fromBase]! < to[toBase]!) take(to, toBase, from, fromBase, cells, cell)
  },
  result(slots, base) {
    return slots[base + 1]!
  },
  other: (_slots, _base, cell) => cell,
}

/** Slots: event time, value. */
export const last: Aggregate = {
  slotCount: 2,
  hasCell: true,
  init(slots, base) {
    slots[base] = Number.NEGATIVE_INFINITY
    slots[base + 1] = Number.NaN
  },
  update(slots, width, at, rows, input, from, to) {
    const { values, timesMs } = input
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const base = row * width + at
      const timeMs = timesMs[i]!
      if (timeMs < slots[base]!) continue
      slots[base] = timeMs
      const value = values[i]!
      if (!Number.isNaN(value) && !Number.isNaN(slots[base + 1])) slots[base + 1] = value
      else setValue(slots, base + 1, row, i, input)
    }
  },
  merge(to, toBase, from, fromBase, cells, cell) {
    if (from[fromBase]! >= to[toBase]!) take(to, toBase, from, fromBase, cells, cell)
  },
  result(slots, base) {
    return slots[base + 1]!
  },
  other: (_slots, _base, cell) => cell,
}

/** Outlined: the new or the old value is no number, so the row's cell changes too. */
export function setValue(slots: Float64Array, at: number, row: number, record: number, input: AggregateInput): void {
  const value = input.values[record]!
  slots[at] = value
  if (Number.isNaN(value)) setCell(input, row, input.columns.valueAt(input.field, record))
  else if (input.cells[row] !== undefined) setCell(input, row, null)
}

/** Time and value of one row into another. */
function take(
  to: Float64Array,
  toBase: number,
  from: Float64Array,
  fromBase: number,
  cells: MergedCells,
  cell: number,
): void {
  to[toBase] = from[fromBase]!
  takeValue(to, toBase + 1, from, fromBase + 1, cells, cell)
}

/** The value of one row, at `fromAt`, into another. */
export function takeValue(
  to: Float64Array,
  toAt: number,
  from: Float64Array,
  fromAt: number,
  cells: MergedCells,
  cell: number,
): void {
  const value = from[fromAt]!
  to[toAt] = value
  if (Number.isNaN(value)) setMergedCell(cells, cell, cells.from?.[cell] ?? null)
  else if (cells.to.length > cell) setMergedCell(cells, cell, null)
}
