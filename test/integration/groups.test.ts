// Several instances of a job as processes on a real Kafka: one, three, two, while records come in.
// Holds SPEC: GROUP-1, GROUP-2, GROUP-4, EPOCH-4.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { candleOracle, checkCandles } from '../../bench/lib/candle-check.ts'
import { type Cluster, clusterOn } from '../../bench/lib/cluster.ts'
import { tradeStream } from '../../src/cli/trades.ts'
import { startLoad } from '../harness/chaos-load.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'

const PARTITIONS = 6
const RECORDS_PER_SECOND = 2_000

let folder: string
let cluster: Cluster
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-groups-'))
  cluster = clusterOn(inject('brokers'))
})
afterEach(async () => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
  await cluster.close()
})

interface Names {
  job: string
  source: string
  sink: string
}

function start(names: Names, instanceId: string, ...more: string[]): CommandProcess {
  const flags = ['--brokers', cluster.brokers, '--instance-id', instanceId, '--state-dir', join(folder, instanceId)]
  return new CommandProcess(
    [
      LAUNCHER,
      'run',
      'bench/jobs/candles.ts',
      ...flags,
      ...['--http-port', '0', '--lanes', '1', '--create-topics', '--log-format', 'json', '--json', ...more],
    ],
    { BENCH_JOB: names.job, BENCH_SOURCE: names.source, BENCH_SINK: names.sink },
  )
}

/** The log lines of a kind, in their order. */
function logged(run: CommandProcess, message: string): Record<string, unknown>[] {
  return run.stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => String(msg).startsWith(message))
}
const tasksOf = (run: CommandProcess, message: string): unknown[] => logged(run, message).map(({ task }) => task)

/** Waits until a process has said it so often of a task. */
async function until(run: CommandProcess, message: string, task: string, count: number): Promise<void> {
  const countNow = (): number => tasksOf(run, message).filter((one) => one === task).length
  await expect.poll(countNow, { timeout: 60_000, message: run.stderr.slice(-2_000) }).toBe(count)
}

async function stopped(run: CommandProcess): Promise<void> {
  run.child.kill('SIGTERM')
  expect(await run.exit(), run.stderr).toBe(0)
}

test('one instance, then three, then two give the rows of one, and what stays is not opened again', async () => {
  const names = { job: `groups-${randomUUID()}`, source: cluster.name('trades'), sink: cluster.name('candles') }
  await cluster.createTopic(names.source, PARTITIONS)
  await cluster.createTopic(names.sink, PARTITIONS)
  const trades = tradeStream({
    seed: 4,
    count: Number.POSITIVE_INFINITY,
    startMs: 1_760_000_000_000,
    recordsPerEventSecond: RECORDS_PER_SECOND,
  })
  const load = startLoad(cluster, names.source, trades, RECORDS_PER_SECOND)
  const a = start(names, 'a')
  await until(a, 'task opened', '0_5', 1)
  const b = start(names, 'b') // a: 0 1 2, b: 3 4 5
  await until(b, 'task opened', '0_5', 1)
  const c = start(names, 'c') // a: 0 1, b: 2 3, c: 4 5
  await until(c, 'task opened', '0_5', 1)
  await until(b, 'task opened', '0_2', 1)
  await stopped(c) // a: 0 1 2, b: 3 4 5
  await until(b, 'task opened', '0_5', 2)
  await until(a, 'task opened', '0_2', 2)
  const records = await load.stop()
  await Promise.all([stopped(a), stopped(b)])
  const last = start(names, 'last', '--until-end')
  expect(await last.exit(), last.stderr).toBe(0)

  const { oracle } = candleOracle(trades, records, PARTITIONS)
  const check = { kafka: cluster.kafka, topic: names.sink, partitionCount: PARTITIONS, checksTimestamps: true }
  expect(await checkCandles(check, oracle.rows())).toMatchObject({ lost: 0, duplicated: 0, wrong: 0 })
  // Tasks 0 and 1 were with the first process all the time: opened once, resumed at each rebalance.
  const kept = tasksOf(a, 'task opened').filter((task) => task === '0_0' || task === '0_1')
  expect(kept.sort()).toEqual(['0_0', '0_1'])
  expect(tasksOf(a, 'task resumed').filter((task) => task === '0_0')).toHaveLength(
    logged(a, 'partitions revoked').length,
  )
  expect(logged(a, 'partitions revoked').length).toBeGreaterThanOrEqual(3)
  expect(logged(b, 'the epoch is dropped')).toEqual([])
  expect(logged(a, 'the epoch is dropped')).toEqual([])
})
