// How far the restore of state from the changelog is: for the log, for readiness and for metrics. Main thread.
// Keeps SPEC: RESTORE-1 (a restore tells how far it is, and how long it still takes).

import type { Clock } from '../core/clock.ts'
import type { EngineLog } from './options.ts'

/** One task whose changelog is being read. */
export interface RestoringTask {
  taskId: string
  rows: number
  /** Bytes of keys and values of these rows. */
  bytes: number
  /** Offsets of the changelog still to be read; not every offset is a row. */
  remainingOffsets: number
}

/** A restore at a moment. */
export interface RestoreProgress {
  tasks: RestoringTask[]
  rows: number
  bytes: number
  remainingOffsets: number
  /** Offsets read, of all that there were to read: 0 to 1. */
  share: number
  elapsedMs: number
  /** At the pace so far; undefined before the first rows. */
  etaMs: number | undefined
}

/** What a restore says of itself; must not throw. */
export type OnRestoring = (progress: RestoreProgress, isOver: boolean) => void

interface Tracked extends RestoringTask {
  firstOffset: number
  endOffset: number
}

const LOG_EVERY_MS = 5_000

/**
 * Follows one restore, from the first poll to the end of the last changelog partition.
 *
 * @example
 * const watch = new RestoreWatch(clock, log, onRestoring, [{ taskId: '0_3', readOffset: 0, changelogEnd: 5_000_000 }])
 * watch.took('0_3', rows, bytes, nextOffset)
 * watch.end()
 */
export class RestoreWatch {
  readonly #clock: Clock
  readonly #log: EngineLog
  readonly #onRestoring: OnRestoring
  readonly #tasks: Tracked[]
  readonly #startedMs: number
  #toldMs: number

  constructor(
    clock: Clock,
    log: EngineLog,
    onRestoring: OnRestoring,
    tasks: readonly { taskId: string; readOffset: number; changelogEnd: number }[],
  ) {
    this.#clock = clock
    this.#log = log
    this.#onRestoring = onRestoring
    this.#startedMs = clock.monotonicMs()
    this.#toldMs = this.#startedMs
    this.#tasks = tasks.map(({ taskId, readOffset, changelogEnd }) => ({
      taskId,
      rows: 0,
      bytes: 0,
      firstOffset: readOffset,
      endOffset: changelogEnd,
      remainingOffsets: changelogEnd - readOffset,
    }))
    const { remainingOffsets } = this.progress()
    log.info({ tasks: this.#tasks.map(({ taskId }) => taskId), remainingOffsets }, 'restoring state from the changelog')
    onRestoring(this.progress(), false)
  }

  /** Rows and bytes of a task so far, and where its reader stands. */
  took(taskId: string, rows: number, bytes: number, readOffset: number): void {
    const task = this.#tasks.find((one) => one.taskId === taskId)
    if (task === undefined) return
    task.rows = rows
    task.bytes = bytes
    task.remainingOffsets = Math.max(0, task.endOffset - readOffset)
    this.#onRestoring(this.progress(), false)
    if (this.#clock.monotonicMs() - this.#toldMs >= LOG_EVERY_MS) this.#tell()
  }

  /** The reader has come to an end that it saw: control records take offsets and are no rows. */
  reached(taskId: string, readOffset: number): void {
    const task = this.#tasks.find((one) => one.taskId === taskId)
    if (task !== undefined) task.remainingOffsets = Math.max(0, task.endOffset - readOffset)
  }

  /** The restore is over (or was given up). */
  end(): void {
    const progress = this.progress()
    const { rows, bytes, elapsedMs, remainingOffsets } = progress
    const numbers = { rows, megabytes: megabytes(bytes), seconds: tenths(elapsedMs / 1_000) }
    const megabytesPerSecond = tenths(bytes / 1_000 / Math.max(1, elapsedMs))
    const words = remainingOffsets === 0 ? 'state is restored' : 'the restore was given up'
    this.#log.info({ ...numbers, megabytesPerSecond }, words)
    this.#onRestoring(progress, true)
  }

  progress(): RestoreProgress {
    const sum = (of: (task: Tracked) => number): number => this.#tasks.reduce((total, task) => total + of(task), 0)
    const remainingOffsets = sum((task) => task.remainingOffsets)
    const allOffsets = sum((task) => task.endOffset - task.firstOffset)
    const share = allOffsets === 0 ? 1 : (allOffsets - remainingOffsets) / allOffsets
    const elapsedMs = this.#clock.monotonicMs() - this.#startedMs
    return {
      tasks: this.#tasks.map(({ taskId, rows, bytes, remainingOffsets }) => ({
        taskId,
        rows,
        bytes,
        remainingOffsets,
      })),
      rows: sum((task) => task.rows),
      bytes: sum((task) => task.bytes),
      remainingOffsets,
      share,
      elapsedMs,
      etaMs: share === 0 ? undefined : (elapsedMs * (1 - share)) / share,
    }
  }

  #tell(): void {
    this.#toldMs = this.#clock.monotonicMs()
    const { rows, bytes, remainingOffsets, share, etaMs } = this.progress()
    const percent = Math.floor(share * 100)
    const etaSeconds = etaMs === undefined ? undefined : Math.ceil(etaMs / 1_000)
    this.#log.info({ rows, megabytes: megabytes(bytes), remainingOffsets, percent, etaSeconds }, 'restoring state')
  }
}

function megabytes(bytes: number): number {
  return tenths(bytes / 1e6)
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
