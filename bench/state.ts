// `npm run bench:state`: more keys than fit into the memory that one lane has for state: rows leave memory and come back. Every
// result is checked, and that memory is kept. The lane alone, state in LMDB, no Kafka. Main thread.
import { testLimits } from '../src/testing/test-limits.ts'
import { readNumbers } from './lib/arguments.ts'
import { report, rounded, runBench, tell } from './lib/report.ts'
import { stateCases } from './lib/state-cases.ts'
import { runStateCase, type StateRun } from './lib/state-run.ts'

const DEFAULTS = testLimits({})

const OPTIONS = {
  keys: { default: 2_000_000, min: 1 },
  /** `limits.stateMemoryBytesMax` and `limits.unflushedBytesMax`: the defaults of the configuration. */
  'memory-bytes': { default: DEFAULTS.stateMemoryBytesMax, min: 1 },
  'unflushed-bytes': { default: DEFAULTS.unflushedBytesMax, min: 1 },
} as const

interface CaseReport extends Omit<StateRun, 'problem' | 'seconds' | 'excessBytesMax' | 'isFlushedInTime'> {
  correct: boolean
  recordsPerSecond: number
  withinLimit: boolean
}

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  const limits = testLimits({
    stateMemoryBytesMax: options['memory-bytes'],
    unflushedBytesMax: options['unflushed-bytes'],
  })
  const cases: CaseReport[] = []
  for (const one of stateCases(options.keys)) {
    const { problem, seconds, excessBytesMax, isFlushedInTime, ...run } = await runStateCase(one, limits)
    const withinLimit = excessBytesMax === 0 && isFlushedInTime
    const recordsPerSecond = Math.round(run.records / seconds)
    const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`
    tell(
      `${run.name}: ${recordsPerSecond} records/s in ${rounded(seconds, 1)} s, state at most ${megabytes(run.stateBytesMax)} ` +
        `(${megabytes(run.flushedStateBytesMax)} after a flush), unflushed ${megabytes(run.unflushedBytesMax)}, resident ` +
        `${megabytes(run.rssBytesMax)} (${megabytes(run.anonymousBytesMax)} without files), ${run.evictedRows} rows evicted in ${run.flushes} flushes; ${problem ?? 'all rows right'}` +
        `${excessBytesMax === 0 ? '' : `; ${excessBytesMax} bytes over the limit`}${isFlushedInTime ? '' : '; flushed too late'}`,
    )
    cases.push({ ...run, correct: problem === undefined && withinLimit, recordsPerSecond, withinLimit })
  }
  const most = (of: (one: CaseReport) => number): number => Math.max(...cases.map(of))
  report({
    command: 'bench:state',
    correct: cases.every(({ correct }) => correct),
    keys: options.keys,
    recordsPerSecond: Math.min(...cases.map(({ recordsPerSecond }) => recordsPerSecond)),
    rssBytesMax: most(({ rssBytesMax }) => rssBytesMax),
    anonymousBytesMax: most(({ anonymousBytesMax }) => anonymousBytesMax),
    stateBytesMax: most(({ stateBytesMax }) => stateBytesMax),
    stateBytesLimit: options['memory-bytes'],
    withinLimit: cases.every(({ withinLimit }) => withinLimit),
    evictedRows: cases.reduce((sum, { evictedRows }) => sum + evictedRows, 0),
    cases,
  })
})
