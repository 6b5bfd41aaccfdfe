// What a running job tells: counts, latencies, lag. Holds SPEC: METRIC-4, COUNT-1.
import { expect, test } from 'vitest'
import { JobMonitor } from '../../src/cli/job-monitor.ts'
import type { TaskCounts } from '../../src/core/message.ts'
import type { RestoreProgress, RestoringTask } from '../../src/engine/restore-progress.ts'
import type { TaskState } from '../../src/engine/task-state.ts'
import { Registry } from '../../src/ops/metrics.ts'

const counts = (more: Partial<TaskCounts>): TaskCounts => ({
  in: 0,
  expanded: 0,
  accepted: 0,
  late: 0,
  dead: 0,
  filtered: 0,
  refused: 0,
  results: 0,
  ...more,
})

const taskOf = (partition: number): TaskState =>
  ({ taskId: `0_${partition}`, topic: 'in', partition, isLast: true }) as TaskState

function scene() {
  const now = { wallMs: 10_000, monotonicMs: 50 }
  const registry = new Registry({ nowMs: () => now.monotonicMs })
  const clock = { wallMs: () => now.wallMs, monotonicMs: () => now.monotonicMs }
  return { now, registry, monitor: new JobMonitor(registry, clock) }
}

/** The value of a sample in the exposition. */
function sample(registry: Registry, name: string): string | undefined {
  const line = registry
    .text()
    .split('\n')
    .find((each) => each.startsWith(`${name} `))
  return line?.slice(name.length + 1)
}

test('latency runs from the Kafka timestamp of a record to the commit that covers it, not to its processing', () => {
  const { now, registry, monitor } = scene()
  monitor.processed(taskOf(0), counts({ in: 100, accepted: 100 }), [9_990], 100)
  expect(monitor.snapshot().latencyMsP50).toBe(0)
  now.wallMs += 490
  monitor.committed(1, 12, [{ timestampMs: 9_990, weight: 100 }])
  expect(monitor.snapshot()).toMatchObject({ latencyMsP50: 500, latencyMsP99: 500, epochs: 1 })
  expect(sample(registry, 'millrace_latency_processed_ms_sum')).toBe('1000')
  expect(sample(registry, 'millrace_latency_committed_ms_sum')).toBe('50000')
  expect(sample(registry, 'millrace_latency_committed_ms_count')).toBe('100')
})

test('a sample stands for its share of the records', () => {
  const { monitor } = scene()
  // 90 records took 100 ms, 10 took 3 s.
  monitor.committed(1, 1, [
    { timestampMs: 9_900, weight: 90 },
    { timestampMs: 7_000, weight: 10 },
  ])
  const { latencyMsP50, latencyMsP95 } = monitor.snapshot()
  expect(latencyMsP50).toBeCloseTo(100, 0)
  expect(latencyMsP95 / 3_000).toBeCloseTo(1, 2)
})

test('the counts are the sums of those of the tasks, in snapshot and metrics alike', () => {
  const { registry, monitor } = scene()
  monitor.processed(
    taskOf(0),
    counts({ in: 10, expanded: 3, accepted: 9, late: 2, dead: 1, filtered: 1, results: 4 }),
    [],
    0,
  )
  monitor.processed(taskOf(1), counts({ in: 5, accepted: 5, results: 1 }), [], 0)
  expect(monitor.snapshot()).toMatchObject({
    records: 15,
    expanded: 3,
    accepted: 14,
    late: 2,
    dead: 1,
    filtered: 1,
    results: 5,
  })
  expect(sample(registry, 'millrace_records_total')).toBe('15')
  expect(sample(registry, 'millrace_results_total')).toBe('5')
  const outcomes = ['accepted', 'late', 'dead', 'filtered'].map((outcome) =>
    Number(sample(registry, `millrace_record_outcomes_total{outcome="${outcome}"}`)),
  )
  expect(outcomes.reduce((a, b) => a + b)).toBe(15 + 3)
})

test('lag is in records to the end, and in seconds since the last record while there are any', () => {
  const { now, registry, monitor } = scene()
  const task = { ...taskOf(2), highWatermark: 100, processedOffset: 40 }
  monitor.watch({ tasks: [task as TaskState], lagRecords: 60, onRunning: () => {} })
  monitor.processed(task as TaskState, counts({ in: 1, accepted: 1 }), [8_000], 1)
  now.wallMs = 10_500
  monitor.refresh()
  expect(monitor.snapshot().lagRecords).toBe(60)
  expect(sample(registry, 'millrace_lag_records{partition="2",topic="in"}')).toBe('60')
  expect(sample(registry, 'millrace_lag_seconds{partition="2",topic="in"}')).toBe('2.5')
  task.processedOffset = 100
  monitor.refresh()
  expect(sample(registry, 'millrace_lag_seconds{partition="2",topic="in"}')).toBe('0')
})

function restoring(tasks: RestoringTask[]): RestoreProgress {
  const sum = (name: 'rows' | 'bytes' | 'remainingOffsets') => tasks.reduce((total, task) => total + task[name], 0)
  const [rows, bytes, remainingOffsets] = [sum('rows'), sum('bytes'), sum('remainingOffsets')]
  return { tasks, rows, bytes, remainingOffsets, share: 0.25, elapsedMs: 1_500, etaMs: 4_500 }
}

// Holds SPEC: RESTORE-1.
test('a restore is told while it is under way, and its last numbers stay as metrics', () => {
  const { registry, monitor } = scene()
  expect(monitor.restore).toBeUndefined()
  const progress = restoring([
    { taskId: '0_1', rows: 5, bytes: 300, remainingOffsets: 15 },
    { taskId: '0_2', rows: 7, bytes: 500, remainingOffsets: 21 },
  ])
  monitor.restoring(progress, false)
  expect(monitor.restore).toBe(progress)
  monitor.restoring(progress, true)
  expect(monitor.restore).toBeUndefined()
  expect(sample(registry, 'millrace_restored_rows{task="0_2"}')).toBe('7')
  expect(sample(registry, 'millrace_restored_bytes{task="0_1"}')).toBe('300')
  expect(sample(registry, 'millrace_restore_remaining_offsets{task="0_1"}')).toBe('15')
  expect(sample(registry, 'millrace_restore_seconds')).toBe('1.5')
})

test('the series of a partition that was taken away go with it', () => {
  const { registry, monitor } = scene()
  const tasks = [2, 3].map(
    (partition) => ({ topic: 'in', partition, highWatermark: 9, processedOffset: 4 }) as TaskState,
  )
  monitor.watch({ tasks, lagRecords: 10, onRunning: () => {} })
  monitor.restoring(restoring([{ taskId: '0_2', rows: 5, bytes: 300, remainingOffsets: 0 }]), true)
  monitor.refresh()
  const kept = registry
    .text()
    .split('\n')
    .filter((line) => /partition="2"|task="0_2"/.test(line))
  expect(kept).toHaveLength(5)
  tasks.shift()
  monitor.released('0_2', { topic: 'in', partition: 2 })
  monitor.refresh()
  expect(registry.text()).not.toMatch(/partition="2"|task="0_2"/)
  expect(sample(registry, 'millrace_lag_records{partition="3",topic="in"}')).toBe('5')
})
