// Rows before their commit on a real broker: they come before the committed ones, which are the same; a process that is killed leaves a
// client with what is committed. Holds SPEC: PROV-1, PROV-2.
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { BrokerJob } from '../harness/broker-job.ts'
import type { CommandProcess } from '../harness/command-process.ts'
import { Watcher } from '../push/push-fixture.ts'

const RECORDS = 30
const encoder = new TextEncoder()
let rig: BrokerJob

beforeEach(() => {
  rig = new BrokerJob('provisional', inject('brokers'))
})
afterEach(() => rig.end())

const jobText = (): string => `import { count, job, json, kafka } from 'millrace'
  export default job('${rig.name}')
    .from(kafka('${rig.name}-in', { value: json<{ sym: string }>(), key: 'sym' }))
    .keyBy('sym')
    .aggregate({ n: count() })
    .toView('counts', { provisional: true })`

async function run(...more: string[]): Promise<{ process: CommandProcess; url: string }> {
  const process = rig.run(jobText(), '--lanes', '1', '--push-port', '0', ...more)
  const [, url] = await process.saying(/views, open it in a browser: http(\S+?)\/?\s/)
  await process.saying(/ready in/)
  return { process, url: `ws${url}` }
}

async function trade(writer: FrameWriter): Promise<void> {
  writer.append(0, -1, Date.now(), encoder.encode('A'), encoder.encode('{"sym":"A"}'))
  await rig.send(writer, ['in'])
}

/** When a watcher was first told each `n` of the key, marked and not. */
class Times {
  readonly early = new Map<number, number>()
  readonly committed = new Map<number, number>()
  #read = 0

  look({ rows }: Watcher): void {
    for (const { row, isProvisional } of rows.slice(this.#read)) {
      const n = (row as { n: number } | null)?.n
      const times = isProvisional ? this.early : this.committed
      if (n !== undefined && !times.has(n)) times.set(n, performance.now())
    }
    this.#read = rows.length
  }
}

test('they come before the committed ones by the time of a commit, and the committed ones are the same', async () => {
  await rig.makeTopics({ in: 1 })
  const { process, url } = await run()
  const watcher = new Watcher(url, 'counts', { provisional: true })
  const times = new Times()
  await watcher.until(() => watcher.isLoaded)
  const writer = new FrameWriter()
  for (let i = 1; i <= RECORDS; i++) {
    await trade(writer)
    await watcher.until(() => {
      times.look(watcher)
      return times.early.has(i) || times.committed.has(i)
    })
  }
  await watcher.until(() => {
    times.look(watcher)
    return times.committed.has(RECORDS)
  })
  // Several records share an epoch, and of these a client is told the last as committed: each of those was there before.
  const leads = [...times.committed].flatMap(([n, atMs]) => {
    const earlyMs = times.early.get(n)
    return earlyMs === undefined ? [] : [atMs - earlyMs]
  })
  expect(leads.length).toBeGreaterThan(3)
  for (const leadMs of leads) expect(leadMs).toBeGreaterThanOrEqual(0)
  leads.sort((a, b) => a - b)
  const medianMs = leads[leads.length >> 1]!
  console.log(`marked rows before the committed ones: median ${medianMs.toFixed(1)} ms, of ${leads.length}`)
  expect(medianMs).toBeGreaterThan(2)
  const last = watcher.rows.at(-1)!
  expect(last.isProvisional).toBeUndefined()
  expect(last.row).toMatchObject({ sym: 'A', n: RECORDS })
  process.child.kill('SIGTERM')
  expect(await process.exit(), process.stderr).toBe(0)
})

test('a process that is killed with rows that are not committed: a client goes on with those that are, at any server', async () => {
  await rig.makeTopics({ in: 1 })
  // Between the row and its commit there is time to kill.
  const first = await run('--commit-min-ms', '250', '--commit-max-ms', '250')
  const watcher = new Watcher(first.url, 'counts', { provisional: true })
  await watcher.until(() => watcher.isLoaded)
  const writer = new FrameWriter()
  await trade(writer)
  await watcher.until(() => watcher.rows.some(({ isProvisional }) => !isProvisional))
  await trade(writer)
  await watcher.until(() =>
    watcher.rows.some(({ row, isProvisional }) => isProvisional && (row as { n: number }).n === 2),
  )
  first.process.child.kill('SIGKILL')
  await first.process.exit()
  await watcher.untilClosed()
  const second = await run()
  const resumed = new Watcher(second.url, 'counts', { provisional: true, resume: watcher.position })
  await resumed.until(() =>
    resumed.rows.some(({ row, isProvisional }) => !isProvisional && (row as { n: number }).n === 2),
  )
  expect(resumed.messages.some(({ type }) => type === 'snapshot')).toBe(false)
  expect(resumed.rows.every(({ row }) => (row as { n: number }).n <= 2)).toBe(true)
  second.process.child.kill('SIGTERM')
  expect(await second.process.exit(), second.process.stderr).toBe(0)
})
