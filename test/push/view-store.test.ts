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

function put(store: ViewStore, offset: number, key: string, json: string | undefined): void {
  store.apply({ partition: 0, offset, timestampMs: 0, key, json })
}

describe('a view store', () => {
  it('brings a client from any remembered sequence to the present, removals too', () => {
    const change = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), value: fc.option(fc.nat(9)) })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), fc.nat(60), (changes, from) => {
        const store = new ViewStore('v', [0], LIMITS)
        const held = new Map<string, unknown>()
        let heldSequence = 0
        changes.forEach(({ key, value }, offset) => {
          put(store, offset, key, value === null ? undefined : String(value))
          if (offset + 1 !== Math.min(from, changes.length)) return
          for (const row of store.rows.values()) held.set(row.key, JSON.parse(row.json))
          heldSequence = store.sequence
        })
        const told = store.changesSince(heldSequence)
        if (told === undefined) return store.sequence - heldSequence > LIMITS.recentRowsMax
        for (const row of told.rows) {
          if (row.isRemoval) held.delete(row.key)
          else held.set(row.key, JSON.parse(row.json))
        }
        const present = new Map([...store.rows.values()].map((row) => [row.key, JSON.parse(row.json)]))
        const keys = told.rows.map((row) => row.key)
        expect(held).toEqual(present)
        expect(new Set(keys).size).toBe(keys.length)
        expect(told.rows.length + told.conflatedCount).toBe(store.sequence - heldSequence)
        return true
      }),
    )
  })

  it('refuses to remember further back than its limit', () => {
    const store = new ViewStore('v', [0], LIMITS)
    for (let i = 0; i < 17; i++) put(store, i, 'a', '1')
    expect(store.changesSince(0)).toBeUndefined()
    expect(store.changesSince(1)!.rows).toHaveLength(1)
  })

  it('forgets removals with the changes they are part of', () => {
    const store = new ViewStore('v', [0], LIMITS)
    put(store, 0, 'a', '1')
    put(store, 1, 'a', undefined)
    expect(store.latest('a')!.isRemoval).toBe(true)
    for (let i = 2; i < 2 + LIMITS.recentRowsMax; i++) put(store, i, 'b', '1')
    expect(store.latest('a')).toBeUndefined()
  })

  it('tells of the removal of a key whose row compaction has taken: a client may have it from another server', () => {
    const store = new ViewStore('v', [0], LIMITS)
    put(store, 7, 'a', undefined)
    put(store, 9, 'b', '1')
    store.publish()
    expect(store.changesFrom([5])!.map(({ key, isRemoval }) => [key, isRemoval])).toEqual([
      ['a', true],
      ['b', false],
    ])
    expect(store.rows.size).toBe(1)
  })

  it('is over its limit with one row or byte too many, and takes replacements at the limit', () => {
    const few = new ViewStore('v', [0], { ...LIMITS, viewRowsMax: 2 })
    put(few, 0, 'a', '1')
    put(few, 1, 'b', '1')
    put(few, 2, 'b', '2')
    expect(codeOf(() => put(few, 3, 'c', '1'))).toBe('MR7003')
    const small = new ViewStore('v', [0], { ...LIMITS, viewBytesMax: 2000 })
    for (let i = 0; i < 50; i++) put(small, i, 'a', JSON.stringify('x'.repeat(300)))
    expect(codeOf(() => put(small, 50, 'b', JSON.stringify('x'.repeat(700))))).toBe('MR7003')
  })

  it('moves its position at publish and keeps the object while it stands still', () => {
    const store = new ViewStore('v', [5, 7], LIMITS)
    put(store, 9, 'a', '1')
    expect(store.offsets).toEqual([5, 7])
    expect(store.publish()).toBe(true)
    const { offsets } = store
    expect(offsets).toEqual([10, 7])
    expect(store.publish()).toBe(false)
    expect(store.offsets).toBe(offsets)
  })

  it('knows what changed since any offset, or knows that it does not', () => {
    const change = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.option(fc.nat(9)),
      partition: fc.constantFrom(0, 1),
    })
    fc.assert(
      fc.property(fc.array(change, { maxLength: 80 }), fc.nat(80), (changes, from) => {
        const store = new ViewStore('v', [0, 0], LIMITS)
        const next = [0, 0]
        let held = new Map<string, string>()
        let offsets: readonly number[] = [0, 0]
        changes.forEach(({ key, value }, i) => {
          // A key is in one partition.
          const partition = key < 'c' ? 0 : 1
          const json = value === null ? undefined : String(value)
          store.apply({ partition, offset: next[partition]!++, timestampMs: 0, key, json })
          if (i + 1 !== Math.min(from, changes.length)) return
          held = new Map([...store.rows].map(([one, row]) => [one, row.json]))
          store.publish()
          offsets = store.offsets
        })
        const told = store.changesFrom(offsets)
        if (told === undefined) return changes.length - from > LIMITS.recentRowsMax
        for (const row of told) {
          if (row.isRemoval) held.delete(row.key)
          else held.set(row.key, row.json)
        }
        expect(held).toEqual(new Map([...store.rows].map(([one, row]) => [one, row.json])))
        return true
      }),
    )
  })

  it('gives its keys in order, as they come and go', () => {
    const change = fc.record({ key: fc.string({ maxLength: 2 }), isThere: fc.boolean(), isAsked: fc.boolean() })
    fc.assert(
      fc.property(fc.array(change), fc.string({ maxLength: 2 }), (changes, first) => {
        const store = new ViewStore('v', [0], { ...LIMITS, viewRowsMax: 1_000 })
        changes.forEach(({ key, isThere, isAsked }, offset) => {
          put(store, offset, key, isThere ? '1' : undefined)
          if (isAsked) store.order.from('', 1)
        })
        const expected = [...store.rows.keys()].filter((key) => key >= first).sort((a, b) => (a < b ? -1 : 1))
        expect(store.order.from(first, 1_000)).toEqual(expected)
        expect(store.order.from(first, 2)).toEqual(expected.slice(0, 2))
      }),
    )
  })
})
