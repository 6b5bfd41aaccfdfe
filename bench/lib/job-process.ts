// A job in its own process, started with the command that users start it with. Main thread.
import { join } from 'node:path'
import type { RunSummary } from '../../src/cli/running-job.ts'
import { packageRoot } from '../../src/ops/package-root.ts'
import { type Child, resultOf, startChild } from './child.ts'

export interface JobProcessOptions {
  brokers: string
  /** The job file, from the root of the package. */
  file: string
  /** Names of the job and its topics, as the jobs in bench/jobs read them. */
  job: string
  source: string
  sink: string
  stateDir: string
  instanceId: string
  untilEnd: boolean
  /** More flags, e.g. `['--commit-min-ms', '5']`. */
  flags?: readonly string[]
  showsErrors?: boolean
}

/** Starts `millrace run`. */
export function startJobProcess(options: JobProcessOptions): Child {
  const { brokers, file, job, source, sink, stateDir, instanceId, untilEnd } = options
  const flags = {
    brokers,
    'instance-id': instanceId,
    'state-dir': stateDir,
    'http-port': '0',
    'log-level': 'warn',
  }
  const args = [
    join(packageRoot(), 'bin', 'millrace.cjs'),
    'run',
    file,
    ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]),
    '--create-topics',
    '--json',
    ...(untilEnd ? ['--until-end'] : []),
    ...(options.flags ?? []),
  ]
  return startChild(args, {
    env: { BENCH_JOB: job, BENCH_SOURCE: source, BENCH_SINK: sink },
    showsErrors: options.showsErrors ?? true,
  })
}

/** The summary of a job that ended by itself or after SIGTERM. */
export function summaryOf(child: Child): Promise<RunSummary> {
  return resultOf<RunSummary>('millrace run', child)
}
