// topK: the most frequent values of a field, exact while they are few, with a known error beyond.
// Runs on a lane; pure. The counters are in the row's cell.
// Keeps SPEC: AGG-12 (counts within their error), AGG-6 (bounded), AGG-5 (counters and errors add up).

/*
 * The summary of Misra and Gries, purged in batches: up to 2 * capacity values have a counter. When there are more, the count
 * of rank capacity + 1 is taken off all of them, and those without anything left go. Each record is taken off at most once along
 * with `capacity` others, so all that was ever taken off, the error, is at most records / (capacity + 1).
 */
import type { Aggregate, AggregateInput } from './aggregate.ts'
import { CELL_BYTES_MAX, cellOf, setCell, setMergedCell, valueBytes } from './cells.ts'

/** A value that came at least `count` and at most `count + error` times. */
export interface TopValue<V> {
  value: V
  count: number
  error: number
}

/** The counters of a row. In the changelog and the store they are two lists. */
class Counters {
  readonly byValue = new Map<unknown, number>()

  /** Of what a cell holds; a restored one is as `toJSON` made it. */
  static of(cell: unknown): Counters {
    if (cell instanceof Counters) return cell
    const counters = new Counters()
    const [values, counts] = (cell ?? [[], []]) as [unknown[], number[]]
    values.forEach((value, i) => {
      counters.byValue.set(value, counts[i]!)
    })
    return counters
  }

  /** What msgpack packs. */
  toJSON(): [unknown[], number[]] {
    return [[...this.byValue.keys()], [...this.byValue.values()]]
  }
}

/** The `k` most frequent of those that have a counter. Slots: error, bytes of the values. */
export function topK(k: number, capacity: number): Aggregate {
  const add = (
    slots: Float64Array,
    base: number,
    byValue: Map<unknown, number>,
    value: unknown,
    count: number,
  ): void => {
    const before = byValue.get(value)
    if (before === undefined) slots[base + 1]! += valueBytes(value)
    byValue.set(value, (before ?? 0) + count)
    if (byValue.size > 2 * capacity || slots[base + 1]! > CELL_BYTES_MAX) purge(slots, base, byValue, capacity)
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
        add(slots, row * width + at, countersOf(input, row), input.columns.valueAt(input.field, i), 1)
      }
    },
    merge(to, toBase, from, fromBase, cells, cell) {
      const counters = Counters.of(cells.to[cell])
      setMergedCell(cells, cell, counters)
      to[toBase]! += from[fromBase]!
      for (const [value, count] of Counters.of(cells.from?.[cell]).byValue) {
        add(to, toBase, counters.byValue, value, count)
      }
    },
    result: () => Number.NaN,
    other(slots, base, cell): TopValue<unknown>[] {
      const ranked = [...Counters.of(cell).byValue].sort(compareRanks).slice(0, k)
      return ranked.map(([value, count]) => ({ value, count, error: slots[base]! }))
    },
  }
}

function countersOf(input: AggregateInput, row: number): Map<unknown, number> {
  const known = cellOf(input, row)
  const counters = Counters.of(known)
  if (counters !== known) setCell(input, row, counters)
  return counters.byValue
}

/** Leaves at most `capacity` values, and at most half of the bytes, so that the next purge is far. */
function purge(slots: Float64Array, base: number, byValue: Map<unknown, number>, capacity: number): void {
  const ranked = [...byValue].sort(compareRanks)
  let keptCount = 0
  let bytes = 0
  while (keptCount < capacity && keptCount < ranked.length) {
    bytes += valueBytes(ranked[keptCount]![0])
    if (bytes > CELL_BYTES_MAX / 2) break
    keptCount++
  }
  const taken = ranked[keptCount]![1]
  slots[base]! += taken
  slots[base + 1] = 0
  for (const [value, count] of ranked) {
    if (count <= taken) byValue.delete(value)
    else {
      byValue.set(value, count - taken)
      slots[base + 1]! += valueBytes(value)
    }
  }
}

/** Most frequent first; among equals numbers, then texts, then booleans, each ascending: the same however records came. */
function compareRanks([a, countA]: [unknown, number], [b, countB]: [unknown, number]): number {
  if (countA !== countB) return countB - countA
  const order = typeOrder(a) - typeOrder(b)
  if (order !== 0) return order
  return (a as string) < (b as string) ? -1 : 1
}

function typeOrder(value: unknown): number {
  return typeof value === 'number' ? 0 : typeof value === 'string' ? 1 : 2
}
