// Views served without their job, on a real Kafka: several servers beside the job, clients that go from one to another. Holds SPEC:
// PUSH-22, PUSH-40.
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { freePort } from '../harness/broker.ts'
import { BrokerJob } from '../harness/broker-job.ts'
import type { CommandProcess } from '../harness/command-process.ts'
import { heldRows, Watcher } from '../push/push-fixture.ts'

const encoder = new TextEncoder()
const FREE_PORTS = ['--http-port', '0', '--push-port', '0', '--log-format', 'json']

let rig: BrokerJob
beforeEach(() => {
  rig = new BrokerJob('serve', inject('brokers'))
})
afterEach(() => rig.end())

const jobText = ({ name }: BrokerJob): string => `import { job, json, kafka, sum } from 'millrace'
  export default job('${name}')
    .from(kafka('${name}-in', { value: json<{ id: string; n: number; ts: number }>(), key: 'id', eventTime: 'ts' }))
    .keyBy('id')
    .aggregate({ total: sum('n') })
    .toView('totals')`

async function send(keyCount: number, n: number): Promise<void> {
  const writer = new FrameWriter()
  const ts = Date.now()
  for (let key = 0; key < keyCount; key++) {
    const record = { id: `K${key}`, n, ts }
    writer.append(0, 0, ts, encoder.encode(record.id), encoder.encode(JSON.stringify(record)))
  }
  await rig.send(writer, ['in'])
}

async function pushUrl(process: CommandProcess): Promise<string> {
  await process.saying(/ready in/)
  return (await process.saying(/browser: (http:\S+)/))[1]!
}

async function adminUrl(process: CommandProcess): Promise<string> {
  return (await process.saying(/health and metrics: (http:\S+)/))[1]!
}

/** The rows of the view as a server has them, by key. */
async function rowsOf(url: string): Promise<Record<string, number>> {
  const { rows } = (await (await fetch(`${url}views/totals`)).json()) as {
    rows: { key: string; row: { total: number } }[]
  }
  return Object.fromEntries(rows.map(({ key, row }) => [key, row.total]))
}

const watch = (url: string, resume?: string): Watcher =>
  new Watcher(url.replace(/^http/, 'ws').replace(/\/$/, ''), 'totals', resume === undefined ? {} : { resume })

test('two servers beside the job serve its view, and a client goes from one to the other at its position', async () => {
  await rig.makeTopics({ in: 2 })
  const serve = () => rig.command('serve', jobText(rig), ...FREE_PORTS, '--wait', '60s')
  const servers = [serve(), serve()] as const
  // The topic of the view is made by the job.
  for (const server of servers) await server.saying(/topics of views are missing/)
  const job = rig.run(jobText(rig), '--push-port', '0')
  const [first, second, ofJob] = (await Promise.all([...servers, job].map(pushUrl))) as [string, string, string]
  await send(50, 1)
  const before = watch(first)
  await before.until(() => heldRows(before.messages).size === 50)
  const { position } = before
  const held = heldRows(before.messages)
  before.socket.close()
  await send(20, 10)
  const after = watch(second, position)
  await after.until(
    () => [...heldRows(after.messages).values()].filter((row) => (row as { total: number }).total === 11).length === 20,
  )
  expect(after.messages.filter(({ type }) => type === 'reset' || type === 'snapshot')).toEqual([])
  expect(after.messages.find(({ type }) => type === 'update')).toMatchObject({ prev: position })
  const merged = Object.fromEntries(
    [...held, ...heldRows(after.messages)].map(([key, row]) => [key, (row as { total: number }).total]),
  )
  for (const url of [first, second, ofJob]) await expect.poll(() => rowsOf(url)).toEqual(merged)
  after.socket.close()
  const metrics = await (await fetch(`${await adminUrl(servers[0])}/metrics`)).text()
  expect(metrics).toContain('millrace_push_rows_read_total{view="totals"} 70\n')
  expect((await fetch(`${await adminUrl(servers[0])}/readyz`)).status).toBe(200)
  servers[0].child.kill('SIGTERM')
  expect(await servers[0].exit(), servers[0].stderr).toBe(0)
  expect(servers[0].json()).toMatchObject({
    command: 'serve',
    views: ['totals'],
    rowsRead: 70,
    rowsPushed: 50,
    clients: 0,
  })
  expect(await rowsOf(second)).toEqual(merged)
})

test('one that was killed with -9 is ready again from its copy and what came since, with the rows that the other has', async () => {
  await rig.makeTopics({ in: 1 })
  const { name } = rig
  const put = async (from: number, to: number, n: number): Promise<void> => {
    const writer = new FrameWriter()
    for (let key = from; key < to; key++) {
      writer.append(0, 0, Date.now(), encoder.encode(`K${key}`), encoder.encode(JSON.stringify({ total: n })))
    }
    await rig.send(writer, ['in'])
  }
  await put(0, 1_000, 1)
  const serve = (dir: string) =>
    rig.serve('--view', `totals=${name}-in`, ...FREE_PORTS, '--push-dir', rig.path(dir), '--push-view-rows-max', '300')
  const [killed, other] = [serve('a'), serve('b')]
  const [url, otherUrl] = (await Promise.all([killed, other].map(pushUrl))) as [string, string]
  const watcher = watch(url)
  await watcher.until(() => heldRows(watcher.messages).size === 1_000)
  const { position } = watcher
  const held = heldRows(watcher.messages)
  const admin = await adminUrl(killed)
  const written = async (): Promise<number> => {
    const text = await (await fetch(`${admin}/metrics`)).text()
    return Number(/millrace_push_copy_rows_written_total\{view="totals"\} (\d+)/.exec(text)?.[1] ?? 0)
  }
  await expect.poll(written).toBe(1_000)
  await put(0, 100, 2)
  await expect.poll(written).toBe(1_100)
  killed.child.kill('SIGKILL')
  await killed.exit()
  await put(50, 150, 4)
  const again = serve('a')
  const newUrl = await pushUrl(again)
  await again.saying(/"rows":1000,"records":100,"msg":"the view goes on from its copy/)
  const text = await (await fetch(`${await adminUrl(again)}/metrics`)).text()
  expect(text).toContain('millrace_push_rows_read_total{view="totals"} 100\n')
  await expect.poll(() => rowsOf(newUrl)).toEqual(await rowsOf(otherUrl))
  const after = watch(newUrl, position)
  await after.until(() => heldRows(after.messages).size === 150)
  expect(after.messages.map(({ type }) => type)).not.toContain('reset')
  const rows = Object.fromEntries(
    [...held, ...heldRows(after.messages)].map(([key, row]) => [key, (row as { total: number }).total]),
  )
  expect(rows).toEqual(await rowsOf(otherUrl))
  after.socket.close()
  watcher.socket.close()
  const third = serve('b')
  expect(await third.exit()).toBe(1)
  expect(third.json()).toMatchObject({ error: { code: 'MR7030' } })
})

test('a plain topic is a view, its records that are no rows are left out, and a missing one is told', async () => {
  await rig.makeTopics({ in: 1 })
  const { name } = rig
  const writer = new FrameWriter()
  const msgpack = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)
  writer.append(0, 0, 1, encoder.encode('A'), msgpack(0x81, 0xa1, 0x78, 0x07))
  // An array of two that has one.
  writer.append(0, 0, 2, encoder.encode('B'), msgpack(0x92, 0x01))
  await rig.send(writer, ['in'])
  const server = rig.serve('--view', `plain=${name}-in:msgpack`, ...FREE_PORTS)
  const url = await pushUrl(server)
  expect(await (await fetch(`${url}views/plain`)).json()).toMatchObject({ rows: [{ key: 'A', row: { x: 7 } }] })
  await server.saying(/a record is no row of the view/)
  const full = rig.serve('--view', `plain=${name}-in:msgpack`, ...FREE_PORTS, '--push-view-rows-max', '1')
  await full.saying(/ready in/)
  const more = new FrameWriter()
  more.append(0, 0, 3, encoder.encode('C'), msgpack(0x01))
  await rig.send(more, ['in'])
  // None of its views is served any more.
  expect(await full.exit()).toBe(1)
  expect(full.json()).toMatchObject({ error: { code: 'MR7003' } })
  const missing = rig.serve('--view', `plain=${name}-none`, ...FREE_PORTS)
  expect(await missing.exit()).toBe(1)
  expect(missing.json()).toMatchObject({ command: 'serve', error: { code: 'MR4002' } })
  const late = rig.serve('--view', `plain=${name}-none`, ...FREE_PORTS, '--wait', '1s')
  expect(await late.exit()).toBe(1)
  expect(late.json()).toMatchObject({ error: { code: 'MR4002' } })
  expect(late.stderr).toContain('waiting for them')
  const port = await freePort()
  const stopped = rig.serve('--view', `plain=${name}-none`, ...FREE_PORTS, '--wait', '1h', '--http-port', String(port))
  await stopped.saying(/waiting for them/)
  const readiness = await fetch(`http://127.0.0.1:${port}/readyz`)
  expect(readiness.status).toBe(503)
  expect(await readiness.json()).toMatchObject({ reasons: [`waiting for Kafka and the topics ${name}-none`] })
  stopped.child.kill('SIGTERM')
  expect(await stopped.exit(), stopped.stderr).toBe(0)
})
