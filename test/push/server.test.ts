// The push server over real sockets: snapshot and updates, positions, slow clients, refusals, bad requests.
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { Registry } from '../../src/ops/metrics.ts'
import { readServerMessage, type ServerMessage, type Subscribe } from '../../src/protocol/messages.ts'
import type { PushOptions } from '../../src/push/server.ts'
import { eventually, freePort, heldRows, type Rig, startRig, TOPIC, Watcher } from './push-fixture.ts'

let rig: Rig
let watchers: Watcher[] = []

afterEach(async () => {
  for (const watcher of watchers) watcher.socket.close()
  watchers = []
  await rig.push.close()
})

async function start(options: Partial<PushOptions> = {}, partitionCount = 2): Promise<void> {
  rig = await startRig(options, partitionCount)
}

function watch(more: Partial<Subscribe> = {}, headers: Record<string, string> = {}): Watcher {
  const watcher = new Watcher(rig.wsUrl, 'candles', more, headers)
  watchers.push(watcher)
  return watcher
}

function get(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string; type: string }> {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port: rig.push.port, path, headers }, (res) => {
      let body = ''
      res.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      res.on('end', () => resolve({ status: res.statusCode!, body, type: res.headers['content-type'] ?? '' }))
    })
    req.on('error', reject)
    req.end()
  })
}

describe('snapshot and updates', () => {
  it('gives what is there as a snapshot and what comes as updates, each continuing the one before', async () => {
    await start()
    rig.put('A', { close: 1 })
    rig.put('B', { close: 2 })
    rig.put('A', { close: 3 })
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    expect(watcher.rows.map((row) => [row.key, row.row]).sort()).toEqual([
      ['A', { close: 3 }],
      ['B', { close: 2 }],
    ])
    for (let i = 4; i < 20; i++) {
      rig.put(i % 2 ? 'A' : 'B', { close: i })
      await watcher.until(() => watcher.rows.some((row) => (row.row as { close: number }).close === i))
    }
    expect(heldRows(watcher.messages)).toEqual(
      new Map([
        ['A', { close: 19 }],
        ['B', { close: 18 }],
      ]),
    )
  })

  it('keeps the order of every key and shows the newest row last', async () => {
    await start()
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    for (let i = 1; i <= 500; i++) rig.put(`K${i % 7}`, { i })
    await watcher.until(() =>
      [494, 495, 496, 497, 498, 499, 500].every((i) => watcher.rows.some((row) => (row.row as { i: number }).i === i)),
    )
    expect(heldRows(watcher.messages).size).toBe(7)
  })

  it('tells that a key was removed', async () => {
    await start()
    rig.put('A', { close: 1 })
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    rig.put('A', undefined)
    await watcher.until(() => watcher.latest('A') === null)
    const later = watch()
    await later.until(() => later.isLoaded)
    expect(later.rows).toEqual([])
  })

  it('follows one key when asked to, and starts over when its id subscribes again', async () => {
    await start()
    rig.put('A/B', { close: 1 })
    rig.put('C', { close: 2 })
    const watcher = watch({ key: 'A/B' })
    await watcher.until(() => watcher.isLoaded)
    rig.put('C', { close: 3 })
    rig.put('A/B', { close: 4 })
    await watcher.until(() => watcher.rows.length === 2)
    expect(watcher.rows.map((row) => row.row)).toEqual([{ close: 1 }, { close: 4 }])
    heldRows(watcher.messages)
    watcher.say({ type: 'subscribe', id: 1, view: 'candles' })
    await watcher.until(() => watcher.rows.length === 4)
    expect(watcher.messages.at(-1)).toMatchObject({ type: 'snapshot', isFirst: true, isLast: true })
    expect(watcher.latest('C')).toEqual({ close: 3 })
  })

  it('sends a large snapshot in parts', async () => {
    await start({ limits: { messageCharsMax: 1000 } })
    for (let i = 0; i < 100; i++) rig.put(`K${i}`, { i })
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    const parts = watcher.messages.filter((message) => message.type === 'snapshot')
    expect(parts.length).toBeGreaterThan(5)
    expect(parts.map((part) => [part.isFirst, part.isLast]).slice(1, -1)).toEqual(
      Array(parts.length - 2).fill([false, false]),
    )
    expect(new Set(watcher.rows.map((row) => row.key)).size).toBe(100)
  })

  it('shows a row of a transaction only when it is committed', async () => {
    await start({}, 1)
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    const producer = await rig.kafka.openProducer({ transactionalId: 't' })
    await producer.initTransactions(1000)
    for (const outcome of ['abort', 'commit'] as const) {
      const writer = new FrameWriter()
      writer.append(0, 0, 1, new TextEncoder().encode('A'), new TextEncoder().encode(`{"outcome":"${outcome}"}`))
      await producer.begin()
      await producer.produce(writer.take()!, [TOPIC])
      await producer[outcome](1000)
    }
    await watcher.until(() => watcher.rows.length > 0)
    expect(watcher.rows.map((row) => row.row)).toEqual([{ outcome: 'commit' }])
  })

  it('leaves a record out that is no row, counts it and goes on', async () => {
    const metrics = new Registry({ nowMs: () => 0 })
    await start({ metrics })
    rig.kafka.append(TOPIC, { key: 'A', value: 'not json' })
    rig.kafka.append(TOPIC, { value: '{"close":0}' })
    rig.put('B', { close: 2 })
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    expect(watcher.rows.map((row) => row.key)).toEqual(['B'])
    expect(metrics.text()).toContain('millrace_push_undecodable_total{view="candles"} 2')
    expect(rig.logged.filter((line) => line.includes('no row of the view'))).toHaveLength(1)
  })

  it('counts what it sends, and how long rows take', async () => {
    await start({ clock: { wallMs: () => 5_000, monotonicMs: () => performance.now() } }, 1)
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    rig.kafka.append(TOPIC, { key: 'A', value: '{"x":1}', timestampMs: 4_000 })
    await watcher.until(() => watcher.latest('A') !== undefined)
    const text = rig.metrics.text()
    const bytes = (watcher.raw.at(-1) as string).length + (watcher.raw[0] as string).length
    expect(text).toContain('millrace_push_messages_total{view="candles"} 2')
    expect(text).toContain(`millrace_push_bytes_total{view="candles"} ${bytes}`)
    expect(text).toContain('millrace_push_row_delay_ms_sum{view="candles"} 1000')
    expect(text).toContain('millrace_push_read_delay_ms_count{view="candles"} 1')
  })

  it('gives the same over server-sent events', async () => {
    await start()
    rig.put('A', { close: 1 })
    const messages: ServerMessage[] = []
    const req = request({ host: '127.0.0.1', port: rig.push.port, path: '/events/candles' }, (res) => {
      let text = ''
      res.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          messages.push(readServerMessage(JSON.parse(text.slice(text.indexOf('data: ') + 6, end)))!)
          text = text.slice(end + 2)
        }
      })
      res.on('error', () => undefined) // the test ends it
    })
    req.on('error', () => undefined)
    req.end()
    await eventually(() => messages.length > 0)
    rig.put('A', { close: 2 })
    await eventually(() => messages.length > 1)
    expect(messages.map((message) => message.type)).toEqual(['snapshot', 'update'])
    expect(heldRows(messages, 0)).toEqual(new Map([['A', { close: 2 }]]))
    req.destroy()
  })
})

describe('large updates', () => {
  it('go out in parts of which only the last moves the position', async () => {
    await start({ limits: { messageCharsMax: 1000 } }, 1)
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    for (let i = 0; i < 100; i++) rig.put(`K${i}`, { i })
    await watcher.until(() => watcher.latest('K99') !== undefined)
    const updates = watcher.messages.filter((message) => message.type === 'update')
    expect(updates.length).toBeGreaterThan(5)
    expect(updates.filter((update) => update.position !== update.prev).length).toBeLessThan(updates.length)
    expect(heldRows(watcher.messages).size).toBe(100)
  })
})

describe('slow clients', () => {
  const pad = 'x'.repeat(20_000)

  /** Until the server holds its own bytes back from a socket that nobody reads. */
  async function flood(rounds: number): Promise<void> {
    for (let i = 0; i < rounds; i++) {
      for (let k = 0; k < 10; k++) rig.put(`K${k}`, { i, pad })
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  it('gives one that stalled the newest row of every key and not all between', async () => {
    const metrics = new Registry({ nowMs: () => 0 })
    await start({ metrics, limits: { clientBytesMax: 64_000 } })
    const slow = watch()
    const fast = watch()
    await slow.until(() => slow.isLoaded)
    await fast.until(() => fast.isLoaded)
    slow.socket.pause()
    await flood(150)
    rig.put('K0', { last: true })
    await fast.until(() => fast.latest('K0') !== undefined && 'last' in (fast.latest('K0') as object))
    slow.socket.resume()
    await slow.until(() => slow.latest('K0') !== undefined && 'last' in (slow.latest('K0') as object))
    for (let k = 1; k < 10; k++) expect(slow.latest(`K${k}`)).toMatchObject({ i: 149 })
    expect(fast.rows.length).toBeGreaterThan(1000)
    expect(slow.rows.length).toBeLessThan(0.8 * fast.rows.length)
    expect(heldRows(slow.messages)).toEqual(heldRows(fast.messages))
    expect(Number(/millrace_push_conflated_total\{view="candles"\} (\d+)/.exec(metrics.text())![1])).toBeGreaterThan(0)
  })

  it('starts one over with a snapshot that is further behind than the changes that are remembered', async () => {
    await start({ limits: { clientBytesMax: 64_000, recentRowsMax: 32 } })
    rig.put('gone', { close: 1 })
    const slow = watch()
    await slow.until(() => slow.isLoaded)
    slow.socket.pause()
    await flood(150)
    rig.put('gone', undefined)
    await flood(10)
    rig.put('K9', { last: true })
    slow.socket.resume()
    await slow.until(() => slow.messages.filter((message) => message.type === 'snapshot' && message.isLast).length > 1)
    // The snapshot may hold the key, if it began before the key went, and another may follow: what the client holds in the end does not.
    const keys = Array.from({ length: 10 }, (_, k) => `K${k}`).join()
    await slow.until(() => {
      const held = heldRows(slow.messages)
      return [...held.keys()].sort().join() === keys && 'last' in (held.get('K9') as object)
    })
  })

  it('closes one that does not read at all with MR7002, and serves the others', async () => {
    const metrics = new Registry({ nowMs: () => 0 })
    await start({ metrics, limits: { clientBytesMax: 64_000, slowClientMsMax: 300 } })
    const slow = watch()
    const fast = watch()
    await slow.until(() => slow.isLoaded)
    slow.socket.pause()
    await flood(150)
    await eventually(() => metrics.text().includes('millrace_push_dropped_total{code="MR7002"} 1'))
    await eventually(() => metrics.text().includes('millrace_push_clients 1'))
    rig.put('K0', { last: true })
    await fast.until(() => fast.latest('K0') !== undefined && 'last' in (fast.latest('K0') as object))
    slow.socket.resume()
    await slow.untilClosed()
    expect([4002, 1006]).toContain(slow.closeCode)
  })
})

describe('limits and failures', () => {
  it('refuses a view that does not exist with the names of those that do, and goes on with the others', async () => {
    await start()
    rig.put('A', { close: 1 })
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    watcher.say({ type: 'subscribe', id: 2, view: 'nothing' })
    await watcher.until(() => watcher.messages.some(({ type }) => type === 'error'))
    expect(watcher.messages.at(-1)).toMatchObject({ type: 'error', id: 2, code: 'MR7001', canRetry: false })
    rig.put('A', { close: 2 })
    await watcher.until(() => (watcher.latest('A') as { close: number }).close === 2)
  })

  it('closes a client whose message it does not understand', async () => {
    await start()
    for (const text of ['{', '[]', '{"type":"dance"}', '{"type":"subscribe","id":1,"view":"candles","key":5}']) {
      const watcher = watch()
      await watcher.until(() => watcher.isLoaded)
      watcher.socket.send(text)
      await watcher.untilClosed()
      expect(watcher.closeCode).toBe(4006)
      expect(watcher.messages.at(-1)).toMatchObject({ type: 'error', code: 'MR7006' })
    }
  })

  it('answers a ping', async () => {
    await start()
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    watcher.say({ type: 'ping' })
    await watcher.until(() => watcher.messages.at(-1)!.type === 'ping')
  })

  it('pings a client that is told nothing else', async () => {
    await start({ limits: { pingMs: 50 } })
    const watcher = watch()
    await watcher.until(() => watcher.messages.filter((message) => message.type === 'ping').length > 1)
  })

  it('takes no more clients than its limit', async () => {
    await start({ limits: { connectionsMax: 1 } })
    const first = watch()
    await first.until(() => first.isLoaded)
    const second = watch()
    await second.untilClosed()
    expect(second.closeCode).toBe(4007)
    expect((await get('/events/candles')).status).toBe(503)
    first.socket.close()
    await eventually(async () => {
      const again = watch()
      await again.until(() => again.isLoaded || again.closeCode !== undefined)
      return again.isLoaded
    })
  })

  it('stops to serve a view over its limit instead of showing a part of it', async () => {
    await start({ limits: { viewRowsMax: 3 } })
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    for (let i = 0; i < 4; i++) rig.put(`K${i}`, { i })
    for (const each of [watcher, watch()]) {
      await each.until(() => each.messages.at(-1)?.type === 'error')
      expect(each.messages.at(-1)).toMatchObject({ id: 1, code: 'MR7003', canRetry: false })
    }
    for (const path of ['/events/candles', '/views/candles']) expect((await get(path)).status).toBe(503)
    expect(JSON.parse((await get('/views')).body)).toMatchObject({ views: [{ name: 'candles', failure: 'MR7003' }] })
  })

  it('says so when the topic of a view is deleted', async () => {
    await start()
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    const admin = await rig.kafka.openAdmin()
    await admin.delete([TOPIC], 1000)
    await watcher.until(() => watcher.messages.at(-1)?.type === 'error')
    expect(watcher.messages.at(-1)).toMatchObject({ id: 1, code: 'MR7004' })
  })

  it('refuses to start on a topic that does not exist, and on a port that is taken', async () => {
    await start()
    await expect(startRig({ views: [{ name: 'x', topic: 'none' }] })).rejects.toMatchObject({ code: 'MR4002' })
    await expect(startRig({ port: rig.push.port })).rejects.toMatchObject({ code: 'MR7005' })
  })

  it('starts again at once on the port of a server that had clients', async () => {
    const port = await freePort()
    await start({ port })
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    await rig.push.close()
    await start({ port })
    expect(rig.push.port).toBe(port)
    const again = watch()
    await again.until(() => again.isLoaded)
  })

  it('tells its clients to come back when it closes, and closes twice without harm', async () => {
    await start()
    const watcher = watch()
    await watcher.until(() => watcher.isLoaded)
    await rig.push.close()
    await watcher.untilClosed()
    expect(watcher.closeCode).toBe(1001)
    await rig.push.close()
  })
})

describe('HTTP', () => {
  it('serves the page, its files and the list of views', async () => {
    await start()
    rig.put('A', { close: 1 })
    const page = await get('/')
    expect(page).toMatchObject({ status: 200, type: 'text/html; charset=utf-8' })
    for (const [, path] of page.body.matchAll(/(?:src|href)="(\/[^"]+)"/g)) expect((await get(path!)).status).toBe(200)
    await eventually(async () => (await get('/views')).body.includes('"rows":1'))
    expect(JSON.parse((await get('/views')).body)).toEqual({
      views: [
        { name: 'candles', topic: TOPIC, rows: 1, isReady: true, feed: expect.objectContaining({ state: 'live' }) },
      ],
    })
  })

  it.each([
    ['/nothing', 404, 'MR7009'],
    ['/page/../package.json', 404, 'MR7009'],
    ['/page/%2e%2e/server.ts', 404, 'MR7009'],
    ['/views/nothing', 404, 'MR7001'],
    ['/views/nothing/A', 404, 'MR7001'],
    ['/views/candles/A', 404, 'MR7014'],
    ['/events/%ff', 404, 'MR7001'],
    ['/events/nothing', 404, 'MR7001'],
    ['/events/candles?select=5', 400, 'MR7006'],
    ['/events/candles?minGapMs=x', 400, 'MR7006'],
    ['/events/candles?provisional=yes', 400, 'MR7006'],
    ['/views/candles?limit=0', 400, 'MR7006'],
    ['/live', 404, 'MR7009'],
  ])('answers %s with %i and %s', async (path, status, code) => {
    await start()
    await eventually(() => rig.push.isReady())
    const answer = await get(path)
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.body)).toMatchObject({ code })
  })

  it('refuses foreign origins and foreign host names, also for WebSockets', async () => {
    await start({ allowedOrigins: ['https://desk.example'] })
    const own = `127.0.0.1:${rig.push.port}`
    expect((await get('/views', { origin: 'https://evil.example' })).status).toBe(403)
    expect((await get('/views', { host: 'evil.example' })).status).toBe(403)
    expect((await get('/views', { origin: `http://${own}` })).status).toBe(200)
    expect((await get('/views', { origin: 'https://desk.example' })).status).toBe(200)
    const foreign = watch({}, { origin: 'https://evil.example' })
    foreign.socket.onerror = () => undefined
    await foreign.untilClosed()
    expect(foreign.messages).toEqual([])
  })

  it('outlives requests that are broken, aborted or thrown away in the middle', async () => {
    await start()
    const texts = [
      'GET / HTTP/1.1\r\n\r\n',
      'NONSENSE\r\n\r\n',
      'GET /events/candles HTTP/1.1\r\nhost: localhost\r\n\r\n',
      'POST /views HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nabc',
      'GET /live HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\n\r\n',
    ]
    for (const text of texts) {
      for (let i = 0; i < 5; i++) {
        await new Promise<void>((resolve) => {
          const socket = connect(rig.push.port, '127.0.0.1', () => socket.write(text, () => socket.destroy()))
          socket.on('close', () => resolve())
        })
      }
    }
    expect((await get('/views')).status).toBe(200)
    await eventually(async () => {
      rig.put('A', {})
      return (await get('/')).status === 200
    })
  })
})
