// A job in its own process, started with the command that users start it with. Main thread.
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunSummary } from '../../src/cli/running-job.ts'
import { packageRoot } from '../../src/ops/package-root.ts'
import { type Child, resultOf, startChild } from './child.ts'

/** How `millrace run` is started; what the job file reads from its environment is in `env`. */
export interface JobRunOptions {
  brokers: string
  /** The job file, from the root of the package. */
  file: string
  env: Record<string, string>
  stateDir: string
  instanceId: string
  untilEnd: boolean
  /** Of its admin server. Default: any that is free. */
  httpPort?: number
  /** More flags, e.g. `['--commit-min-ms', '5']`. */
  flags?: readonly string[]
  showsErrors?: boolean
}

/** Starts `millrace run`. */
export function startJobRun(options: JobRunOptions): Child {
  const { brokers, file, env, stateDir, instanceId, untilEnd } = options
  const flags = {
    brokers,
    'instance-id': instanceId,
    'state-dir': stateDir,
    'http-port': String(options.httpPort ?? 0),
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
  return startChild(args, { env, showsErrors: options.showsErrors ?? true })
}

export interface JobProcessOptions extends Omit<JobRunOptions, 'env'> {
  /** More environment, as the jobs in bench/jobs read it. */
  env?: Record<string, string>
  /** Names of the job and its topics, as the jobs in bench/jobs read them. */
  job: string
  source: string
  sink: string
}

/** Starts `millrace run` on a job of bench/jobs. */
export function startJobProcess({ job, source, sink, env = {}, ...options }: JobProcessOptions): Child {
  return startJobRun({ ...options, env: { BENCH_JOB: job, BENCH_SOURCE: source, BENCH_SINK: sink, ...env } })
}

/** The summary of a job that ended by itself or after SIGTERM. */
export function summaryOf(child: Child): Promise<RunSummary> {
  return resultOf<RunSummary>('millrace run', child)
}

const READY_MS_MAX = 60_000
const ASK_EVERY_MS = 20

/** Resolves when the job's partitions are assigned and restored. Rejects when it ends before, or takes too long. */
export async function untilReady(child: Child, httpPort: number, readyMsMax = READY_MS_MAX): Promise<void> {
  const limitMs = child.startedMs + readyMsMax
  while (!(await isReady(httpPort))) {
    if (child.hasEnded) throw new Error(`the job ended before it was ready: ${(await child.end).stderrTail}`)
    if (performance.now() > limitMs) throw new Error(`the job was not ready within ${readyMsMax} ms`)
    await sleep(ASK_EVERY_MS)
  }
}

async function isReady(httpPort: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok
  } catch (error) {
    // Nobody listens yet.
    if (error instanceof TypeError) return false
    throw error
  }
}

/** A TCP port that nobody uses at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
