// `npm run bench:windows`: what a record costs in each kind of window beside tumbling ones, in one run: the lane alone, no Kafka.
// Every kind reads the same frames, round after round; the counts in its rows must add up to the records. Main thread.
import { readNumbers } from './lib/arguments.ts'
import { median, report, rounded, runBench, tell } from './lib/report.ts'
import { runWindowCase, type WindowCase, windowCases } from './lib/window-cases.ts'

const OPTIONS = {
  records: { default: 2_000_000, min: 1_000 },
  rounds: { default: 3, min: 1 },
  keys: { default: 1_000, min: 1 },
  /** Records per second of event time. */
  rate: { default: 100_000, min: 1 },
} as const

interface Measured {
  name: string
  nanosPerRecord: number
  rows: number
  /** How many times the cost of a tumbling window. */
  tumblingFactor: number
  /** At most this many times; undefined: no target. */
  target: number | undefined
  meetsTarget: boolean
}

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  const nanos = new Map<WindowCase, number[]>()
  const rows = new Map<WindowCase, number>()
  let isCorrect = true
  const cases = windowCases()
  for (let round = 1; round <= options.rounds; round++) {
    for (const one of cases) {
      const result = await runWindowCase(one, options)
      if (!result.isCorrect) tell(`${one.name}: its rows hold ${result.taken} records, not ${result.expected}`)
      isCorrect &&= result.isCorrect
      nanos.set(one, [...(nanos.get(one) ?? []), result.nanosPerRecord])
      rows.set(one, result.rows)
      tell(`round ${round}: ${one.name}: ${result.nanosPerRecord.toFixed(0)} ns a record, ${result.rows} rows`)
    }
  }
  const base = median(nanos.get(cases[0]!)!)
  const measured: Measured[] = cases.map((one) => {
    const nanosPerRecord = median(nanos.get(one)!)
    const factor = nanosPerRecord / base
    const { name, target } = one
    return {
      name,
      nanosPerRecord: rounded(nanosPerRecord, 1),
      rows: rows.get(one)!,
      tumblingFactor: rounded(factor, 2),
      target,
      meetsTarget: target === undefined || factor <= target,
    }
  })
  for (const { name, nanosPerRecord, tumblingFactor } of measured) {
    tell(`${name.padEnd(32)}${nanosPerRecord.toFixed(0).padStart(8)} ns a record, ${tumblingFactor} x tumbling`)
  }
  report({ command: 'bench:windows', correct: isCorrect, ...options, windows: measured })
})
