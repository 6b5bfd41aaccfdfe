// Random records of the property tests of windows, and what aggregates make of a list of them.
import fc from 'fast-check'
import type { InputRecord } from '../lane/lane-driver.ts'

export interface Tick {
  key: string
  ts: number
  value: number
  name: string
}

/** An accumulator throws on it: the record is dead, and in no window. */
export const POISON = 9

/** A record whose time is 0 to `tsMax`, to be moved. */
export function tickUpTo(tsMax: number): fc.Arbitrary<Tick> {
  return fc.record({
    // Few and many: ids of keys that are gone are used again.
    key: fc.oneof(fc.constantFrom('a', 'b'), fc.integer({ min: 10, max: 40 }).map(String)),
    ts: fc.nat(tsMax),
    value: fc.oneof(
      { weight: 9, arbitrary: fc.integer({ min: -9, max: 8 }) },
      { weight: 1, arbitrary: fc.constant(POISON) },
    ),
    name: fc.constantFrom('x', 'y', 'z'),
  })
}

export function inputOf(list: readonly Tick[]): InputRecord[] {
  return list.map((value) => ({ key: value.key, value }))
}

/** Results of `{ n: count(), v: sum('value'), high: max('value'), from: first('name'), to: last('value') }`. */
export function resultsOf(own: readonly Tick[]) {
  const values = own.map(({ value }) => value)
  return {
    n: own.length,
    v: values.reduce((a, b) => a + b, 0),
    high: Math.max(...values),
    from: own.reduce((best, tick) => (tick.ts < best.ts ? tick : best)).name,
    to: own.reduce((best, tick) => (tick.ts >= best.ts ? tick : best)).value,
  }
}
