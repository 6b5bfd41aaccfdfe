// The life of a job, or of views that are served alone, in this process: opened, run, stopped within its limit at any moment of it,
// closed. Main thread.
// Keeps SPEC: STOP-1 (a clean stop within its limit, while it still starts too; what hangs is named).

import { MillraceError } from '../core/errors.ts'
import { KafkaError } from '../kafka/port.ts'
import type { Log } from '../ops/log.ts'
import { systemScheduler } from '../ops/system-clock.ts'
import type { JobSnapshot, Life, ReadyInfo, RunningJob, RunSummary } from './running-job.ts'

/**
 * What was opened, closed in the opposite order. What an abandoned opening still adds after the close is closed at once.
 */
export class Closings {
  readonly #closings: [part: string, close: () => Promise<void> | void][] = []
  readonly #log: Log
  #hasRun = false
  /** The part that is being closed. */
  closingPart: string | undefined

  constructor(log: Log) {
    this.#log = log
  }
  add(part: string, close: () => Promise<void> | void): void {
    if (this.#hasRun) void this.#close(part, close)
    else this.#closings.push([part, close])
  }
  async run(): Promise<void> {
    this.#hasRun = true
    for (const [part, close] of this.#closings.splice(0).reverse()) {
      this.closingPart = part
      await this.#close(part, close)
    }
  }
  async #close(part: string, close: () => Promise<void> | void): Promise<void> {
    try {
      await close()
    } catch (err) {
      this.#log.warn({ part, err }, 'closing failed')
    }
  }
}

/** What the life asks of an engine. */
export interface LivingEngine {
  /** In words: what it does or waits for. */
  readonly status: string
  /** Asks for a clean end, after which `run` resolves. */
  stop(): void
  run(): Promise<void>
  onRunning(listener: () => void): void
}

export interface Opened<Info> {
  engine: LivingEngine
  info: Omit<Info, 'millis'>
}
export type OpenedJob = Opened<ReadyInfo>

export interface LifeOptions<Info, Summary> {
  /**
   * Opens all that is needed and notes it in `closings`. When `stopping` is aborted it is not waited for any more.
   */
  open(stopping: AbortSignal, closings: Closings): Promise<Opened<Info>>
  summary(): Summary
  log: Log
  /** How long a stop may take. */
  stopMs: number
}

export interface JobLifeOptions extends LifeOptions<ReadyInfo, RunSummary> {
  snapshot(): JobSnapshot
}

/**
 * Begins to open a job and runs it.
 *
 * @example
 * const job = liveJob({ open, snapshot, summary, log, stopMs: 10_000 })
 * await job.stop('SIGTERM') // also while it opens
 * await job.done
 */
export function liveJob(options: JobLifeOptions): RunningJob {
  return { ...live(options), snapshot: options.snapshot }
}

/** Begins to open what has an engine and runs it. Whatever fails, `done` tells; `ready` too when it was before. */
export function live<Info extends { millis: number }, Summary>(
  options: LifeOptions<Info, Summary>,
): Life<Info, Summary> {
  const { open, log, stopMs } = options
  const closings = new Closings(log)
  const stopping = new AbortController()
  let engine: LivingEngine | undefined
  let becameReady: (info: Info) => void = () => {}
  const ready = new Promise<Info>((resolve) => {
    becameReady = resolve
  })
  const run = async (): Promise<void> => {
    try {
      const opened = await unlessAborted(open(stopping.signal, closings), stopping.signal)
      if (opened === undefined) return
      engine = opened.engine
      engine.onRunning(() => becameReady({ ...opened.info, millis: Math.round(performance.now()) } as Info))
      await engine.run()
    } catch (error) {
      // Outside of the engine, at the start, nobody else decides about a call of Kafka that failed.
      if (!(error instanceof KafkaError)) throw error
      throw new MillraceError('MR4007', { reason: error.message }, { cause: error })
    } finally {
      await closings.run()
    }
  }
  let onLate: (error: MillraceError) => void = () => {}
  const late = new Promise<never>((_, reject) => {
    onLate = reject
  })
  const done = Promise.race([run(), late]).then(options.summary)
  const tellLate = (): void => {
    const waitingFor = closings.closingPart ?? `the engine (${engine?.status ?? 'not opened'})`
    onLate(new MillraceError('MR6003', { limitMs: stopMs, waitingFor }))
  }
  const stop = async (): Promise<void> => {
    if (!stopping.signal.aborted) {
      const cancel = systemScheduler.after(stopMs, tellLate)
      done.then(cancel, cancel)
      stopping.abort()
      engine?.stop()
    }
    await done.then(
      () => {},
      () => {},
    )
  }
  return { ready: Promise.race([ready, done.then(() => ready)]), done, stop }
}

/** What `opening` gives, or undefined as soon as the signal comes: then nobody waits for it, and its failure is no news. */
async function unlessAborted<T>(opening: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  opening.catch(() => {}) // told by the race, unless that was over
  return await Promise.race([opening, aborted])
}
