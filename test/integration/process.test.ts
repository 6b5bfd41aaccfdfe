// Timers of `process` by the clock, on a real Kafka: they come without records, and after a kill -9. Holds SPEC: PROCESS-7.
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
const CALL_MS = 30_000
const encoder = new TextEncoder()
const decoder = new TextDecoder()

let folder: string
let name: string
let kafka: Kafka
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-process-'))
  name = `process-${randomUUID()}`
  kafka = openRdKafka({ brokers })
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

function jobFile(): string {
  const path = join(folder, 'job.ts')
  const text = `import { job, json, kafka } from 'millrace'
    export default job('${name}')
      .from(kafka('${name}-in', { value: json<{ id: string; ts: number; waitMs: number }>(), key: 'id', eventTime: 'ts' }))
      .keyBy('id')
      .process('waits', {
        onRecord({ waitMs }, ctx) {
          ctx.state.set(ctx.wallMs + waitMs)
          ctx.timers.atWall(ctx.wallMs + waitMs)
        },
        onTimer(timer, ctx) {
          ctx.emit(ctx.key + ' ' + timer.clock + ' ' + (timer.timeMs === ctx.state.get() && ctx.wallMs >= timer.timeMs))
          ctx.state.delete()
        },
      })
      .to(kafka('${name}-out', { value: json() }))`
  writeFileSync(path, text)
  return path
}

async function send(...records: { id: string; waitMs: number }[]): Promise<void> {
  const writer = new FrameWriter()
  const ts = Date.now()
  for (const record of records) {
    writer.append(0, 0, ts, encoder.encode(record.id), encoder.encode(JSON.stringify({ ...record, ts })))
  }
  const producer = await kafka.openProducer({})
  await producer.produce(writer.take()!, [`${name}-in`])
  await producer.flush(CALL_MS)
  await producer.close()
}

function run(): CommandProcess {
  const state = ['--state-dir', join(folder, 'state'), '--instance-id', 'one', '--lanes', '1']
  return new CommandProcess([
    ...[LAUNCHER, 'run', jobFile(), '--brokers', brokers, '--json'],
    ...['--http-port', '0', '--create-topics', ...state],
  ])
}

/** The committed rows of the sink. */
async function rows(): Promise<string[]> {
  const reader = await kafka.openReader({})
  reader.assign([{ topic: `${name}-out`, partition: 0, offset: 0 }])
  const found: string[] = []
  for (let isEnded = false; !isEnded; ) {
    const { batches, ends } = await reader.poll({ recordsMax: 100, bytesMax: 1 << 20, waitMs: 200 })
    for (const { frame } of batches) {
      for (const { value } of sourceRecords(frame)) found.push(JSON.parse(decoder.decode(value)))
    }
    isEnded = ends.length > 0
  }
  await reader.close()
  return found
}

test('timers by the clock come without records, and those that waited at a kill -9 come after it, once', async () => {
  const admin = await kafka.openAdmin()
  const topics = ['in', 'out'].map((topic) => {
    return { name: `${name}-${topic}`, partitionCount: 1, replicationFactor: 1, config: {} }
  })
  await admin.create(topics, CALL_MS)
  await admin.close()
  const first = run()
  await first.saying(/ready in/)
  await send({ id: 'soon', waitMs: 300 }, { id: 'later', waitMs: 4_000 })
  await expect.poll(rows, { timeout: CALL_MS }).toContain('soon wall true')
  first.child.kill('SIGKILL')
  await first.exit()
  const second = run()
  await expect.poll(rows, { timeout: CALL_MS }).toEqual(['soon wall true', 'later wall true'])
  second.child.kill('SIGTERM')
  expect(await second.exit(), second.stderr).toBe(0)
  expect(await rows()).toEqual(['soon wall true', 'later wall true'])
})
