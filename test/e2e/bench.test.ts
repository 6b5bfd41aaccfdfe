// The benches in their smoke size on a real Kafka: they run, and every answer is right.
import { expect, inject, test } from 'vitest'
import { runProgram } from '../../bench/lib/child.ts'

const ENV = { KAFKA_BROKERS: inject('brokers') }

test('the end-to-end bench gives every row right and all its numbers', async () => {
  const args = ['--records', '100000', '--rounds', '1', '--json']
  const result = await runProgram<Record<string, unknown>>('bench/e2e.ts', args, ENV)
  expect(result).toMatchObject({ command: 'bench:e2e', correct: true, records: 100_000, loopRecords: 100_000 })
  for (const name of ['recordsPerSecond', 'cpuMicrosPerRecord', 'rssBytesMax', 'floorShare', 'loopFactor']) {
    expect(result[name], name).toBeGreaterThan(0)
  }
})

test('the latency bench sees every row, right and after its intended time', async () => {
  const args = ['--rate', '1000', '--seconds', '2', '--warm-up', '1', '--json']
  const result = await runProgram<Record<string, unknown>>('bench/latency.ts', args, ENV)
  expect(result).toMatchObject({ command: 'bench:latency', correct: true, records: 2_000, rows: 3_000, missing: 0 })
  expect(result.latencyMsP50).toBeGreaterThan(0)
  expect(result.latencyMsMax).toBeGreaterThanOrEqual(result.latencyMsP50 as number)
})

test('the restore bench gets every row of state back, and a start with its folder reads none', async () => {
  const args = ['--megabytes', '5', '--partitions', '2', '--json']
  const result = await runProgram<Record<string, unknown>>('bench/restore.ts', args, ENV)
  expect(result).toMatchObject({ command: 'bench:restore', correct: true, restoredRows: 30_865, warmRestoredRows: 0 })
  expect(result.restoredBytes).toBeGreaterThanOrEqual(5_000_000)
  for (const name of ['elapsedMs', 'megabytesPerMinute', 'warmResumeMs', 'rssBytesMax']) {
    expect(result[name], name).toBeGreaterThan(0)
  }
})

test('the bench of views has the same rows from the topic and from copies, which read what came since alone', async () => {
  const args = ['--rows', '5000', '--partitions', '2', '--tail', '100', '--json']
  const result = await runProgram<Record<string, unknown>>('bench/view-restart.ts', args, ENV)
  expect(result).toMatchObject({ command: 'bench:view-restart', correct: true, copyRowsRead: 100, killRowsRead: 100 })
  for (const name of ['topicReadyMs', 'makingReadyMs', 'copyReadyMs', 'killReadyMs', 'copyFactor', 'rssBytesMax']) {
    expect(result[name], name).toBeGreaterThan(0)
  }
})

test('the growth bench gives every row right in each of its cases', async () => {
  const args = ['--records', '20000', '--only', 'envelopes', '--json']
  const result = await runProgram<{ cases: Record<string, unknown>[] }>('bench/grow.ts', args, ENV)
  expect(result).toMatchObject({ command: 'bench:grow', correct: true, records: 20_000 })
  expect(result.cases.map(({ name }) => name)).toEqual(['base', 'envelopes of 50 events', 'base again'])
  for (const one of result.cases) {
    expect(one).toMatchObject({ correct: true, records: 20_000, lost: 0, duplicated: 0, wrong: 0 })
    for (const name of [
      'rows',
      'recordsPerSecond',
      'cpuMicrosPerRecord',
      'rssBytesMax',
      'throughputFactor',
      'cpuFactor',
    ]) {
      expect(one[name], name).toBeGreaterThan(0)
    }
  }
})
