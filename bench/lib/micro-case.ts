// A micro bench: a small piece of work that is timed and whose answer is checked. Pure description and its runner.
import { Bench } from 'tinybench'
import { rounded } from './report.ts'

export interface MicroCase {
  /** `group: what`, e.g. `decode: msgpackr objects`. */
  readonly name: string
  /** Records (rows, commits) that one run handles: costs are told for one of them. */
  readonly recordsPerRun: number
  /** The case that this one is compared with, by name. */
  readonly baseline?: string
  run(): void | Promise<void>
  /** Throws when what the runs so far gave is not what it must be. */
  check(): void
  close?(): void | Promise<void>
}

export interface MicroResult {
  name: string
  runs: number
  nanosPerRecordP50: number
  recordsPerSecond: number
  /** How many times faster than its baseline; only with one. */
  factor?: number
}

export interface MicroOptions {
  /** Time for each case. */
  timeMs: number
}

/** Thrown when a case gives a wrong answer: its time would mean nothing. */
export class WrongAnswer extends Error {
  constructor(name: string, cause: unknown) {
    super(`${name} gave a wrong answer: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.name = 'WrongAnswer'
  }
}

/**
 * Times the cases one after the other and checks each. Rejects with WrongAnswer, or with what a case threw.
 *
 * @example
 * const results = await runCases(frameCases(), { timeMs: 500 })
 */
export async function runCases(cases: readonly MicroCase[], { timeMs }: MicroOptions): Promise<MicroResult[]> {
  const results: MicroResult[] = []
  for (const one of cases) {
    try {
      results.push(await runCase(one, timeMs, results))
    } finally {
      await one.close?.()
    }
  }
  return results
}

async function runCase(one: MicroCase, timeMs: number, before: readonly MicroResult[]): Promise<MicroResult> {
  const bench = new Bench({ time: timeMs, warmupTime: timeMs / 5, iterations: 3, warmupIterations: 1, throws: true })
  bench.add(one.name, () => one.run())
  const [task] = await bench.run()
  const result = task?.result
  if (task === undefined || result?.state !== 'completed') throw new Error(`${one.name} did not complete`)
  check(one)
  const millis = result.latency.p50
  const numbers: MicroResult = {
    name: one.name,
    runs: task.runs,
    nanosPerRecordP50: rounded((millis * 1e6) / one.recordsPerRun, 1),
    recordsPerSecond: Math.round((one.recordsPerRun * 1_000) / millis),
  }
  const baseline = before.find(({ name }) => name === one.baseline)
  if (one.baseline !== undefined && baseline === undefined)
    throw new Error(`there is no case ${one.baseline} before it`)
  if (baseline !== undefined) numbers.factor = rounded(baseline.nanosPerRecordP50 / numbers.nanosPerRecordP50, 2)
  return numbers
}

function check(one: MicroCase): void {
  try {
    one.check()
  } catch (cause) {
    throw new WrongAnswer(one.name, cause)
  }
}
