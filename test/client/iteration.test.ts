// Loops over a subscription: what they get, at once and late, and how they end. Holds SPEC: PUSH-20.
import { afterEach, expect, it } from 'vitest'
import type { ViewEvent } from '../../src/client/view.ts'
import { type Row, row, scripted, snapshot, update } from './client-fixture.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function playing(options: Parameters<typeof scripted>[0] = {}) {
  const { client, subscribe, opened, sockets } = scripted(options)
  closers.push(() => client.close())
  const view = subscribe()
  return { view, server: await opened(0), sockets }
}

/** An event, in short. */
const short = ({ type, rows }: ViewEvent<Row>): unknown[] => [
  type,
  ...rows.map(({ key, row: value }) => `${key}=${value}`),
]

it('gives all rows, then what changes, and ends its subscription with the loop', async () => {
  const { view, server } = await playing()
  const events: unknown[] = []
  const ended = (async () => {
    for await (const event of view) {
      events.push(short(event))
      if (events.length === 1) server.say(update(1, 2, row('a', 2), row('b', 1)))
      if (events.length === 2) server.say(update(2, 3, row('b', null)))
      if (events.length === 3) break
    }
  })()
  server.say(snapshot(1, row('a', 1)))
  await ended
  expect(events).toEqual([
    ['snapshot', 'a=1'],
    ['update', 'a=2', 'b=1'],
    ['update', 'b=null'],
  ])
  expect(view.state).toBe('closed')
  expect(server.sent.at(-1)).toMatchObject({ type: 'unsubscribe' })
})

it('begins with the rows that are there, whenever it begins', async () => {
  const { view, server } = await playing()
  server.say(snapshot(1, row('a', 1)))
  server.say(update(1, 2, row('a', 2)))
  const late = view[Symbol.asyncIterator]()
  server.say(update(2, 3, row('a', 3)))
  expect(short((await late.next()).value!)).toEqual(['snapshot', 'a=3'])
})

it('gets the newest row of each key in one event when it was long away', async () => {
  const { view, server } = await playing()
  server.say(snapshot(0, row('a', 0), row('b', 0), row('c', 0)))
  const loop = view[Symbol.asyncIterator]()
  await loop.next()
  for (let n = 1; n <= 500; n++) server.say(update(n - 1, n, row('a', n), row('b', n % 7 === 0 ? null : n)))
  server.say(update(500, 501, row('a', 'last')))
  expect(short((await loop.next()).value!)).toEqual(['update', 'b=500', 'a=last'])
  server.say(update(501, 502, row('c', 1)))
  expect(short((await loop.next()).value!)).toEqual(['update', 'c=1'])
})

it('gets all rows anew when more keys have changed than may wait', async () => {
  const { view, server } = await playing({ bufferRowsMax: 10 })
  server.say(snapshot(0))
  const loop = view[Symbol.asyncIterator]()
  expect(short((await loop.next()).value!)).toEqual(['snapshot'])
  for (let n = 1; n <= 100; n++) {
    server.say(update(n - 1, n, row(`k${n}`, n), ...(n > 2 ? [row(`k${n - 2}`, null)] : [])))
  }
  expect(short((await loop.next()).value!)).toEqual(['snapshot', 'k99=99', 'k100=100'])
  server.say(update(100, 101, row('k100', 'last')))
  expect(short((await loop.next()).value!)).toEqual(['update', 'k100=last'])
})

it('is no matter for another loop over the same subscription', async () => {
  const { view, server } = await playing()
  const [one, two] = [view[Symbol.asyncIterator](), view[Symbol.asyncIterator]()]
  server.say(snapshot(1, row('a', 1)))
  await one.next()
  server.say(update(1, 2, row('a', 2)))
  expect(short((await one.next()).value!)).toEqual(['update', 'a=2'])
  expect(short((await two.next()).value!)).toEqual(['snapshot', 'a=2'])
})

it('ends when the subscription is closed, also while it waits', async () => {
  const { view, server } = await playing()
  server.say(snapshot(1))
  const loop = view[Symbol.asyncIterator]()
  await loop.next()
  const waiting = [loop.next(), loop.next()]
  view.close()
  expect(await Promise.all(waiting)).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ])
})

it('lets go of who waits when it is returned from', async () => {
  const { view } = await playing()
  const loop = view[Symbol.asyncIterator]()
  const waiting = loop.next()
  await loop.return!()
  expect(await waiting).toEqual({ done: true, value: undefined })
  expect(view.state).toBe('closed')
})

it('throws the error that ends the subscription, behind what came before it', async () => {
  const { view, server } = await playing()
  server.say(snapshot(1, row('a', 1)))
  const events: unknown[] = []
  const loop = (async () => {
    for await (const event of view) {
      events.push(short(event))
      if (events.length > 1) continue
      server.say(update(1, 2, row('a', 2)))
      server.say({ type: 'error', code: 'MR7004', message: 'MR7004 The view has failed.', canRetry: false })
    }
  })()
  await expect(loop).rejects.toMatchObject({ code: 'MR7004', message: 'MR7004 The view has failed.' })
  expect(events).toEqual([
    ['snapshot', 'a=1'],
    ['update', 'a=2'],
  ])
})
