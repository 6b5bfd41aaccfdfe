// The micro benches in their smoke size: they run, and their answers are checked.
import { describe, expect, test } from 'vitest'
import { commitCase } from '../../bench/lib/commit-cases.ts'
import { decodeCases } from '../../bench/lib/decode-cases.ts'
import { driverCases } from '../../bench/lib/driver-cases.ts'
import { frameCases } from '../../bench/lib/frame-cases.ts'
import { laneCases } from '../../bench/lib/lane-bench.ts'
import { type MicroCase, runCases } from '../../bench/lib/micro-case.ts'
import { stateCases } from '../../bench/lib/state-bench.ts'

const SMOKE = { timeMs: 5 }

describe('the micro benches', () => {
  test('write and walk frames', async () => {
    const results = await runCases(frameCases(500), SMOKE)
    expect(results.map(({ name }) => name)).toEqual([
      'frame: write trades',
      'frame: decode to objects',
      'frame: walk in place',
    ])
    for (const { recordsPerSecond } of results) expect(recordsPerSecond).toBeGreaterThan(1_000)
    expect(results[2]!.factor).toBeGreaterThan(0)
  })

  test('decode and project', async () => {
    const results = await runCases(decodeCases(1_500), SMOKE)
    expect(results.map(({ runs }) => runs > 0)).toEqual([true, true])
    expect(results[1]!.factor).toBeGreaterThan(0)
  })

  test('run candles on a lane', async () => {
    const results = await runCases(await laneCases(1_000), SMOKE)
    expect(results.map(({ runs }) => runs > 0)).toEqual([true, true, true, true])
  })

  test('intern, find, seal, close and flush rows', async () => {
    const results = await runCases(await stateCases(300), SMOKE)
    expect(results.length).toBeGreaterThan(5)
    for (const { name, runs } of results) expect(runs, name).toBeGreaterThan(0)
  })

  test('commit epochs over Kafka in memory', async () => {
    const [result] = await runCases([await commitCase(50)], SMOKE)
    expect(result!.runs).toBeGreaterThanOrEqual(3)
  })

  test('run whole jobs in the test driver', async () => {
    const results = await runCases(driverCases(2_000), SMOKE)
    expect(results.map(({ runs }) => runs > 0)).toEqual([true, true])
  })
})

describe('the runner', () => {
  const good: MicroCase = { name: 'good', recordsPerRun: 1, run: () => {}, check: () => {} }

  test('refuses the time of a wrong answer, and closes the case all the same', async () => {
    let isClosed = false
    const bad: MicroCase = {
      ...good,
      name: 'bad',
      check() {
        throw new Error('1 is not 2')
      },
      close() {
        isClosed = true
      },
    }
    await expect(runCases([bad], SMOKE)).rejects.toThrow('bad gave a wrong answer: 1 is not 2')
    expect(isClosed).toBe(true)
  })

  test('passes on what a case throws', async () => {
    const broken: MicroCase = {
      ...good,
      run() {
        throw new Error('it broke')
      },
    }
    await expect(runCases([broken], SMOKE)).rejects.toThrow('it broke')
  })

  test('refuses a baseline that did not run', async () => {
    await expect(runCases([{ ...good, baseline: 'other' }], SMOKE)).rejects.toThrow('there is no case other before it')
  })
})
