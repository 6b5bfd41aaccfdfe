// One request to the token endpoint of an OpenID Connect provider: client credentials in, a token and its end out.
// Main thread. Node's own HTTP client: it takes an authority of our own (`https.ca.location`), as librdkafka's would.
// Keeps SPEC: SECURE-3; CONFIG-3 (no secret and no token is in an error).
import { readFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { MillraceError } from '../../core/errors.ts'

const REQUEST_LIMIT_MS = 10_000
/** A token is a few kilobytes; what is larger is no answer of a token endpoint. */
const ANSWER_CHARS_MAX = 256 * 1024
const REASON_CHARS_MAX = 300

export interface TokenRequest {
  url: string
  clientId: string
  clientSecret: string
  scope: string | undefined
  /** PEM of the authorities that the endpoint's certificate may be of; undefined: those that Node trusts. */
  ca: string | undefined
}

export interface Token {
  value: string
  /** Wall clock. */
  issuedAtMs: number
  expiresAtMs: number
}

/** An endpoint that is away may be back soon; one that refuses does so again. */
export class TokenError extends MillraceError {
  readonly isRetriable: boolean
  constructor(url: string, reason: string, isRetriable: boolean) {
    super('MR4033', { url: withoutLogin(url), reason: reason.slice(0, REASON_CHARS_MAX) })
    this.isRetriable = isRetriable
  }
}

/**
 * Asks for a token.
 *
 * @throws TokenError (MR4033) when none is given
 * @example
 * const { value, expiresAtMs } = await requestToken({ url, clientId, clientSecret, scope: 'kafka', ca: undefined })
 */
export async function requestToken(asked: TokenRequest): Promise<Token> {
  const issuedAtMs = Date.now()
  const { status, body } = await post(asked)
  const answer = jsonObject(body)
  if (status !== 200) {
    const words = [answer?.error, answer?.error_description].filter((word) => typeof word === 'string')
    throw new TokenError(asked.url, [`HTTP status ${status}`, ...words].join(', '), status >= 500 || status === 429)
  }
  const value = answer?.access_token
  if (typeof value !== 'string' || value === '') throw new TokenError(asked.url, 'it gave no access_token', false)
  const expiresAtMs = expiryMs(answer!, value, issuedAtMs)
  if (expiresAtMs === undefined) throw new TokenError(asked.url, 'its token has neither expires_in nor exp', false)
  return { value, issuedAtMs, expiresAtMs }
}

/** What the answer says and what the token itself says where it is a JWT: the earlier of the two. */
function expiryMs(answer: Record<string, unknown>, token: string, issuedAtMs: number): number | undefined {
  const ends: number[] = []
  const seconds = Number(answer.expires_in)
  if (answer.expires_in !== undefined && seconds > 0) ends.push(issuedAtMs + seconds * 1000)
  const claims = jsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
  if (typeof claims?.exp === 'number') ends.push(claims.exp * 1000)
  return ends.length === 0 ? undefined : Math.min(...ends)
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined // told by the caller as what is missing in it
  }
}

function post({ url, clientId, clientSecret, scope, ca }: TokenRequest): Promise<{ status: number; body: string }> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) })
  const login = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`
  const options = {
    method: 'POST',
    headers: {
      accept: 'application/json',
      authorization: `Basic ${Buffer.from(login).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    ...(ca === undefined ? {} : { ca }),
  }
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(new TokenError(url, error.message, true))
    const answered = (response: IncomingMessage) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
        if (body.length > ANSWER_CHARS_MAX) response.destroy(new Error('its answer is too long'))
      })
      response.once('error', failed)
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
    }
    const send = url.startsWith('https:') ? httpsRequest : httpRequest
    send(url, options, answered).once('error', failed).end(form.toString())
  })
}

/** The authorities of `https.ca.location` or `https.ca.pem`. */
export function authorities(path: string | undefined, pem: string | undefined): string | undefined {
  if (path === undefined || path === 'probe') return pem
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new MillraceError('MR3001', { problems: `kafka.https.ca.location: ${(cause as Error).message}` }, { cause })
  }
}

function withoutLogin(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//')
}
