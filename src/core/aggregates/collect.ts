// collect: the values of a field, in order, the first ones of them where they are many.
// Runs on a lane; pure. The values and their times are in the row's cell.
// Keeps SPEC: AGG-13 (the first by event time, then by place; the row says how many more there were), AGG-6 (bounded).

import type { Aggregate } from './aggregate.ts'
import { CELL_BYTES_MAX, cellOf, setCell, setMergedCell, valueBytes } from './cells.ts'

/** What a row shows: the first values, and how many came beyond them. */
export interface Collected<V> {
  values: V[]
  dropped: number
}

type Kept = [values: unknown[], timesMs: number[]]

/*
 * Kept are the first values, by event time, then by place, up to the first one that is too many or too large. So it does not
 * matter in which order they came, nor in which parts: what was dropped at a time (`cut`) stays beyond all that is kept.
 *
 * Slots: 0 dropped | 1 bytes of the kept ones | 2 cut: the least time of a dropped one
 */
export function collect(limit: number): Aggregate {
  const add = (slots: Float64Array, base: number, kept: Kept, value: unknown, timeMs: number): void => {
    if (timeMs >= slots[base + 2]!) {
      slots[base]! += 1
      return
    }
    const [values, timesMs] = kept
    let at = timesMs.length
    while (at > 0 && timesMs[at - 1]! > timeMs) at--
    values.splice(at, 0, value)
    timesMs.splice(at, 0, timeMs)
    slots[base + 1]! += valueBytes(value)
    while (values.length > limit || slots[base + 1]! > CELL_BYTES_MAX) dropLast(slots, base, kept)
  }
  return {
    slotCount: 3,
    hasCell: true,
    isGrowing: true,
    init(slots, base) {
      slots.fill(0, base, base + 2)
      slots[base + 2] = Number.POSITIVE_INFINITY
    },
    update(slots, width, at, rows, input, from, to) {
      for (let i = from; i < to; i++) {
        const row = rows[i]!
        if (row < 0) continue
        let kept = cellOf(input, row) as Kept | undefined
        if (kept === undefined) {
          kept = [[], []]
          setCell(input, row, kept)
        }
        add(slots, row * width + at, kept, input.columns.valueAt(input.field, i), input.timesMs[i]!)
      }
    },
    merge(to, toBase, from, fromBase, cells, cell) {
      const kept = (cells.to[cell] ?? [[], []]) as Kept
      setMergedCell(cells, cell, kept)
      const [values, timesMs] = (cells.from?.[cell] ?? [[], []]) as Kept
      for (let i = 0; i < values.length; i++) add(to, toBase, kept, values[i], timesMs[i]!)
      to[toBase]! += from[fromBase]!
      const cutMs = from[fromBase + 2]!
      if (cutMs >= to[toBase + 2]!) return
      while (kept[1].length > 0 && kept[1].at(-1)! > cutMs) dropLast(to, toBase, kept)
      to[toBase + 2] = cutMs
    },
    result: () => Number.NaN,
    other(slots, base, cell): Collected<unknown> {
      return { values: [...((cell ?? [[]]) as Kept)[0]], dropped: slots[base]! }
    },
  }
}

function dropLast(slots: Float64Array, base: number, [values, timesMs]: Kept): void {
  slots[base]! += 1
  slots[base + 1]! -= valueBytes(values.pop())
  slots[base + 2] = timesMs.pop()!
}
