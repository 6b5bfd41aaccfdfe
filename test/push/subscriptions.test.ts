// Subscriptions over real sockets: what they select, where they go on, their distance, both encodings.
// Holds SPEC: PUSH-12, PUSH-13, PUSH-14, PUSH-15.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { createLog } from '../../src/ops/log.ts'
import { MSGPACK_PROTOCOL, type Selection, type Subscribe } from '../../src/protocol/messages.ts'
import { lensOf } from '../../src/push/selection.ts'
import { type PushOptions, type PushServer, startPush } from '../../src/push/server.ts'
import { eventually, heldRows, TOPIC, Watcher } from './push-fixture.ts'

let kafka: MemoryKafka
const servers: PushServer[] = []
const watchers: Watcher[] = []
afterEach(async () => {
  for (const watcher of watchers.splice(0)) watcher.socket.close()
  for (const server of servers.splice(0)) await server.close()
})

function makeTopic(config: Record<string, string> = {}): void {
  kafka = createMemoryKafka({ topics: { [TOPIC]: { partitionCount: 2, config } } })
}

async function serve(options: Partial<PushOptions> = {}): Promise<PushServer> {
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  const server = await startPush({ kafka, views: [{ name: 'candles', topic: TOPIC }], port: 0, log, ...options })
  servers.push(server)
  await eventually(() => server.isReady())
  return server
}

function put(key: string, row: unknown): void {
  kafka.append(TOPIC, { key, value: row === undefined ? undefined : JSON.stringify(row) })
}

function watch(server: PushServer, more: Partial<Subscribe> = {}, headers: Record<string, string> = {}): Watcher {
  const watcher = new Watcher(`ws://127.0.0.1:${server.port}`, 'candles', more, headers)
  watchers.push(watcher)
  return watcher
}

async function loaded(server: PushServer, more: Partial<Subscribe> = {}): Promise<Watcher> {
  const watcher = watch(server, more)
  await watcher.until(() => watcher.isLoaded)
  return watcher
}

const sorted = (held: Map<string, unknown>): [string, unknown][] => [...held].sort(([a], [b]) => (a < b ? -1 : 1))

describe('a selection', () => {
  it('of keys, of a prefix, of conditions and of fields gives those rows alone', async () => {
    makeTopic()
    put('a1', { x: 1, y: 'k' })
    put('a2', { x: 5, y: 'k' })
    put('b1', { x: 9, y: 'm' })
    const server = await serve()
    const keys = await loaded(server, { keys: ['a1', 'b1', 'none'] })
    const prefix = await loaded(server, { prefix: 'a', fields: ['x', 'z'] })
    const large = await loaded(server, { where: { x: { gt: 4 } } })
    put('a2', { x: 2, y: 'k' })
    put('b1', undefined)
    put('c1', { x: 7, y: 'n' })
    put('none', { x: 0, y: 'o' })
    put('end', { x: 100 })
    await large.until(() => large.latest('end') !== undefined)
    await keys.until(() => keys.latest('none') !== undefined && keys.latest('b1') === null)
    await prefix.until(() => JSON.stringify(prefix.latest('a2')) === '{"x":2}')
    expect(sorted(heldRows(keys.messages))).toEqual([
      ['a1', { x: 1, y: 'k' }],
      ['none', { x: 0, y: 'o' }],
    ])
    expect(sorted(heldRows(prefix.messages))).toEqual([
      ['a1', { x: 1 }],
      ['a2', { x: 2 }],
    ])
    expect(sorted(heldRows(large.messages))).toEqual([
      ['c1', { x: 7, y: 'n' }],
      ['end', { x: 100 }],
    ])
    // A row that is not selected any more is told as gone; one that never was is not told.
    expect(
      large.rows
        .filter(({ row }) => row === null)
        .map(({ key }) => key)
        .sort(),
    ).toEqual(['a2', 'b1'])
    expect(large.rows.some(({ key }) => key === 'none' || key === 'a1')).toBe(false)
  })

  it('has several subscriptions of one connection beside each other', async () => {
    makeTopic()
    put('a', { x: 1 })
    const server = await serve()
    const watcher = await loaded(server, { key: 'a' })
    watcher.say({ type: 'subscribe', id: 2, view: 'candles', key: 'b' })
    await watcher.until(() => watcher.messages.some((message) => 'id' in message && message.id === 2))
    put('b', { x: 2 })
    put('a', { x: 3 })
    await watcher.until(() => watcher.rows.length === 3)
    expect([...heldRows(watcher.messages, 1)]).toEqual([['a', { x: 3 }]])
    expect([...heldRows(watcher.messages, 2)]).toEqual([['b', { x: 2 }]])
    watcher.say({ type: 'unsubscribe', id: 2 })
    watcher.say({ type: 'ping' })
    await watcher.until(() => watcher.messages.at(-1)!.type === 'ping')
    put('b', { x: 4 })
    put('a', { x: 5 })
    await watcher.until(() => watcher.latest('a') !== undefined && (watcher.latest('a') as { x: number }).x === 5)
    expect([...heldRows(watcher.messages, 2)]).toEqual([['b', { x: 2 }]])
  })

  it.each([
    [{ x: 5 }, true],
    [{ x: 4 }, false],
    [{ x: { eq: 5, ne: 6 } }, true],
    [{ x: { ne: 5 } }, false],
    [{ x: { gt: 4, lt: 6 } }, true],
    [{ x: { gte: 5, lte: 5 } }, true],
    [{ x: { gt: 5 } }, false],
    [{ x: { gt: '4' } }, false],
    [{ s: { gte: 'ab', lt: 'b' } }, true],
    [{ s: { in: [1, 'abc', null] } }, true],
    [{ s: { in: [] } }, false],
    [{ n: null }, true],
    [{ none: null }, false],
    [{ none: { ne: 1 } }, true],
    [{ none: { lt: 1 } }, false],
    [{ x: 5, s: 'other' }, false],
    [{ constructor: { ne: 1 } }, true],
  ])('with where %j takes the row: %s', (where, isTaken) => {
    const row = { x: 5, s: 'abc', n: null }
    const lens = lensOf({ where: where as Selection['where'] & {} })
    const place = {
      partition: 0,
      offset: 0,
      timestampMs: 0,
      sequence: 1,
      revision: 1,
      isRemoval: false,
      isFinal: false,
      isCurrent: true,
      place: undefined,
    }
    expect(lens.accepts({ key: 'k', ...place, json: JSON.stringify(row) })).toBe(isTaken)
    expect(lens.accepts({ key: 'k', ...place, json: '5' })).toBe(
      Object.values(where).every(
        (each) => typeof each === 'object' && each !== null && 'ne' in each && Object.keys(each).length === 1,
      ),
    )
  })
})

describe('a position', () => {
  it('is gone on from, on this server and on another that was started later', async () => {
    makeTopic({ 'delete.retention.ms': '86400000' })
    for (const key of ['a', 'b', 'c']) put(key, { n: 1 })
    const first = await serve()
    const watcher = await loaded(first)
    const { position } = watcher
    watcher.socket.close()
    put('a', { n: 2 })
    put('b', undefined)
    put('d', { n: 2 })
    const second = await serve()
    for (const server of [first, second]) {
      await eventually(() => server.isReady())
      const again = watch(server, { resume: position })
      await again.until(() => again.rows.length >= 3)
      expect(again.messages[0]).toMatchObject({ type: 'update', prev: position })
      expect(again.rows.map(({ key, row }) => [key, row]).sort()).toEqual([
        ['a', { n: 2 }],
        ['b', null],
        ['d', { n: 2 }],
      ])
    }
  })

  it('at which nothing has changed is told as it is', async () => {
    makeTopic()
    put('a', { n: 1 })
    const server = await serve()
    const { position } = await loaded(server)
    const again = watch(server, { resume: position })
    await again.until(() => again.messages.length > 0)
    expect(again.messages).toEqual([{ type: 'update', id: 1, prev: position, position, rows: [] }])
  })

  it('is gone on from with what left the selection meanwhile', async () => {
    makeTopic()
    for (const key of ['a', 'b', 'c']) put(key, { n: 9 })
    const server = await serve()
    const where = { n: { gt: 5 } }
    const before = await loaded(server, { where })
    const held = heldRows(before.messages)
    put('a', { n: 1 })
    put('b', { n: 8 })
    put('end', { n: 7 })
    await before.until(() => before.latest('end') !== undefined)
    const after = watch(server, { where, resume: (before.messages[0] as { position: string }).position })
    await after.until(() => after.rows.length === 3)
    for (const { key, row } of after.rows) {
      if (row === null) held.delete(key)
      else held.set(key, row)
    }
    expect(sorted(held)).toEqual([
      ['b', { n: 8 }],
      ['c', { n: 9 }],
      ['end', { n: 7 }],
    ])
    // It knows what the client holds from then on.
    put('c', { n: 0 })
    put('d', { n: 0 })
    await after.until(() => after.latest('c') === null)
    expect(after.latest('d')).toBeUndefined()
  })

  it('that is behind what is remembered, of another topic, changed, or too old is told as reset, with a new snapshot', async () => {
    makeTopic({ 'delete.retention.ms': '0' })
    put('a', { n: 1 })
    const server = await serve({ limits: { recentRowsMax: 4 } })
    const { position } = await loaded(server)
    for (let i = 0; i < 10; i++) {
      put(`k${i}`, { n: i })
      if (i < 9) put(`k${i}`, undefined)
    }
    const reasons: string[] = []
    const reset = async (at: PushServer, resume: string): Promise<Watcher> => {
      const watcher = await loaded(at, { resume })
      reasons.push((watcher.messages[0] as { reason: string }).reason)
      return watcher
    }
    const whole = await loaded(server)
    await whole.until(() => whole.latest('k9') !== undefined)
    const again = await reset(server, position)
    expect(sorted(heldRows(again.messages))).toEqual([
      ['a', { n: 1 }],
      ['k9', { n: 9 }],
    ])
    const last = position.at(-1) === 'A' ? 'B' : 'A'
    await reset(server, position.slice(0, 20) + (position[20] === 'A' ? 'B' : 'A') + position.slice(21, -1) + last)
    await reset(server, 'x')
    // The topic may have lost removals before this one began to read.
    await reset(await serve(), position)
    const other = await serve({ views: [{ name: 'candles', topic: TOPIC }], positionSecret: 'another' })
    await reset(other, position)
    const admin = await kafka.openAdmin()
    await admin.delete([TOPIC], 1_000)
    await admin.close()
    kafka.createTopic(TOPIC, 2)
    await reset(await serve(), position)
    expect(reasons).toEqual(['forgotten', 'not-valid', 'not-valid', 'too-old', 'not-valid', 'other-topic'])
  })

  it('ahead of a server is waited for, and refused when the server does not get there in time', async () => {
    makeTopic({ 'delete.retention.ms': '86400000' })
    put('a', { n: 1 })
    const ahead = await serve()
    const watcher = await loaded(ahead)
    put('a', { n: 2 })
    await watcher.until(() => watcher.latest('a') !== undefined && (watcher.latest('a') as { n: number }).n === 2)
    // A topic of the same id that is not that far: the same cluster some moments ago.
    const topic = await descriptionOf(TOPIC)
    makeTopic({ 'delete.retention.ms': '86400000' })
    const admin = await kafka.openAdmin()
    const openAdmin = kafka.openAdmin.bind(kafka)
    kafka.openAdmin = async () => ({ ...(await openAdmin()), describe: async () => [topic] })
    await admin.close()
    put('a', { n: 1 })
    const behind = await serve({ limits: { behindMsMax: 600 } })
    const late = watch(behind, { resume: watcher.position })
    await late.until(() => late.messages.length > 0)
    expect(late.messages).toMatchObject([{ type: 'error', id: 1, code: 'MR7013', canRetry: true }])
    late.say({ type: 'subscribe', id: 1, view: 'candles', resume: watcher.position })
    put('a', { n: 2 })
    put('a', { n: 3 })
    await late.until(() => late.latest('a') !== undefined)
    expect(late.messages[1]).toMatchObject({ type: 'update', prev: watcher.position })
    expect(late.latest('a')).toEqual({ n: 3 })
  })
})

async function descriptionOf(topic: string) {
  const admin = await kafka.openAdmin()
  try {
    return (await admin.describe([topic], 1_000))[0]!
  } finally {
    await admin.close()
  }
}

it('msgpack says what JSON says, and a client that asks for neither is refused', async () => {
  makeTopic()
  const server = await serve()
  const json = await loaded(server)
  const msgpack = watch(server, {}, { 'sec-websocket-protocol': MSGPACK_PROTOCOL })
  await msgpack.until(() => msgpack.isLoaded)
  for (let i = 0; i < 20; i++) put(`k${i % 3}`, { i, list: [i, null, 'x'], big: 2 ** 40 + i })
  await json.until(() => JSON.stringify(json.latest('k1'))?.includes('19') === true)
  await msgpack.until(() => JSON.stringify(msgpack.latest('k1'))?.includes('19') === true)
  expect(heldRows(msgpack.messages)).toEqual(heldRows(json.messages))
  expect(msgpack.raw.every((message) => message instanceof Uint8Array)).toBe(true)
  const neither = watch(server, {}, { 'sec-websocket-protocol': 'other' })
  neither.socket.onerror = () => undefined
  await neither.untilClosed()
  expect(neither.messages).toEqual([])
})

it('updates keep the distance that a client asks for, and have the newest rows', async () => {
  makeTopic()
  const server = await serve()
  const slow = await loaded(server, { minGapMs: 200 })
  const fast = await loaded(server)
  const startMs = performance.now()
  let i = 0
  while (performance.now() - startMs < 1_000) {
    put('a', { i: ++i })
    await fast.until(() => (fast.latest('a') as { i: number } | undefined)?.i === i)
  }
  await slow.until(() => (slow.latest('a') as { i: number } | undefined)?.i === i)
  const updates = slow.messages.filter(({ type }) => type === 'update')
  expect(updates.length).toBeLessThanOrEqual(Math.ceil((performance.now() - startMs) / 200) + 1)
  expect(updates.length).toBeGreaterThan(1)
  heldRows(slow.messages)
})

it('the distance of one client is not that of another, and none is longer than an hour', async () => {
  makeTopic()
  const server = await serve()
  const patient = await loaded(server, { minGapMs: 3_600_000 })
  const brisk = await loaded(server, { minGapMs: 50 })
  // One waits for an hour from its snapshot on, the other does not.
  put('a', { i: 1 })
  await brisk.until(() => brisk.latest('a') !== undefined)
  put('a', { i: 2 })
  await brisk.until(() => (brisk.latest('a') as { i: number } | undefined)?.i === 2)
  put('a', { i: 3 })
  await brisk.until(() => (brisk.latest('a') as { i: number }).i === 3)
  expect(patient.latest('a')).toBeUndefined()
  const greedy = watch(server, { minGapMs: 3_600_001 })
  await greedy.untilClosed()
  expect(greedy.messages.at(-1)).toMatchObject({ code: 'MR7006', message: expect.stringContaining('minGapMs') })
})

it('a key that rests while others change far more than is remembered is told its next change, and no snapshot', async () => {
  makeTopic()
  const server = await serve({ limits: { recentRowsMax: 10 } })
  put('rests', { i: 0 })
  const watcher = await loaded(server, { keys: ['rests'] })
  await watcher.until(() => watcher.latest('rests') !== undefined)
  const all = await loaded(server)
  for (let i = 1; i <= 50; i++) {
    put('other', { i })
    await all.until(() => (all.latest('other') as { i: number } | undefined)?.i === i)
  }
  put('rests', { i: 1 })
  await watcher.until(() => (watcher.latest('rests') as { i: number }).i === 1)
  expect(watcher.messages.filter(({ type }) => type === 'snapshot')).toHaveLength(1)
})

describe('limits', () => {
  it('of subscriptions and of messages are told', async () => {
    makeTopic()
    const server = await serve({ limits: { subscriptionsMax: 1, clientMessagesPerSecondMax: 5 } })
    const watcher = await loaded(server)
    watcher.say({ type: 'subscribe', id: 2, view: 'candles' })
    await watcher.until(() => watcher.messages.some(({ type }) => type === 'error'))
    expect(watcher.messages.at(-1)).toMatchObject({ id: 2, code: 'MR7012' })
    for (let i = 0; i < 10; i++) watcher.say({ type: 'ping' })
    await watcher.untilClosed()
    expect(watcher.closeCode).toBe(4008)
    expect(watcher.messages.at(-1)).toMatchObject({ type: 'error', code: 'MR7011', canRetry: true })
  })

  it('of connections from one address are told', async () => {
    makeTopic()
    const server = await serve({ limits: { connectionsPerAddressMax: 2 } })
    const two = [await loaded(server), await loaded(server)]
    const third = watch(server)
    await third.untilClosed()
    expect(third.closeCode).toBe(4007)
    expect(third.messages.at(-1)).toMatchObject({ code: 'MR7007' })
    two[0]!.socket.close()
    await eventually(async () => {
      const again = watch(server)
      await again.until(() => again.isLoaded || again.closeCode !== undefined)
      return again.isLoaded
    })
  })
})

it('whatever is selected, a client holds what the view has of it in the end', async () => {
  const key = fc.constantFrom('a', 'ab', 'b', 'ba')
  const change = fc.record({ key, value: fc.option(fc.record({ x: fc.nat(4) }), { freq: 4 }) })
  const selection: fc.Arbitrary<Selection> = fc.oneof(
    fc.constant({}),
    fc.record({ key }),
    fc.record({ keys: fc.uniqueArray(key, { minLength: 1 }) }),
    fc.record({ prefix: fc.constantFrom('', 'a', 'b') }),
    fc.record({ prefix: fc.constantFrom('', 'a'), where: fc.constantFrom({ x: { gte: 2 } }, { x: 1 }) }),
    fc.record({ keys: fc.constant(['a', 'b']), where: fc.constant({ x: { lt: 3 } }) }),
  )
  makeTopic({ 'delete.retention.ms': '86400000' })
  const server = await serve({ limits: { recentRowsMax: 16, messageCharsMax: 40 } })
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { maxLength: 40 }),
      selection,
      fc.nat(40),
      fc.boolean(),
      async (changes, select, cut, isResumed) => {
        const watcher = await loaded(server, select)
        const whole = await loaded(server)
        const lens = lensOf(select)
        let followed = watcher
        let held: Map<string, unknown> | undefined
        for (const [i, { key: one, value }] of changes.entries()) {
          put(one, value ?? undefined)
          if (i !== cut || !isResumed) continue
          // Cut off in the middle, it goes on where it was.
          watcher.socket.close()
          held = heldRows(watcher.messages)
          followed = watch(server, { ...select, resume: watcher.position })
        }
        const mark = `end${++round}`
        put(mark, { x: round })
        await whole.until(() => whole.latest(mark) !== undefined)
        const expected = [...heldRows(whole.messages)].filter(([one, row]) => {
          const text = {
            partition: 0,
            offset: 0,
            timestampMs: 0,
            sequence: 0,
            revision: 0,
            isRemoval: false,
            isFinal: false,
            isCurrent: true,
            place: undefined,
          }
          return lens.hasKey(one) && lens.accepts({ key: one, json: JSON.stringify(row), ...text })
        })
        const present = (): Map<string, unknown> => {
          if (held === undefined || followed.messages.some(({ type }) => type === 'reset'))
            return heldRows(followed.messages)
          const rows = new Map(held)
          for (const { key: one, row } of followed.rows) {
            if (row === null) rows.delete(one)
            else rows.set(one, row)
          }
          return rows
        }
        const text = JSON.stringify(expected.sort())
        await followed.until(() => JSON.stringify([...present()].sort()) === text)
        for (const one of [watcher, whole, followed]) one.socket.close()
        put(mark, undefined)
      },
    ),
    { numRuns: 60 },
  )
})
