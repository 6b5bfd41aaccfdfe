// The arithmetic of the benches: medians, percentiles, ratios, arguments.
import { describe, expect, test } from 'vitest'
import { readNumbers } from '../../bench/lib/arguments.ts'
import { type Cost, e2eNumbers } from '../../bench/lib/e2e-result.ts'
import { intendedMs, machineMs, sendPaced } from '../../bench/lib/paced.ts'
import { median, percentileOf } from '../../bench/lib/report.ts'

describe('statistics of few values', () => {
  test.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
    [[], Number.NaN],
  ])('the median of %j is %d', (values, expected) => expect(median(values)).toBe(expected))

  test.each([
    [[1, 2, 3, 4], 50, 2],
    [[1, 2, 3, 4], 99, 4],
    [[4, 3, 2, 1], 25, 1],
    [[5], 50, 5],
    [[], 50, Number.NaN],
  ])('of %j the percentile %d is %d', (values, percent, expected) =>
    expect(percentileOf(values, percent)).toBe(expected),
  )
})

describe('the numbers of the end-to-end bench', () => {
  const cost = (records: number, elapsedMs: number, cpuMicros: number): Cost => ({
    records,
    elapsedMs,
    cpuMicros,
    rssBytesMax: records,
  })

  test('are rates, CPU a record and ratios of a round', () => {
    const numbers = e2eNumbers([
      {
        floor: cost(1_000, 100, 500),
        wideFloor: cost(1_000, 50, 400),
        job: cost(1_000, 200, 1_000),
        loop: cost(500, 1_000, 5_000),
      },
    ])
    expect(numbers).toEqual({
      recordsPerSecond: 5_000,
      cpuMicrosPerRecord: 1,
      rssBytesMax: 1_000,
      floorRecordsPerSecond: 10_000,
      floorCpuMicrosPerRecord: 0.5,
      wideFloorRecordsPerSecond: 20_000,
      wideFloorCpuMicrosPerRecord: 0.4,
      wideFloorShare: 0.25,
      loopRecords: 500,
      loopRecordsPerSecond: 500,
      loopCpuMicrosPerRecord: 10,
      floorShare: 0.5,
      cpuFloorFactor: 2,
      loopFactor: 10,
      cpuLoopShare: 0.1,
      targets: { floorShare: false, cpuFloorFactor: false, loopFactor: true, cpuLoopShare: true, rssBytesMax: true },
    })
  })

  test('miss a target below it', () => {
    const same = cost(1_000, 100, 1_000)
    expect(e2eNumbers([{ floor: same, wideFloor: same, job: same, loop: same }]).targets).toEqual({
      floorShare: true,
      cpuFloorFactor: true,
      loopFactor: false,
      cpuLoopShare: false,
      rssBytesMax: true,
    })
  })

  test('are medians of the rounds: one disturbed round does not show', () => {
    const peers = { floor: cost(1_000, 100, 500), wideFloor: cost(1_000, 50, 400), loop: cost(500, 1_000, 5_000) }
    const good = { ...peers, job: cost(1_000, 200, 1_000) }
    const bad = { ...peers, job: cost(1_000, 9_000, 9_000) }
    expect(e2eNumbers([good, bad, good])).toEqual(e2eNumbers([good]))
  })
})

describe('arguments of a bench', () => {
  const options = { records: { default: 10, min: 1 }, seed: { default: 1, min: 0 } } as const

  test('have defaults, and --json is always known', () => {
    expect(readNumbers(['--json', '--seed', '7'], options)).toEqual({ records: 10, seed: 7 })
  })
  test.each([[['--records', '0']], [['--records', '1.5']], [['--records', 'many']]])('refuse %j', (args) => {
    expect(() => readNumbers(args, options)).toThrow('--records must be a whole number from 1 on')
  })
  test('refuse an unknown name', () => expect(() => readNumbers(['--x', '1'], options)).toThrow("'--x'"))
})

describe('paced sending', () => {
  test('sends every record once, in order and none before its time', async () => {
    const startMs = machineMs()
    const sent: number[] = []
    const pace = {
      startMs,
      recordsPerSecond: 2_000,
      recordCount: 100,
      async send(from: number, to: number) {
        for (let i = from; i < to; i++) {
          expect(machineMs()).toBeGreaterThanOrEqual(intendedMs(pace, i))
          sent.push(i)
        }
      },
    }
    expect(await sendPaced(pace)).toBe(100)
    expect(sent).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  test('catches up after a slow send, in batches of a limited size', async () => {
    const sizes: number[] = []
    await sendPaced({
      startMs: machineMs() - 60_000,
      recordsPerSecond: 1_000,
      recordCount: 25_000,
      async send(from, to) {
        sizes.push(to - from)
      },
    })
    expect(sizes).toEqual([10_000, 10_000, 5_000])
  })
})
