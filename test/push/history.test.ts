// Views with history: the store against a plain model, subscriptions and plain reads over real sockets.
// Holds SPEC: PUSH-33, PUSH-34, PUSH-35, PUSH-12, PUSH-1.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { historyKey } from '../../src/core/history-key.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import type { ServerMessage, Subscribe, WireRow } from '../../src/protocol/messages.ts'
import { HistoryStore, timeOf } from '../../src/push/history-store.ts'
import { type PushOptions, type PushServer, startPush } from '../../src/push/server.ts'
import { ViewStore } from '../../src/push/view-store.ts'
import { eventually, heldRows, TOPIC, Watcher } from './push-fixture.ts'

const LIMITS = { viewRowsMax: 1000, viewBytesMax: 1 << 20, recentRowsMax: 16 }

interface Change {
  key: string
  timeMs: number
  value: number | null
}
const change: fc.Arbitrary<Change> = fc.record({
  key: fc.constantFrom('a', 'b', 'c:d'),
  timeMs: fc.integer({ min: -2, max: 5 }),
  value: fc.option(fc.nat(9), { freq: 3 }),
})

describe('a history store', () => {
  function take(changes: readonly Change[], each: (history: HistoryStore) => void = () => {}) {
    const history = new HistoryStore('v', [0], LIMITS)
    const newest = new ViewStore('v', [0], LIMITS)
    const model = new Map<string, Map<number, number>>()
    changes.forEach(({ key, timeMs, value }, offset) => {
      const json = value === null ? undefined : String(value)
      const place = { key, timeMs }
      history.apply({ key: historyKey(place), partition: 0, offset, timestampMs: 7, json }, place, newest)
      const rows = model.get(key) ?? new Map()
      if (value === null) rows.delete(timeMs)
      else rows.set(timeMs, value)
      model.set(key, rows)
      each(history)
    })
    return { history, newest, model }
  }

  it('has the rows of each key by time, and the newest of them is the row of the view', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 80 }), (changes) => {
        const { history, newest, model } = take(changes)
        const expected = new Map<string, number>()
        for (const [key, rows] of model) {
          const sorted = [...rows].sort(([a], [b]) => a - b)
          const found = history.between(key, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)
          expect(found.map((row) => [timeOf(row), JSON.parse(row.json)])).toEqual(sorted)
          expect(history.newest(key, 2)).toEqual(found.slice(-2))
          expect(history.between(key, 0, 3).map(timeOf)).toEqual(
            sorted.map(([at]) => at).filter((at) => at >= 0 && at < 3),
          )
          if (sorted.length > 0) expected.set(key, sorted.at(-1)![1])
        }
        expect(new Map([...newest.rows].map(([key, { json }]) => [key, JSON.parse(json)]))).toEqual(expected)
        history.store.publish()
        newest.publish()
        expect(newest.offsets).toEqual(history.store.offsets)
      }),
    )
  })

  it('a row that is the newest again is as final as it was', () => {
    const history = new HistoryStore('v', [0], LIMITS)
    const newest = new ViewStore('v', [0], LIMITS)
    const put = (offset: number, timeMs: number, json: string | undefined, isFinal: boolean): void => {
      const place = { key: 'k', timeMs }
      history.apply({ key: historyKey(place), partition: 0, offset, timestampMs: 7, json, isFinal }, place, newest)
    }
    put(0, 0, '1', true)
    put(1, 10, '2', false)
    expect(newest.rows.get('k')).toMatchObject({ json: '2', isFinal: false })
    put(2, 10, undefined, false)
    expect(newest.rows.get('k')).toMatchObject({ json: '1', isFinal: true, offset: 2 })
  })

  it('knows what has changed of a key since any sequence that is remembered', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 120 }), fc.nat(120), (changes, from) => {
        const seen = new Map<string, number>()
        let sequence = 0
        let at = 0
        const { history, model } = take(changes, (now) => {
          if (++at !== Math.min(from, changes.length)) return
          for (const row of now.store.rows.values()) seen.set(row.key, Number(row.json))
          sequence = now.store.sequence
        })
        if (!history.store.reaches(sequence)) return
        for (const key of ['a', 'b', 'c:d']) {
          const told = [...history.changesOf(key, sequence)]
          expect(new Set(told.map((row) => row.key)).size).toBe(told.length)
          for (const row of told) {
            if (row.isRemoval) seen.delete(row.key)
            else seen.set(row.key, Number(row.json))
          }
        }
        const present = [...model].flatMap(([key, rows]) =>
          [...rows].map(([timeMs, value]): [string, number] => [historyKey({ key, timeMs }), value]),
        )
        expect(seen).toEqual(new Map(present))
      }),
      { numRuns: 300 },
    )
  })

  it('forgets keys that are gone with the changes that they are part of', () => {
    const { history } = take([
      { key: 'a', timeMs: 0, value: 1 },
      { key: 'a', timeMs: 0, value: null },
      ...Array.from({ length: 20 }, (_, i): Change => ({ key: 'b', timeMs: i, value: 1 })),
    ])
    expect(history.lastChange('a')).toBeUndefined()
    expect([...history.changesOf('a', 0)]).toEqual([])
    expect(history.newest('b', 100)).toHaveLength(20)
  })

  it.each([
    ['rows', { ...LIMITS, viewRowsMax: 2 }],
    // Two rows of history and the newest one have room, no third.
    ['bytes', { ...LIMITS, viewBytesMax: 3 * (160 + 2 * 4) }],
  ])('a view over its limit of %s says so', (_, limits) => {
    const history = new HistoryStore('v', [0], limits)
    const newest = new ViewStore('v', [0], limits)
    const put = (timeMs: number): void => {
      const place = { key: 'a', timeMs }
      const record = { key: historyKey(place), partition: 0, offset: timeMs, timestampMs: 0, json: '1', place }
      history.apply(record, place, newest)
    }
    put(0)
    put(1)
    expect(() => put(2)).toThrow(/MR7003/)
  })
})

let kafka: MemoryKafka
const servers: PushServer[] = []
const watchers: Watcher[] = []
afterEach(async () => {
  for (const watcher of watchers.splice(0)) watcher.socket.close()
  for (const server of servers.splice(0)) await server.close()
})

async function serve(options: Partial<PushOptions> = {}): Promise<PushServer> {
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  const views = [{ name: 'candles', topic: TOPIC, history: true }]
  const server = await startPush({ kafka, views, port: 0, log, ...options })
  servers.push(server)
  await eventually(() => server.isReady())
  return server
}

/** As the job writes it: by key and time, in the partition of the key. */
function put(key: string, timeMs: number, row: unknown): void {
  const value = row === undefined ? undefined : JSON.stringify(row)
  kafka.append(TOPIC, { key: historyKey({ key, timeMs }), value, partition: key.charCodeAt(0) % 2 })
}

function makeTopic(): void {
  kafka = createMemoryKafka({ topics: { [TOPIC]: { partitionCount: 2, config: { 'delete.retention.ms': '600000' } } } })
}

function watch(server: PushServer, more: Partial<Subscribe>): Watcher {
  const watcher = new Watcher(`ws://127.0.0.1:${server.port}`, 'candles', more)
  watchers.push(watcher)
  return watcher
}

async function loaded(server: PushServer, more: Partial<Subscribe>): Promise<Watcher> {
  const watcher = watch(server, more)
  await watcher.until(() => watcher.isLoaded)
  return watcher
}

/** What a client with history holds: rows by key and time, in the order of time. Checks the chain of positions. */
function heldHistory(messages: readonly ServerMessage[]): [string, unknown][] {
  const held = heldRows(messages.map(byTime))
  return [...held].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Rows of each time as rows of a key of their own. */
function byTime(message: ServerMessage): ServerMessage {
  if (!('rows' in message)) return message
  return { ...message, rows: message.rows.map((row) => ({ ...row, key: `${row.key}@${row.timeMs}` })) }
}

const rowsOf = ({ rows }: Watcher): [string, number | undefined, unknown][] =>
  rows.map(({ key, timeMs, row }) => [key, timeMs, row])

describe('a subscription with history', () => {
  it('has the newest rows of its keys by time, then all that change, older ones too', async () => {
    makeTopic()
    for (const timeMs of [0, 10, 20, 30]) put('a', timeMs, { v: timeMs })
    put('b', 0, { v: 1 })
    const server = await serve()
    const history = await loaded(server, { keys: ['a', 'none'], history: 3 })
    const newest = await loaded(server, { key: 'a' })
    expect(rowsOf(history)).toEqual([
      ['a', 10, { v: 10 }],
      ['a', 20, { v: 20 }],
      ['a', 30, { v: 30 }],
    ])
    expect(rowsOf(newest)).toEqual([['a', undefined, { v: 30 }]])
    put('a', 10, { v: 11 })
    put('b', 10, { v: 2 })
    put('a', 0, undefined)
    put('none', 5, { v: 5 })
    put('a', 40, { v: 40 })
    await history.until(() => history.rows.length >= 7)
    await newest.until(() => newest.rows.length >= 2)
    expect(heldHistory(history.messages)).toEqual([
      ['a@10', { v: 11 }],
      ['a@20', { v: 20 }],
      ['a@30', { v: 30 }],
      ['a@40', { v: 40 }],
      ['none@5', { v: 5 }],
    ])
    // The others are told of the newest row alone, and of nothing else.
    expect(newest.messages.flatMap((message) => ('rows' in message ? [message.rows.length] : []))).toEqual([1, 1])
    expect(rowsOf(newest).at(-1)).toEqual(['a', undefined, { v: 40 }])
  })

  it('the row of a view is the one before when the newest goes, and none with the last', async () => {
    makeTopic()
    put('a', 0, { v: 0 })
    put('a', 10, { v: 10 })
    const server = await serve()
    const newest = await loaded(server, {})
    put('a', 10, undefined)
    await newest.until(() => newest.rows.length === 2)
    put('a', 0, undefined)
    await newest.until(() => newest.rows.length === 3)
    expect(rowsOf(newest).map(([, , row]) => row)).toEqual([{ v: 10 }, { v: 0 }, null])
    expect(heldRows(newest.messages).size).toBe(0)
  })

  it('selects rows by their fields, and tells of those that are not selected any more', async () => {
    makeTopic()
    put('a', 0, { v: 5, w: 1 })
    put('a', 10, { v: 1, w: 1 })
    const server = await serve()
    const large = await loaded(server, { key: 'a', history: 10, where: { v: { gt: 3 } }, fields: ['v'] })
    put('a', 10, { v: 7, w: 1 })
    put('a', 0, { v: 2, w: 1 })
    put('a', 20, { v: 2, w: 1 })
    put('a', 30, { v: 9, w: 1 })
    await large.until(() => large.rows.some(({ timeMs }) => timeMs === 30))
    expect(heldHistory(large.messages)).toEqual([
      ['a@10', { v: 7 }],
      ['a@30', { v: 9 }],
    ])
    expect(rowsOf(large)).toContainEqual(['a', 0, null])
    expect(large.rows.some(({ timeMs }) => timeMs === 20)).toBe(false)
  })

  it('goes on at its position on a server that was started later, removed rows too', async () => {
    makeTopic()
    put('a', 0, { v: 0 })
    put('a', 10, { v: 10 })
    const first = await loaded(await serve(), { key: 'a', history: 5 })
    const { position } = first
    put('a', 0, undefined)
    put('a', 10, { v: 11 })
    put('b', 10, { v: 0 })
    put('a', 20, { v: 20 })
    const again = watch(await serve(), { key: 'a', history: 5, resume: position })
    await again.until(() => again.rows.length >= 3)
    expect(again.messages[0]).toMatchObject({ type: 'update', prev: position })
    expect(rowsOf(again)).toEqual([
      ['a', 0, null],
      ['a', 10, { v: 11 }],
      ['a', 20, { v: 20 }],
    ])
  })

  it('is told of a newest row that is gone though its record was compacted away', async () => {
    makeTopic()
    put('a', 0, { v: 0 })
    put('a', 10, { v: 10 })
    const server = await serve()
    const history = await loaded(server, { key: 'a', history: 5 })
    const newest = await loaded(server, {})
    // What compaction leaves of it: the row before, and the removal.
    const compacted = createMemoryKafka({
      topics: { [TOPIC]: { partitionCount: 2, config: { 'delete.retention.ms': '600000' } } },
    })
    const partition = 'a'.charCodeAt(0) % 2
    compacted.append(TOPIC, { key: 'a:0', value: '{"v":0}', partition })
    compacted.append(TOPIC, { key: 'a:10', value: undefined, partition, offset: 2 })
    kafka = compacted
    const later = await serve()
    const told = [
      watch(later, { key: 'a', history: 5, resume: history.position }),
      watch(later, { resume: newest.position }),
    ]
    for (const one of told) await one.until(() => one.messages.some(({ type }) => type === 'update'))
    expect(rowsOf(told[0]!)).toEqual([['a', 10, null]])
    expect(rowsOf(told[1]!)).toEqual([['a', undefined, { v: 0 }]])
  })

  it('has no gap between history and updates, whatever changes while it begins, and after a new snapshot', async () => {
    makeTopic()
    const server = await serve({ limits: { recentRowsMax: 8, messageCharsMax: 300 } })
    const all = new Map<string, unknown>()
    const change = (key: string, timeMs: number, row: unknown): void => {
      put(key, timeMs, row)
      if (row === undefined) all.delete(`${key}@${timeMs}`)
      else all.set(`${key}@${timeMs}`, row)
    }
    for (let i = 0; i < 50; i++) change('ab'[i % 2]!, i, { i })
    const watcher = watch(server, { keys: ['a', 'b'], history: 1000 })
    for (let i = 0; i < 200; i++) {
      change('abc'[i % 3]!, (i * 7) % 60, i % 5 === 0 ? undefined : { n: i })
      if (i % 20 === 0) await watcher.until(() => watcher.isLoaded)
    }
    change('a', 1000, { end: true })
    await watcher.until(() => watcher.rows.some(({ timeMs }) => timeMs === 1000))
    const expected = [...all].filter(([key]) => !key.startsWith('c')).sort(([a], [b]) => (a < b ? -1 : 1))
    expect(heldHistory(watcher.messages)).toEqual(expected)
  })

  it('keeps the distance of its updates, and has their newest rows', async () => {
    makeTopic()
    put('a', 0, { v: 0 })
    const server = await serve()
    const slow = await loaded(server, { key: 'a', history: 5, minGapMs: 80 })
    for (let v = 1; v <= 30; v++) put('a', v % 3, { v })
    await slow.until(() => slow.rows.some(({ row }) => JSON.stringify(row) === '{"v":30}'))
    expect(heldHistory(slow.messages).map(([, row]) => row)).toEqual([{ v: 30 }, { v: 28 }, { v: 29 }])
    expect(slow.rows.length).toBeLessThan(20)
  })

  it('needs a view with history, and keys', async () => {
    makeTopic()
    const server = await serve()
    const bad = watch(server, { prefix: 'a', history: 5 })
    await bad.untilClosed()
    expect([bad.closeCode, bad.messages.at(-1)]).toMatchObject([
      4006,
      { message: expect.stringContaining('history needs key') },
    ])
    const plain = await serve({ views: [{ name: 'candles', topic: TOPIC }] })
    const refused = watch(plain, { key: 'a', history: 5 })
    await refused.until(() => refused.messages.length > 0)
    expect(refused.messages[0]).toMatchObject({ type: 'error', id: 1, code: 'MR7026', canRetry: false })
  })

  it('leaves records out whose key has no time', async () => {
    makeTopic()
    kafka.append(TOPIC, { key: 'a', value: '{"v":1}', partition: 0 })
    put('a', 5, { v: 2 })
    const server = await serve()
    const all = await loaded(server, {})
    expect(rowsOf(all)).toEqual([['a', undefined, { v: 2 }]])
  })
})

describe('a plain read of history', () => {
  interface Page {
    rows: WireRow[]
    next?: number
    code?: string
  }
  let port: number
  const ask = (query: string, headers: Record<string, string> = {}, key = 'a'): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/views/candles/${encodeURIComponent(key)}/history?${query}`, { headers })
  const page = async (query: string): Promise<Page> => (await (await ask(query)).json()) as Page
  const times = ({ rows }: Page): (number | undefined)[] => rows.map(({ timeMs }) => timeMs)

  async function start(): Promise<void> {
    makeTopic()
    for (let i = 0; i < 10; i++) put('a', i * 1000, { i })
    put('a/b c', 7, { i: 7 })
    port = (await serve()).port
  }

  it('gives the last rows, or those from a time on, the newest last', async () => {
    await start()
    expect(times(await page('limit=3'))).toEqual([7000, 8000, 9000])
    expect(times(await page('from=2000&limit=2'))).toEqual([2000, 3000])
    expect(times(await page('from=1970-01-01T00:00:08Z'))).toEqual([8000, 9000])
    expect(times(await page('to=1970-01-01T01:00:02%2B01:00'))).toEqual([0, 1000])
    expect(times(await page('from=20000'))).toEqual([])
    const select = encodeURIComponent(JSON.stringify({ where: { i: { gte: 4 } }, fields: [] }))
    expect(await page(`select=${encodeURIComponent('{"where":{"i":{"lt":2}},"fields":["i"]}')}`)).toMatchObject({
      rows: [
        { key: 'a', timeMs: 0, row: { i: 0 } },
        { key: 'a', timeMs: 1000, row: { i: 1 } },
      ],
    })
    expect((await ask(`select=${select}`)).status).toBe(400)
    expect(await (await ask('', {}, 'a/b c')).json()).toMatchObject({ key: 'a/b c', rows: [{ timeMs: 7 }] })
  })

  it.each([
    ['from', 'from=0&'],
    ['to', ''],
  ])('goes on with next as %s, whatever the limit', async (name, first) => {
    await start()
    for (let limit = 1; limit <= 11; limit++) {
      const found: (number | undefined)[][] = []
      for (let query: string | undefined = first; query !== undefined; ) {
        const one: Page = await page(`${query}limit=${limit}`)
        found.push(times(one))
        query = one.next === undefined ? undefined : `${name}=${one.next}&`
      }
      const all = (name === 'from' ? found : found.reverse()).flat()
      expect(all).toEqual(Array.from({ length: 10 }, (_, i) => i * 1000))
    }
  })

  it('says when nothing of the key has changed', async () => {
    await start()
    const etag = (await ask('limit=1')).headers.get('etag')!
    expect((await ask('limit=1', { 'if-none-match': etag })).status).toBe(304)
    put('b', 5, { i: 1 })
    await eventually(async () => (await ask('', {}, 'b')).status === 200)
    expect((await ask('limit=1', { 'if-none-match': etag })).status).toBe(304)
    put('a', 0, undefined)
    await eventually(async () => (await ask('limit=1', { 'if-none-match': etag })).status === 200)
    expect((await page('')).rows).toHaveLength(9)
  })

  it('is refused with a reason', async () => {
    await start()
    expect(await (await ask('from=yesterday')).json()).toMatchObject({ code: 'MR7006' })
    expect(await (await ask('to=2026-01-05T09:00:00')).json()).toMatchObject({ code: 'MR7006' })
    expect(await (await ask('limit=0')).json()).toMatchObject({ code: 'MR7006' })
    const none = await ask('', {}, 'none')
    expect([none.status, await none.json()]).toMatchObject([404, { code: 'MR7014' }])
    port = (await serve({ views: [{ name: 'candles', topic: TOPIC }] })).port
    const plain = await ask('')
    expect([plain.status, await plain.json()]).toMatchObject([404, { code: 'MR7026' }])
  })

  it('comes as events too', async () => {
    await start()
    const stop = new AbortController()
    const stream = await fetch(`http://127.0.0.1:${port}/events/candles?key=a&history=2`, { signal: stop.signal })
    const reader = stream.body!.getReader()
    let text = ''
    while (!text.includes('\n\n')) text += new TextDecoder().decode((await reader.read()).value)
    const { rows } = JSON.parse(/data: (.*)/.exec(text)![1]!) as { rows: WireRow[] }
    expect(rows.map(({ timeMs }) => timeMs)).toEqual([8000, 9000])
    stop.abort()
    const bad = await fetch(`http://127.0.0.1:${port}/events/candles?history=2`)
    expect(await bad.json()).toMatchObject({ code: 'MR7006' })
  })
})
