// Rows of a job's windows as clients see them, before and after the close: what the job says of them travels with them.
// Holds SPEC: PUSH-24.
import { count, job, json, kafka as topic, tumbling } from 'millrace'
import { createClient } from 'millrace/client'
import { afterEach, expect, test } from 'vitest'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import { MSGPACK_PROTOCOL } from '../../src/protocol/messages.ts'
import { startPush } from '../../src/push/server.ts'
import { rawSockets } from '../client/client-fixture.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { eventually, Watcher } from './push-fixture.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const counts = job('counts')
  .from(topic('in', { value: json<{ k: string; ts: number }>(), key: 'k', eventTime: 'ts' }))
  .keyBy('k')
  .window('1s', tumbling('1s'))
  .aggregate({ n: count() })
  .toView('counts', { value: json(), key: ({ k, windowStart }) => `${k}@${windowStart}` })
const VIEW_TOPIC = 'counts-view-counts'

test('a row says that its window is closed, in both encodings, over sockets and by plain reads, and no other row does', async () => {
  const startMs = Date.UTC(2026, 0, 5, 9)
  const kafka = createMemoryKafka({ topics: { in: 1 } })
  const send = (k: string, ms: number): void => {
    kafka.append('in', { key: k, value: JSON.stringify({ k, ts: startMs + ms }), timestampMs: startMs + ms })
  }
  send('a', 100)
  send('a', 200)
  const running = await startMemoryJob({ kafka, job: counts.build(), untilEnd: false })
  closers.push(async () => {
    running.engine.stop()
    await running.done
  })
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  const views = [{ name: 'counts', topic: VIEW_TOPIC }]
  const push = await startPush({ kafka, views, port: 0, log })
  closers.push(() => push.close())
  const { WebSocket } = rawSockets()
  const client = createClient<typeof counts>({ url: `http://127.0.0.1:${push.port}`, WebSocket })
  closers.push(() => client.close())
  const followed = client.view('counts').subscribe()
  const key = (ms: number): string => `a@${startMs + ms}`
  const shown = (): unknown => [...followed.rows.values()].map((row) => [row.key, row.row.n, row.state])
  await eventually(() => followed.rows.get(key(0))?.row.n === 2)
  expect(shown()).toEqual([[key(0), 2, 'open']])
  send('a', 5_100)
  await eventually(() => followed.rows.size === 2 && followed.rows.get(key(0))?.state === 'final')
  expect(shown()).toEqual([
    [key(0), 2, 'final'],
    [key(5_000), 1, 'open'],
  ])

  const packed = new Watcher(
    `ws://127.0.0.1:${push.port}`,
    'counts',
    {},
    { 'sec-websocket-protocol': MSGPACK_PROTOCOL },
  )
  closers.push(() => packed.socket.close())
  await packed.until(() => packed.isLoaded)
  const { rows } = (await (await fetch(`http://127.0.0.1:${push.port}/views/counts`)).json()) as { rows: object[] }
  for (const all of [packed.rows, rows]) {
    const finals = all.map((row) => ('isFinal' in row ? row.isFinal : 'not said'))
    expect(finals).toEqual([true, 'not said'])
  }

  // A row that goes out of a selection is no row any more, and nothing of it is final.
  const both = [{}, { 'sec-websocket-protocol': MSGPACK_PROTOCOL }].map(
    (headers) => new Watcher(`ws://127.0.0.1:${push.port}`, 'counts', { where: { n: { lt: 2 } } }, headers),
  )
  for (const few of both) {
    closers.push(() => few.socket.close())
    await few.until(() => few.isLoaded)
  }
  send('a', 5_200)
  send('a', 9_100)
  for (const few of both) {
    await few.until(() => few.rows.some((row) => row.key === key(5_000) && row.row === null))
    await few.until(() => few.rows.some((row) => row.key === key(9_000)))
    expect(few.rows.filter((row) => row.row === null && row.isFinal)).toEqual([])
  }
})
