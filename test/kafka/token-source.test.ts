// Tokens for SASL OAUTHBEARER: asked for once, renewed in time, handed to every client. Keeps SPEC: SECURE-3.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import type { PlainSettings } from '../../src/kafka/rdkafka/settings.ts'
import type { Token } from '../../src/kafka/rdkafka/token-request.ts'
import { type TokenSource, takeTokenSettings } from '../../src/kafka/rdkafka/token-source.ts'
import { makeTokenAuthority, startTokenEndpoint, type TokenEndpoint } from '../harness/token-endpoint.ts'

const LIFE_SECONDS = 5
const SECRET = 'p&ss w/rd'
let endpoint: TokenEndpoint
const warnings: string[] = []
let onWarning = () => {}
const sources: { source: TokenSource; taker: Taker }[] = []

beforeEach(async () => {
  warnings.length = 0
  onWarning = () => {}
  const authority = makeTokenAuthority()
  endpoint = await startTokenEndpoint({
    authority,
    clientId: 'svc',
    clientSecret: encodeURIComponent(SECRET),
    lifeSeconds: LIFE_SECONDS,
  })
})
afterEach(async () => {
  for (const { source, taker } of sources.splice(0)) source.remove(taker)
  await endpoint.close()
})

function settings(more: PlainSettings = {}): PlainSettings {
  return {
    'sasl.mechanism': 'OAUTHBEARER',
    'sasl.oauthbearer.method': 'oidc',
    'sasl.oauthbearer.client.id': 'svc',
    'sasl.oauthbearer.client.secret': SECRET,
    'sasl.oauthbearer.token.endpoint.url': endpoint.url,
    'security.protocol': 'sasl_ssl',
    ...more,
  }
}

const taken = (more?: PlainSettings) =>
  takeTokenSettings(settings(more), (text) => {
    warnings.push(text)
    onWarning()
  })

/** A client that remembers what it was given. */
class Taker {
  readonly tokens: Token[] = []
  readonly #waiting: { count: number; resolve: () => void }[] = []
  takeToken(token: Token): void {
    this.tokens.push(token)
    for (const { count, resolve } of this.#waiting) if (this.tokens.length >= count) resolve()
  }
  has(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve })
    })
  }
}

function added(source: TokenSource): Taker {
  const taker = new Taker()
  source.add(taker)
  sources.push({ source, taker })
  return taker
}

describe('tokens', () => {
  test('are asked for once, whoever waits, and renewed for every client before their end', async () => {
    const source = taken().tokens!
    const [one, two] = await Promise.all([source.current(1000), source.current(1000)])
    expect([one === two, endpoint.tokenCount]).toEqual([true, 1])
    const takers = [added(source), added(source)]
    await Promise.all(takers.map((taker) => taker.has(1)))
    expect(Date.now()).toBeLessThan(one.expiresAtMs)
    expect(takers[0]!.tokens).toEqual(takers[1]!.tokens)
    expect(takers[0]!.tokens[0]!.value).not.toBe(one.value)
    expect(await source.current(0)).toBe(takers[0]!.tokens.at(-1))
  })

  test('an endpoint that is away is asked again, with a warning that holds no secret', async () => {
    const source = taken().tokens!
    await source.current(1000)
    endpoint.isDown = true
    const taker = added(source)
    onWarning = () => {
      endpoint.isDown = false
    }
    await taker.has(1)
    expect(warnings[0]).toContain('HTTP status 503, temporarily_unavailable')
    expect(warnings.join()).not.toContain(SECRET)
  })

  test('at the start it is waited for, but not longer than the limit', async () => {
    endpoint.isDown = true
    await expect(taken().tokens!.current(100)).rejects.toMatchObject({ code: 'MR4033', action: 'stop' })
    const waiting = taken().tokens!.current(5000)
    endpoint.isDown = false
    expect((await waiting).value).not.toBe('')
  })

  test('a secret that is refused is not tried again', async () => {
    const { tokens } = taken({ 'sasl.oauthbearer.client.secret': 'other' })
    const error = await tokens!.current(60_000).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(MillraceError)
    expect((error as MillraceError).message).toContain('HTTP status 401, invalid_client')
    expect(endpoint.refusedCount).toBe(1)
  })
})

describe('settings', () => {
  test('librdkafka gets those that are not about tokens', () => {
    const { settings: rest, tokens } = taken({
      'sasl.oauthbearer.extensions': 'logicalCluster=lkc-1,identityPoolId=pool=2',
      'sasl.oauthbearer.scope': 'kafka',
    })
    expect(rest).toEqual({ 'sasl.mechanism': 'OAUTHBEARER', 'security.protocol': 'sasl_ssl' })
    expect(tokens!.extensions).toEqual(['logicalCluster', 'lkc-1', 'identityPoolId', 'pool=2'])
  })

  test('other mechanisms, and tokens of librdkafka itself, are left as they are', () => {
    for (const given of [
      { 'sasl.mechanism': 'PLAIN', 'sasl.username': 'me' },
      {
        'sasl.mechanism': 'OAUTHBEARER',
        'enable.sasl.oauthbearer.unsecure.jwt': 'true',
        'sasl.oauthbearer.config': 'x',
      },
    ]) {
      expect(takeTokenSettings(given, () => {})).toEqual({ settings: given, tokens: undefined })
    }
  })

  test('what is missing for OAUTHBEARER is told by name', () => {
    expect(() => takeTokenSettings({ 'sasl.mechanism': 'OAUTHBEARER' }, () => {})).toThrow(
      /MR3001 .*sasl\.oauthbearer\.method must be oidc.*token\.endpoint\.url is needed.*client\.id is needed.*client\.secret is needed/,
    )
    expect(() => taken({ 'sasl.oauthbearer.token.endpoint.url': 'login.example' })).toThrow(/must begin with https/)
  })
})
