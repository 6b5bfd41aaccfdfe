// Records that a topic would refuse for good, on a real Kafka: at its limit they pass, beyond it they are dead or stop the
// job with a code. Never a loop of attempts. Holds SPEC: SIZE-1, SIZE-2, TOPIC-3.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { FrameView, FrameWriter } from '../../src/core/frame.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { MESSAGE_OVERHEAD_BYTES } from '../../src/lane/operators/message-size.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'

const CALL_MS = 30_000
/** Far below Kafka's default of a megabyte, and below what the client puts into one batch. */
const SINK_BYTES_MAX = 5_000

const brokers = inject('brokers')
const kafka = openRdKafka({ brokers })
let folder: string
let name: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-poison-'))
  name = `poison-${randomUUID()}`
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

/** Source and sink of one partition; the sink with settings of its own, as somebody else would have made it. */
async function topics(sinkConfig: Record<string, string>): Promise<void> {
  const admin = await kafka.openAdmin()
  const one = { partitionCount: 1, replicationFactor: 1 }
  const created = [
    { name, ...one, config: { 'message.timestamp.after.max.ms': '9223372036854775807' } },
    { name: `${name}-out`, ...one, config: sinkConfig },
  ]
  await admin.create(created, CALL_MS)
  await admin.close()
}

interface Sent {
  key: string
  value: string
  timestampMs: number
}

async function send(records: Sent[]): Promise<void> {
  const writer = new FrameWriter()
  for (const { key, value, timestampMs } of records) {
    writer.append(0, -1, timestampMs, Buffer.from(key), Buffer.from(value))
  }
  const producer = await kafka.openProducer({})
  await producer.produce(writer.take()!, [name])
  await producer.flush(CALL_MS)
  await producer.close()
}

/** Committed records of a topic, to its end. */
async function read<T>(topic: string, one: (view: FrameView, at: number) => T): Promise<T[]> {
  const reader = await kafka.openReader({})
  const { high } = await reader.watermarks({ topic, partition: 0 }, CALL_MS)
  const found: T[] = []
  reader.assign([{ topic, partition: 0, offset: 0 }])
  for (let isAtEnd = high === 0; !isAtEnd; ) {
    const { batches, ends } = await reader.poll({ recordsMax: 1_000, bytesMax: 1 << 22, waitMs: 1_000 })
    for (const { frame } of batches) {
      const view = new FrameView(frame)
      for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) found.push(one(view, at))
    }
    isAtEnd = ends.length > 0
  }
  await reader.close()
  return found
}

/** Runs a job over all that was sent; it fails here when it goes through attempts instead of ending. */
async function run(stages: string, ...more: string[]): Promise<{ code: number | null; job: CommandProcess }> {
  const file = join(folder, 'job.ts')
  writeFileSync(
    file,
    `import { job, json, kafka, last, tumbling } from 'millrace'
    type Row = { k: string; ts: number; text: string }
    export default job('${name}').from(kafka('${name}', { value: json<Row>(), key: 'k', eventTime: 'ts' }))
      ${stages}`,
  )
  const flags = [
    '--brokers',
    brokers,
    '--state-dir',
    join(folder, 'state'),
    '--http-port',
    '0',
    '--json',
    '--until-end',
    ...more,
  ]
  const job = new CommandProcess([LAUNCHER, 'run', file, ...flags])
  const code = await job.exit()
  expect(job.stderr).not.toContain('the epoch is dropped')
  return { code, job }
}

const NOW_MS = Date.now()
const textOf = (text: string): string => JSON.stringify({ k: 'A', ts: NOW_MS, text })
const bytesOf = (text: string): number => 1 + Buffer.byteLength(textOf(text))
/** A record passed on that is `bytes` long by the reckoning of its sink: key, value and what surrounds them. */
function recordOf(bytes: number): Sent {
  const text = 'x'.repeat(bytes - MESSAGE_OVERHEAD_BYTES - bytesOf(''))
  return { key: 'A', value: textOf(text), timestampMs: NOW_MS }
}

test('records that just fit their topic pass, and one of a byte more is dead', async () => {
  await topics({ 'max.message.bytes': String(SINK_BYTES_MAX) })
  await send([recordOf(SINK_BYTES_MAX), recordOf(SINK_BYTES_MAX + 1), recordOf(SINK_BYTES_MAX)])
  const { code, job } = await run(`.to(kafka('${name}-out', { value: json() }))`)
  expect(code, job.stderr).toBe(0)
  expect(job.json()).toMatchObject({ records: 3, accepted: 2, dead: 1 })
  const lengths = await read(`${name}-out`, (view, at) => 1 + view.valueBytes(at) + MESSAGE_OVERHEAD_BYTES)
  expect(lengths).toEqual([SINK_BYTES_MAX, SINK_BYTES_MAX])
  const letters = await read(`${name}-dlq`, (view, at) => Buffer.from(view.value(at)!).toString())
  expect(letters).toEqual([recordOf(SINK_BYTES_MAX + 1).value])
})

test('many records of a topic with a small limit never share a batch that it refuses', async () => {
  await topics({ 'max.message.bytes': String(SINK_BYTES_MAX) })
  await send(Array.from({ length: 500 }, () => recordOf(SINK_BYTES_MAX / 4)))
  const { code, job } = await run(`.to(kafka('${name}-out', { value: json() }))`)
  expect(code, job.stderr).toBe(0)
  expect(await read(`${name}-out`, (view, at) => view.valueBytes(at))).toHaveLength(500)
})

test('a row that must not be dropped and is a byte too large stops the job with MR4008', async () => {
  await topics({ 'max.message.bytes': String(SINK_BYTES_MAX) })
  await send([recordOf(SINK_BYTES_MAX)])
  const { code, job } = await run(
    `.keyBy('k').window('w', tumbling('1s')).aggregate({ text: last('text') }).to(kafka('${name}-out', { value: json() }))`,
  )
  expect(code).toBe(1)
  expect(job.json()).toMatchObject({ error: { code: 'MR4008' } })
})

test('a record larger than the client itself may send is dead too, though its topic would take it', async () => {
  await topics({ 'max.message.bytes': '3000000' })
  await send([recordOf(900_000)])
  const config = join(folder, 'millrace.yaml')
  writeFileSync(config, 'kafka:\n  message.max.bytes: 500000\n')
  const { code, job } = await run(`.to(kafka('${name}-out', { value: json() }))`, '--config', config)
  expect(code, job.stderr).toBe(0)
  expect(job.json()).toMatchObject({ records: 1, dead: 1 })
})

test('rows ahead of what a topic takes stop the job at once with the topic and the way out', async () => {
  await topics({ 'message.timestamp.after.max.ms': '3600000' })
  const timestampMs = NOW_MS + 2 * 3_600_000
  await send([{ key: 'A', value: JSON.stringify({ k: 'A', ts: timestampMs, text: '' }), timestampMs }])
  const { code, job } = await run(`.to(kafka('${name}-out', { value: json() }))`)
  expect(code).toBe(1)
  expect(job.json()).toMatchObject({ error: { code: 'MR4015' } })
  expect(job.stderr).toContain(`The topic ${name}-out refused a row for good`)
  expect(job.stderr).toContain('a row further ahead of the broker than its topic takes')
})
