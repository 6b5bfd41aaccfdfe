// approxDistinctCount: how many different values, about, by HyperLogLog.
// Runs on a lane; pure. The registers are bytes in the row's cell.
// Keeps SPEC: AGG-11 (standard error 1.04 / sqrt(2^precision), fixed size), AGG-2, AGG-5 (registers keep the greatest).

/*
 * Of a hash, the first `precision` bits choose a register; it keeps the greatest rank of all hashes: 1 + the zeros that the other
 * half begins with. The estimate is that of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017): it
 * has the corrections for small and for large numbers in it, and no range where it is biased.
 */
import type { Aggregate } from './aggregate.ts'
import { cellOf, setCell, setMergedCell } from './cells.ts'
import { hash, hashValue } from './value-hash.ts'

/** Ranks are 0 (nothing came) to 33 (all bits are 0). */
const RANK_MAX = 33

/** No slots: all is in the cell. */
export function approxDistinctCount(precision: number): Aggregate {
  const registerCount = 1 << precision
  const counts = new Float64Array(RANK_MAX + 1)
  return {
    slotCount: 0,
    hasCell: true,
    init() {},
    update(_slots, _width, _at, rows, input, from, to) {
      for (let i = from; i < to; i++) {
        const row = rows[i]!
        if (row < 0) continue
        let registers = cellOf(input, row) as Uint8Array | undefined
        if (registers === undefined) {
          registers = new Uint8Array(registerCount)
          setCell(input, row, registers)
        }
        hashValue(input.columns.valueAt(input.field, i))
        const register = hash.high >>> (32 - precision)
        const rank = Math.clz32(hash.low) + 1
        if (rank > registers[register]!) registers[register] = rank
      }
    },
    merge(_to, _toBase, _from, _fromBase, cells, cell) {
      const more = cells.from?.[cell] as Uint8Array | null | undefined
      if (more === null || more === undefined) return
      const registers = (cells.to[cell] ?? new Uint8Array(registerCount)) as Uint8Array
      for (let i = 0; i < registerCount; i++) if (more[i]! > registers[i]!) registers[i] = more[i]!
      setMergedCell(cells, cell, registers)
    },
    result(_slots, _base, cell) {
      const registers = cell as Uint8Array | null | undefined
      if (registers === null || registers === undefined) return 0
      counts.fill(0)
      for (let i = 0; i < registerCount; i++) counts[registers[i]!]! += 1
      return Math.round(estimate(counts, registerCount))
    },
  }
}

/** The number of values from how many registers have each rank. */
function estimate(counts: Float64Array, registerCount: number): number {
  let z = registerCount * tau(1 - counts[RANK_MAX]! / registerCount)
  for (let rank = RANK_MAX - 1; rank >= 1; rank--) z = (z + counts[rank]!) / 2
  z += registerCount * sigma(counts[0]! / registerCount)
  return registerCount ** 2 / (2 * Math.LN2 * z)
}

/** x + the sum of x^(2^k) 2^(k-1): corrects for registers that nothing came to. */
function sigma(x: number): number {
  if (x === 1) return Number.POSITIVE_INFINITY
  let sum = x
  let before: number
  let weight = 1
  do {
    x *= x
    before = sum
    sum += x * weight
    weight *= 2
  } while (sum !== before)
  return sum
}

/** A third of 1 - x less the sum of (1 - x^(2^-k))^2 2^-k: corrects for registers that are full. */
function tau(x: number): number {
  if (x === 0 || x === 1) return 0
  let sum = 1 - x
  let before: number
  let weight = 1
  do {
    x = Math.sqrt(x)
    before = sum
    weight /= 2
    sum -= (1 - x) ** 2 * weight
  } while (sum !== before)
  return sum / 3
}
