// What tokens permit: the claim as data, and reads within and beyond it over real sockets. Holds SPEC: PUSH-26.
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Selection } from '../../src/protocol/messages.ts'
import { readRights, refusalOf } from '../../src/push/rights.ts'
import { KeySetServer, makeSigner, type TokenSigner } from '../harness/key-set.ts'
import { eventually, type Rig, startRig, TOPIC, Watcher } from './push-fixture.ts'
import { EventStream, get, upgrade } from './requests.ts'

const BTC = { views: { candles: { prefixes: ['BTC'], keys: ['ETH', 'EUR/USD'] } } }

describe('a claim', () => {
  test.each<[unknown, string, Selection, boolean]>([
    [['candles'], 'candles', {}, true],
    [['candles'], 'trades', {}, false],
    [['*'], 'trades', { prefix: 'x' }, true],
    [[], 'candles', {}, false],
    [{ views: ['candles'] }, 'candles', { keys: ['A'] }, true],
    [{ views: { candles: {} } }, 'candles', {}, true],
    [{ views: { '*': {} } }, 'candles', {}, true],
    [{ views: {} }, 'candles', {}, false],
    [BTC, 'candles', { key: 'BTC' }, true],
    [BTC, 'candles', { key: 'BTCX' }, true],
    [BTC, 'candles', { key: 'BT' }, false],
    [BTC, 'candles', { key: 'ETH' }, true],
    [BTC, 'candles', { key: 'ETHX' }, false],
    [BTC, 'candles', { key: '' }, false],
    [BTC, 'candles', { keys: ['ETH', 'BTC/1'] }, true],
    [BTC, 'candles', { keys: ['ETH', 'X'] }, false],
    [BTC, 'candles', { prefix: 'BTC/' }, true],
    [BTC, 'candles', { prefix: 'B' }, false],
    [BTC, 'candles', { prefix: '' }, false],
    [BTC, 'candles', { prefix: 'ETH' }, false],
    [BTC, 'candles', {}, false],
    [BTC, 'candles', { where: { sym: 'BTC' } }, false],
    [BTC, 'trades', { key: 'BTC' }, false],
    [{ views: { candles: { keys: [], prefixes: [] } } }, 'candles', { key: 'A' }, false],
    [{ views: { candles: { prefixes: [''] } } }, 'candles', {}, true],
    // A right of its own stands in the place of the one to all others.
    [{ views: { '*': {}, candles: { keys: ['A'] } } }, 'candles', {}, false],
    [{ views: { '*': {}, candles: { keys: ['A'] } } }, 'trades', {}, true],
    [{ views: { '*': { prefixes: ['A'] }, candles: {} } }, 'candles', {}, true],
    [{ views: { '*': { prefixes: ['A'] }, candles: {} } }, 'trades', { prefix: 'B' }, false],
    [JSON.parse('{"views":{"__proto__":{}}}'), 'candles', {}, false],
    [{ views: ['candles'] }, 'toString', {}, false],
  ])('%j permits of %s %j: %s', (claim, view, selection, isPermitted) => {
    const rights = readRights(claim)
    if (typeof rights === 'string') throw new Error(rights)
    expect(refusalOf(rights, view, selection)?.code).toBe(isPermitted ? undefined : 'MR7020')
  })

  test.each([
    [undefined],
    [null],
    [5],
    ['candles'],
    [{}],
    [{ candles: {} }],
    [{ views: 'candles' }],
    [{ views: [5] }],
    [{ views: { candles: [] } }],
    [{ views: { candles: true } }],
    [{ views: { candles: { prefix: 'BTC' } } }],
    [{ views: { candles: { prefixes: 'BTC' } } }],
    [{ views: { candles: { keys: [1] } } }],
  ])('%j is none', (claim) => {
    expect(typeof readRights(claim)).toBe('string')
  })

  test('is told in the refusal, as far as it is not too long', () => {
    const rights = readRights({
      views: { candles: { prefixes: ['BTC'], keys: Array.from({ length: 12 }, (_, i) => `K${i}`) } },
    })
    if (typeof rights === 'string') throw new Error(rights)
    expect(refusalOf(rights, 'candles', {})?.message).toBe(
      'MR7020 The token does not permit all rows of the view candles; it permits the prefixes BTC and the keys K0, K1, K2, K3, K4, K5, K6, K7, K8, K9 and 2 more.',
    )
    expect(refusalOf(rights, 'trades', {})?.message).toContain('the view trades; it permits the views candles.')
  })
})

describe('over sockets', () => {
  const closers: (() => unknown)[] = []
  let signer: TokenSigner
  let rig: Rig
  let port: number

  beforeAll(async () => {
    signer = await makeSigner('a')
  })
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close()
  })

  async function serve(withoutClaim: 'nothing' | 'all' = 'nothing'): Promise<void> {
    const set = await KeySetServer.start(signer)
    closers.push(() => set.close())
    const keys = { kind: 'jwksUrl', url: set.url } as const
    rig = await startRig({
      auth: { keys, clockToleranceMs: 0, claim: 'rights', withoutClaim, allowQueryToken: false },
      views: ['candles', 'trades'].map((name) => ({ name, topic: TOPIC })),
    })
    port = rig.push.port
    closers.push(() => rig.push.close())
    for (const key of ['BTC/1', 'BTC/2', 'ETH', 'XRP']) rig.put(key, { key })
    await eventually(() => rig.push.isReady())
  }
  const bearer = async (rights?: unknown) => ({
    authorization: `Bearer ${await signer.sign(rights === undefined ? {} : { rights })}`,
  })
  function watch(headers: Record<string, string>, view?: string, more = {}): Watcher {
    const watcher = new Watcher(rig.wsUrl, view, more, headers)
    closers.push(() => watcher.socket.close())
    return watcher
  }

  test('a WebSocket subscribes to what is permitted, and is refused the rest whole, with what would be permitted', async () => {
    await serve()
    const watcher = watch(await bearer(BTC), 'candles', { prefix: 'BTC' })
    await watcher.until(() => watcher.isLoaded)
    expect(watcher.rows.map(({ key }) => key).sort()).toEqual(['BTC/1', 'BTC/2'])
    watcher.say({ type: 'subscribe', id: 2, view: 'candles', keys: ['ETH', 'BTC/1'] })
    await watcher.until(() => watcher.messages.some((message) => message.type === 'snapshot' && message.id === 2))
    const before = watcher.messages.length
    const beyond = [{ view: 'candles' }, { view: 'candles', key: 'XRP' }, { view: 'candles', prefix: 'B' }]
    const others = [{ view: 'trades' }, { view: 'none' }]
    for (const [i, ask] of [...beyond, ...others].entries()) {
      watcher.say({ type: 'subscribe', id: 10 + i, ...ask })
      await watcher.until(() => watcher.messages.length === before + i + 1)
      expect(watcher.messages.at(-1)).toMatchObject({ type: 'error', id: 10 + i, code: 'MR7020', canRetry: false })
    }
    expect(JSON.stringify(watcher.messages.at(before))).toContain('permits the prefixes BTC and the keys ETH, EUR/USD')
    // The subscriptions that are permitted go on, without rows of others.
    rig.put('XRP', { last: true })
    rig.put('BTC/1', { last: true })
    await watcher.until(() => watcher.latest('BTC/1') !== undefined && 'last' in (watcher.latest('BTC/1') as object))
    expect(watcher.latest('XRP')).toBeUndefined()
    expect(rig.metrics.text()).toContain('millrace_push_refused_total{code="MR7020"} 5')
  })

  test('a subscription that is started over with more than is permitted ends', async () => {
    await serve()
    const watcher = watch(await bearer(BTC), 'candles', { key: 'ETH' })
    await watcher.until(() => watcher.isLoaded)
    watcher.say({ type: 'subscribe', id: 1, view: 'candles' })
    await watcher.until(() => watcher.messages.at(-1)?.type === 'error')
    await eventually(() => rig.metrics.text().includes('millrace_push_subscriptions 0'))
  })

  test('streams and plain reads are refused with 403', async () => {
    await serve()
    const headers = await bearer(BTC)
    const answers = await Promise.all(
      [
        ...[
          '/views/candles',
          '/views/candles?prefix=B',
          '/views/candles?select={"keys":["XRP"]}',
          '/views/candles/XRP',
        ],
        ...[
          '/views/candles/BT?prefix=BTC',
          '/views/trades',
          '/views/none',
          '/events/candles',
          '/events/trades?key=ETH',
        ],
      ].map((path) => get(port, path, headers)),
    )
    expect(answers.map(({ status, code }) => `${status} ${code}`)).toEqual(Array(9).fill('403 MR7020'))
    const page = await get(port, '/views/candles?prefix=BTC', headers)
    expect((JSON.parse(page.body) as { rows: unknown[] }).rows).toHaveLength(2)
    expect((await get(port, '/views/candles/ETH', headers)).status).toBe(200)
    expect((await get(port, '/views/candles/EUR%2FUSD', headers)).code).toBe('MR7014')
    const stream = new EventStream(port, '/events/candles?key=ETH', headers)
    closers.push(() => stream.close())
    await eventually(() => stream.messages.length > 0)
    expect(stream.messages[0]).toMatchObject({ type: 'snapshot', rows: [{ key: 'ETH' }] })
  })

  test('the list of views, and what is said of one that there is not, have those that are permitted', async () => {
    await serve()
    const names = async (rights: unknown) => {
      const { body } = await get(port, '/views', await bearer(rights))
      return (JSON.parse(body) as { views: { name: string }[] }).views.map(({ name }) => name)
    }
    expect(await names(BTC)).toEqual(['candles'])
    expect(await names(['*'])).toEqual(['candles', 'trades'])
    expect(await names([])).toEqual([])
    const missing = await get(port, '/views/none', await bearer({ views: { none: {}, trades: {} } }))
    expect([missing.status, missing.code]).toEqual([404, 'MR7001'])
    expect(missing.body).toContain('The job serves: trades.')
  })

  test('a token that permits nothing is no reason to come back: 4403', async () => {
    await serve()
    const watcher = watch(await bearer(), 'candles')
    await watcher.untilClosed()
    expect(watcher.closeCode).toBe(4403)
    expect(watcher.messages).toEqual([expect.objectContaining({ type: 'error', code: 'MR7020', canRetry: false })])
    expect((await get(port, '/views/candles', await bearer())).status).toBe(403)
  })

  test('a token without the claim permits all only where the configuration says so', async () => {
    await serve('all')
    expect((await get(port, '/views/candles', await bearer())).status).toBe(200)
    expect((await get(port, '/views/candles', await bearer([]))).status).toBe(403)
    expect((await upgrade(port, await bearer())).status).toBe(101)
  })
})
