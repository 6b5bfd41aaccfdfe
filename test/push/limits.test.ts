// The limits of clients, each over real sockets. Holds SPEC: PUSH-8, PUSH-10, PUSH-29, PUSH-30.
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { clientAddress } from '../../src/push/client-address.ts'
import type { PushOptions } from '../../src/push/server.ts'
import { eventually, type Rig, startRig, Watcher } from './push-fixture.ts'
import { EventStream, get, type Headers, upgrade } from './requests.ts'

const closers: (() => unknown)[] = []
let rig: Rig
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function serve(options: Partial<PushOptions> = {}): Promise<void> {
  rig = await startRig(options)
  closers.push(() => rig.push.close())
  rig.put('A', { close: 1 })
  await eventually(() => rig.push.isReady())
}

function watch(view: string | undefined, headers: Headers = {}): Watcher {
  const watcher = new Watcher(rig.wsUrl, view, {}, headers)
  watcher.socket.onerror = () => undefined // its close tells
  closers.push(() => watcher.socket.close())
  return watcher
}

/** A TCP connection that sends a text, then a byte every 500 ms; resolves with how long it was let. */
function dribble(first: string, rest: string): Promise<number> {
  return new Promise((resolve) => {
    const startMs = performance.now()
    const socket = connect(rig.push.port, '127.0.0.1', () => socket.write(first))
    const timer = setInterval(() => socket.write(rest), 500)
    socket.on('error', () => undefined) // a close follows
    socket.on('data', () => undefined)
    socket.on('close', () => {
      clearInterval(timer)
      resolve(performance.now() - startMs)
    })
  })
}

describe('a client that wants nothing', () => {
  test('or does not come to the end of its request is closed after 10 to 14 s, and others are served meanwhile', async () => {
    await serve()
    const slow = Promise.all([
      dribble('', ''),
      dribble('GET /views HTTP/1.1\r\nhost: localhost\r\nx: ', 'x'),
      dribble('GET /live HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n', 'x'),
      dribble('POST /views HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n', 'x'),
    ])
    for (let i = 0; i < 5; i++) expect((await get(rig.push.port, '/views')).status).toBe(200)
    for (const ms of await slow) {
      expect(ms).toBeGreaterThan(5_000)
      expect(ms).toBeLessThan(18_000)
    }
    expect((await get(rig.push.port, '/views')).status).toBe(200)
  }, 30_000)

  test('subscribes to nothing, or to nothing that there is, is closed with 4010', async () => {
    await serve({ limits: { subscribeMsMax: 300, pingMs: 1 } })
    const startMs = performance.now()
    const silent = watch(undefined)
    const refused = watch('nothing')
    const subscribed = watch('candles')
    await subscribed.until(() => subscribed.isLoaded)
    subscribed.say({ type: 'unsubscribe', id: 1 })
    for (const watcher of [silent, refused]) {
      await watcher.untilClosed()
      expect(watcher.closeCode).toBe(4010)
      expect(watcher.messages.at(-1)).toMatchObject({ type: 'error', code: 'MR7022', canRetry: true })
    }
    expect(performance.now() - startMs).toBeGreaterThan(300)
    const before = subscribed.messages.length
    await subscribed.until(() => subscribed.messages.length > before + 1)
    expect(subscribed.closeCode).toBeUndefined()
  })
})

describe('the address of a client', () => {
  test.each<[string, number, string]>([
    ['', 0, 'peer'],
    ['203.0.113.9', 0, 'peer'],
    ['203.0.113.9', 1, '203.0.113.9'],
    ['made up, 203.0.113.9', 1, '203.0.113.9'],
    ['198.51.100.1,203.0.113.9,10.0.0.1', 2, '203.0.113.9'],
    // It came past one of the two.
    ['203.0.113.9', 2, '203.0.113.9'],
    ['', 1, 'peer'],
    ['unknown', 1, 'peer'],
    ['203.0.113.9:4711', 1, '203.0.113.9'],
    ['2001:db8::1', 1, '2001:db8::1'],
    ['[2001:db8::1]:4711', 1, '2001:db8::1'],
  ])('of X-Forwarded-For "%s" with %i proxies is %s', (forwarded, proxyCount, expected) => {
    const header = (name: string) => (name === 'x-forwarded-for' ? forwarded : '')
    expect(clientAddress({ header, peer: 'peer' }, proxyCount)).toBe(expected)
  })

  test('that a proxy has seen is counted by, whatever the client says before it', async () => {
    await serve({ trustedProxies: 1, limits: { connectionsPerAddressMax: 1 } })
    const first = watch('candles', { 'x-forwarded-for': '203.0.113.9' })
    await first.until(() => first.isLoaded)
    const other = watch('candles', { 'x-forwarded-for': '203.0.113.10' })
    await other.until(() => other.isLoaded)
    for (const forged of ['198.51.100.1, 203.0.113.9', '203.0.113.9:9']) {
      const second = watch('candles', { 'x-forwarded-for': forged })
      await second.untilClosed()
      expect(second.closeCode).toBe(4007)
    }
    // A proxy may write a line of its own behind the client's.
    const lines = watch('candles', { 'x-forwarded-for': '198.51.100.1\r\nX-Forwarded-For: 203.0.113.9' })
    await lines.untilClosed()
    expect(lines.closeCode).toBe(4007)
    const stream = await get(rig.push.port, '/events/candles', { 'x-forwarded-for': '203.0.113.9' })
    expect([stream.status, stream.code]).toEqual([503, 'MR7007'])
    first.socket.close()
    await eventually(async () => {
      const again = new EventStream(rig.push.port, '/events/candles', { 'x-forwarded-for': '203.0.113.9' })
      closers.push(() => again.close())
      await eventually(() => again.status !== undefined)
      return again.status === 200
    })
  })

  test('is not what it says itself where no proxy is known', async () => {
    await serve({ limits: { connectionsPerAddressMax: 1 } })
    const first = watch('candles', { 'x-forwarded-for': '203.0.113.9' })
    await first.until(() => first.isLoaded)
    const second = watch('candles', { 'x-forwarded-for': '203.0.113.10' })
    await second.untilClosed()
    expect(second.closeCode).toBe(4007)
  })
})

describe('a message', () => {
  const filled = (bytes: number) => {
    const text = JSON.stringify({ type: 'ping', pad: '' })
    return text.replace('""', `"${'x'.repeat(bytes - text.length)}"`)
  }
  test('up to the limit of bytes is read, a larger one closes the connection', async () => {
    await serve({ limits: { clientMessageBytesMax: 1_000 } })
    const watcher = watch('candles')
    await watcher.until(() => watcher.isLoaded)
    watcher.socket.send(filled(1_000))
    await watcher.until(() => watcher.messages.at(-1)?.type === 'ping')
    watcher.socket.send(filled(1_001))
    await watcher.untilClosed()
    expect((await get(rig.push.port, '/views')).status).toBe(200)
  })

  test.each<[string, object, object]>([
    ['keys', { keys: ['a', 'b'] }, { keys: ['a', 'b', 'c'] }],
    ['fields', { fields: ['a', 'b'] }, { fields: ['a', 'b', 'c'] }],
    ['where', { where: { a: 1, b: 2 } }, { where: { a: 1, b: { in: [1, 2] } } }],
  ])('with more %s than the limit closes the connection with 4006', async (name, within, beyond) => {
    await serve({ limits: { keysMax: 2, fieldsMax: 2, conditionsMax: 2 } })
    const watcher = watch('candles')
    await watcher.until(() => watcher.isLoaded)
    watcher.say({ type: 'subscribe', id: 2, view: 'candles', ...within })
    await watcher.until(() => watcher.messages.some((message) => message.type === 'snapshot' && message.id === 2))
    watcher.say({ type: 'subscribe', id: 3, view: 'candles', ...beyond })
    await watcher.untilClosed()
    expect(watcher.closeCode).toBe(4006)
    expect(JSON.stringify(watcher.messages.at(-1))).toContain(`${name} may have 2`)
    const select = encodeURIComponent(JSON.stringify(beyond))
    for (const path of ['/views/candles', '/events/candles'])
      expect((await get(rig.push.port, `${path}?select=${select}`)).code).toBe('MR7006')
  })

  test('is one too many for all time alone: the count begins anew each second', async () => {
    let monotonicMs = 0
    const clock = { wallMs: () => Date.now(), monotonicMs: () => monotonicMs }
    await serve({ clock, limits: { clientMessagesPerSecondMax: 5 } })
    const watcher = watch(undefined)
    const pings = () => watcher.messages.filter(({ type }) => type === 'ping').length
    await eventually(() => watcher.isOpen)
    for (let second = 0; second < 3; second++) {
      for (let i = 0; i < 5; i++) watcher.say({ type: 'ping' })
      await watcher.until(() => pings() === 5 * (second + 1))
      monotonicMs += 1_000
    }
    for (let i = 0; i < 6; i++) watcher.say({ type: 'ping' })
    await watcher.untilClosed()
    expect(watcher.closeCode).toBe(4008)
  })
})

test('a plain read has at most the rows of the limit', async () => {
  await serve({ limits: { readRowsMax: 2 } })
  for (const key of ['B', 'C']) rig.put(key, {})
  await eventually(async () => (await get(rig.push.port, '/views')).body.includes('"rows":3'))
  const page = JSON.parse((await get(rig.push.port, '/views/candles')).body) as { rows: unknown[]; next: string }
  expect([page.rows.length, page.next]).toEqual([2, 'C'])
  expect((await get(rig.push.port, '/views/candles?limit=3')).code).toBe('MR7006')
})

test('a foreign page is refused wherever it asks, and an own or an allowed one nowhere', async () => {
  await serve({ allowedOrigins: ['https://desk.example'] })
  const { port } = rig.push
  const paths = ['/', '/views', '/views/candles', '/views/candles/A', '/events/candles', '/nothing']
  for (const origin of ['https://evil.example', 'null', 'https://desk.example.evil.example']) {
    for (const path of paths) {
      const { status, code } = await get(port, path, { origin })
      expect([path, status, code]).toEqual([path, 403, 'MR7008'])
    }
    expect(await upgrade(port, { origin })).toMatchObject({ status: 403, code: 'MR7008' })
  }
  for (const origin of ['https://desk.example', `http://127.0.0.1:${port}`]) {
    for (const path of ['/', '/views', '/views/candles', '/views/candles/A'])
      expect((await get(port, path, { origin })).status).toBe(200)
    const stream = new EventStream(port, '/events/candles', { origin })
    closers.push(() => stream.close())
    await eventually(() => stream.messages.length > 0)
    expect((await upgrade(port, { origin })).status).toBe(101)
  }
  expect(rig.metrics.text()).toContain('millrace_push_refused_total{code="MR7008"} 21')
})
