// first and last: the value at the least and at the greatest event time; among equal times by place. Hot.
// Runs on a lane; pure. Numbers live in slots; any other value lives in the row's cell and the slot is NaN.
// Keeps SPEC: AGG-3 (first keeps the earlier place among equal times, last takes the later).

import type { Aggregate, AggregateInput } from './aggregate.ts'

/** Slots: event time, value. */
export const first: Aggregate = {
  slotCount: 2,
  hasCell: true,
  needsNumber: false,
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
  result(slots, base) {
    return slots[base + 1]!
  },
}

/** Slots: event time, value. */
export const last: Aggregate = {
  slotCount: 2,
  hasCell: true,
  needsNumber: false,
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
  result(slots, base) {
    return slots[base + 1]!
  },
}

/** Outlined: the new or the old value is no number, so the row's cell changes too. */
function setValue(slots: Float64Array, at: number, row: number, record: number, input: AggregateInput): void {
  const value = input.values[record]!
  slots[at] = value
  let cells = input.cells[row]
  if (!Number.isNaN(value)) {
    if (cells !== undefined) cells[input.cell] = null
    return
  }
  if (cells === undefined) {
    cells = []
    input.cells[row] = cells
  }
  while (cells.length <= input.cell) cells.push(null)
  cells[input.cell] = input.columns.valueAt(input.field, record)
}
