// Plain reads over real sockets: pages in the order of keys, single rows, what has not changed. Holds SPEC: PUSH-16.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { WireRow } from '../../src/protocol/messages.ts'
import { eventually, type Rig, startRig, Watcher } from './push-fixture.ts'

let rig: Rig
afterEach(() => rig.push.close())

interface Page {
  position: string
  rows: WireRow[]
  next?: string
}

async function start(rows: Record<string, unknown>, limits: object = {}): Promise<void> {
  rig = await startRig({ limits })
  for (const [key, row] of Object.entries(rows)) rig.put(key, row)
  const count = Object.keys(rows).length
  await eventually(async () => {
    const { views } = (await (await ask('/views')).json()) as { views: { rows: number; isReady: boolean }[] }
    return views[0]!.isReady && views[0]!.rows === count
  })
}

const ask = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${rig.push.port}${path}`, { headers })
const page = async (query: string): Promise<Page> => (await (await ask(`/views/candles?${query}`)).json()) as Page
const keys = ({ rows }: Page): string[] => rows.map(({ key }) => key)

describe('a page', () => {
  it('has the rows of a range or a prefix in the order of their keys', async () => {
    await start({ b: { x: 2 }, a: { x: 1 }, 'b/2': { x: 3 }, c: { x: 4 } })
    expect(keys(await page(''))).toEqual(['a', 'b', 'b/2', 'c'])
    expect(keys(await page('prefix=b'))).toEqual(['b', 'b/2'])
    expect(keys(await page('from=b&to=c'))).toEqual(['b', 'b/2'])
    expect(keys(await page('prefix=b&from=b%2F'))).toEqual(['b/2'])
    expect(keys(await page('prefix=a&from=b'))).toEqual([])
    const select = encodeURIComponent(JSON.stringify({ where: { x: { gte: 2 } }, fields: ['x'] }))
    expect((await page(`select=${select}&limit=2`)).rows.map(({ row }) => row)).toEqual([{ x: 2 }, { x: 3 }])
    expect(keys(await page(`select=${encodeURIComponent('{"keys":["c","a","none"]}')}`))).toEqual(['a', 'c'])
    // A prefix is one wherever it is said: no key beyond it is named.
    const prefix = encodeURIComponent('{"prefix":"b"}')
    expect(await page(`select=${prefix}&limit=2`)).toMatchObject({ rows: [{ key: 'b' }, { key: 'b/2' }] })
    expect((await page(`select=${prefix}&limit=2`)).next).toBeUndefined()
    expect((await page(`select=${prefix}&limit=1`)).next).toBe('b/2')
  })

  it('goes on where the one before ended, whatever the limit', async () => {
    const rows = fc.dictionary(fc.string({ minLength: 1, maxLength: 3 }), fc.nat(), { maxKeys: 30, minKeys: 1 })
    await start({})
    await fc.assert(
      fc.asyncProperty(rows, fc.integer({ min: 1, max: 7 }), async (given, limit) => {
        for (const [key, row] of Object.entries(given)) rig.put(key, row)
        await eventually(async () => (await page('limit=1000')).rows.length === Object.keys(given).length)
        const found: [string, unknown][] = []
        for (let from: string | undefined = ''; from !== undefined; ) {
          const one: Page = await page(`limit=${limit}&from=${encodeURIComponent(from)}`)
          expect(one.rows.length).toBeLessThanOrEqual(limit)
          found.push(...one.rows.map(({ key, row }): [string, unknown] => [key, row]))
          from = one.next
        }
        expect(found).toEqual(Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1)))
        for (const key of Object.keys(given)) rig.put(key, undefined)
        await eventually(async () => (await page('')).rows.length === 0)
      }),
      { numRuns: 15 },
    )
  })

  it('is told as not changed to one who has it, and its position is gone on from', async () => {
    await start({ a: { x: 1 } })
    const first = await ask('/views/candles')
    const etag = first.headers.get('etag')!
    const { position } = (await first.json()) as Page
    const same = await ask('/views/candles', { 'if-none-match': `"other", ${etag}` })
    expect([same.status, await same.text()]).toEqual([304, ''])
    rig.put('a', { x: 2 })
    await eventually(async () => (await ask('/views/candles', { 'if-none-match': etag })).status === 200)
    const watcher = new Watcher(rig.wsUrl, 'candles', { resume: position })
    await watcher.until(() => watcher.rows.length === 1)
    expect(watcher.messages[0]).toMatchObject({ type: 'update', prev: position, rows: [{ key: 'a', row: { x: 2 } }] })
    watcher.socket.close()
  })
})

describe('a row', () => {
  it('is given by its key, with an ETag of its own', async () => {
    await start({ 'a/b c': { x: 1, y: 2 }, other: { x: 5 } })
    const path = `/views/candles/${encodeURIComponent('a/b c')}`
    const answer = await ask(path)
    const etag = answer.headers.get('etag')!
    expect(await answer.json()).toMatchObject({ key: 'a/b c', row: { x: 1, y: 2 } })
    const fields = `?select=${encodeURIComponent('{"fields":["y"]}')}`
    expect(await (await ask(`${path}${fields}`)).json()).toMatchObject({ row: { y: 2 } })
    rig.put('other', { x: 6 })
    await eventually(async () => (await ask('/views/candles/other')).status === 200)
    expect((await ask(path, { 'if-none-match': etag })).status).toBe(304)
    rig.put('a/b c', undefined)
    await eventually(async () => (await ask(path)).status === 404)
  })
})
