// `npm run bench:grow`: what the candles job costs a record while one thing grows: keys, partitions, lanes, values,
// envelopes. Exactly once on a real Kafka, every row checked. Main thread; each job runs in a process of its own.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunSummary } from '../src/cli/running-job.ts'
import { type TradeStream, tradeStream } from '../src/cli/trades.ts'
import { isEqual, type RowDifferences } from '../test/harness/oracle.ts'
import { readArguments } from './lib/arguments.ts'
import { checkManyCandles } from './lib/candle-check.ts'
import { runCandles } from './lib/candle-run.ts'
import { type Cluster, openCluster } from './lib/cluster.ts'
import { costText, cpu, rate } from './lib/e2e-result.ts'
import { GROUPS, type GrowCase, growCases, recordsOf } from './lib/grow-cases.ts'
import { report, rounded, runBench, tell } from './lib/report.ts'
import { loadTrades } from './lib/trade-load.ts'

const NUMBERS = { records: { default: 4_000_000, min: 1 }, seed: { default: 1, min: 0 } } as const
const CHOICES = { only: GROUPS } as const
const START_MS = 1_760_000_000_000

interface CaseResult {
  grown: GrowCase
  /** `records` is what the case has; what was read again after a dropped epoch is in `rereadRecords`. */
  summary: RunSummary
  rereadRecords: number
  differences: RowDifferences
  lateCount: number
}

await runBench(async () => {
  const { records, seed, only } = readArguments(process.argv.slice(2), NUMBERS, CHOICES)
  const cluster = await openCluster()
  try {
    const results: CaseResult[] = []
    for (const [i, grown] of growCases(only).entries()) {
      const result = await runCase(cluster, grown, `${i}`, recordsOf(grown, records), seed)
      tell(resultText(result))
      results.push(result)
    }
    const base = baseMeans(results)
    const cases = results.map((result) => caseFields(result, base))
    for (const line of tableOf(cases)) tell(line)
    report({ command: 'bench:grow', correct: results.every(isCorrect), records, cases })
  } finally {
    await cluster.close()
  }
})

/** Loads a topic, runs the job over it, checks its rows. */
async function runCase(
  cluster: Cluster,
  grown: GrowCase,
  id: string,
  records: number,
  seed: number,
): Promise<CaseResult> {
  const { partitions } = grown
  const trades = tradesOf(grown, records, seed)
  const [source, sink] = [cluster.name(`trades-${id}`), cluster.name(`candles-${id}`)] as const
  await cluster.createTopic(source, partitions)
  await loadTrades(cluster.kafka, source, trades, records)
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  try {
    const run = { job: cluster.name(`job-${id}`), source, sink, partitions, records, stateDir }
    const summary = await runCandles(cluster, { ...run, flags: flagsOf(grown), hasEnvelopes: grown.events > 1 })
    const check = { kafka: cluster.kafka, topic: sink, partitionCount: partitions, checksTimestamps: true }
    const checked = await checkManyCandles(check, trades, records)
    return { grown, summary: { ...summary, records }, rereadRecords: summary.records - records, ...checked }
  } finally {
    await rm(stateDir, { recursive: true, force: true })
  }
}

function tradesOf({ keys, spread, eventRate, valueBytes, events }: GrowCase, count: number, seed: number): TradeStream {
  return tradeStream({
    seed,
    count,
    startMs: START_MS,
    recordsPerEventSecond: eventRate,
    keyCount: keys,
    spread,
    valueBytes,
    envelopeEvents: events,
  })
}

function flagsOf({ lanes, stateMemoryBytesMax }: GrowCase): string[] {
  const memory = stateMemoryBytesMax === undefined ? [] : ['--limits-state-memory-bytes-max', `${stateMemoryBytesMax}`]
  return ['--lanes', `${lanes}`, ...memory]
}

function isCorrect({ differences, summary, lateCount }: CaseResult): boolean {
  return isEqual(differences) && summary.late === lateCount
}

function resultText(result: CaseResult): string {
  const { grown, summary, differences } = result
  const rss = Math.round(summary.rssBytesMax / 1e6)
  const verdict = isCorrect(result) ? 'all as they must be' : `NOT as they must be: ${differences.examples.join('; ')}`
  return `${grown.name}: ${costText(summary)}, ${rss} MB; ${differences.rows} rows, ${verdict}`
}

/** The means of the two runs of the base. */
interface BaseMeans {
  rate: number
  cpu: number
}

type CaseFields = ReturnType<typeof caseFields>

/** What a case shows in JSON. Factors are over the means of the base. */
function caseFields(result: CaseResult, base: BaseMeans) {
  const { grown, summary, differences } = result
  const { recordsShare: _share, ...shape } = grown
  return {
    ...shape,
    correct: isCorrect(result),
    records: summary.records,
    rereadRecords: result.rereadRecords,
    rows: differences.rows,
    lost: differences.lost,
    duplicated: differences.duplicated,
    wrong: differences.wrong,
    late: summary.late,
    epochs: summary.epochs,
    recordsPerSecond: Math.round(rate(summary)),
    cpuMicrosPerRecord: rounded(cpu(summary)),
    rssBytesMax: summary.rssBytesMax,
    throughputFactor: rounded(rate(summary) / base.rate),
    cpuFactor: rounded(cpu(summary) / base.cpu),
  }
}

function baseMeans(results: readonly CaseResult[]): BaseMeans {
  const bases = results.filter(({ grown }) => grown.group === 'base').map(({ summary }) => summary)
  const mean = (value: (summary: RunSummary) => number): number =>
    bases.reduce((sum, base) => sum + value(base), 0) / bases.length
  return { rate: mean(rate), cpu: mean(cpu) }
}

/** The cases as a table of Markdown, as docs/benchmarks.md shows it. */
function tableOf(cases: readonly CaseFields[]): string[] {
  const lines = cases.map(
    (one) =>
      `| ${one.name} | ${one.recordsPerSecond} (${one.throughputFactor.toFixed(2)}) | ${one.cpuMicrosPerRecord.toFixed(2)} us (${one.cpuFactor.toFixed(2)}) | ${Math.round(one.rssBytesMax / 1e6)} MB | ${one.records} | ${one.rows} |`,
  )
  return [
    '| case | records/s | CPU a record | resident memory | records | rows |',
    '|---|---|---|---|---|---|',
    ...lines,
  ]
}
