// `npm run bench`: the parts of Millrace on one thread, each against a baseline of the same run: frames, decoding and
// projecting, windows, state, commit, the test driver. Answers are checked. Main thread.
import { readNumbers } from './lib/arguments.ts'
import { commitCase } from './lib/commit-cases.ts'
import { decodeCases } from './lib/decode-cases.ts'
import { driverCases } from './lib/driver-cases.ts'
import { frameCases } from './lib/frame-cases.ts'
import { laneCases } from './lib/lane-bench.ts'
import { type MicroResult, runCases, WrongAnswer } from './lib/micro-case.ts'
import { report, runBench, tell } from './lib/report.ts'
import { stateCases } from './lib/state-bench.ts'

/** Time for each case. */
const OPTIONS = { 'time-ms': { default: 1_000, min: 1 } } as const

await runBench(async () => {
  const { 'time-ms': timeMs } = readNumbers(process.argv.slice(2), OPTIONS)
  const cases: MicroResult[] = []
  try {
    for (const group of [
      frameCases(),
      decodeCases(),
      await laneCases(),
      await stateCases(),
      [await commitCase()],
      driverCases(),
    ]) {
      const results = await runCases(group, { timeMs })
      for (const result of results) tell(words(result))
      cases.push(...results)
    }
  } catch (error) {
    if (!(error instanceof WrongAnswer)) throw error
    tell(error.message)
    report({ command: 'bench', correct: false, cases })
    return
  }
  report({ command: 'bench', correct: true, cases })
})

function words({ name, recordsPerSecond, nanosPerRecordP50, factor }: MicroResult): string {
  const rate = `${(recordsPerSecond / 1e6).toFixed(2)} M records/s`.padStart(20)
  const compared = factor === undefined ? '' : `, ${factor} x`
  return `${name.padEnd(48)}${rate}${nanosPerRecordP50.toFixed(1).padStart(10)} ns each${compared}`
}
