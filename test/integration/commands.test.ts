// `gen trades` and `run` on a real Kafka, as processes. Keeps SPEC: CLI-1, CLI-2, CLI-3, GEN-2, STOP-1, COUNT-1, TEST-6.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSlice, testJob } from 'millrace/test'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { loadJob } from '../../src/cli/load-job.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'

const brokers = inject('brokers')
let folder: string
let name: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-commands-'))
  name = `commands-${randomUUID()}`
  const admin = await openRdKafka({ brokers }).openAdmin()
  await admin.create([{ name, partitionCount: 2, replicationFactor: 1, config: {} }], 30_000)
  await admin.close()
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

/** A job of its own topics: counts by symbol and second. */
function jobFile(): string {
  const path = join(folder, 'job.ts')
  const text = `import { count, job, kafka, msgpack, tumbling } from 'millrace'
    type Trade = { sym: string; price: number; qty: number; ts: number; id: number }
    export default job('${name}')
      .from(kafka('${name}', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '2s' }))
      .filter(['qty'], (qty) => qty > 250)
      .keyBy('sym')
      .window('1s', tumbling('1s'))
      .aggregate({ n: count() })
      .to(kafka('${name}-out', { value: msgpack() }), { emit: 'final' })`
  writeFileSync(path, text)
  return path
}

async function generated(records: number): Promise<void> {
  const gen = new CommandProcess([
    LAUNCHER,
    'gen',
    'trades',
    '--brokers',
    brokers,
    '--topic',
    name,
    '--records',
    String(records),
    '--seed',
    '3',
    '--json',
  ])
  expect(await gen.exit(), gen.stderr).toBe(0)
  expect(gen.json()).toMatchObject({ command: 'gen', topic: name, seed: 3, records })
}

function run(...more: string[]): CommandProcess {
  const flags = [
    '--brokers',
    brokers,
    '--state-dir',
    join(folder, 'state'),
    '--http-port',
    '0',
    '--create-topics',
    '--json',
  ]
  return new CommandProcess([LAUNCHER, 'run', jobFile(), ...flags, ...more])
}

describe('capture', () => {
  test('prints the records of a partition from an offset on, which replay byte for byte', async () => {
    await generated(2_000)
    const flags = ['--brokers', brokers, '--partition', '1', '--from-offset', '40', '--records', '300', '--json']
    const captured = new CommandProcess([LAUNCHER, 'capture', name, ...flags])
    expect(await captured.exit(), captured.stderr).toBe(0)
    expect(captured.json()).toEqual({ command: 'capture', topic: name, partition: 1, records: 300, nextOffset: 340 })
    const slice = captured.stdout.trimEnd().split('\n').slice(0, -1).join('\n')
    const records = readSlice(slice)
    expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 300 }, (_, i) => 40 + i))
    const t = testJob((await loadJob(jobFile(), { folder })).job, { partitions: 2 })
    t.replay(slice)
    await t.flush()
    expect(t.counts).toMatchObject({ in: 300, dead: 0, late: 0 })
    expect(records.map(({ timestampMs }) => timestampMs)).not.toContain(-1)
  })
})

describe('run', () => {
  test('--until-end reads all that was generated, counts every record and exits 0 by itself', async () => {
    await generated(30_000)
    const job = run('--until-end')
    expect(await job.exit(), job.stderr).toBe(0)
    const { records, accepted, late, dead, filtered, results } = job.json() as Record<string, number>
    expect({ records, late, dead, sum: accepted! + filtered! }).toEqual({
      records: 30_000,
      late: 0,
      dead: 0,
      sum: 30_000,
    })
    expect(filtered).toBeGreaterThan(10_000)
    expect(results).toBeGreaterThan(500)
    expect(job.stderr).toMatch(/millrace \d+\.\d+\.\d+, job .*job\.ts, brokers/)
    expect(job.stderr).toMatch(/2 partitions on \d lanes?\n[\s\S]*ready in \d+ ms\n/)
  })

  test('stops cleanly at SIGTERM, and the next start goes on behind what was committed', async () => {
    await generated(5000)
    const first = run()
    await first.saying(/[1-9][\d,]* results\/s|lag 0/)
    first.child.kill('SIGTERM')
    expect(await first.exit(), first.stderr).toBe(0)
    const second = run('--until-end')
    expect(await second.exit(), second.stderr).toBe(0)
    expect(Number(first.json().records) + Number(second.json().records)).toBe(5000)
  })

  test('fails with exit code 1 and the code of the error when its topic is missing', async () => {
    name = `${name}-missing`
    const job = run()
    expect(await job.exit()).toBe(1)
    expect(job.json()).toMatchObject({ command: 'run', error: { code: 'MR4002' } })
    expect(job.stderr).toContain(`There is no topic ${name}.`)
  })
})
