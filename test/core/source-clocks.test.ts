// The watermark of a task behind several source partitions, against a naive one.
// Holds SPEC: R1 (the minimum over the source partitions that are not idle or ended; it never goes back).
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SourceClocks } from '../../src/core/source-clocks.ts'

const NEVER = Number.NEGATIVE_INFINITY
const ENDED = Number.POSITIVE_INFINITY

test('nothing is known before every partition has been heard of', () => {
  const clocks = new SourceClocks(3)
  expect(clocks.set(0, 1_000, false)).toBe(NEVER)
  expect(clocks.set(1, 2_000, false)).toBe(NEVER)
  expect(clocks.set(2, 500, false)).toBe(500)
  expect(clocks.set(2, 5_000, false)).toBe(1_000)
})

test('a partition that is quiet holds nobody back, until it has records again', () => {
  const clocks = new SourceClocks(2)
  clocks.set(0, 1_000, false)
  expect(clocks.set(1, NEVER, true)).toBe(1_000)
  expect(clocks.set(0, 2_000, false)).toBe(2_000)
  expect(clocks.set(1, 1_500, false)).toBe(2_000)
  expect(clocks.set(0, 9_000, false)).toBe(2_000)
  expect(clocks.set(1, 4_000, false)).toBe(4_000)
})

test('when the partitions that are left are all quiet, time goes no further than theirs, and they can still come back', () => {
  const clocks = new SourceClocks(2)
  clocks.set(0, 1_000, false)
  clocks.set(1, 3_000, false)
  clocks.set(0, ENDED, false)
  expect(clocks.set(1, 3_000, true)).toBe(3_000)
  expect(clocks.isEnded).toBe(false)
  expect(clocks.set(1, 8_000, true)).toBe(8_000)
  expect(clocks.set(1, ENDED, false)).toBe(ENDED)
  expect(clocks.isEnded).toBe(true)
})

test('a source that has got more partitions since waits for the new ones too, and loses none of the old', () => {
  const clocks = new SourceClocks(2)
  clocks.set(0, 1_000, false)
  expect(clocks.set(1, 2_000, false)).toBe(1_000)
  expect(clocks.set(2, 500, false)).toBe(1_000)
  expect(clocks.set(0, 3_000, false)).toBe(1_000)
  expect(clocks.set(2, 2_500, false)).toBe(2_000)
  const older = new SourceClocks(2)
  older.restore(clocks.all(), clocks.watermarkMs)
  expect(older.all()).toEqual(clocks.all())
})

interface Move {
  partition: number
  watermarkMs: number
  isIdle: boolean
}
const COUNT = 4
const move: fc.Arbitrary<Move> = fc.record({
  partition: fc.nat(COUNT - 1),
  watermarkMs: fc.oneof({ weight: 9, arbitrary: fc.nat(100) }, { weight: 1, arbitrary: fc.constant(ENDED) }),
  isIdle: fc.boolean(),
})

/** From all that was said so far, without remembering a minimum. */
function naive(moves: readonly Move[]): number {
  let watermarkMs = NEVER
  const latest = Array.from({ length: COUNT }, () => ({ watermarkMs: NEVER, isIdle: false }))
  for (const { partition, ...said } of moves) {
    latest[partition] = { isIdle: said.isIdle, watermarkMs: Math.max(latest[partition]!.watermarkMs, said.watermarkMs) }
    const open = latest.filter((one) => one.watermarkMs !== ENDED)
    const live = open.filter((one) => !one.isIdle)
    const known = open.filter((one) => one.watermarkMs !== NEVER)
    const counted = live.length > 0 ? live : known
    const least = Math.min(...counted.map((one) => one.watermarkMs))
    if (open.length === 0) watermarkMs = ENDED
    else if (counted.length > 0) watermarkMs = Math.max(watermarkMs, least)
  }
  return watermarkMs
}

test('agrees with a naive minimum after every move, also when it is restored in between', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), fc.nat(60), (moves, restoredAt) => {
      let clocks = new SourceClocks(COUNT)
      moves.forEach(({ partition, watermarkMs, isIdle }, i) => {
        if (i === restoredAt) {
          const again = new SourceClocks(COUNT)
          again.restore(clocks.all(), clocks.watermarkMs)
          clocks = again
        }
        expect(clocks.set(partition, watermarkMs, isIdle)).toBe(naive(moves.slice(0, i + 1)))
      })
    }),
    { numRuns: 300 },
  )
})
