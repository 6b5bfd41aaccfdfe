// When all that a topic had was read. Holds SPEC: PUSH-11, PUSH-41.
import { expect, test } from 'vitest'
import { EndMarks } from '../../src/push/end-marks.ts'

test('of a partition that never rests, each end that was seen is reached, as of when it was seen', () => {
  const marks = new EndMarks([10, 0], 1_000)
  expect(marks.read(0, 9, 14, 1_100)).toBeUndefined()
  expect(marks.read(0, 10, 15, 1_200)).toBe(1_000)
  expect(marks.read(0, 14, 19, 1_300)).toBeUndefined()
  expect(marks.read(0, 17, 22, 1_400)).toBe(1_200)
  expect(marks.read(0, 22, 27, 1_500)).toBe(1_400)
  expect(marks.read(1, 1, 6, 1_600)).toBe(1_000)
})

test('at the end, as far as it is known, nothing is missing now', () => {
  const marks = new EndMarks([10], 1_000)
  // What ends a transaction is the last of the ten and is no record: the reader says that it is at the end.
  expect(marks.read(0, 9, 10, 1_100)).toBeUndefined()
  expect(marks.read(0, 10, 10, 1_200)).toBe(1_200)
  // An open transaction holds the end back.
  expect(marks.read(0, 12, 12, 1_300)).toBe(1_300)
  expect(marks.read(0, 13, 20, 1_400)).toBe(1_300)
  // A reader that does not know the end knows of none but those that were seen.
  expect(marks.read(0, 19, -1, 1_500)).toBeUndefined()
  expect(marks.read(0, 20, -1, 1_600)).toBe(1_400)
  expect(marks.read(0, 21, -1, 1_700)).toBe(1_400)
  expect(marks.read(0, 22, 22, 1_800)).toBe(1_800)
})

test('an end that the reader is beyond says nothing', () => {
  const marks = new EndMarks([1_000], 1_000)
  expect(marks.read(0, 6_000, 20_000, 2_000)).toBe(1_000)
  // It was told before the records were, and is heard of behind them.
  expect(marks.read(0, 1_000, 1_000, 2_000)).toBeUndefined()
  expect(marks.read(0, 7_000, 21_000, 3_000)).toBeUndefined()
  expect(marks.read(0, 20_000, 30_000, 4_000)).toBe(2_000)
})
