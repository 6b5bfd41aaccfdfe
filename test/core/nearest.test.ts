// The nearest known name. Keeps SPEC: CONFIG-2.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { editDistance, nearest } from '../../src/core/nearest.ts'

test.each([
  ['http.prot', ['http.host', 'http.port'], 'http.port'],
  ['comit.minMs', ['commit.minMs', 'commit.maxMs'], 'commit.minMs'],
  ['LANES', ['lanes'], 'lanes'],
  ['zzzzzz', ['lanes', 'brokers'], undefined],
  ['x'.repeat(101), ['x'.repeat(101)], undefined],
])('%s among %j means %s', (name, known, expected) => {
  expect(nearest(name, known)).toBe(expected)
})

test('the distance is symmetric, zero only for equals and at most the longer length', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      const distance = editDistance(a, b)
      expect(editDistance(b, a)).toBe(distance)
      expect(distance === 0).toBe(a === b)
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length))
    }),
  )
})
