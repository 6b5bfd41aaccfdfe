// The keys of a view's history, both ways. Holds SPEC: VIEW-3.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { historyKey, historyPlace } from '../../src/core/history-key.ts'

test('a key and a time are read back as they were, whatever the key is', () => {
  const time = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
  const key = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'a:1', ':', '-', '0'))
  fc.assert(
    fc.property(key, time, (one, timeMs) => {
      expect(historyPlace(historyKey({ key: one, timeMs }))).toEqual({ key: one, timeMs })
    }),
  )
})

test.each(['', 'a', 'a:', 'a:x', 'a:1.5', 'a:01', 'a:-0', 'a:+1', 'a: 1', 'a:1e3', 'a:9007199254740992', '7'])(
  '%j is none of a history',
  (key) => expect(historyPlace(key)).toBeUndefined(),
)
