// Runs a job to its end for a command: says when it is ready, draws its status, stops it on a signal. Main thread.
// Keeps SPEC: STOP-1, STOP-2.

import type { Config } from '../ops/config.ts'
import { createLog, type Log } from '../ops/log.ts'
import type { JobSnapshot, ReadyInfo, RunningJob, RunSummary } from './running-job.ts'
import { onStopSignal } from './stop-signals.ts'
import type { Terminal } from './terminal.ts'

const STATUS_EVERY_MS = 1000

/** The rows that the status line counts, by the name it gives them. */
export interface CountedRows {
  name: string
  of(snapshot: JobSnapshot): number
}

const RESULTS: CountedRows = { name: 'results', of: ({ results }) => results }

/** The log of a command: above its status line. */
export function commandLog(config: Config, terminal: Terminal): Log {
  return createLog({ ...config.log, isTerminal: terminal.isTerminal, write: (text) => terminal.write(text) })
}

/**
 * Starts a job and sees it to its end; `whileRunning` gets it once it is ready. A signal stops it, while it still starts
 * too. Rejects with what the job failed with, or with what `whileRunning` threw, once the job was stopped for it.
 */
export async function runToEnd(
  start: () => RunningJob,
  terminal: Terminal,
  whileRunning: (job: RunningJob, info: ReadyInfo) => void = () => {},
  rows: CountedRows = RESULTS,
): Promise<RunSummary> {
  const job = start()
  const undo = onStopSignal((signal) => {
    terminal.say(`${signal}: stopping; a second signal ends at once`)
    stopQuietly(job, signal)
  })
  let endStatus = () => {}
  let failure: { error: unknown } | undefined
  const begun = (info: ReadyInfo): void => {
    try {
      sayReady(info, terminal)
      endStatus = drawStatus(job, terminal, rows)
      whileRunning(job, info)
    } catch (error) {
      failure = { error }
      stopQuietly(job, 'the command failed')
    }
  }
  job.ready.then(begun, () => {}) // `done` rejects with the same
  try {
    const summary = await job.done
    if (failure !== undefined) throw failure.error
    return summary
  } finally {
    endStatus()
    undo()
  }
}

/** What goes wrong while stopping is told by `done`. */
function stopQuietly(job: RunningJob, reason: string): void {
  job.stop(reason).catch(() => {})
}

function sayReady(info: ReadyInfo, terminal: Terminal): void {
  terminal.say(`${info.partitions} partitions on ${info.lanes} lanes`)
  terminal.say(`health and metrics: ${info.urls.admin}`)
  if (info.urls.push !== undefined) terminal.say(`views, open it in a browser: ${info.urls.push}`)
  terminal.say(`ready in ${Math.round(info.millis)} ms`)
}

/** Draws the status each second; returns the function that ends it. */
function drawStatus(job: RunningJob, terminal: Terminal, rows: CountedRows): () => void {
  let before = job.snapshot()
  const timer = setInterval(() => {
    const now = job.snapshot()
    terminal.status(statusLine(before, now, rows))
    before = now
  }, STATUS_EVERY_MS)
  return () => {
    clearInterval(timer)
    terminal.endStatus()
  }
}

/** The status line from two snapshots a second apart. */
export function statusLine(before: JobSnapshot, now: JobSnapshot, rows: CountedRows = RESULTS): string {
  const rowsPerSecond = Math.max(0, ((rows.of(now) - rows.of(before)) * 1000) / STATUS_EVERY_MS)
  const words = [
    `${count(now.recordsPerSecond)} records/s`,
    `${count(rowsPerSecond)} ${rows.name}/s`,
    `latency p50 ${millis(now.latencyMsP50)} p99 ${millis(now.latencyMsP99)} ms`,
    `lag ${count(now.lagRecords)}`,
  ]
  if (now.late > 0) words.push(`late ${count(now.late)}`)
  if (now.dead > 0) words.push(`dead ${count(now.dead)}`)
  return words.join(' · ')
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function millis(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value))
}
