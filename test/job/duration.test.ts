// Durations: a golden table and the way back.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/job/duration.ts'

const table: [text: unknown, ms: number | undefined][] = [
  ['0ms', 0],
  ['500ms', 500],
  ['2s', 2_000],
  ['1.5s', 1_500],
  ['0.1h', 360_000],
  ['0.001s', 1],
  ['90m', 5_400_000],
  ['1h', 3_600_000],
  ['1d', 86_400_000],
  ['36500d', 3_153_600_000_000],
  ['36501d', undefined],
  ['0.0001s', undefined],
  ['0.5ms', undefined],
  ['-1s', undefined],
  ['1', undefined],
  ['', undefined],
  ['s', undefined],
  ['1 s', undefined],
  ['1s ', undefined],
  ['1e3ms', undefined],
  ['1w', undefined],
  ['1S', undefined],
  ['.5s', undefined],
  ['1.s', undefined],
  ['9007199254740993ms', undefined],
  [1000, undefined],
  [undefined, undefined],
]

test.each(table)('the duration %j is %j ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test('what is formatted parses back to the same milliseconds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    }),
  )
  expect([90_000, 86_400_000, 1_500, 0, 7_200_000].map(formatDuration)).toEqual(['90s', '1d', '1500ms', '0ms', '2h'])
})
