// SASL OAUTHBEARER with tokens of an OpenID Connect provider: one token for all clients of a Kafka, renewed before its end
// and handed to each client that lives. Main thread. Ours and not librdkafka's own way: that one needs libcurl at build time.
// Keeps SPEC: SECURE-3 (a client never runs out of its token while the endpoint gives new ones).
import { setTimeout as delay } from 'node:timers/promises'
import { MillraceError } from '../../core/errors.ts'
import type { PlainSettings } from './settings.ts'
import { authorities, requestToken, type Token, TokenError, type TokenRequest } from './token-request.ts'

/** Renewed after this share of its life, as Java's clients do. */
const RENEW_AT_SHARE = 0.8
const RENEW_AFTER_MS_MIN = 500
const RETRY_FIRST_MS = 200
const RETRY_MS_MAX = 10_000
/** Longest wait of a timer: an endpoint may give tokens for months. */
const TIMER_MS_MAX = 24 * 3_600_000

/** Takes a new token; a client that is closing takes none. */
export interface TokenTaker {
  takeToken(token: Token, extensions: readonly string[]): void
}

const METHOD = 'sasl.oauthbearer.method'
const OIDC_SETTINGS = {
  url: 'sasl.oauthbearer.token.endpoint.url',
  clientId: 'sasl.oauthbearer.client.id',
  clientSecret: 'sasl.oauthbearer.client.secret',
} as const
const OIDC_MORE = ['sasl.oauthbearer.scope', 'sasl.oauthbearer.extensions', 'https.ca.location', 'https.ca.pem']
/** Newer names of librdkafka for the same. */
const SYNONYMS: Readonly<Record<string, string>> = {
  'sasl.oauthbearer.client.credentials.client.id': OIDC_SETTINGS.clientId,
  'sasl.oauthbearer.client.credentials.client.secret': OIDC_SETTINGS.clientSecret,
}

/**
 * Takes the settings of OIDC out of those for librdkafka, which gets tokens from us instead of fetching them.
 *
 * @throws MR3001 for OAUTHBEARER without a way to a token
 */
export function takeTokenSettings(
  settings: PlainSettings,
  warn: (text: string) => void,
): { settings: PlainSettings; tokens: TokenSource | undefined } {
  const mechanism = String(settings['sasl.mechanism'] ?? settings['sasl.mechanisms'] ?? '').toUpperCase()
  if (mechanism !== 'OAUTHBEARER' || isTrue(settings['enable.sasl.oauthbearer.unsecure.jwt'])) {
    return { settings, tokens: undefined }
  }
  const rest: PlainSettings = {}
  const oidc: Record<string, string> = {}
  const ours = new Set<string>([METHOD, ...Object.values(OIDC_SETTINGS), ...OIDC_MORE])
  for (const [name, value] of Object.entries(settings)) {
    const known = SYNONYMS[name] ?? name
    if (ours.has(known)) oidc[known] = String(value)
    else rest[name] = value
  }
  return { settings: rest, tokens: new TokenSource(tokenRequest(oidc), extensionsOf(oidc), warn) }
}

function isTrue(value: unknown): boolean {
  return /^(true|t|1)$/i.test(String(value))
}

function tokenRequest(oidc: Record<string, string>): TokenRequest {
  const missing = Object.values(OIDC_SETTINGS).filter((name) => (oidc[name] ?? '') === '')
  const problems = missing.map((name) => `kafka.${name} is needed for OAUTHBEARER`)
  if (oidc[METHOD]?.toLowerCase() !== 'oidc') problems.unshift(`kafka.${METHOD} must be oidc for OAUTHBEARER`)
  const url = oidc[OIDC_SETTINGS.url] ?? ''
  if (url !== '' && !/^https?:\/\/[^/]/.test(url)) problems.push(`kafka.${OIDC_SETTINGS.url} must begin with https://`)
  if (problems.length > 0) throw new MillraceError('MR3001', { problems: problems.join('; ') })
  return {
    url,
    clientId: oidc[OIDC_SETTINGS.clientId]!,
    clientSecret: oidc[OIDC_SETTINGS.clientSecret]!,
    scope: oidc['sasl.oauthbearer.scope'],
    ca: authorities(oidc['https.ca.location'], oidc['https.ca.pem']),
  }
}

/** `a=1,b=2` as librdkafka writes them: name, value, name, value. */
function extensionsOf(oidc: Record<string, string>): string[] {
  const text = oidc['sasl.oauthbearer.extensions'] ?? ''
  return text.split(',').flatMap((pair) => {
    const equals = pair.indexOf('=')
    return equals < 1 ? [] : [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()]
  })
}

export class TokenSource {
  readonly extensions: readonly string[]
  readonly #request: TokenRequest
  readonly #warn: (text: string) => void
  readonly #takers = new Set<TokenTaker>()
  #token: Token | undefined
  #asking: Promise<Token> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(request: TokenRequest, extensions: readonly string[], warn: (text: string) => void) {
    this.#request = request
    this.extensions = extensions
    this.#warn = warn
  }

  /** A token that has some life left; an endpoint that is away is asked again until `limitMs`, or until `stopping` (AbortError). */
  async current(limitMs: number, stopping?: AbortSignal): Promise<Token> {
    const untilMs = performance.now() + limitMs
    for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)) {
      if (this.#token !== undefined && Date.now() < renewAtMs(this.#token)) return this.#token
      try {
        return await this.#ask()
      } catch (error) {
        const isWorthIt = error instanceof TokenError && error.isRetriable
        if (!isWorthIt || performance.now() + pauseMs > untilMs) throw error
        await delay(pauseMs, undefined, stopping === undefined ? {} : { signal: stopping })
      }
    }
  }

  /** From now on the taker gets each new token; while there is one, tokens are renewed. */
  add(taker: TokenTaker): void {
    this.#takers.add(taker)
    this.#schedule()
  }
  remove(taker: TokenTaker): void {
    this.#takers.delete(taker)
    if (this.#takers.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** One request at a time, whoever waits for it. */
  #ask(): Promise<Token> {
    this.#asking ??= requestToken(this.#request)
      .then((token) => {
        this.#token = token
        for (const taker of this.#takers) taker.takeToken(token, this.extensions)
        return token
      })
      .finally(() => {
        this.#asking = undefined
      })
    return this.#asking
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#token === undefined) return
    const waitMs = Math.max(RENEW_AFTER_MS_MIN, renewAtMs(this.#token) - Date.now())
    this.#wait(Math.min(waitMs, TIMER_MS_MAX), RETRY_FIRST_MS)
  }

  #wait(waitMs: number, pauseMs: number): void {
    this.#timer = setTimeout(() => void this.#renew(pauseMs), waitMs)
    this.#timer.unref()
  }

  async #renew(pauseMs: number): Promise<void> {
    try {
      if (this.#token === undefined || Date.now() >= renewAtMs(this.#token)) await this.#ask()
      this.#timer = undefined
      if (this.#takers.size > 0) this.#schedule()
    } catch (error) {
      this.#timer = undefined
      this.#warn(`the token for Kafka was not renewed and is asked for again: ${(error as Error).message}`)
      if (this.#takers.size > 0) this.#wait(pauseMs, Math.min(pauseMs * 2, RETRY_MS_MAX))
    }
  }
}

function renewAtMs({ issuedAtMs, expiresAtMs }: Token): number {
  return issuedAtMs + (expiresAtMs - issuedAtMs) * RENEW_AT_SHARE
}
