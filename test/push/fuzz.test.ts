// What no client should send: broken frames, messages that are none, requests that are none. The server runs in a process of its own; it
// answers or closes, does not end, does not fail, and serves a good client all the time. Holds SPEC: PUSH-7.
import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import fc from 'fast-check'
import { pack } from 'msgpackr'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { CommandProcess, endCommandProcesses } from '../harness/command-process.ts'
import { Watcher } from './push-fixture.ts'

const SECRET = 'a secret of at least thirty-two bytes'
const ANSWER_MS_MAX = 5_000
/** Connections of one case, so that many cases take little time. */
const AT_ONCE = 25
const RUNS = 12

let server: CommandProcess
let open: number
let guarded: number
const good: Watcher[] = []

beforeAll(async () => {
  const env = { RUN_TS_IS_SET_UP: '1', TOKEN_SECRET: SECRET }
  server = new CommandProcess(['scripts/run-ts.mjs', 'test/push/programs/push-server.ts'], env)
  const [, first, second] = await server.saying(/listening on (\d+) and (\d+)/)
  open = Number(first)
  guarded = Number(second)
  good.push(new Watcher(`ws://127.0.0.1:${open}`, 'candles'))
  good.push(new Watcher(`ws://127.0.0.1:${guarded}`, 'candles', {}, { authorization: `Bearer ${token()}` }))
  for (const watcher of good) await watcher.until(() => watcher.isLoaded)
})
afterAll(() => {
  for (const watcher of good) watcher.socket.close()
  endCommandProcesses()
})
afterEach(async () => {
  for (const watcher of good) {
    const before = rowOf(watcher)
    await watcher.until(() => rowOf(watcher) > before || watcher.closeCode !== undefined)
    expect(watcher.closeCode).toBeUndefined()
  }
  expect(server.child.exitCode).toBeNull()
  expect(server.stderr.replace(/^listening on .*\n/, '')).toBe('')
})

function rowOf(watcher: Watcher): number {
  return (watcher.latest('A') as { i: number } | undefined)?.i ?? -1
}

function token(): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'HS256' })}.${part({ exp: Math.floor(Date.now() / 1000) + 3600 })}`
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`
}

const HEAD = [
  'GET /live HTTP/1.1',
  'host: localhost',
  'upgrade: websocket',
  'connection: Upgrade',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version: 13',
]
const upgradeOf = (protocol?: string): string =>
  `${[...HEAD, ...(protocol === undefined ? [] : [`sec-websocket-protocol: ${protocol}`])].join('\r\n')}\r\n\r\n`

/** Says the first part, and the others when it is answered. What came back, as Latin-1, until `isEnough` or the end of the connection. Throws when neither comes in time. */
function talk(
  port: number,
  parts: readonly (string | Uint8Array)[],
  isEnough: (text: string) => boolean,
  endsInput = false,
): Promise<{ text: string; isClosed: boolean }> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1')
    const finish = (isClosed: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, isClosed })
    }
    const timer = setTimeout(() => {
      socket.destroy()
      const said = parts.map((part) => Buffer.from(part).toString('latin1').slice(0, 400))
      reject(new Error(`neither an answer nor a close: ${JSON.stringify(said)} got ${JSON.stringify(text)}`))
    }, ANSWER_MS_MAX)
    socket.on('error', () => undefined) // a close follows
    socket.on('close', () => finish(true))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      sayRest()
      if (isEnough(text)) finish(false)
    })
    const rest = parts.slice(1)
    const sayRest = (): void => {
      // Each may come alone: so the server sees parts of frames.
      for (const part of rest.splice(0)) socket.write(part)
      if (endsInput) socket.end()
    }
    socket.write(parts[0]!)
    if (rest.length === 0) sayRest()
  })
}

interface Odd {
  fin?: boolean
  rsv?: number
  isMasked?: boolean
  /** Said, whatever the payload has. */
  length?: bigint
}

function frame(opcode: number, payload: string | Uint8Array, odd: Odd = {}): Buffer {
  const bytes = Buffer.from(payload)
  const { fin = true, rsv = 0, isMasked = true, length = BigInt(bytes.length) } = odd
  const head = Buffer.alloc(length > 65_535n ? 10 : length > 125n ? 4 : 2)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (isMasked ? 0x80 : 0) | (head.length === 10 ? 127 : head.length === 4 ? 126 : Number(length))
  if (head.length === 10) head.writeBigUInt64BE(length, 2)
  if (head.length === 4) head.writeUInt16BE(Number(length), 2)
  if (!isMasked) return Buffer.concat([head, bytes])
  const mask = Buffer.from([1, 2, 3, 4])
  return Buffer.concat([head, mask, bytes.map((byte, i) => byte ^ mask[i % 4]!)])
}

const PING = '{"type":"ping"}'
const isPinged = (text: string): boolean => text.includes('"timeMs"')

test.each<[string, Buffer[]]>([
  ['a reserved opcode', [frame(3, 'x')]],
  ['a reserved control opcode', [frame(11, 'x')]],
  ...[1, 2, 4, 7].map((rsv): [string, Buffer[]] => [`reserved bits ${rsv}`, [frame(1, PING, { rsv })]]),
  ['no masks', Array.from({ length: 20 }, () => frame(1, PING, { isMasked: false }))],
  ['a length of 63 bits', [frame(1, 'x', { length: 2n ** 63n - 1n })]],
  ['a length of 64 bits', [frame(2, 'x', { length: 2n ** 64n - 1n })]],
  ['a length over the limit', [frame(1, 'x', { length: 70_000n })]],
  ['a message over the limit', [frame(1, Buffer.alloc(70_000, 32))]],
  [
    'fragments over the limit',
    [frame(1, Buffer.alloc(40_000, 32), { fin: false }), frame(0, Buffer.alloc(40_000, 32))],
  ],
  ['a ping in fragments', [frame(9, 'x', { fin: false })]],
  ['a close in fragments', [frame(8, '', { fin: false })]],
  ['a long ping', [frame(9, Buffer.alloc(126))]],
  ['a continuation of nothing', [frame(0, 'x')]],
  ['a beginning within a message', [frame(1, '{', { fin: false }), frame(1, '}')]],
  ['text that is no UTF-8', [frame(1, Uint8Array.of(0xff, 0xfe))]],
  ['a close of one byte', [frame(8, Uint8Array.of(3))]],
  ['a close with a code that there is not', [frame(8, Uint8Array.of(0, 5))]],
  ['a close', [frame(8, Uint8Array.of(3, 232))]],
  ['no text', [frame(1, '')]],
  ['bytes that are no JSON', [frame(2, Uint8Array.of(0xc1))]],
])('%s ends the connection', async (_, frames) => {
  const { isClosed, text } = await talk(open, [upgradeOf(), ...frames], () => false)
  expect([isClosed, text.startsWith('HTTP/1.1 101')]).toEqual([true, true])
})

test('a message in many fragments, with pings between them, is read', async () => {
  const fragments = [...PING].flatMap((char, i) => [
    frame(i === 0 ? 1 : 0, char, { fin: i === PING.length - 1 }),
    ...(i === PING.length - 1 ? [] : [frame(9, 'p')]),
  ])
  expect((await talk(open, [upgradeOf(), ...fragments], isPinged)).isClosed).toBe(false)
})

/** Every case many times at once. */
/** `first`: values that are tried before those at random. */
async function each<T>(
  values: fc.Arbitrary<T>,
  check: (value: T) => Promise<unknown>,
  { runs = RUNS, first = [] }: { runs?: number; first?: T[] } = {},
): Promise<void> {
  const many = fc.array(values, { minLength: AT_ONCE, maxLength: AT_ONCE })
  await fc.assert(
    fc.asyncProperty(many, async (list) => {
      await Promise.all(list.map(check))
      return server.child.exitCode === null
    }),
    { numRuns: runs, endOnFailure: true, examples: first.length > 0 ? [[first]] : [] },
  )
}

const bytes = fc.uint8Array({ maxLength: 200 })
const someFrame = fc
  .record({
    opcode: fc.nat(15),
    payload: fc.oneof(bytes, fc.constant(Buffer.from(PING))),
    fin: fc.boolean(),
    rsv: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(7)),
    isMasked: fc.boolean(),
    length: fc.option(fc.bigInt(0n, 2n ** 64n - 1n), { nil: undefined, freq: 5 }),
    cut: fc.option(fc.nat(20), { nil: undefined, freq: 5 }),
  })
  .map(({ opcode, payload, cut, length, ...odd }) => {
    const whole = frame(opcode, payload, { ...odd, ...(length === undefined ? {} : { length }) })
    return cut === undefined ? whole : whole.subarray(0, cut)
  })

test('frames of any kind, cut anywhere, and bytes that are none', async () => {
  await each(fc.array(fc.oneof(someFrame, bytes), { maxLength: 6 }), (frames) =>
    talk(open, [upgradeOf(), ...frames], () => false, true),
  )
})

/** Messages that are nearly right: each field is what it should be, or anything. */
function nearly(): fc.Arbitrary<object> {
  const or = (...right: fc.Arbitrary<unknown>[]) => fc.oneof(...right, fc.anything({ maxDepth: 2 }))
  const where = fc.dictionary(
    fc.string(),
    or(fc.dictionary(fc.constantFrom('eq', 'in', 'gt', 'lte', 'x'), fc.anything())),
  )
  return fc.record(
    {
      type: or(fc.constantFrom('subscribe', 'subscribe', 'subscribe', 'unsubscribe', 'ping')),
      id: or(fc.nat()),
      view: or(fc.constantFrom('candles', '__proto__', 'constructor')),
      ...{ key: or(fc.string()), keys: or(fc.array(fc.string())), prefix: or(fc.string()), where: or(where) },
      ...{ fields: or(fc.array(fc.string())), resume: or(fc.base64String()), minGapMs: or(fc.nat()) },
      ['__proto__']: fc.anything({ maxDepth: 1 }),
    },
    { requiredKeys: ['type', 'id', 'view'] },
  )
}

const jsonOf = (value: unknown): string =>
  JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? one.toString() : one)) ?? 'undefined'

test('messages as JSON that are none, or nearly', async () => {
  const text = fc.oneof(
    nearly().map(jsonOf),
    fc.json(),
    fc.string({ unit: 'grapheme' }),
    fc.constant('['.repeat(20_000)),
  )
  await each(text, (message) => talk(open, [upgradeOf(), frame(1, message), frame(1, PING)], isPinged))
})

test('messages as msgpack that are none, or nearly', async () => {
  const packed = nearly().map((value) => pack(JSON.parse(jsonOf(value))) as Uint8Array)
  const cut = fc.tuple(packed, fc.nat()).map(([whole, at]) => whole.subarray(0, at % (whole.length + 1)))
  // Five bytes that ask for a list, a map, a text of 4 GB; a list in a list, and so on.
  const greedy = fc.constantFrom(0xdd, 0xdf, 0xdb, 0xc6).map((first) => Uint8Array.of(first, 255, 255, 255, 255))
  const deep = fc.constant(new Uint8Array(30_000).fill(0x91))
  const ping = frame(2, pack({ type: 'ping' }) as Uint8Array)
  await each(fc.oneof(packed, cut, greedy, deep, bytes), (message) =>
    talk(open, [upgradeOf('millrace.msgpack.v1'), frame(2, message), ping], (text) => text.includes('timeMs')),
  )
})

const line = fc.string({ unit: fc.constantFrom(...'aZ09%/?&=#;:,.+-_~"\'<>[]{}|\\ \t\x00\x7fé€') })
/** Without half pairs of UTF-16, which an address cannot say. */
const encoded = (text: string): string => encodeURIComponent(Buffer.from(text).toString())
const path = fc.oneof(
  line.map((text) => `/${text}`),
  fc.constantFrom(
    '/views/%',
    '/views/%ff',
    '/views/%00',
    '/views/%E0%A4%A',
    '/events/%c0%af',
    '/views/candles/%2F%2e%2e',
  ),
  fc.nat(3_000).map((count) => '/'.repeat(count + 1)),
  fc.nat(3_000).map((count) => `/views${'/x'.repeat(count)}`),
  fc
    .tuple(fc.constantFrom('/views/candles', '/events/candles', '/views/candles/A', '/live'), line)
    .map(([a, b]) => `${a}?${b}`),
  fc
    .tuple(fc.constantFrom('select', 'prefix', 'from', 'limit', 'resume', 'minGapMs', 'key', 'token'), fc.string())
    .map(([name, value]) => `/events/candles?${name}=${encoded(value)}`),
  fc.json().map((select) => `/views/candles?select=${encoded(select)}`),
)
const header = fc.oneof(
  fc
    .tuple(fc.constantFrom('last-event-id', 'if-none-match', 'origin', 'authorization', 'x-forwarded-for'), line)
    .map(([name, value]) => `${name}: ${value}`),
  fc.constantFrom(
    'content-length: -1',
    'content-length: 99999999999999999999',
    'content-length: 5',
    'transfer-encoding: chunked',
  ),
  fc.constantFrom(
    'connection: close',
    'upgrade: websocket',
    'expect: 100-continue',
    'sec-websocket-protocol: ,,bearer.',
  ),
  fc.nat(20_000).map((length) => `x: ${'y'.repeat(length)}`),
  fc.nat(300).map((count) => Array.from({ length: count }, (_, i) => `h${i}: v`).join('\r\n')),
  line,
)
const requestText = fc
  .record({
    method: fc.oneof(fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'OPTIONS', 'get', ''), line),
    path,
    version: fc.constantFrom('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2', ''),
    host: fc.constantFrom('host: localhost\r\n', 'host: localhost\r\n', 'host: evil\r\n', ''),
    headers: fc.array(header, { maxLength: 4 }),
  })
  .map(
    ({ method, path, version, host, headers }) =>
      `${method} ${path} ${version}\r\n${host}${[...headers, '', ''].join('\r\n')}`,
  )

test.each(['open', 'guarded'])('requests that are none, or nearly, to the %s server', async (which) => {
  const ports = { open, guarded } as Record<string, number>
  const statuses = new Set<string>()
  const get = (path: string, host = 'localhost'): string => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`
  const first = [get('/views'), get('/views?limit=x'), get('/views/candles?limit=x'), get('/views', 'evil'), get('/?')]
  const check = async (text: string | Uint8Array): Promise<void> => {
    const { text: answer } = await talk(ports[which]!, [text], () => false, true)
    const status = /^HTTP\/1.1 (\d+)/.exec(answer)?.[1]
    if (status !== undefined) statuses.add(status)
    expect(answer).not.toMatch(/^HTTP\/1.1 500/)
    if (which === 'guarded') expect(answer).not.toMatch(/"rows":|snapshot|^HTTP\/1.1 101/)
  }
  await each(fc.oneof(requestText, requestText, bytes), check, { first: [...first, get('/nowhere')] })
  // So they are no noise that is dropped before any handler sees it.
  for (const status of which === 'open' ? ['200', '400', '403', '404'] : ['401', '403', '404'])
    expect(statuses).toContain(status)
})

test('tokens that are none, or nearly', async () => {
  const good = token()
  const part = fc.oneof(
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
  )
  const made = fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.').replaceAll('=', ''))
  const changed = fc
    .tuple(fc.nat(good.length - 1), fc.constantFrom('A', '.', '_'))
    .filter(([at, char]) => good[at] !== char && at < good.length - 1)
    .map(([at, char]) => good.slice(0, at) + char + good.slice(at + 1))
  await each(fc.oneof(made, changed), async (bad) => {
    const asHeader = `GET /views HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${bad}\r\n\r\n`
    const asQuery = `GET /events/candles?token=${bad} HTTP/1.1\r\nhost: localhost\r\n\r\n`
    for (const text of [asHeader, asQuery, upgradeOf(`millrace.json.v1, bearer.${bad}`)]) {
      const { text: answer } = await talk(guarded, [text], (text) => text.includes('"remedy"'))
      expect(answer).toMatch(/^HTTP\/1.1 401/)
    }
  })
})
