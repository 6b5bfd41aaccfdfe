// A topic compressed with zstd, whose broker compresses whatever comes: read where librdkafka was built with libzstd, and
// refused by name where it was not. Keeps SPEC: ZSTD-1.
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'
import { countedIn, writeCountsJob } from '../harness/counts-job.ts'

const brokers = inject('brokers')
const RECORDS = 2000
const kafka = openRdKafka({ brokers })
const canRead = !kafka.unreadableCodecs!.includes('zstd')

let folder: string
let name: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-zstd-'))
  name = `zstd-${randomUUID()}`
})
afterEach(() => {
  endCommandProcesses()
  rmSync(folder, { recursive: true })
})

/** Trades in a topic whose broker compresses all that comes with one codec. */
async function tradesIn(compression: string): Promise<void> {
  const admin = await kafka.openAdmin()
  const config = { 'compression.type': compression }
  await admin.create([{ name, partitionCount: 1, replicationFactor: 1, config }], 30_000)
  await admin.close()
  const args = ['gen', 'trades', '--brokers', brokers, '--topic', name, '--records', String(RECORDS)]
  const gen = new CommandProcess([LAUNCHER, ...args])
  expect(await gen.exit(), gen.stderr).toBe(0)
}

describe.each(['addon', 'plain'] as const)('on the %s path', (native) => {
  test(canRead ? 'batches of zstd are read' : 'batches of zstd are refused by topic and codec', async () => {
    await tradesIn('zstd')
    const reader = await openRdKafka({ brokers, native }).openReader({})
    reader.assign([{ topic: name, partition: 0, offset: 0 }])
    const read = async (): Promise<number> => {
      for (let count = 0; ; ) {
        const { batches, ends } = await reader.poll({ recordsMax: RECORDS, bytesMax: 1 << 24, waitMs: 1000 })
        for (const batch of batches) count += batch.recordCount
        if (ends.length > 0) return count
      }
    }
    if (canRead) expect(await read()).toBe(RECORDS)
    // node-rdkafka alone does not say of which topic its error is.
    const topic = native === 'addon' ? name : 'that is read'
    if (!canRead) await expect(read()).rejects.toMatchObject({ code: 'MR4035', details: { topic, codec: 'zstd' } })
    await reader.close()
  })
})

test(canRead ? 'a job reads a topic of zstd' : 'a job over a topic of zstd is refused at its start', async () => {
  await tradesIn('zstd')
  const job = writeCountsJob(folder, name)
  const flags = ['--brokers', brokers, '--state-dir', join(folder, 'state'), '--http-port', '0', '--push-port', '0']
  const run = new CommandProcess([LAUNCHER, 'run', job, '--until-end', '--create-topics', '--json', ...flags])
  expect(await run.exit(), run.stderr).toBe(canRead ? 0 : 1)
  if (canRead) expect((await countedIn(kafka, `${name}-out`, 1)) + Number(run.json().late)).toBe(RECORDS)
  else expect(run.json()).toMatchObject({ command: 'run', error: { code: 'MR4035' } })
})
