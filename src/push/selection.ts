// Which rows of a view a subscription gets and what of them, made ready for many rows. Main thread.
// Keeps SPEC: PUSH-13 (keys, prefix, where and fields).
import type { Condition, Scalar, Selection, Where } from '../protocol/messages.ts'
import type { ViewRow } from './view-store.ts'

export interface Lens {
  /** Equal for equal selections, those of keys apart. */
  id: string
  /** Undefined: all keys, or those of a prefix. */
  keys: readonly string[] | undefined
  /** Of all keys; empty: none. */
  prefix: string
  /** Whether a row may go out of what is selected while its key stays. */
  isConditional: boolean
  hasKey(key: string): boolean
  /** Of a row that is no removal, whose key it has. */
  accepts(row: ViewRow): boolean
  /** The JSON of the row as the client gets it. */
  rowJson(row: ViewRow): string
}

type Test = (row: Record<string, unknown>) => boolean

/**
 * @example
 * const lens = lensOf({ prefix: 'BTC/', where: { volume: { gt: 10 } }, fields: ['close'] })
 */
export function lensOf({ key, keys, prefix, where, fields }: Selection): Lens {
  const test = where === undefined ? undefined : testOf(where)
  const all = key === undefined ? keys : [key]
  const known = all === undefined ? undefined : new Set(all)
  return {
    id: JSON.stringify([prefix ?? null, where ?? null, fields ?? null]),
    keys: known === undefined ? undefined : [...known],
    prefix: prefix ?? '',
    isConditional: test !== undefined,
    hasKey: (one) => known?.has(one) ?? (prefix === undefined || one.startsWith(prefix)),
    accepts: (row) => test === undefined || test(objectOf(row)),
    rowJson: fields === undefined ? ({ json }) => json : (row) => picked(row, fields),
  }
}

/** The row as an object; one that is none has no fields. */
function objectOf({ json }: ViewRow): Record<string, unknown> {
  const row: unknown = JSON.parse(json)
  return typeof row === 'object' && row !== null ? (row as Record<string, unknown>) : {}
}

function picked(row: ViewRow, fields: readonly string[]): string {
  if (row.isRemoval) return row.json
  const object = objectOf(row)
  const has = fields.filter((field) => Object.hasOwn(object, field))
  return JSON.stringify(Object.fromEntries(has.map((field) => [field, object[field]])))
}

function testOf(where: Where): Test {
  const tests = Object.entries(where).map(([field, given]) => {
    const condition: Condition = typeof given === 'object' && given !== null ? given : { eq: given }
    const parts = Object.entries(condition).map(([name, value]) => PARTS[name as keyof Condition](value as never))
    return (row: Record<string, unknown>): boolean => {
      const value = Object.hasOwn(row, field) ? row[field] : undefined
      return parts.every((part) => part(value))
    }
  })
  return (row) => tests.every((test) => test(row))
}

type Part = (value: unknown) => boolean

/** A field that is not there is equal to nothing, null included, and compares with nothing. */
const PARTS: { [K in keyof Required<Condition>]: (bound: never) => Part } = {
  eq: (bound: Scalar) => (value) => value === bound,
  ne: (bound: Scalar) => (value) => value !== bound,
  in: (bounds: readonly Scalar[]) => (value) => bounds.includes(value as Scalar),
  gt: (bound: number | string) => comparing(bound, (value) => value > bound),
  gte: (bound: number | string) => comparing(bound, (value) => value >= bound),
  lt: (bound: number | string) => comparing(bound, (value) => value < bound),
  lte: (bound: number | string) => comparing(bound, (value) => value <= bound),
}

function comparing(bound: number | string, isRight: (value: number | string) => boolean): Part {
  return (value) => typeof value === typeof bound && isRight(value as number | string)
}
