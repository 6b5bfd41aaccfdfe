// decimalSum: exact sums of decimals that are given as text. Small sums are integers in a slot, large ones digits in the cell.
// Runs on a lane; pure.
// Keeps SPEC: AGG-14 (exact, with the greatest scale seen).

import type { Aggregate } from './aggregate.ts'
import { cellOf, setCell, setMergedCell } from './cells.ts'

/** Longer texts are no decimals. It bounds the scale, and so the row. */
const DECIMAL_LENGTH_MAX = 100
const DECIMAL = /^[+-]?\d+(?:\.\d+)?$/
/** 10^0 to 10^15: a product with a greater one is never a safe integer, unless it is 0. */
const POWERS = Array.from({ length: 16 }, (_, i) => Number(`1e${i}`))

/** True for text such as '12', '-12.30' and '+0.5'. */
export function isDecimal(value: unknown): value is string {
  return typeof value === 'string' && value.length <= DECIMAL_LENGTH_MAX && DECIMAL.test(value)
}

/** Slots: a part of the sum, as an integer at the scale; the scale. Cell: the rest of it, as the digits of such an integer. */
export const decimalSum: Aggregate = {
  slotCount: 2,
  hasCell: true,
  init(slots, base) {
    slots.fill(0, base, base + 2)
  },
  update(slots, width, at, rows, input, from, to) {
    for (let i = from; i < to; i++) {
      const row = rows[i]!
      if (row < 0) continue
      const text = input.columns.valueAt(input.field, i) as string
      const dot = text.indexOf('.')
      const scale = dot < 0 ? 0 : text.length - dot - 1
      const digits = dot < 0 ? text : text.slice(0, dot) + text.slice(dot + 1)
      const before = cellOf(input, row) as string | undefined
      const rest = add(slots, row * width + at, before, digits, scale)
      if (rest !== before) setCell(input, row, rest)
    }
  },
  merge(to, toBase, from, fromBase, cells, cell) {
    const scale = from[fromBase + 1]!
    let rest = (cells.to[cell] ?? undefined) as string | undefined
    rest = add(to, toBase, rest, String(from[fromBase]), scale)
    const more = cells.from?.[cell] as string | null | undefined
    if (typeof more === 'string') rest = add(to, toBase, rest, more, scale)
    if (rest !== undefined) setMergedCell(cells, cell, rest)
  },
  result: () => Number.NaN,
  other: (slots, base, cell) =>
    decimalText(BigInt((cell as string | null) ?? 0) + BigInt(slots[base]!), slots[base + 1]!),
}

/** Adds an integer at a scale; gives the digits that the cell holds from now on. */
function add(
  slots: Float64Array,
  base: number,
  rest: string | undefined,
  digits: string,
  scale: number,
): string | undefined {
  const more = scale - slots[base + 1]!
  if (more > 0) {
    slots[base + 1] = scale
    if (rest !== undefined) rest += '0'.repeat(more)
    const scaled = timesPower(slots[base]!, more)
    if (Number.isSafeInteger(scaled)) slots[base] = scaled
    else {
      rest = String(BigInt(rest ?? 0) + BigInt(slots[base]!) * 10n ** BigInt(more))
      slots[base] = 0
    }
  }
  const behind = Math.max(0, -more)
  const number = timesPower(Number(digits), behind)
  const sum = slots[base]! + number
  if (Number.isSafeInteger(number) && Number.isSafeInteger(sum)) {
    slots[base] = sum
    return rest
  }
  return String(BigInt(rest ?? 0) + BigInt(digits) * 10n ** BigInt(behind))
}

/** number * 10^power; exact where it is a safe integer, which it is not where it is not exact. */
function timesPower(number: number, power: number): number {
  if (power < POWERS.length) return number * POWERS[power]!
  return number === 0 ? 0 : Number.POSITIVE_INFINITY
}

function decimalText(integer: bigint, scale: number): string {
  if (scale === 0) return String(integer)
  const digits = String(integer < 0n ? -integer : integer).padStart(scale + 1, '0')
  return `${integer < 0n ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}
