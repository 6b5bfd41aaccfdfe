// The words of `--to` and the places that they mean. Holds SPEC: RESET-4.
import { describe, expect, test } from 'vitest'
import { parseTarget, resolveTarget } from '../../src/reset/target.ts'

const bounds = [
  { partition: 0, low: 10, high: 50, timeOffset: 20 },
  { partition: 1, low: 0, high: 5, timeOffset: undefined },
]
const places = (words: string) => [...resolveTarget(parseTarget(words), 'trades', bounds)]

describe('a place', () => {
  test.each([
    ['earliest', [10, 0]],
    ['latest', [50, 5]],
    ['2026-01-31T09:30:00Z', [20, 5]],
  ])('%s is an offset in every partition', (words, offsets) => {
    expect(places(words)).toEqual(offsets.map((offset, partition) => [partition, offset]))
  })

  test('named by partition and offset leaves the other partitions where they are', () => {
    expect(places('1:3')).toEqual([[1, 3]])
    expect(places('1:0, 0:50')).toEqual([
      [1, 0],
      [0, 50],
    ])
  })
})

test.each([
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01-31T09:30Z', Date.UTC(2026, 0, 31, 9, 30)],
  ['2026-01-31T09:30:15.250+02:00', Date.UTC(2026, 0, 31, 7, 30, 15, 250)],
])('%s is a time', (words, timestampMs) => {
  expect(parseTarget(words)).toEqual({ kind: 'time', timestampMs })
})

test.each([
  ['', 'expected earliest, latest'],
  ['soon', 'expected earliest, latest'],
  ['1', 'expected earliest, latest'],
  ['1:-1', 'expected earliest, latest'],
  ['0:1,0:2', 'named twice'],
  ['0:9999999999999999', 'too large'],
  ['2026-01-31T09:30:00', 'expected earliest, latest'],
  ['2026-13-01T00:00:00Z', 'no such time'],
])('%j is refused with what is expected', (words, reason) => {
  expect(() => parseTarget(words)).toThrow(expect.objectContaining({ code: 'MR3002' }))
  expect(() => parseTarget(words)).toThrow(reason)
})

test.each([
  ['2:0', 'no partition 2'],
  ['0:9', 'from offset 10 to 50, not to 9'],
  ['0:51', 'from offset 10 to 50, not to 51'],
])('%s is refused: there is no such place', (words, reason) => {
  expect(() => places(words)).toThrow(expect.objectContaining({ code: 'MR3002' }))
  expect(() => places(words)).toThrow(reason)
})
