// Rows before their commit, and how a view is fed, as a client shows them. Holds SPEC: PROV-6, PUSH-45.
import { afterEach, expect, it } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { ProvisionalHub } from '../../src/push/provisional-hub.ts'
import { eventually, startRig, TOPIC } from '../push/push-fixture.ts'
import { follow, type Row, row, scripted, snapshot, update } from './client-fixture.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

const marked = (key: string, value: unknown) => row(key, value, { isProvisional: true, attempt: 1, rev: 1 })

async function playing() {
  const { client, subscribe, opened } = scripted()
  closers.push(() => client.close())
  const told: unknown[] = []
  const view = subscribe(
    { provisional: true },
    {
      onUpdate: (rows) => told.push(...rows.map(({ key, row: value, state }) => `${key}=${value} ${state}`)),
      onFeed: ({ state, job }) => told.push([state, job].join(' ').trim()),
    },
  )
  const shown = (): string[] => [...view.rows.values()].map(({ key, row: value, state }) => `${key}=${value} ${state}`)
  return { client, view, told, shown, opened, server: await opened(0) }
}

it('asks for them, shows them above the committed rows, and a row without the mark takes the place of both', async () => {
  const { view, server, shown } = await playing()
  expect(server.sent).toMatchObject([{ type: 'subscribe', provisional: true }])
  server.say(snapshot(1, row('a', 1)))
  server.say(update(1, 1, marked('a', 2), marked('b', 7)))
  expect(shown()).toEqual(['a=2 provisional', 'b=7 provisional'])
  expect(view.position).toBe('1')
  server.say(update(1, 2, row('a', 2)))
  server.say(update(2, 2, row('b', null)))
  expect(shown()).toEqual(['a=2 open'])
  expect(view.gapCount).toBe(0)
  server.onclose!({ code: 1006 })
  expect(shown()).toEqual(['a=2 open'])
})

it('has the committed rows alone when the connection ends, and says so', async () => {
  const { view, server, opened, told, shown } = await playing()
  server.say(snapshot(1, row('a', 1), row('b', 1), row('c', 1)))
  server.say(update(1, 1, marked('a', 2), marked('b', null), marked('d', 4), marked('e', null)))
  server.say(update(1, 1, marked('a', 3)))
  expect(shown()).toEqual(['a=3 provisional', 'c=1 open', 'd=4 provisional'])
  told.length = 0
  server.onclose!({ code: 1006 })
  expect(view.state).toBe('waiting')
  expect(shown().sort()).toEqual(['a=1 open', 'b=1 open', 'c=1 open'])
  expect(told).toEqual(['a=1 open', 'b=1 open', 'd=null open'])
  const again = await opened(1)
  expect(again.sent).toMatchObject([{ resume: '1', provisional: true }])
})

it.each(['close', 'gap'])('has the committed rows alone after a %s', async (end) => {
  const { view, server, shown } = await playing()
  server.say(snapshot(1, row('a', 1)))
  server.say(update(1, 1, marked('a', 2)))
  if (end === 'close') view.close()
  else server.say(update(7, 8, row('a', 3)))
  expect(shown()).toEqual(['a=1 open'])
})

it('tells handlers and loops how the view is fed, the newest of it before rows', async () => {
  const { view, server, told } = await playing()
  expect(view.feed).toEqual({ state: 'live' })
  const loop = view[Symbol.asyncIterator]()
  server.say({ type: 'feed', state: 'cut', sinceMs: 5, lagRecords: 0, lagMs: null })
  server.say({ type: 'feed', state: 'quiet', sinceMs: 5, lagRecords: 0, lagMs: 7, job: 'absent', provisional: false })
  server.say(snapshot(1, row('a', 1)))
  expect(told).toEqual(['cut', 'quiet absent'])
  const feed = { state: 'quiet', sinceMs: 5, lagRecords: 0, lagMs: 7, job: 'absent', provisional: false }
  expect(view.feed).toEqual(feed)
  expect((await loop.next()).value).toEqual({ type: 'feed', feed, rows: [] })
  expect((await loop.next()).value!.type).toBe('snapshot')
  const late = view[Symbol.asyncIterator]()
  expect((await late.next()).value).toMatchObject({ type: 'feed', feed: { state: 'quiet' } })
})

it('is live again at a server that says nothing of the feed, and not before', async () => {
  const { view, server, opened, told } = await playing()
  server.say(snapshot(1, row('a', 1)))
  server.say({ type: 'feed', state: 'cut', sinceMs: 5, lagRecords: 0, lagMs: null })
  server.onclose!({ code: 1006 })
  const again = await opened(1)
  expect(view.feed.state).toBe('cut')
  again.say(update(1, 2))
  expect(view.feed).toEqual({ state: 'live' })
  expect(told).toEqual(['cut', 'live'])
})

for (const transport of ['websocket', 'sse'] as const) {
  it(`over ${transport} of a real server: shown, taken back, and let go of with the connection`, async () => {
    const hub = new ProvisionalHub(new Map([[0, TOPIC]]))
    const rig = await startRig({ views: [{ name: 'candles', topic: TOPIC }], provisional: hub }, 1)
    closers.push(() => rig.push.close())
    hub.begun(1)
    rig.put('A', { n: 1 })
    const { client, subscription } = follow(
      `http://127.0.0.1:${rig.push.port}`,
      { provisional: true },
      { transport, retryMs: 60_000 },
    )
    closers.push(() => client.close())
    const shown = (): unknown => {
      const held = subscription.rows.get('A')
      return held && [(held.row as Row).n, held.state]
    }
    const give = (attempt: number, n: number): void => {
      const writer = new FrameWriter()
      writer.append(0, -1, 0, Buffer.from('A'), Buffer.from(JSON.stringify({ n })))
      hub.given(attempt, 1, writer.take()!)
    }
    await eventually(() => subscription.state === 'live' && subscription.rows.has('A'))
    expect(subscription.feed).toMatchObject({ state: 'live', provisional: true })
    give(1, 2)
    await eventually(() => subscription.rows.get('A')?.state === 'provisional')
    expect(shown()).toEqual([2, 'provisional'])
    hub.ended(1)
    await eventually(() => subscription.rows.get('A')?.state === 'open')
    expect(shown()).toEqual([1, 'open'])
    expect(subscription.feed.provisional).toBe(false)
    hub.begun(2)
    give(2, 3)
    await eventually(() => subscription.rows.get('A')?.state === 'provisional')
    await rig.push.close()
    await eventually(() => subscription.state === 'waiting')
    expect(shown()).toEqual([1, 'open'])
  })
}
