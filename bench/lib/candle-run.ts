// One run of the candles job over a loaded topic, to its end, in a process of its own. Main thread.
import type { RunSummary } from '../../src/cli/running-job.ts'
import type { Cluster } from './cluster.ts'
import { startJobProcess, summaryOf } from './job-process.ts'

export interface CandleRun {
  job: string
  source: string
  sink: string
  partitions: number
  /** Records of the source, of an envelope each event. */
  records: number
  stateDir: string
  flags?: readonly string[]
  hasEnvelopes?: boolean
}

/**
 * Makes the sink and runs the job. Throws when it did not read every record, or one was dead. Its summary counts records
 * again that were read again after an epoch was dropped.
 */
export async function runCandles(cluster: Cluster, run: CandleRun): Promise<RunSummary> {
  const { job, source, sink, partitions, records, stateDir, flags = [], hasEnvelopes = false } = run
  await cluster.createTopic(sink, partitions)
  const process = startJobProcess({
    brokers: cluster.brokers,
    file: 'bench/jobs/candles.ts',
    job,
    source,
    sink,
    stateDir,
    instanceId: 'bench',
    untilEnd: true,
    flags,
    env: { BENCH_ENVELOPES: hasEnvelopes ? '1' : '0' },
  })
  const summary = await summaryOf(process)
  if (summary.records < records || summary.dead > 0) {
    throw new Error(`the job did not take each of ${records} records: ${JSON.stringify(summary)}`)
  }
  return summary
}
