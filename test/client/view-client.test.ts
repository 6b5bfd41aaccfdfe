// The view client: against a real push server, and against a scripted one for what a real one does not do.
import { afterEach, describe, expect, it } from 'vitest'
import { followView, type ViewClient, type ViewState, type WebSocketLike } from '../../src/client/view-client.ts'
import type { Selection } from '../../src/protocol/messages.ts'
import { RawWebSocket } from '../harness/raw-web-socket.ts'
import { eventually, type Rig, startRig } from '../push/push-fixture.ts'

const closers: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

function follow(rig: Rig, view = 'candles', more: { select?: Selection } = {}) {
  const states: ViewState[] = []
  const sockets: RawWebSocket[] = []
  const errors: string[] = []
  const client = followView({
    url: `${rig.wsUrl}/live`,
    view,
    connect: (url, protocol) => {
      const socket = new RawWebSocket(url, { 'sec-websocket-protocol': protocol })
      sockets.push(socket)
      return socket
    },
    onState: (state) => states.push(state),
    onError: (error) => errors.push(error.code),
    retryMs: 20,
    ...more,
  })
  closers.push(() => client.close())
  return { client, states, sockets, errors }
}

const rowOf = (client: ViewClient, key: string): unknown => client.rows.get(key)?.row

describe('following a real server', () => {
  it('holds the rows of the view as they change and go', async () => {
    const rig = await startRig()
    closers.push(() => rig.push.close())
    rig.put('A', { close: 1 })
    const { client, states } = follow(rig)
    await eventually(() => client.rows.size === 1)
    rig.put('B', { close: 2 })
    rig.put('A', { close: 3 })
    await eventually(() => client.rows.size === 2)
    await eventually(() => JSON.stringify(rowOf(client, 'A')) === '{"close":3}')
    rig.put('B', undefined)
    await eventually(() => client.rows.size === 1)
    expect(states).toEqual(['loading', 'live'])
    expect(client.gapCount).toBe(0)
  })

  it('connects again after a lost connection and goes on where it was', async () => {
    const rig = await startRig()
    closers.push(() => rig.push.close())
    rig.put('A', { close: 1 })
    const { client, states, sockets } = follow(rig, 'candles', { select: { key: 'A' } })
    await eventually(() => client.rows.size === 1)
    sockets[0]!.socket.destroy()
    await eventually(() => states.includes('waiting'))
    rig.put('A', { close: 2 })
    await eventually(() => JSON.stringify(rowOf(client, 'A')) === '{"close":2}')
    expect(sockets.length).toBeGreaterThan(1)
    // It was told what it had missed, not all again.
    expect(states.filter((state) => state === 'loading')).toHaveLength(1)
  })

  it('gives up on a view that does not exist', async () => {
    const rig = await startRig()
    closers.push(() => rig.push.close())
    const { client, errors, sockets } = follow(rig, 'none')
    await eventually(() => client.state === 'closed')
    expect(errors).toEqual(['MR7001'])
    expect(sockets).toHaveLength(1)
  })
})

describe('following a scripted server', () => {
  class Scripted implements WebSocketLike {
    onopen: ((event: unknown) => void) | null = null
    onmessage: ((event: { data: unknown }) => void) | null = null
    onclose: ((event: { code: number }) => void) | null = null
    onerror: ((event: unknown) => void) | null = null
    readonly sent: string[] = []
    isClosed = false
    send(text: string): void {
      this.sent.push(text)
    }
    close(): void {
      this.isClosed = true
    }
    say(message: object): void {
      this.onmessage?.({ data: JSON.stringify({ id: 1, ...message }) })
    }
  }
  const row = (key: string, value: unknown) => ({ key, partition: 0, offset: 0, timestampMs: 0, row: value })
  const snapshot = (next: number, ...rows: object[]) => {
    return { type: 'snapshot', position: String(next), isFirst: true, isLast: true, rows }
  }

  function scripted(more: { silenceMsMax?: number } = {}) {
    const sockets: Scripted[] = []
    const connect = (): Scripted => {
      sockets.push(new Scripted())
      return sockets.at(-1)!
    }
    const client = followView({ url: 'ws://x/live', view: 'v', connect, retryMs: 1, ...more })
    closers.push(() => client.close())
    return { client, sockets }
  }

  it('sees a gap in the chain, shows nothing behind it and starts over', () => {
    const { client, sockets } = scripted()
    const server = sockets[0]!
    server.say(snapshot(5, row('a', 1)))
    server.say({ type: 'update', prev: '5', position: '6', rows: [row('a', 2)] })
    server.say({ type: 'update', prev: '7', position: '8', rows: [row('a', 4)] })
    expect(rowOf(client, 'a')).toBe(2)
    expect(client.gapCount).toBe(1)
    expect(server.sent).toEqual(['{"type":"subscribe","id":1,"view":"v"}'])
    server.say({ type: 'update', prev: '8', position: '9', rows: [row('a', 5)] })
    expect(rowOf(client, 'a')).toBe(2)
    server.say(snapshot(9, row('a', 5), row('b', 1)))
    server.say({ type: 'update', prev: '9', position: '10', rows: [row('b', null)] })
    expect([...client.rows.keys()]).toEqual(['a'])
    expect(rowOf(client, 'a')).toBe(5)
    expect(client.gapCount).toBe(1)
  })

  it('keeps the old rows until the new snapshot is whole', () => {
    const { client, sockets } = scripted()
    sockets[0]!.say(snapshot(5, row('a', 1)))
    sockets[0]!.say({ ...snapshot(9, row('b', 1)), isLast: false })
    expect([...client.rows.keys()]).toEqual(['a'])
    sockets[0]!.say({ ...snapshot(9, row('c', 1)), isFirst: false })
    expect([...client.rows.keys()]).toEqual(['b', 'c'])
  })

  it('asks two servers that are behind its position, then takes the rows that there are', async () => {
    const { client, sockets } = scripted()
    sockets[0]!.onopen?.({})
    sockets[0]!.say(snapshot(5, row('a', 1)))
    for (const n of [0, 1]) {
      sockets[n]!.onclose?.({ code: 1006 })
      await eventually(() => sockets.length === n + 2)
      sockets[n + 1]!.onopen?.({})
      expect(JSON.parse(sockets[n + 1]!.sent[0]!)).toMatchObject({ resume: '5' })
      sockets[n + 1]!.say({ type: 'error', code: 'MR7013', message: 'behind', canRetry: true })
      expect(sockets[n + 1]!.isClosed).toBe(true)
    }
    sockets[2]!.onclose?.({ code: 1000 })
    await eventually(() => sockets.length === 4)
    sockets[3]!.onopen?.({})
    expect(JSON.parse(sockets[3]!.sent[0]!)).not.toHaveProperty('resume')
    sockets[3]!.say(snapshot(3, row('a', 0)))
    expect(rowOf(client, 'a')).toBe(0)
  })

  it('takes a silent connection for dead', async () => {
    const { sockets } = scripted({ silenceMsMax: 30 })
    await eventually(() => sockets.length > 1)
    expect(sockets[0]!.isClosed).toBe(true)
  })
})
