// A server that stops sends its clients away one after the other, over real sockets and in a job that gets SIGTERM. Holds SPEC: PUSH-32.
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { pushSettings } from '../../src/cli/push-settings.ts'
import { createClient } from '../../src/client/client.ts'
import { loadConfig } from '../../src/ops/config.ts'
import type { ServerMessage } from '../../src/protocol/messages.ts'
import type { PushOptions } from '../../src/push/server.ts'
import { CommandProcess, endCommandProcesses, LAUNCHER } from '../harness/command-process.ts'
import { KeySetServer, makeSigner } from '../harness/key-set.ts'
import { RawWebSocket } from '../harness/raw-web-socket.ts'
import { eventually, type Rig, startRig, Watcher } from './push-fixture.ts'
import { EventStream } from './requests.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  endCommandProcesses()
  for (const close of closers.splice(0).reverse()) await close()
})

async function serve(options: Partial<PushOptions> = {}, beside?: Rig): Promise<Rig> {
  const rig = await startRig(options, 2, beside?.kafka)
  closers.push(() => rig.push.close())
  await eventually(() => rig.push.isReady())
  return rig
}

async function loaded(rig: Rig, headers: Record<string, string> = {}): Promise<Watcher> {
  const watcher = new Watcher(rig.wsUrl, 'candles', {}, headers)
  watcher.socket.onerror = () => undefined // its close tells
  closers.push(() => watcher.socket.close())
  await watcher.until(() => watcher.isLoaded)
  return watcher
}

const drainOf = (messages: readonly ServerMessage[]) => messages.find((message) => message.type === 'drain')

test('each client is told by when it has to go, served until then, and closed with 4009', async () => {
  let nowMs = 0
  const clock = { wallMs: () => Date.now(), monotonicMs: () => nowMs }
  const rig = await serve({ clock, limits: { drainMs: 400 } })
  rig.put('A', { i: 0 })
  const watchers = [await loaded(rig), await loaded(rig), await loaded(rig)]
  const stream = new EventStream(rig.push.port, '/events/candles')
  closers.push(() => stream.close())
  await eventually(() => stream.messages.length > 0)
  let isDrained = false
  const drained = rig.push.drain().then(() => {
    isDrained = true
  })
  expect([rig.push.isReady(), rig.push.isDraining]).toEqual([false, true])
  for (const [i, watcher] of watchers.entries()) {
    await watcher.until(() => drainOf(watcher.messages) !== undefined)
    expect(drainOf(watcher.messages)).toEqual({ type: 'drain', withinMs: 100 * (i + 1) })
  }
  await eventually(() => drainOf(stream.messages) !== undefined)
  expect(drainOf(stream.messages)).toEqual({ type: 'drain', withinMs: 400 })

  for (const [i, watcher] of watchers.entries()) {
    nowMs = 100 * (i + 1)
    await watcher.untilClosed()
    expect(watcher.closeCode).toBe(4009)
    // Those whose time has not come are told what happens.
    rig.put('A', { i: i + 1 })
    for (const later of watchers.slice(i + 1)) {
      await later.until(() => (later.latest('A') as { i: number }).i === i + 1)
      expect(later.closeCode).toBeUndefined()
    }
  }
  expect([stream.isEnded, isDrained]).toEqual([false, false])
  nowMs = 400
  await eventually(() => stream.isEnded)
  await drained
  expect(rig.metrics.text()).toContain('millrace_push_clients 0')
})

test('nobody comes in any more, not even who has a connection or was about to get one', async () => {
  const signer = await makeSigner('a')
  const set = await KeySetServer.start(signer)
  closers.push(() => set.close())
  const keys = { kind: 'jwksUrl', url: set.url } as const
  const times = { timeoutMs: 10_000, cooldownMs: 0, cacheMs: 600_000 }
  const rig = await serve({
    auth: { keys, clockToleranceMs: 0, claim: 'millrace', withoutClaim: 'all', allowQueryToken: false, times },
    limits: { drainMs: 300 },
  })
  const { port } = rig.push
  const headers = { authorization: `Bearer ${await signer.sign()}` }
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  closers.push(() => agent.destroy())
  const kept = (path: string) =>
    new Promise<{ status: number; connection: string | undefined; body: string }>((resolve, reject) => {
      const req = request({ host: '127.0.0.1', port, path, headers, agent }, (res) => {
        let body = ''
        res.on('data', (chunk: Buffer) => {
          body += chunk.toString()
        })
        res.on('end', () => resolve({ status: res.statusCode!, connection: res.headers.connection, body }))
      })
      req.on('error', reject)
      req.end()
    })
  const before = await kept('/views')
  expect(JSON.parse(before.body)).toMatchObject({ views: [{ isReady: true }] })
  expect(before.connection).not.toBe('close')
  // It stays, so that the drain takes its time.
  const staying = await loaded(rig, headers)
  const late = await makeSigner('late')
  set.answer = 'held'
  const waiting = { authorization: `Bearer ${await late.sign()}` }
  const arriving = new Watcher(rig.wsUrl, 'candles', {}, waiting)
  arriving.socket.onerror = () => undefined // its close tells
  closers.push(() => arriving.socket.close())
  await eventually(() => set.heldCount === 1)
  const drained = rig.push.drain()
  const during = await kept('/views')
  expect(JSON.parse(during.body)).toMatchObject({ views: [{ isReady: false }] })
  await expect(kept('/views')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  set.answer = { keys: [late.jwk] }
  set.release()
  await arriving.untilClosed()
  expect(arriving.closeCode).toBe(4009)
  expect(arriving.messages).toEqual([expect.objectContaining({ type: 'error', code: 'MR7021', canRetry: true })])
  await drained
  await staying.untilClosed()
  expect(staying.closeCode).toBe(4009)
})

test('it ends at once without clients, and within its time with one that does not read', async () => {
  const empty = await serve({ limits: { drainMs: 60_000 } })
  await empty.push.drain()
  const rig = await serve({ limits: { drainMs: 200, clientBytesMax: 10_000 } })
  const stuck = await loaded(rig)
  stuck.socket.pause()
  for (let i = 0; i < 200; i++) rig.put(`K${i}`, { pad: 'x'.repeat(50_000) })
  await eventually(() => rig.metrics.text().includes('millrace_push_rows_read_total{view="candles"} 200'))
  await rig.push.drain()
  // What a client has not read does not hold the end of the server.
  await rig.push.close()
  await new Promise<void>((resolve) => {
    const again = connect(rig.push.port, '127.0.0.1')
    again.on('error', () => resolve())
  })
})

test('an end waits for the drain that has begun, and one without a drain says 1001', async () => {
  const rig = await serve({ limits: { drainMs: 200 } })
  const moved = await loaded(rig)
  const drained = rig.push.drain()
  await Promise.all([rig.push.close(), drained])
  await moved.untilClosed()
  expect(moved.closeCode).toBe(4009)
  const other = await serve()
  const ended = await loaded(other)
  await other.push.close()
  await ended.untilClosed()
  expect(ended.closeCode).toBe(1001)
})

/** With the class that the client wants. */
class Socket extends RawWebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, { 'sec-websocket-protocol': protocols.join(', ') })
  }
}

test('clients go on at another server where they were, without a gap or a snapshot', async () => {
  const first = await serve({ limits: { drainMs: 100 } })
  const second = await serve({}, first)
  first.put('A', { i: 0 })
  let snapshots = 0
  const gaps: string[] = []
  const views = Array.from({ length: 5 }, () => {
    const client = createClient({
      urls: [first.push.urls.page, second.push.urls.page],
      WebSocket: Socket,
      transport: 'websocket',
      // What is to happen at once must not wait for this.
      retryMs: 1_000_000,
    })
    closers.push(() => client.close())
    return client.view('candles').subscribe(
      {},
      {
        onSnapshot: () => snapshots++,
        onError: ({ code }) => gaps.push(code),
      },
    )
  })
  const have = (i: number) => views.every((view) => (view.rows.get('A')?.row as { i: number } | undefined)?.i === i)
  await eventually(() => have(0))
  const drained = first.push.drain()
  for (let i = 1; i <= 50; i++) first.put('A', { i })
  await drained
  await first.push.close()
  first.put('A', { i: 51 })
  await eventually(() => have(51))
  expect(snapshots).toBe(5)
  expect(views.map(({ gapCount }) => gapCount)).toEqual([0, 0, 0, 0, 0])
  expect(gaps).toEqual([])
})

test('a job that gets SIGTERM sends its clients away while it stops', async () => {
  const demo = new CommandProcess([LAUNCHER, 'demo', '--rate', '500', '--json', '--push-drain-ms', '400'])
  const [, page] = await demo.saying(/views, open it in a browser: (\S+)/)
  const watchers = Array.from({ length: 4 }, () => {
    const watcher = new Watcher(page!.replace(/^http/, 'ws').replace(/\/$/, ''), 'candles')
    closers.push(() => watcher.socket.close())
    return watcher
  })
  for (const watcher of watchers) await watcher.until(() => watcher.isLoaded)
  demo.child.kill('SIGTERM')
  for (const watcher of watchers) await watcher.untilClosed()
  expect(watchers.map(({ closeCode }) => closeCode)).toEqual([4009, 4009, 4009, 4009])
  const times = watchers.map(({ messages }) => drainOf(messages) as { withinMs: number })
  expect(times.map(({ withinMs }) => withinMs).sort((a, b) => a - b)).toEqual([100, 200, 300, 400])
  expect(await demo.exit(), demo.stderr).toBe(0)
})

test('a drain takes at most half of the time that a stop may take', () => {
  const drainMs = (flags: Record<string, string>) => pushSettings(loadConfig({ flags })).limits.drainMs
  expect(drainMs({})).toBe(2_000)
  expect(drainMs({ 'limits.stopMs': '1s' })).toBe(500)
  expect(drainMs({ 'push.drainMs': '20s', 'limits.stopMs': '60s' })).toBe(20_000)
  expect(drainMs({ 'push.drainMs': '40s', 'limits.stopMs': '60s' })).toBe(30_000)
})
