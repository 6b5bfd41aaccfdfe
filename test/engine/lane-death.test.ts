// A worker thread that dies under its tasks. Holds SPEC: LANE-3.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { piscinaLanes } from '../../src/engine/piscina-lanes.ts'
import { compiledJobOf } from '../../src/job/compiled-job.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { committedRows } from '../harness/trades-in-memory.ts'

const root = new URL('../../', import.meta.url)
const PARTITIONS = 3

/** The worker ends in the middle of a frame, the first time that it comes to the record `last straw`. */
const jobText = (diedFile: string): string => `
import { existsSync, writeFileSync } from 'node:fs'
import { count, job, json, kafka } from '${new URL('dist/src/index.js', root).href}'
export default job('mortal')
  .from(kafka('trades', { value: json(), key: 'sym' }))
  .filter(['last'], (last) => {
    if (last && !existsSync(${JSON.stringify(diedFile)})) {
      writeFileSync(${JSON.stringify(diedFile)}, '')
      process.exit(1)
    }
    return true
  })
  .keyBy('sym')
  .aggregate({ n: count() })
  .to(kafka('rows', { value: json() }), { emit: 'updates' })
`

test('its tasks are reopened from the last commit, and every row is there once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-death-'))
  const file = join(folder, 'job.mjs')
  await writeFile(file, jobText(join(folder, 'died')))
  const jobUrl = pathToFileURL(file).href
  const compiled = compiledJobOf(((await import(jobUrl)) as { default: unknown }).default, file)
  const kafka = createMemoryKafka({ topics: { trades: PARTITIONS } })
  for (let i = 0; i < 90; i++) {
    const value = JSON.stringify({ sym: `S${i % PARTITIONS}`, last: i === 60 })
    kafka.append('trades', { key: `S${i % PARTITIONS}`, value, partition: i % PARTITIONS, timestampMs: 1_000 + i })
  }
  let close = async (): Promise<void> => {}
  const run = await startMemoryJob({
    kafka,
    job: compiled,
    limits: { pollRecordsMax: 5, callMs: 10_000 },
    makeLanes: (setups) => {
      const lanes = piscinaLanes({
        workerUrl: new URL('dist/workers/lane.js', root).href,
        setups: setups.map((setup) => ({ ...setup, jobUrl })),
        heapMegabytesMax: 128,
      })
      close = () => lanes.close()
      return lanes
    },
  })
  try {
    await run.done
    expect(run.rebuilds).toEqual([expect.stringContaining('MR6004')])
    const rows = committedRows(kafka, 'rows').map(({ value }) => value as { sym: string; n: number })
    for (const sym of ['S0', 'S1', 'S2']) {
      // One row a record, then the final one at the end of the input.
      expect(rows.filter((row) => row.sym === sym).map(({ n }) => n)).toEqual([
        ...Array.from({ length: 30 }, (_, i) => i + 1),
        30,
      ])
    }
  } finally {
    await close()
    await rm(folder, { recursive: true })
  }
})
