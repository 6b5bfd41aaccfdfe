// Window and watermark arithmetic: tables, and properties over all whole times.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { idleWatermark, isAbsurdTime, isTickBetween, watermarkAfter } from '../../src/core/watermark.ts'
import {
  type AlignedWindows,
  CumulateWindows,
  HoppingWindows,
  isWindowClosed,
  latenessMs,
  TumblingWindows,
  windowStart,
} from '../../src/core/window.ts'

const never = Number.NEGATIVE_INFINITY
const ever = Number.POSITIVE_INFINITY

describe('tumbling windows', () => {
  test.each([
    // time, size, offset, start
    [0, 10, 0, 0],
    [9, 10, 0, 0],
    [10, 10, 0, 10],
    [-1, 10, 0, -10],
    [-10, 10, 0, -10],
    [3, 10, 3, 3],
    [2, 10, 3, -7],
    [1_760_000_000_999, 1_000, 0, 1_760_000_000_000],
  ])('time %d in windows of %d from %d begins at %d', (timeMs, sizeMs, offsetMs, startMs) => {
    expect(windowStart(timeMs, sizeMs, offsetMs)).toBe(startMs)
  })

  test('each time lies in its window, which is aligned', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -8e14, max: 8e14 }),
        fc.integer({ min: 1, max: 1e9 }),
        fc.nat(1e9),
        (time, size, offset) => {
          const start = windowStart(time, size, offset)
          expect(start <= time && time < start + size).toBe(true)
          expect(Math.abs((start - offset) % size)).toBe(0)
        },
      ),
    )
  })

  test('a window is closed when the watermark reaches end + grace, not before', () => {
    expect(isWindowClosed(10, 2, 11)).toBe(false)
    expect(isWindowClosed(10, 2, 12)).toBe(true)
    expect(isWindowClosed(10, 2, never)).toBe(false)
    expect(isWindowClosed(10, 2, ever)).toBe(true)
    expect(latenessMs(10, 2, 12)).toBe(0)
  })
})

/** All windows that hold a time, from the first to the last. */
function around(windows: AlignedWindows, timeMs: number): [start: number, end: number][] {
  const found: [number, number][] = []
  const last = windows.lastEnd(timeMs)
  for (let end = windows.firstEnd(timeMs); end <= last; end = windows.nextEnd(end)) {
    found.push([windows.startOf(end), end])
  }
  return found
}

describe('aligned windows', () => {
  test('tables', () => {
    expect(around(new TumblingWindows(10, 3), 2)).toEqual([[-7, 3]])
    expect(around(new HoppingWindows(10, 4, 0), 9)).toEqual([
      [0, 10],
      [4, 14],
      [8, 18],
    ])
    expect(around(new HoppingWindows(10, 4, 1), 0)).toEqual([
      [-7, 3],
      [-3, 7],
    ])
    expect(around(new CumulateWindows(12, 4, 0), 5)).toEqual([
      [0, 8],
      [0, 12],
    ])
    expect(around(new CumulateWindows(12, 4, 2), 1)).toEqual([[-10, 2]])
  })

  test('are those that hold a time, each once, by their ends', () => {
    const sizes = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.nat(39))
    fc.assert(
      fc.property(sizes, fc.integer({ min: -1_000, max: 1_000 }), ([a, b, offset], time) => {
        const [size, hop] = [Math.max(a, b), Math.min(a, b)]
        const hops: [number, number][] = []
        for (let n = -2_000; n <= 2_000; n++) {
          const start = n * hop + offset
          if (start <= time && time < start + size) hops.push([start, start + size])
        }
        expect(around(new HoppingWindows(size, hop, offset), time)).toEqual(hops)
        const block = windowStart(time, a * b, offset)
        const steps = Array.from({ length: b }, (_, n): [number, number] => [block, block + (n + 1) * a])
        expect(around(new CumulateWindows(a * b, a, offset), time)).toEqual(steps.filter(([, end]) => end > time))
      }),
    )
  })
})

describe('the watermark', () => {
  test('is the greatest event time less outOfOrder and never goes back', () => {
    expect(watermarkAfter(never, 100, 5)).toBe(95)
    expect(watermarkAfter(95, 90, 5)).toBe(95)
    expect(watermarkAfter(ever, 100, 5)).toBe(ever)
  })

  test('of a quiet input moves with the clock less the delay, and not before the first record', () => {
    expect(idleWatermark(95, 100, 30, 10)).toBe(120)
    expect(idleWatermark(95, 100, 3, 10)).toBe(95)
    expect(idleWatermark(never, never, 1e9, 0)).toBe(never)
  })

  test.each([
    // event time, record time, future, past, absurd
    [1_100, 1_000, 100, ever, false],
    [1_101, 1_000, 100, ever, true],
    [900, 1_000, 100, 100, false],
    [899, 1_000, 100, 100, true],
    [Number.NaN, 1_000, 100, ever, true],
    [9e15, 1_000, ever, ever, true],
    [5_000, -1, 100, ever, false],
  ])('event time %d at record time %d (future %d, past %d) is absurd: %s', (time, record, future, past, absurd) => {
    expect(isAbsurdTime(time, record, future, past)).toBe(absurd)
  })

  test('a tick is a multiple of the interval between two times, and none before the first record', () => {
    expect(isTickBetween(19, 20, 10)).toBe(true)
    expect(isTickBetween(20, 29, 10)).toBe(false)
    expect(isTickBetween(-1, 0, 10)).toBe(true)
    expect(isTickBetween(never, 5_000, 10)).toBe(false)
  })
})
