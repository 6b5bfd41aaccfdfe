// The client over WebSockets: against a real push server, and against a played one for what a real one does not do.
// Holds SPEC: PUSH-1, PUSH-10, PUSH-12, PUSH-18, PUSH-24, PUSH-32.
import { afterEach, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { eventually, type Rig, startRig } from '../push/push-fixture.ts'
import { follow, rawSockets, row, scripted, snapshot, update } from './client-fixture.ts'

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function rigged(): Promise<{ rig: Rig; url: string }> {
  const rig = await startRig()
  closers.push(() => rig.push.close())
  return { rig, url: `http://127.0.0.1:${rig.push.port}` }
}

function following(...args: Parameters<typeof follow>) {
  const following = follow(...args)
  closers.push(() => following.client.close())
  return following
}

function playing(...args: Parameters<typeof scripted>) {
  const playing = scripted(...args)
  closers.push(() => playing.client.close())
  return playing
}

describe('following a real server', () => {
  it('holds the rows of the view as they change and go', async () => {
    const { rig, url } = await rigged()
    rig.put('A', { close: 1 })
    const { subscription, states, rowOf } = following(url)
    await eventually(() => subscription.rows.size === 1)
    rig.put('B', { close: 2 })
    rig.put('A', { close: 3 })
    await eventually(() => subscription.rows.size === 2 && JSON.stringify(rowOf('A')) === '{"close":3}')
    rig.put('B', undefined)
    await eventually(() => subscription.rows.size === 1)
    expect(states).toEqual(['loading', 'live'])
    expect(subscription.gapCount).toBe(0)
  })

  it('connects again after a lost connection and goes on where it was', async () => {
    const { rig, url } = await rigged()
    rig.put('A', { close: 1 })
    const { subscription, states, sockets, rowOf } = following(url, { key: 'A' })
    await eventually(() => subscription.rows.size === 1)
    sockets[0]!.socket.destroy()
    await eventually(() => states.includes('waiting'))
    rig.put('A', { close: 2 })
    await eventually(() => JSON.stringify(rowOf('A')) === '{"close":2}')
    expect(sockets).toHaveLength(2)
    // It was told what it had missed, not all again.
    expect(states).toEqual(['loading', 'live', 'waiting', 'connecting', 'live'])
  })

  it('goes on at another server when the one that it was on stops', async () => {
    const { rig, url } = await rigged()
    const second = await startRig({}, 2, rig.kafka)
    closers.push(() => second.push.close())
    rig.put('A', { close: 1 })
    const urls = [url, `http://127.0.0.1:${second.push.port}`]
    const { subscription, states, rowOf, sockets } = following(url, {}, { urls })
    await eventually(() => subscription.rows.size === 1)
    await rig.push.close()
    rig.put('A', { close: 2 })
    await eventually(() => JSON.stringify(rowOf('A')) === '{"close":2}')
    expect(states.filter((state) => state === 'loading')).toHaveLength(1)
    expect(sockets).toHaveLength(2)
  })

  it('has any number of subscriptions on one socket, each with what it selects', async () => {
    const { rig, url } = await rigged()
    rig.put('A/1', { close: 1, n: 1 })
    rig.put('B/1', { close: 2, n: 2 })
    const { sockets, WebSocket } = rawSockets()
    const client = createClient({ url, WebSocket })
    closers.push(() => client.close())
    const view = client.view('candles')
    const one = view.subscribe({ prefix: 'A/' })
    const two = view.subscribe({ where: { n: { gt: 1 } }, fields: ['close'] })
    await eventually(() => one.state === 'live' && two.state === 'live')
    const three = view.subscribe({ keys: ['A/1', 'B/1'], minGapMs: 1 })
    await eventually(() => three.state === 'live')
    const keys = [one, two, three].map(({ rows }) => [...rows.keys()].sort())
    expect(keys).toEqual([['A/1'], ['B/1'], ['A/1', 'B/1']])
    expect(two.rows.get('B/1')!.row).toEqual({ close: 2 })
    expect(sockets).toHaveLength(1)
    one.close()
    rig.put('A/1', { close: 3, n: 3 })
    await eventually(() => two.rows.size === 2 && JSON.stringify(three.rows.get('A/1')?.row) === '{"close":3,"n":3}')
    expect(one.rows.get('A/1')!.row).toEqual({ close: 1, n: 1 })
  })

  it('ends a subscription of a view that does not exist, and no other', async () => {
    const { rig, url } = await rigged()
    rig.put('A', { close: 1 })
    const { client, subscription, errors, sockets } = following(url, {}, {}, 'none')
    const other = client.view('candles').subscribe()
    await eventually(() => subscription.state === 'closed' && other.state === 'live')
    expect(errors).toEqual(['MR7001'])
    expect(subscription.error).toMatchObject({ code: 'MR7001', canRetry: false, name: 'ClientError' })
    expect(sockets).toHaveLength(1)
  })

  it('does not come back to a server that does not take what it says', async () => {
    const { url } = await rigged()
    const { subscription, errors, sockets } = following(url, { where: { n: { eq: {} as never } } })
    await eventually(() => subscription.state === 'closed')
    expect(errors).toEqual(['MR7006'])
    expect(sockets).toHaveLength(1)
  })

  it('leaves the server when nobody subscribes any more', async () => {
    const { rig, url } = await rigged()
    const { client, subscription } = following(url)
    await eventually(() => subscription.state === 'live')
    subscription.close()
    subscription.close()
    expect(client.transport).toBe('websocket')
    await eventually(() => client.transport === undefined && rig.metrics.text().includes('millrace_push_clients 0'))
    const again = client.view('candles').subscribe()
    await eventually(() => again.state === 'live')
  })
})

describe('following a played server', () => {
  it('sees a gap in the chain, shows nothing behind it and goes on where it was', async () => {
    const { subscribe, opened, sockets } = playing()
    const view = subscribe({ key: 'a' })
    const server = await opened(0)
    server.say(snapshot(5, row('a', 1)))
    server.say(update(5, 6, row('a', 2)))
    const { id } = server
    server.say(update(7, 8, row('a', 4)))
    expect(view.rows.get('a')?.row).toBe(2)
    expect(view.gapCount).toBe(1)
    expect(server.sent.slice(1)).toEqual([
      { type: 'unsubscribe', id },
      { type: 'subscribe', id: server.id, view: 'v', key: 'a', resume: '6' },
    ])
    // What still comes of the old chain is for nobody, even where it would fit.
    server.say({ ...update(6, 9, row('a', 5)), id })
    expect(view.rows.get('a')?.row).toBe(2)
    server.say(update(6, 9, row('a', 6)))
    server.say(update(9, 10, row('a', null)))
    expect(view.rows.size).toBe(0)
    expect(view.gapCount).toBe(1)
    expect(sockets).toHaveLength(1)
  })

  it('starts over on a new connection when going on shows a gap again', async () => {
    const { subscribe, opened, sockets } = playing()
    const view = subscribe()
    const server = await opened(0)
    server.say(snapshot(5, row('a', 1)))
    server.say(update(6, 7, row('a', 2)))
    server.say(update(6, 7, row('a', 2)))
    expect(server.isClosed).toBe(true)
    const next = await opened(1)
    expect(next.sent).toEqual([{ type: 'subscribe', id: expect.any(Number), view: 'v' }])
    next.say(snapshot(9, row('a', 3)))
    expect(view.rows.get('a')?.row).toBe(3)
    expect({ gaps: view.gapCount, sockets: sockets.length }).toEqual({ gaps: 2, sockets: 2 })
  })

  it('keeps the old rows until the new snapshot is whole', async () => {
    const { subscribe, opened } = playing()
    const told: string[][] = []
    const view = subscribe({}, { onSnapshot: (rows) => told.push(rows.map(({ key }) => key)) })
    const server = await opened(0)
    server.say(snapshot(5, row('a', 1)))
    server.say({ type: 'reset', reason: 'forgotten' })
    server.say({ ...snapshot(9, row('b', 1)), isLast: false })
    expect([...view.rows.keys()]).toEqual(['a'])
    expect(view.state).toBe('loading')
    server.say({ ...snapshot(9, row('c', 1)), isFirst: false })
    expect([...view.rows.keys()]).toEqual(['b', 'c'])
    expect(told).toEqual([['a'], ['b', 'c']])
  })

  it.each([
    ['without its first part', [{ ...snapshot(9, row('b', 1)), isFirst: false }]],
    ['cut by an update', [{ ...snapshot(9, row('b', 1)), isLast: false }, update(9, 10, row('c', 1))]],
  ])('does not take a snapshot %s', async (_, messages) => {
    const { subscribe, opened } = playing()
    const view = subscribe()
    const server = await opened(0)
    for (const message of messages) server.say(message)
    expect({ rows: view.rows.size, gaps: view.gapCount }).toEqual({ rows: 0, gaps: 1 })
    expect(server.sent.at(-1)).toEqual({ type: 'subscribe', id: server.id, view: 'v' })
  })

  it('takes no update in the middle of a snapshot, even where it would fit the rows of before', async () => {
    const { subscribe, opened } = playing()
    const view = subscribe()
    const server = await opened(0)
    server.say(snapshot(5, row('a', 1)))
    server.say({ ...snapshot(9, row('b', 1)), isLast: false })
    server.say(update(5, 6, row('a', 2)))
    expect({ row: view.rows.get('a')?.row, gaps: view.gapCount }).toEqual({ row: 1, gaps: 1 })
    expect(server.sent.at(-1)).toEqual({ type: 'subscribe', id: server.id, view: 'v', resume: '5' })
  })

  it('leaves two servers that are behind its position, then takes the rows that there are', async () => {
    const { subscribe, opened } = playing()
    const view = subscribe()
    const first = await opened(0)
    first.say(snapshot(5, row('a', 1)))
    first.onclose?.({ code: 1006 })
    const behind = { type: 'error', code: 'MR7013', message: 'behind', canRetry: true }
    const second = await opened(1)
    expect(second.sent[0]).toMatchObject({ resume: '5' })
    second.say(behind)
    expect(second.isClosed).toBe(true)
    const third = await opened(2)
    expect(third.sent[0]).toMatchObject({ resume: '5' })
    third.say(behind)
    expect(third.isClosed).toBe(false)
    expect(third.sent.at(-1)).not.toHaveProperty('resume')
    third.say(snapshot(3, row('a', 0)))
    expect(view.rows.get('a')?.row).toBe(0)
  })

  it.each([
    [1001, 'waiting'],
    [1006, 'waiting'],
    [4002, 'waiting'],
    [4007, 'waiting'],
    [4008, 'waiting'],
    [4006, 'closed'],
  ])('is, after a close with code %d, %s', async (code, state) => {
    const { subscribe, opened } = playing({ retryMs: 60_000 })
    const view = subscribe()
    const server = await opened(0)
    server.onclose?.({ code })
    expect(view.state).toBe(state)
    expect(view.error?.code).toBe(state === 'closed' ? 'MR7043' : undefined)
  })

  it('takes a silent connection for dead, and one that does not open', async () => {
    const { subscribe, opened, sockets } = playing({ silenceMsMax: 30, openMsMax: 30 })
    subscribe()
    await opened(0)
    await eventually(() => sockets.length > 2)
    expect(sockets.slice(0, 2).map(({ isClosed }) => isClosed)).toEqual([true, true])
  })

  it('waits longer and longer between tries, up to a limit, each time a bit differently', async () => {
    const { subscribe, sockets } = playing({ retryMs: 2 })
    const waits: number[] = []
    let sinceMs = 0
    subscribe(
      {},
      {
        onState: (state) => {
          if (state === 'waiting') sinceMs = performance.now()
          else if (state === 'connecting' && sinceMs > 0) waits.push(performance.now() - sinceMs)
        },
      },
    )
    for (let n = 0; n < 8; n++) {
      await eventually(() => sockets.length > n)
      sockets[n]!.onclose?.({ code: 1006 })
    }
    await eventually(() => waits.length === 8)
    // At least half of 2, 4, 8, 16, 32, then 60 ms, less what timers are early.
    const least = [1, 2, 4, 8, 16, 30, 30, 30]
    expect(waits.filter((waitMs, n) => waitMs < least[n]! - 1)).toEqual([])
  })

  it('asks for a token for each connection and says it beside the protocol', async () => {
    let count = 0
    const errors: string[] = []
    const token = async (): Promise<string> => {
      if (++count === 2) throw new Error('signed out')
      return `jwt-${count}`
    }
    const { subscribe, opened, sockets } = playing({ token })
    const view = subscribe({}, { onError: ({ code, message }) => errors.push(`${code} | ${message}`) })
    const server = await opened(0)
    expect(server.protocols).toEqual(['millrace.json.v1', 'bearer.jwt-1'])
    server.onclose?.({ code: 1001 })
    await opened(1)
    expect(sockets[1]!.protocols).toEqual(['millrace.json.v1', 'bearer.jwt-3'])
    expect(errors).toEqual(['MR7042 | MR7042 The client has no token: signed out.'])
    expect(view.error).toBeUndefined()
  })

  it('goes round the servers that it knows', async () => {
    const { subscribe, opened, sockets } = playing({ urls: ['https://a', 'wss://b/push/'] })
    subscribe()
    for (const n of [0, 1, 2]) (await opened(n)).onclose?.({ code: 1001 })
    await eventually(() => sockets.length === 4)
    expect(sockets.map(({ url }) => url)).toEqual([
      ...['wss://a/live', 'wss://b/push/live'],
      ...['wss://a/live', 'wss://b/push/live'],
    ])
  })

  it('goes elsewhere at once when it is sent away, where nobody else is after its wait', async () => {
    const { subscribe, opened, sockets } = playing({ urls: ['https://a', 'https://b'], retryMs: 1_000_000 })
    const view = subscribe()
    const server = await opened(0)
    server.say(snapshot(1, row('k', 1)))
    // Until it is closed all goes on.
    server.say({ type: 'drain', withinMs: 100 })
    server.say(update(1, 2, row('k', 2)))
    expect([view.rows.get('k')?.row, view.gapCount, sockets.length]).toEqual([2, 0, 1])
    server.onclose?.({ code: 4009 })
    const other = await opened(1)
    expect([other.url, other.sent[0]!.resume]).toEqual(['wss://b/live', '2'])
    other.onclose?.({ code: 4009 })
    await new Promise((resolve) => setImmediate(resolve))
    expect([sockets.length, view.state]).toEqual([2, 'waiting'])
  })

  it('leaves aside messages that it does not know', async () => {
    const { subscribe, opened } = playing()
    const view = subscribe()
    const server = await opened(0)
    server.say(snapshot(5, row('a', 1)))
    server.say({ type: 'of-another-version' })
    server.onmessage?.({ data: 'no JSON' })
    server.say(update(5, 6, row('a', 2)))
    expect(view.rows.get('a')?.row).toBe(2)
    expect(view.gapCount).toBe(0)
  })

  it('says of each row whether it is provisional, open or final', async () => {
    const { subscribe, opened } = playing()
    const view = subscribe()
    const server = await opened(0)
    server.say(snapshot(5, row('a', 1), row('b', 1, { isFinal: true }), row('c', 1, { isProvisional: true })))
    server.say(update(5, 6, row('a', 2, { isFinal: true })))
    expect([...view.rows.values()].map(({ key, state }) => [key, state])).toEqual([
      ['a', 'final'],
      ['b', 'final'],
      ['c', 'provisional'],
    ])
  })

  it('is not disturbed by a handler that closes it, nor by one that throws', async () => {
    const { subscribe, opened } = playing()
    const closing = subscribe({}, { onSnapshot: () => closing.close() })
    const server = await opened(0)
    const thrown: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => thrown.push(error))
    try {
      const throwing = subscribe(
        {},
        {
          onSnapshot: () => {
            throw new Error('of the page')
          },
        },
      )
      server.say(snapshot(5, row('a', 1)))
      expect(throwing.state).toBe('live')
      await eventually(() => thrown.length === 1)
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
    server.say({ ...snapshot(5, row('a', 1)), id: 1 })
    expect(closing.state).toBe('closed')
    expect(thrown).toEqual([new Error('of the page')])
  })

  it.each([
    [{ url: 'push.example' }, 'url must be like https://push.example, not ["push.example"]'],
    [{ urls: [] }, 'url must be like https://push.example, not []'],
    [{ url: 'http://x', transport: 'websocket' as const }, 'this runtime has no WebSocket, and none is given'],
  ])('is not made of %j', (options, reason) => {
    const scope = globalThis as { WebSocket?: unknown }
    const given = scope.WebSocket
    Reflect.deleteProperty(scope, 'WebSocket')
    try {
      expect(() => createClient(options)).toThrow(
        expect.objectContaining({ code: 'MR7041', message: `MR7041 The client cannot connect: ${reason}.` }),
      )
    } finally {
      if (given !== undefined) scope.WebSocket = given
    }
  })
})
