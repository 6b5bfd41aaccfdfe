// A job that keys by another field, as a process on a real Kafka: to its end, and through a kill -9 in the middle.
// Keeps SPEC: REPART-1, REPART-2, REPART-3, R1, EPOCH-4.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { FrameWriter, sourceRecords } from '../../src/core/frame.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'

const brokers = inject('brokers')
const PARTITIONS = 3
const RECORDS = 60_000
const START_MS = 1_760_000_000_000
const HOUR_MS = 3_600_000
const CALL_MS = 30_000
const encoder = new TextEncoder()

let folder: string
let name: string
let kafka: Kafka
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-repartition-'))
  name = `totals-${randomUUID()}`
  kafka = openRdKafka({ brokers })
  const admin = await kafka.openAdmin()
  await admin.create([{ name: `${name}-in`, partitionCount: PARTITIONS, replicationFactor: 1, config: {} }], CALL_MS)
  await admin.close()
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

/** Keyed by user; the records of the topic have no key at all. */
function jobFile(): string {
  const path = join(folder, 'job.ts')
  const text = `import { count, job, json, kafka, sum, tumbling } from 'millrace'
    type Order = { user: string; amount: number; ts: number }
    export default job('${name}')
      .from(kafka('${name}-in', { value: json<Order>(), eventTime: 'ts', outOfOrder: '1s', maxPast: '30d' }))
      .keyBy('user')
      .window('1m', tumbling('1m'))
      .aggregate({ total: sum('amount'), n: count() })
      .late(kafka('${name}-late'))
      .to(kafka('${name}-out', { value: json() }), { emit: 'final' })`
  writeFileSync(path, text)
  return path
}

/** Partition 1 is an hour behind the others. Gives the totals that must come out. */
async function load(): Promise<Map<string, string>> {
  const totals = new Map<string, { total: number; n: number }>()
  const writer = new FrameWriter()
  const producer = await kafka.openProducer({})
  for (let i = 0; i < RECORDS; i++) {
    const partition = i % PARTITIONS
    const ts = START_MS - (partition === 1 ? HOUR_MS : 0) + Math.floor(i / PARTITIONS) * 20 - ((i * 37) % 1_000)
    const order = { user: `u${(i * 7) % 101}`, amount: 1 + (i % 13), ts }
    writer.append(0, partition, ts, undefined, encoder.encode(JSON.stringify(order)))
    const key = `${order.user}/${Math.floor(ts / 60_000) * 60_000}`
    const { total, n } = totals.get(key) ?? { total: 0, n: 0 }
    totals.set(key, { total: total + order.amount, n: n + 1 })
  }
  await producer.produce(writer.take()!, [`${name}-in`])
  await producer.flush(CALL_MS)
  await producer.close()
  return new Map([...totals].map(([key, { total, n }]) => [key, `${total} of ${n}`]))
}

function run(...more: string[]): CommandProcess {
  const state = ['--state-dir', join(folder, 'state'), '--instance-id', 'one', '--lanes', '2']
  const flags = ['--brokers', brokers, '--http-port', '0', '--create-topics', '--json', ...state]
  return new CommandProcess([LAUNCHER, 'run', jobFile(), ...flags, ...more])
}

/** The committed rows of the sink; a row that is there twice is a failure. */
async function committedTotals(): Promise<Map<string, string>> {
  const reader = await kafka.openReader({})
  reader.assign(partitions().map((partition) => ({ topic: `${name}-out`, partition, offset: 0 })))
  const rows = new Map<string, string>()
  for (const ended = new Set<number>(); ended.size < PARTITIONS; ) {
    const { batches, ends } = await reader.poll({ recordsMax: 10_000, bytesMax: 1 << 22, waitMs: 200 })
    for (const { frame } of batches) {
      for (const { value } of sourceRecords(frame)) {
        const { user, windowStart, total, n } = JSON.parse(new TextDecoder().decode(value))
        const key = `${user}/${windowStart}`
        expect(rows.has(key), key).toBe(false)
        rows.set(key, `${total} of ${n}`)
      }
    }
    for (const { partition } of ends) ended.add(partition)
  }
  await reader.close()
  return rows
}
const partitions = () => Array.from({ length: PARTITIONS }, (_, partition) => partition)

test('totals by a field that is no key are exact to the end, though a partition is an hour behind', async () => {
  const expected = await load()
  const job = run('--until-end')
  expect(await job.exit(), job.stderr).toBe(0)
  expect(job.json()).toMatchObject({ records: RECORDS, accepted: RECORDS, late: 0, dead: 0, filtered: 0 })
  expect(await committedTotals()).toEqual(expected)
})

test('they are so through a kill -9 in the middle, and what is done is trimmed from the repartition topic', async () => {
  const expected = await load()
  const slowly = [
    '--repartition-trim-every-ms',
    '100',
    '--limits-poll-records-max',
    '100',
    '--commit-catch-up-ms',
    '20',
  ]
  const first = run(...slowly)
  const reader = await kafka.openReader({})
  const topic = `${name}-repartition`
  const lowest = async (): Promise<number> => {
    const offsets = await Promise.all(partitions().map((partition) => reader.watermarks({ topic, partition }, CALL_MS)))
    return Math.min(...offsets.map(({ low }) => low))
  }
  await first.saying(/ready in/)
  await expect.poll(lowest, { timeout: CALL_MS }).toBeGreaterThan(0)
  first.child.kill('SIGKILL')
  await first.exit()
  const second = run('--until-end')
  expect(await second.exit(), second.stderr).toBe(0)
  expect(await committedTotals()).toEqual(expected)
  await reader.close()
})
