// A client of a view with history: the rows of a key by time, over sockets and events, across a lost connection. Holds SPEC: PUSH-39.
import { afterEach, expect, it } from 'vitest'
import { historyKey } from '../../src/core/history-key.ts'
import { eventually, type Rig, startRig, TOPIC } from '../push/push-fixture.ts'
import { follow, type Row } from './client-fixture.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function rigWithHistory(): Promise<Rig> {
  const rig = await startRig({ views: [{ name: 'candles', topic: TOPIC, history: true }] }, 1)
  closers.push(() => rig.push.close())
  return rig
}

const put = (rig: Rig, key: string, timeMs: number, row: unknown): void => rig.put(historyKey({ key, timeMs }), row)

for (const transport of ['websocket', 'sse'] as const) {
  it(`over ${transport}: the newest rows of a key by time, then each that changes, also an old one, and what was missed`, async () => {
    const rig = await rigWithHistory()
    for (let timeMs = 1; timeMs <= 5; timeMs++) put(rig, 'A', timeMs, { n: timeMs })
    put(rig, 'B', 9, { n: 9 })
    const url = `http://127.0.0.1:${rig.push.port}`
    const { client, subscription, sockets } = follow(url, { key: 'A', history: 3 }, { transport })
    closers.push(() => client.close())
    const shown = (): unknown => [...subscription.rows.values()].map(({ timeMs, row }) => [timeMs, (row as Row).n])
    await eventually(() => subscription.state === 'live')
    expect(shown()).toEqual([
      [3, 3],
      [4, 4],
      [5, 5],
    ])
    put(rig, 'A', 4, { n: 40 })
    put(rig, 'A', 6, { n: 6 })
    put(rig, 'A', 3, undefined)
    await eventually(() => subscription.rows.has('A:6') && !subscription.rows.has('A:3'))
    expect(shown()).toEqual([
      [4, 40],
      [5, 5],
      [6, 6],
    ])
    if (transport === 'sse') return
    sockets.at(-1)!.close()
    put(rig, 'A', 5, { n: 50 })
    put(rig, 'A', 7, { n: 7 })
    await eventually(() => subscription.rows.has('A:7'))
    expect(shown()).toEqual([
      [4, 40],
      [5, 50],
      [6, 6],
      [7, 7],
    ])
    expect(subscription.gapCount).toBe(0)
  })
}

it('a loop that was away gets the newest row of each time', async () => {
  const rig = await rigWithHistory()
  put(rig, 'A', 1, { n: 1 })
  const { client, subscription } = follow(`http://127.0.0.1:${rig.push.port}`, { key: 'A', history: 10 })
  closers.push(() => client.close())
  const loop = subscription[Symbol.asyncIterator]()
  await loop.next()
  for (const n of [10, 11]) for (const timeMs of [1, 2]) put(rig, 'A', timeMs, { n: n + timeMs })
  await eventually(() => (subscription.rows.get('A:2')?.row as Row | undefined)?.n === 13)
  const { value } = await loop.next()
  expect(value!.rows.map(({ key, timeMs, row }) => [key, timeMs, (row as Row).n])).toEqual([
    ['A', 1, 12],
    ['A', 2, 13],
  ])
})

it('a view without history refuses it', async () => {
  const rig = await startRig()
  closers.push(() => rig.push.close())
  const { subscription, errors } = follow(`http://127.0.0.1:${rig.push.port}`, { key: 'A', history: 3 })
  await eventually(() => subscription.state === 'closed')
  expect(errors).toEqual(['MR7026'])
})
