// What a running job tells the world: counts, latencies and lag, as metrics and as snapshots. Main thread.
// Keeps SPEC: COUNT-1 (the counts shown are those of the tasks), METRIC-4 (latency is from event to committed).

import type { Clock } from '../core/clock.ts'
import { addCounts, noCounts } from '../core/counts.ts'
import { Histogram } from '../core/histogram.ts'
import type { TaskCounts } from '../core/message.ts'
import type { EngineObserver, LatencySample } from '../engine/options.ts'
import type { RestoreProgress } from '../engine/restore-progress.ts'
import { lagOf, type TaskState } from '../engine/task-state.ts'
import type { TopicPartition } from '../kafka/port.ts'
import type { Registry } from '../ops/metrics.ts'
import type { JobSnapshot, RunSummary } from './running-job.ts'

/** What the monitor asks of the engine. */
export interface Monitored {
  readonly tasks: readonly TaskState[]
  readonly lagRecords: number
  /** Called each time records begin to flow. */
  onRunning(listener: () => void): void
}

/** A moment: time, and CPU of the whole process, all threads, user and system, so far. */
interface Used {
  atMs: number
  cpuMicros: number
}

/** The rate is over this time. */
const RATE_WINDOW_MS = 1_000

export class JobMonitor implements EngineObserver {
  readonly #clock: Clock
  readonly #counts: TaskCounts = noCounts()
  readonly #committedMs = new Histogram()
  readonly #lastTimestampMs = new Map<string, number>()
  readonly #metrics: ReturnType<typeof jobMetrics>
  #engine: Monitored | undefined
  #restore: RestoreProgress | undefined
  #epochs = 0
  #firstMs: number | undefined
  #lastMs = 0
  /** At the first fetch and at the last commit. */
  #fetching: Used | undefined
  #committing: Used | undefined
  #rate = { sinceMs: 0, records: 0, perSecond: 0 }

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock
    this.#metrics = jobMetrics(registry)
  }
  /** The engine whose lag is asked for and whose start begins the measured time. */
  watch(engine: Monitored): void {
    this.#engine = engine
    engine.onRunning(() => {
      this.#fetching ??= this.#used()
    })
  }

  processed(task: TaskState, counts: TaskCounts, timestampsMs: readonly number[], weight: number): void {
    addCounts(this.#counts, counts)
    const { records, outcomes, refusals, results, processedMs } = this.#metrics
    records.with().add(counts.in)
    results.with().add(counts.results)
    refusals.with().add(counts.refused)
    for (const outcome of ['accepted', 'late', 'dead', 'filtered', 'expanded'] as const) {
      if (counts[outcome] > 0) outcomes.with({ outcome }).add(counts[outcome])
    }
    const wallMs = this.#clock.wallMs()
    if (task.isLast) for (const timestampMs of timestampsMs) processedMs.with().record(wallMs - timestampMs, weight)
    const last = timestampsMs.at(-1)
    if (last !== undefined) this.#lastTimestampMs.set(task.taskId, last)
    this.#lastMs = this.#clock.monotonicMs()
    this.#firstMs ??= this.#lastMs
  }

  committed(_epoch: number, commitMs: number, samples: readonly LatencySample[]): void {
    this.#epochs++
    const { epochs, commitTimeMs, committedMs } = this.#metrics
    epochs.with().add(1)
    commitTimeMs.with().record(commitMs)
    const wallMs = this.#clock.wallMs()
    for (const { timestampMs, weight } of samples) {
      this.#committedMs.record(wallMs - timestampMs, weight)
      committedMs.with().record(wallMs - timestampMs, weight)
    }
    this.#committing = this.#used()
    this.#lastMs = this.#committing.atMs
  }

  restoring(progress: RestoreProgress, isOver: boolean): void {
    this.#restore = isOver ? undefined : progress
    const { restoredRows, restoredBytes, restoreRemaining, restoreSeconds } = this.#metrics
    for (const { taskId: task, rows, bytes, remainingOffsets } of progress.tasks) {
      restoredRows.with({ task }).set(rows)
      restoredBytes.with({ task }).set(bytes)
      restoreRemaining.with({ task }).set(remainingOffsets)
    }
    restoreSeconds.with().set(progress.elapsedMs / 1_000)
  }
  /** The restore that is under way. */
  get restore(): RestoreProgress | undefined {
    return this.#restore
  }
  rebuilt(): void {
    this.#metrics.rebuilds.with().add(1)
  }

  /** Its series go, or this process would show a lag for ever that another one works off. */
  released(taskId: string, { topic, partition }: TopicPartition): void {
    const { lagRecords, lagSeconds, restoredRows, restoredBytes, restoreRemaining } = this.#metrics
    for (const gauge of [lagRecords, lagSeconds]) gauge.remove({ topic, partition })
    for (const gauge of [restoredRows, restoredBytes, restoreRemaining]) gauge.remove({ task: taskId })
    this.#lastTimestampMs.delete(taskId)
  }

  /** Brings gauges up to date; called before each scrape. */
  refresh(): void {
    const wallMs = this.#clock.wallMs()
    for (const task of this.#engine?.tasks ?? []) {
      const lag = lagOf(task)
      const lastMs = this.#lastTimestampMs.get(task.taskId)
      const labels = { topic: task.topic, partition: task.partition }
      this.#metrics.lagRecords.with(labels).set(lag)
      this.#metrics.lagSeconds.with(labels).set(lag === 0 || lastMs === undefined ? 0 : (wallMs - lastMs) / 1_000)
    }
  }
  snapshot(): JobSnapshot {
    const { in: records, accepted, late, dead, filtered, expanded, refused, results } = this.#counts
    const percentile = (percent: number): number => Math.round(this.#committedMs.percentile(percent) * 1_000) / 1_000
    return {
      records,
      accepted,
      late,
      dead,
      filtered,
      expanded,
      refused,
      results,
      recordsPerSecond: this.#recordsPerSecond(),
      latencyMsP50: percentile(50),
      latencyMsP95: percentile(95),
      latencyMsP99: percentile(99),
      lagRecords: this.#engine?.lagRecords ?? 0,
      epochs: this.#epochs,
    }
  }

  /** The last snapshot, and what it took from the first fetch to the last commit. */
  summary(): RunSummary {
    const from = this.#fetching
    const to = from === undefined ? undefined : (this.#committing ?? from)
    return {
      ...this.snapshot(),
      recordsPerSecond: this.meanRecordsPerSecond(),
      elapsedMs: from === undefined ? 0 : Math.round(to!.atMs - from.atMs),
      cpuMicros: from === undefined ? 0 : to!.cpuMicros - from.cpuMicros,
      // Kilobytes, whatever the platform says in its manual: libuv evens it out.
      rssBytesMax: process.resourceUsage().maxRSS * 1024,
    }
  }
  #used(): Used {
    const { user, system } = process.cpuUsage()
    return { atMs: this.#clock.monotonicMs(), cpuMicros: user + system }
  }

  /** Mean over the whole run, from the first frame processed to the last commit. */
  meanRecordsPerSecond(): number {
    if (this.#firstMs === undefined) return 0
    return Math.round((this.#counts.in * 1_000) / Math.max(1, this.#lastMs - this.#firstMs))
  }
  #recordsPerSecond(): number {
    const nowMs = this.#clock.monotonicMs()
    const elapsedMs = nowMs - this.#rate.sinceMs
    if (elapsedMs < RATE_WINDOW_MS) return this.#rate.perSecond
    const records = this.#counts.in
    const perSecond = this.#rate.sinceMs === 0 ? 0 : Math.round(((records - this.#rate.records) * 1_000) / elapsedMs)
    this.#rate = { sinceMs: nowMs, records, perSecond }
    return perSecond
  }
}

function jobMetrics(registry: Registry) {
  return {
    records: registry.counter('millrace_records_total', 'Records read from the source (with envelopes: events).'),
    outcomes: registry.counter(
      'millrace_record_outcomes_total',
      'What became of records: in + expanded = accepted + late + dead + filtered.',
    ),
    refusals: registry.counter(
      'millrace_window_refusals_total',
      'Windows that were closed to a record which another window took.',
    ),
    results: registry.counter('millrace_results_total', 'Rows given to sinks and views.'),
    epochs: registry.counter('millrace_epochs_total', 'Committed epochs.'),
    rebuilds: registry.counter('millrace_rebuilds_total', 'Epochs dropped and tasks reopened from committed state.'),
    commitTimeMs: registry.summary('millrace_commit_ms', 'Time of an epoch from its cut to committed, milliseconds.'),
    processedMs: registry.summary(
      'millrace_latency_processed_ms',
      'From the Kafka timestamp of a record to processed, milliseconds.',
    ),
    committedMs: registry.summary(
      'millrace_latency_committed_ms',
      'From the Kafka timestamp of a record to the commit that covers it, milliseconds.',
    ),
    lagRecords: registry.gauge('millrace_lag_records', 'Records between the read position and the end of a partition.'),
    lagSeconds: registry.gauge('millrace_lag_seconds', 'Age of the last record processed while a partition lags.'),
    restoredRows: registry.gauge('millrace_restored_rows', 'Changelog rows read back by a task at its last restore.'),
    restoredBytes: registry.gauge('millrace_restored_bytes', 'Bytes of keys and values of these rows.'),
    restoreRemaining: registry.gauge(
      'millrace_restore_remaining_offsets',
      'Changelog offsets that a task has still to read.',
    ),
    restoreSeconds: registry.gauge('millrace_restore_seconds', 'Time of the last restore of this process so far.'),
  }
}
