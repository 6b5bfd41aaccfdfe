// Tokens, over real sockets: where they are looked for, which are taken, keys that cannot be had, and their end. Holds SPEC: PUSH-25,
// PUSH-27, PUSH-28.
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportSPKI, type JWTPayload } from 'jose'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/ops/system-clock.ts'
import { MSGPACK_PROTOCOL } from '../../src/protocol/messages.ts'
import type { PushOptions } from '../../src/push/server.ts'
import { type AuthOptions, TokenCheck } from '../../src/push/token-check.ts'
import { KeySetServer, makeSigner, type TokenSigner } from '../harness/key-set.ts'
import { eventually, type Rig, startRig, Watcher } from './push-fixture.ts'
import { EventStream, get, upgrade } from './requests.ts'

const SECRET = 'a secret of at least thirty-two bytes'
const ALL = { millrace: ['candles'] }
const closers: (() => unknown)[] = []
let rsa: TokenSigner
let ec: TokenSigner
let folder: string

beforeAll(async () => {
  ;[rsa, ec] = await Promise.all([makeSigner('rsa', 'RS256'), makeSigner('ec', 'ES256')])
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

function fileOf(text: string): string {
  folder = mkdtempSync(join(tmpdir(), 'millrace-auth-'))
  const made = folder
  closers.push(() => rmSync(made, { recursive: true }))
  const file = join(folder, 'keys')
  writeFileSync(file, text)
  return file
}

const options = (more: Partial<AuthOptions> & Pick<AuthOptions, 'keys'>): AuthOptions => ({
  clockToleranceMs: 0,
  claim: 'millrace',
  withoutClaim: 'nothing',
  allowQueryToken: false,
  ...more,
})
const keySetFile = (...signers: TokenSigner[]): AuthOptions['keys'] => ({
  kind: 'jwksFile',
  file: fileOf(JSON.stringify({ keys: signers.map(({ jwk }) => jwk) })),
})

async function serve(auth: AuthOptions, more: Partial<PushOptions> = {}): Promise<Rig> {
  const rig = await startRig({ auth, ...more })
  closers.push(() => rig.push.close())
  rig.put('A', { close: 1 })
  await eventually(() => rig.push.isReady())
  return rig
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

function watch(rig: Rig, headers: Record<string, string>): Watcher {
  const watcher = new Watcher(rig.wsUrl, 'candles', {}, headers)
  watcher.socket.onerror = () => undefined // its close tells
  closers.push(() => watcher.socket.close())
  return watcher
}

const PATHS = ['/views', '/views/candles', '/views/candles/A', '/events/candles']

describe('a token', () => {
  test('is wanted of all who read the views, and not for the page', async () => {
    const rig = await serve(options({ keys: keySetFile(rsa) }))
    const { port } = rig.push
    for (const path of PATHS) {
      const answer = await get(port, path)
      expect([answer.status, answer.code, answer.headers['www-authenticate']]).toEqual([401, 'MR7016', 'Bearer'])
      expect(JSON.parse(answer.body)).toMatchObject({ remedy: expect.stringContaining('Authorization: Bearer') })
    }
    expect(await upgrade(port)).toMatchObject({ status: 401, code: 'MR7016' })
    expect(await upgrade(port, { authorization: 'Basic bWU6eW91' })).toMatchObject({ status: 401, code: 'MR7016' })
    expect((await get(port, '/')).status).toBe(200)
    expect(rig.metrics.text()).toContain('millrace_push_refused_total{code="MR7016"} 6')
  })

  test('is taken from the header, for WebSockets, streams and plain reads', async () => {
    const rig = await serve(options({ keys: keySetFile(rsa) }))
    const token = await rsa.sign(ALL)
    for (const path of ['/views', '/views/candles', '/views/candles/A'])
      expect((await get(rig.push.port, path, bearer(token))).status).toBe(200)
    const watcher = watch(rig, bearer(token))
    await watcher.until(() => watcher.isLoaded)
    const stream = new EventStream(rig.push.port, '/events/candles', bearer(token))
    closers.push(() => stream.close())
    await eventually(() => stream.messages.length > 0)
    expect(stream.messages[0]).toMatchObject({ type: 'snapshot', rows: [{ key: 'A' }] })
  })

  test.each([['millrace.json.v1'], ['millrace.msgpack.v1']])(
    'is taken from the subprotocols, and the answer is %s alone',
    async (protocol) => {
      const rig = await serve(options({ keys: keySetFile(rsa) }))
      const token = await rsa.sign(ALL)
      for (const offered of [`${protocol}, bearer.${token}`, `bearer.${token},${protocol}`]) {
        const answer = await upgrade(rig.push.port, { 'sec-websocket-protocol': offered })
        expect([answer.status, answer.headers['sec-websocket-protocol']]).toEqual([101, protocol])
      }
      expect(MSGPACK_PROTOCOL).toBe('millrace.msgpack.v1')
      const alone = await upgrade(rig.push.port, { 'sec-websocket-protocol': `bearer.${token}` })
      expect([alone.status, alone.code]).toEqual([400, 'MR7006'])
      expect(alone.body).not.toContain(token)
    },
  )

  // uWebSockets closed about every second one of them: see src/push/late-upgrade.ts.
  test('is checked before the upgrade, and each WebSocket works after it', async () => {
    const rig = await serve(options({ keys: keySetFile(rsa) }))
    const token = await rsa.sign(ALL)
    for (let i = 0; i < 40; i++) {
      const watcher = watch(rig, bearer(token))
      await watcher.until(() => watcher.isLoaded)
    }
    const noUpgrade = await upgrade(rig.push.port, { ...bearer(token), connection: 'close' })
    expect([noUpgrade.status, noUpgrade.code]).toEqual([400, 'MR7006'])
  })

  test('in the address is read only where that is allowed', async () => {
    const token = await rsa.sign(ALL)
    const closed = await serve(options({ keys: keySetFile(rsa) }))
    const open = await serve(options({ keys: keySetFile(rsa), allowQueryToken: true }))
    for (const path of PATHS) expect((await get(closed.push.port, `${path}?token=${token}`)).code, path).toBe('MR7016')
    expect((await get(open.push.port, `/views/candles?token=${token}`)).status).toBe(200)
    expect((await upgrade(open.push.port, {}, `/live?token=${token}`)).status).toBe(101)
    const stream = new EventStream(open.push.port, `/events/candles?token=${token}`)
    closers.push(() => stream.close())
    await eventually(() => stream.messages.length > 0)
  })

  /** The claim is left out. */
  const NONE = undefined as unknown as number
  const nowS = Math.floor(Date.now() / 1000)
  const GOOD = { ...ALL, iss: 'https://login.example', aud: 'millrace' }
  test.each([
    ['what is no token', async () => 'abc', 'MR7017', 'it is no signed JWT'],
    ['another signature', async () => `${(await rsa.sign(GOOD)).slice(0, -8)}AAAAAAAA`, 'MR7017', 'its signature'],
    ['another key', async () => (await makeSigner('rsa', 'RS256')).sign(GOOD), 'MR7017', 'its signature'],
    ['an unknown key', () => makeSigner('x', 'RS256').then((signer) => signer.sign(GOOD)), 'MR7017', 'no key is known'],
    [
      'no signature',
      async () => unsigned({ alg: 'none' }, { ...GOOD, exp: nowS + 60 }),
      'MR7017',
      'its algorithm is not allowed',
    ],
    ['another algorithm', () => ec.sign(GOOD), 'MR7017', 'its algorithm is not allowed'],
    [
      'the public key as a secret',
      () => confused({ ...GOOD, exp: nowS + 60 }),
      'MR7017',
      'its algorithm is not allowed',
    ],
    ['another issuer', () => rsa.sign({ ...GOOD, iss: 'https://evil.example' }), 'MR7017', 'its claim iss is not'],
    ['no issuer', () => rsa.sign({ ...ALL, aud: 'millrace' }), 'MR7017', 'its claim iss is missing'],
    ['another audience', () => rsa.sign({ ...GOOD, aud: ['shop'] }), 'MR7017', 'its claim aud is not'],
    ['no end', () => rsa.sign({ ...GOOD, exp: NONE }), 'MR7017', 'its claim exp is missing'],
    ['a later beginning', () => rsa.sign({ ...GOOD, nbf: nowS + 600 }), 'MR7017', 'its claim nbf is not'],
    [
      'an extension that is not known',
      async () => `${unsigned({ alg: 'RS256', kid: 'rsa', crit: ['x'], x: 1 }, GOOD)}AAAA`,
      'MR7017',
      'it is no signed JWT',
    ],
    ['a claim that is no right', () => rsa.sign({ ...GOOD, millrace: 5 }), 'MR7017', 'its claim millrace: it must be'],
    ['an end that is over', () => rsa.sign({ ...GOOD, exp: nowS - 1 }), 'MR7018', 'has expired'],
  ])('with %s is refused with 401', async (_, make, code, reason) => {
    const auth = { keys: keySetFile(rsa), issuers: ['https://login.example'], audiences: ['millrace'] }
    const rig = await serve(options({ ...auth, algorithms: ['RS256'] }))
    const token = await make()
    const plain = await get(rig.push.port, '/views', bearer(token))
    const socket = await upgrade(rig.push.port, { 'sec-websocket-protocol': `millrace.json.v1, bearer.${token}` })
    for (const answer of [plain, socket]) {
      expect([answer.status, answer.code]).toEqual([401, code])
      expect(answer.body).toContain(reason)
      expect(answer.body).not.toContain(token)
    }
    expect((await get(rig.push.port, '/views', bearer(await rsa.sign(GOOD)))).status).toBe(200)
  })

  test('counts within the difference of clocks that is let pass', async () => {
    const rig = await serve(options({ keys: keySetFile(rsa), clockToleranceMs: 60_000 }))
    const token = await rsa.sign({ ...ALL, exp: nowS - 20, nbf: nowS + 20 })
    expect((await get(rig.push.port, '/views', bearer(token))).status).toBe(200)
  })

  test('as long as uWebSockets takes a head is taken, and a longer one is refused without harm', async () => {
    const rig = await serve(options({ keys: keySetFile(rsa) }))
    const long = await rsa.sign({ ...ALL, pad: 'x'.repeat(9_000) })
    expect(long.length).toBeGreaterThan(12_000)
    expect((await get(rig.push.port, '/views', bearer(long))).status).toBe(200)
    expect((await get(rig.push.port, '/views', bearer('x'.repeat(20_000)))).status).toBe(431)
  })
})

function unsigned(header: object, claims: JWTPayload): string {
  return `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`
}

/** Signed with HMAC, the public key as its secret: a server that lets the token choose takes it. */
async function confused(claims: JWTPayload): Promise<string> {
  const text = unsigned({ alg: 'HS256', kid: 'rsa' }, claims).slice(0, -1)
  const signature = createHmac('sha256', await exportSPKI(rsa.publicKey)).update(text)
  return `${text}.${signature.digest('base64url')}`
}

describe('keys', () => {
  test.each(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])('of a PEM file verify %s', async (alg) => {
    const signer = await makeSigner('any', alg)
    const rig = await serve(
      options({ keys: { kind: 'publicKeyFile', file: fileOf(await exportSPKI(signer.publicKey)) } }),
    )
    expect((await get(rig.push.port, '/views', bearer(await signer.sign(ALL)))).status).toBe(200)
    const other = await makeSigner('any', alg === 'ES256' ? 'RS256' : 'ES256')
    expect((await get(rig.push.port, '/views', bearer(await other.sign(ALL)))).code).toBe('MR7017')
  })

  test('that are a shared secret verify HS256', async () => {
    const rig = await serve(options({ keys: { kind: 'secret', secret: SECRET } }))
    const text = unsigned({ alg: 'HS256' }, { ...ALL, exp: Math.floor(Date.now() / 1000) + 60 }).slice(0, -1)
    const token = `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`
    expect((await get(rig.push.port, '/views', bearer(token))).status).toBe(200)
    expect((await get(rig.push.port, '/views', bearer(await rsa.sign(ALL)))).code).toBe('MR7017')
  })

  test.each<[string, () => AuthOptions['keys'], string[] | undefined, string]>([
    ['a file that is not there', () => ({ kind: 'jwksFile', file: '/none/keys' }), undefined, 'ENOENT'],
    ['a file that is no set', () => ({ kind: 'jwksFile', file: fileOf('{"keys":5}') }), undefined, 'JSON Web Key Set'],
    ['an empty set', () => ({ kind: 'jwksFile', file: fileOf('{"keys":[]}') }), undefined, 'it has no keys'],
    ['a file that is no PEM', () => ({ kind: 'publicKeyFile', file: fileOf('x') }), undefined, 'keys: '],
    ['a secret that is short', () => ({ kind: 'secret', secret: 'x'.repeat(47) }), ['HS384'], 'need at least 48'],
  ])('in %s stop the start with MR7023', async (_, keys, algorithms, reason) => {
    const auth = options({ keys: keys(), ...(algorithms === undefined ? {} : { algorithms }) })
    const failure = await startRig({ auth }).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({ code: 'MR7023', message: expect.stringContaining(reason) })
  })

  test('of another kind than the algorithms that are asked for stop the start', async () => {
    const file = fileOf(await exportSPKI(ec.publicKey))
    const auth = options({ keys: { kind: 'publicKeyFile', file }, algorithms: ['RS256'] })
    await expect(startRig({ auth })).rejects.toMatchObject({
      code: 'MR7023',
      message: expect.stringContaining('push.auth.algorithms has RS256, the key is for ES256'),
    })
  })
})

describe('a key set at an address', () => {
  const times = { timeoutMs: 200, cooldownMs: 0, cacheMs: 600_000 }
  async function serveFrom(set: KeySetServer, more: Partial<typeof times> = {}): Promise<Rig> {
    closers.push(() => set.close())
    return serve(options({ keys: { kind: 'jwksUrl', url: set.url }, times: { ...times, ...more } }))
  }

  test('is fetched once for many, and again for a key that is new', async () => {
    const set = await KeySetServer.start(rsa)
    const rig = await serveFrom(set)
    const token = await rsa.sign(ALL)
    expect(set.requestCount).toBe(0)
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(rig.push.port, '/views', bearer(token))))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(set.requestCount).toBe(1)
    set.answer = { keys: [ec.jwk] }
    expect((await get(rig.push.port, '/views', bearer(await ec.sign(ALL)))).status).toBe(200)
    expect(set.requestCount).toBe(2)
  })

  test('is not fetched for each unknown key: not again within its rest', async () => {
    const set = await KeySetServer.start(rsa)
    const rig = await serveFrom(set, { cooldownMs: 600_000 })
    const strange = await (await makeSigner('x')).sign(ALL)
    for (let i = 0; i < 5; i++) expect((await get(rig.push.port, '/views', bearer(strange))).code).toBe('MR7017')
    expect(set.requestCount).toBe(1)
  })

  test.each<[string, KeySetServer['answer'], string]>([
    ['says 500', 500, 'Expected 200 OK'],
    ['redirects', 302, 'Expected 200 OK'],
    ['says what is no JSON', 'x', 'as JSON'],
    ['says what is no set', '{"keys":[5]}', 'JSON Web Key Set malformed'],
    ['says nothing', 'held', 'timed out'],
  ])('that %s is 503, and heals', async (_, answer, reason) => {
    const set = await KeySetServer.start(rsa)
    const rig = await serveFrom(set)
    const token = await rsa.sign(ALL)
    set.answer = answer
    for (const refused of [
      await get(rig.push.port, '/views', bearer(token)),
      await upgrade(rig.push.port, bearer(token)),
    ]) {
      expect([refused.status, refused.code]).toEqual([503, 'MR7019'])
      expect(refused.body).toContain(reason)
    }
    // The second was told so without a request of its own.
    expect(set.requestCount).toBe(1)
    set.answer = { keys: [rsa.jwk] }
    await eventually(async () => (await get(rig.push.port, '/views', bearer(token))).status === 200)
  })

  test('that cannot be reached is 503 with the reason', async () => {
    const set = await KeySetServer.start(rsa)
    const rig = await serveFrom(set)
    await set.close()
    closers.splice(0, 1)
    const refused = await get(rig.push.port, '/views', bearer(await rsa.sign(ALL)))
    expect([refused.status, refused.code]).toEqual([503, 'MR7019'])
    expect(refused.body).toContain('ECONNREFUSED')
  })

  test('clients that go while it is waited for do no harm', async () => {
    const set = await KeySetServer.start(rsa)
    const rig = await serveFrom(set, { timeoutMs: 10_000 })
    const token = await rsa.sign(ALL)
    set.answer = 'held'
    const streams = Array.from({ length: 5 }, () => new EventStream(rig.push.port, '/events/candles', bearer(token)))
    const watchers = Array.from({ length: 5 }, () => watch(rig, bearer(token)))
    await eventually(() => set.heldCount === 1)
    for (const stream of streams) stream.close()
    for (const watcher of watchers) watcher.socket.close()
    const staying = watch(rig, bearer(token))
    set.answer = { keys: [rsa.jwk] }
    set.release()
    await staying.until(() => staying.isLoaded)
    await eventually(() => rig.metrics.text().includes('millrace_push_clients 1'))
  })

  test('no more than 1,000 tokens wait for it', async () => {
    const set = await KeySetServer.start(rsa)
    closers.push(() => set.close())
    set.answer = 'held'
    const keys = { kind: 'jwksUrl', url: set.url } as const
    const check = new TokenCheck(options({ keys, times: { ...times, timeoutMs: 10_000 } }), systemClock)
    const token = await rsa.sign(ALL)
    const waiting = Array.from({ length: 1_000 }, () => check.check(token))
    await expect(check.check(token)).rejects.toMatchObject({ code: 'MR7019' })
    await eventually(() => set.heldCount === 1)
    set.answer = { keys: [rsa.jwk] }
    set.release()
    expect(await Promise.all(waiting)).toHaveLength(1_000)
    expect((await check.check(token)).rights.views.has('candles')).toBe(true)
  })
})

describe('the end of a token', () => {
  test('closes WebSockets with 4401 and ends streams, each told to come back with another', async () => {
    let wallMs = Date.now()
    const clock = { wallMs: () => wallMs, monotonicMs: () => performance.now() }
    const rig = await serve(options({ keys: keySetFile(rsa), clockToleranceMs: 5_000 }), {
      clock,
      limits: { pingMs: 1 },
    })
    const expS = Math.floor(wallMs / 1000) + 100
    const token = await rsa.sign({ ...ALL, exp: expS })
    // Further ahead than any timer can be set: 2^31 ms are 25 days.
    const lasting = watch(rig, bearer(await rsa.sign({ ...ALL, exp: expS + 10_000_000 })))
    const watcher = watch(rig, bearer(token))
    const stream = new EventStream(rig.push.port, '/events/candles', bearer(token))
    closers.push(() => stream.close())
    await watcher.until(() => watcher.isLoaded)
    await eventually(() => stream.messages.length > 0)

    wallMs = expS * 1000 + 4_999
    const pings = () => watcher.messages.filter(({ type }) => type === 'ping').length
    const before = pings()
    await watcher.until(() => pings() > before + 1)
    expect([watcher.closeCode, stream.isEnded]).toEqual([undefined, false])

    wallMs = expS * 1000 + 5_000
    await watcher.untilClosed()
    expect(watcher.closeCode).toBe(4401)
    const told = { type: 'error', code: 'MR7018', canRetry: true }
    expect(watcher.messages.at(-1)).toMatchObject(told)
    await eventually(() => stream.isEnded)
    expect(stream.messages.at(-1)).toMatchObject(told)
    const pinged = lasting.messages.length
    await lasting.until(() => lasting.messages.length > pinged + 1)
    expect(lasting.closeCode).toBeUndefined()
    expect(rig.metrics.text()).toContain('millrace_push_dropped_total{code="MR7018"} 2')
  })
})
