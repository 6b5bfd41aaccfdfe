// The rows of a view: latest per key, recent changes, limits; against a plain model.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import { ViewStore } from '../../src/push/view-store.ts'

const LIMITS = { viewRowsMax: 100, viewBytesMax: 1 << 20, recentRowsMax: 16 }

function codeOf(run: () => void): string | undefined {
  try {
    run()
  } catch (error) {
    return error instanceof MillraceError ? error.code : String(error)
  }
  return undefined
}

describe('a view store', () => {
  it('brings a client from any remembered sequence to the present, removals too', () => {
    const change = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), value: fc.option(fc.nat(9)) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.nat(60), (changes, from) => {
        const store = new ViewStore('v', { 0: 0 }, LIMITS)
        const held = new Map<string, unknown>()
        let heldSequence = 0
        changes.forEach(({ key, value }, offset) => {
          store.apply(0, offset, 0, key, value === null ? undefined : String(value))
          if (offset + 1 !== Math.min(from, changes.length)) return
          for (const row of store.rows.values()) held.set(row.key, JSON.parse(row.json).row)
          heldSequence = store.sequence
        })
        const told = store.changesSince(heldSequence)
        if (told === undefined) return store.sequence - heldSequence > LIMITS.recentRowsMax
        for (const row of told.rows) {
          if (row.isRemoval) held.delete(row.key)
          else held.set(row.key, JSON.parse(row.json).row)
        }
        const present = new Map([...store.rows.values()].map((row) => [row.key, JSON.parse(row.json).row]))
        const keys = told.rows.map((row) => row.key)
        expect(held).toEqual(present)
        expect(new Set(keys).size).toBe(keys.length)
        expect(told.rows.length + told.conflatedCount).toBe(store.sequence - heldSequence)
        return true
      }),
    )
  })

  it('refuses to remember further back than its limit', () => {
    const store = new ViewStore('v', { 0: 0 }, LIMITS)
    for (let i = 0; i < 17; i++) store.apply(0, i, 0, 'a', '1')
    expect(store.changesSince(0)).toBeUndefined()
    expect(store.changesSince(1)!.rows).toHaveLength(1)
  })

  it('forgets removals with the changes they are part of', () => {
    const store = new ViewStore('v', { 0: 0 }, LIMITS)
    store.apply(0, 0, 0, 'a', '1')
    store.apply(0, 1, 0, 'a', undefined)
    expect(store.latest('a')!.isRemoval).toBe(true)
    for (let i = 2; i < 2 + LIMITS.recentRowsMax; i++) store.apply(0, i, 0, 'b', '1')
    expect(store.latest('a')).toBeUndefined()
  })

  it('is over its limit with one row or byte too many, and takes replacements at the limit', () => {
    const few = new ViewStore('v', { 0: 0 }, { ...LIMITS, viewRowsMax: 2 })
    few.apply(0, 0, 0, 'a', '1')
    few.apply(0, 1, 0, 'b', '1')
    few.apply(0, 2, 0, 'b', '2')
    expect(codeOf(() => few.apply(0, 3, 0, 'c', '1'))).toBe('MR7003')
    const small = new ViewStore('v', { 0: 0 }, { ...LIMITS, viewBytesMax: 2000 })
    for (let i = 0; i < 50; i++) small.apply(0, i, 0, 'a', JSON.stringify('x'.repeat(300)))
    expect(codeOf(() => small.apply(0, 50, 0, 'b', JSON.stringify('x'.repeat(700))))).toBe('MR7003')
  })

  it('moves its position at publish and keeps the object while it stands still', () => {
    const store = new ViewStore('v', { 0: 5, 1: 7 }, LIMITS)
    store.apply(0, 9, 0, 'a', '1')
    expect(store.position).toEqual({ 0: 5, 1: 7 })
    expect(store.publish()).toBe(true)
    const { position } = store
    expect(position).toEqual({ 0: 10, 1: 7 })
    expect(store.publish()).toBe(false)
    expect(store.position).toBe(position)
  })
})
