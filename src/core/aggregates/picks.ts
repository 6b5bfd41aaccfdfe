// first and last: the value at the least and at the greatest event time; among equal times by place. Hot.
// Runs on a lane; pure. Numbers live in slots; any other value lives in the row's cell and the slot is NaN.
// Keeps SPEC: AGG-3 (first keeps the earlier place among equal times, last takes the later).

import type { Aggregate, AggregateInput, MergedCells } from './aggregate.ts'

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
  merge(to, toBase, from, fromBase, cells, cell) {
    if (from[fromBase]! < to[toBase]!) take(to, toBase, from, fromBase, cells, cell)
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
  merge(to, toBase, from, fromBase, cells, cell) {
    if (from[fromBase]! >= to[toBase]!) take(to, toBase, from, fromBase, cells, cell)
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
  to[toBase + 1] = from[fromBase + 1]!
  if (!Number.isNaN(from[fromBase + 1]) && cells.to.length <= cell) return
  while (cells.to.length <= cell) cells.to.push(null)
  cells.to[cell] = Number.isNaN(from[fromBase + 1]) ? (cells.from?.[cell] ?? null) : null
}
