// `millrace reset` on a real Kafka: refused under a running job, and from a warm state folder or none the next run gives what
// a new job gives. Holds SPEC: RESET-1, RESET-2, RESET-3, RESET-5.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { MsgpackDecoder } from '../../src/codec/msgpack-decode.ts'
import { FrameView } from '../../src/core/frame.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'

const brokers = inject('brokers')
const PARTITIONS = 2
let folder: string
let name: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-reset-'))
  name = `reset-${randomUUID()}`
  const admin = await openRdKafka({ brokers }).openAdmin()
  await admin.create([{ name, partitionCount: PARTITIONS, replicationFactor: 1, config: {} }], 30_000)
  await admin.close()
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

/** A running count by symbol, so that state which survived would show in every row. */
function jobFile(job = name): string {
  const path = join(folder, `${job}.ts`)
  const text = `import { count, job, kafka, msgpack, sum } from 'millrace'
    type Trade = { sym: string; price: number; qty: number; ts: number; id: number }
    export default job('${job}')
      .from(kafka('${name}', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' }))
      .keyBy('sym')
      .aggregate({ n: count(), total: sum('qty') })
      .to(kafka('${job}-out', { value: msgpack() }), { emit: 'updates' })
      .toView('now', { emit: 'updates' })`
  writeFileSync(path, text)
  return path
}

function millrace(...args: string[]): CommandProcess {
  return new CommandProcess([LAUNCHER, ...args, '--brokers', brokers, '--json'])
}
async function done(process: CommandProcess): Promise<Record<string, unknown>> {
  expect(await process.exit(), process.stderr).toBe(0)
  return process.json()
}
function run(job: string, ...more: string[]): CommandProcess {
  const flags = ['--state-dir', join(folder, 'state'), '--http-port', '0', '--push-port', '0', '--create-topics']
  return millrace('run', jobFile(job), ...flags, ...more)
}
const generate = (records: number, seed: number) =>
  done(millrace('gen', 'trades', '--topic', name, '--records', String(records), '--seed', String(seed)))
const reset = (...more: string[]) => millrace('reset', jobFile(), ...more)

/** The rows of a topic from these offsets on, as text, sorted; a key without a value is left out. */
async function rows(topic: string, from: readonly number[] = []): Promise<string[]> {
  const reader = await openRdKafka({ brokers }).openReader({})
  const decoder = new MsgpackDecoder()
  const found = new Map<string, string>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { high } = await reader.watermarks({ topic, partition }, 30_000)
    let next = from[partition] ?? 0
    reader.assign([{ topic, partition, offset: next }])
    while (next < high) {
      const { batches, ends } = await reader.poll({ recordsMax: 1_000, bytesMax: 1 << 20, waitMs: 200 })
      for (const { frame, nextOffset } of batches) {
        const view = new FrameView(frame)
        for (let i = 0, at = view.firstAt; i < view.recordCount; i++, at = view.nextAt(at)) {
          const key = `${partition} ${Buffer.from(view.key(at)!).toString()}`
          const value = view.value(at)
          if (value === undefined) found.delete(key)
          else {
            decoder.begin(value)
            found.set(key, JSON.stringify(decoder.value(0, value.length)))
          }
        }
        next = Math.max(next, nextOffset)
      }
      for (const end of ends) next = Math.max(next, end.offset)
    }
    reader.assign([])
  }
  await reader.close()
  return [...found.values()].sort()
}

async function ends(topic: string): Promise<number[]> {
  const reader = await openRdKafka({ brokers }).openReader({})
  const marks = await Promise.all(
    [0, 1].map((partition) => reader.watermarks({ topic, partition }, 30_000).then(({ high }) => high)),
  )
  await reader.close()
  return marks
}

test('refuses under a running job and names its member; once it has stopped, waits for its session and resets', async () => {
  await generate(5_000, 1)
  const running = run(name)
  await running.saying(/[1-9][\d,]* results\/s|lag 0/)
  const refused = reset('--to', 'earliest', '--wait', '100ms')
  expect(await refused.exit()).toBe(1)
  expect(refused.json()).toMatchObject({ command: 'reset', error: { code: 'MR4021' } })
  const dry = await done(reset('--to', 'earliest', '--dry-run'))
  expect(dry).toMatchObject({ isDryRun: true, members: [expect.stringContaining(' at ')] })
  running.child.kill('SIGTERM')
  expect(await running.exit(), running.stderr).toBe(0)
  expect(running.json()).toMatchObject({ records: 5_000 })
  const report = await done(reset('--to', 'earliest'))
  expect(report).toMatchObject({ isDryRun: false, recordsAgain: 5_000, recordsSkipped: 0, members: [] })
  expect(report.stateRows).toBeGreaterThan(10)
  expect(report.viewRows).toBe(report.stateRows)
  expect(await rows(`${name}-view-now`)).toEqual([])
})

test.each(['warm', 'lost'])('from a %s state folder the run after a reset gives what a new job gives', async (kind) => {
  await generate(4_000, 2)
  await done(run(name, '--until-end'))
  await generate(1_000, 3)
  const dry = await done(reset('--to', 'earliest', '--dry-run'))
  const words = new CommandProcess([
    LAUNCHER,
    'reset',
    jobFile(),
    '--to',
    'earliest',
    '--dry-run',
    '--brokers',
    brokers,
  ])
  expect(await words.exit(), words.stderr).toBe(0)
  expect(words.stdout).toMatch(/^partition 0: offset \d+ -> 0, \d+ records again, \d+ rows of state dropped$/m)
  expect(words.stdout).toMatch(/^view now: \d+ rows deleted$/m)
  expect(words.stderr).toContain(`dry run: ${name} is as it was`)
  const report = await done(reset('--to', 'earliest'))
  expect(report).toMatchObject({ ...dry, isDryRun: false, members: [] })
  if (kind === 'lost') rmSync(join(folder, 'state'), { recursive: true })
  const from = await ends(`${name}-out`)
  expect(await done(run(name, '--until-end'))).toMatchObject({ records: 5_000, late: 0 })
  await done(run(`${name}-new`, '--until-end'))
  const expected = await rows(`${name}-new-out`)
  expect(expected.length).toBeGreaterThan(10)
  expect(await rows(`${name}-out`, from)).toEqual(expected)
  expect(await rows(`${name}-view-now`)).toEqual(await rows(`${name}-new-view-now`))
})

test('to a time: what came before it is left out', async () => {
  await generate(2_000, 4)
  const middleMs = Date.now() + 1
  while (Date.now() <= middleMs) await new Promise((resolve) => setTimeout(resolve, 1))
  const starts = await ends(name)
  await done(millrace('gen', 'trades', '--topic', name, '--records', '500', '--start-ms', String(middleMs)))
  await done(run(name, '--until-end'))
  const report = await done(reset('--to', new Date(middleMs).toISOString()))
  const places = (report.partitions as { toOffset: number }[]).map(({ toOffset }) => toOffset)
  expect(places).toEqual(starts)
  expect(await done(run(name, '--until-end'))).toMatchObject({ records: 500 })
})
