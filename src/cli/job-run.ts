// Runs a job, or views alone, to the end for a command: says when it is ready, draws its status, stops it on a signal. Main thread.
// Keeps SPEC: STOP-1, STOP-2.

import type { Config } from '../ops/config.ts'
import { createLog, type Log } from '../ops/log.ts'
import type { JobSnapshot, Life, ReadyInfo, RunningJob, RunSummary } from './running-job.ts'
import { onStopSignal } from './stop-signals.ts'
import type { Terminal } from './terminal.ts'

const STATUS_EVERY_MS = 1000

/** The log of a command: above its status line. */
export function commandLog(config: Config, terminal: Terminal): Log {
  return createLog({ ...config.log, isTerminal: terminal.isTerminal, write: (text) => terminal.write(text) })
}

/**
 * Starts a job and sees it to its end; `whileRunning` gets it once it is ready. A signal stops it, while it still starts
 * too. Rejects with what the job failed with, or with what `whileRunning` threw, once the job was stopped for it.
 */
export function runToEnd(
  start: () => RunningJob,
  terminal: Terminal,
  whileRunning: (job: RunningJob, info: ReadyInfo) => void = () => {},
): Promise<RunSummary> {
  let endStatus = () => {}
  const begun = (job: RunningJob, info: ReadyInfo): void => {
    sayReady(info, terminal)
    endStatus = drawStatus(() => job.snapshot(), terminal, statusLine)
    whileRunning(job, info)
  }
  return liveToEnd(start, terminal, begun).finally(() => endStatus())
}

/** The same for anything that has a life; `begun` gets it once it is ready. */
export async function liveToEnd<Info, Summary, L extends Life<Info, Summary>>(
  start: () => L & Life<Info, Summary>,
  terminal: Terminal,
  begun: (life: L, info: Info) => void,
): Promise<Summary> {
  const life = start()
  const undo = onStopSignal((signal) => {
    terminal.say(`${signal}: stopping; a second signal ends at once`)
    stopQuietly(life, signal)
  })
  let failure: { error: unknown } | undefined
  const onReady = (info: Info): void => {
    try {
      begun(life, info)
    } catch (error) {
      failure = { error }
      stopQuietly(life, 'the command failed')
    }
  }
  life.ready.then(onReady, () => {}) // `done` rejects with the same
  try {
    const summary = await life.done
    if (failure !== undefined) throw failure.error
    return summary
  } finally {
    undo()
  }
}

/** What goes wrong while stopping is told by `done`. */
function stopQuietly(life: Pick<RunningJob, 'stop'>, reason: string): void {
  life.stop(reason).catch(() => {})
}

function sayReady(info: ReadyInfo, terminal: Terminal): void {
  terminal.say(`${info.partitions} partitions on ${info.lanes} lanes`)
  terminal.say(`health and metrics: ${info.urls.admin}`)
  if (info.urls.push !== undefined) terminal.say(`views, open it in a browser: ${info.urls.push}`)
  terminal.say(`ready in ${Math.round(info.millis)} ms`)
}

/** Draws the line of two snapshots each second; returns the function that ends it. */
export function drawStatus<S>(snapshot: () => S, terminal: Terminal, line: (before: S, now: S) => string): () => void {
  let before = snapshot()
  const timer = setInterval(() => {
    const now = snapshot()
    terminal.status(line(before, now))
    before = now
  }, STATUS_EVERY_MS)
  return () => {
    clearInterval(timer)
    terminal.endStatus()
  }
}

/** The status line from two snapshots a second apart. */
export function statusLine(before: JobSnapshot, now: JobSnapshot): string {
  const rowsPerSecond = Math.max(0, ((now.results - before.results) * 1000) / STATUS_EVERY_MS)
  const words = [
    `${count(now.recordsPerSecond)} records/s`,
    `${count(rowsPerSecond)} results/s`,
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
