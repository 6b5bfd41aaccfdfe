// An OpenID Connect provider as small as it can be, for tests: a token endpoint for client credentials, and the keys
// that its tokens can be checked with. Runs in the test runner's process.
import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TokenEndpoint {
  url: string
  /** Tokens given out so far. */
  readonly tokenCount: number
  /** Requests that were refused. */
  readonly refusedCount: number
  /** Answers 503 from now on, until it is set back. */
  isDown: boolean
  close(): Promise<void>
}

export interface TokenAuthority {
  /** The public keys as a JWKS document. */
  jwks: string
  token(claims: Record<string, unknown>): string
}

/** A key pair that signs tokens. */
export function makeTokenAuthority(): TokenAuthority {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'RS256', use: 'sig' }
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return {
    jwks: JSON.stringify({ keys: [jwk] }),
    token(claims) {
      const text = `${part({ alg: 'RS256', kid: 'test', typ: 'JWT' })}.${part(claims)}`
      return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
    },
  }
}

export interface TokenEndpointOptions {
  authority: TokenAuthority
  clientId: string
  clientSecret: string
  /** Life of a token. */
  lifeSeconds: number
}

export async function startTokenEndpoint(options: TokenEndpointOptions): Promise<TokenEndpoint> {
  const wanted = `Basic ${Buffer.from(`${options.clientId}:${options.clientSecret}`).toString('base64')}`
  let tokenCount = 0
  let refusedCount = 0
  const answer = (request: IncomingMessage, body: string, response: ServerResponse) => {
    const isGood = request.headers.authorization === wanted && body.includes('grant_type=client_credentials')
    const status = endpoint.isDown ? 503 : isGood ? 200 : 401
    response.writeHead(status, { 'content-type': 'application/json' })
    if (status !== 200) {
      refusedCount++
      response.end(JSON.stringify({ error: status === 401 ? 'invalid_client' : 'temporarily_unavailable' }))
      return
    }
    tokenCount++
    const nowSeconds = Math.floor(Date.now() / 1000)
    const claims = { sub: options.clientId, scope: 'kafka', iat: nowSeconds, exp: nowSeconds + options.lifeSeconds }
    const token = options.authority.token(claims)
    response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: options.lifeSeconds }))
  }
  const server: Server = createServer((request, response) => {
    let body = ''
    request.on('data', (data) => {
      body += String(data)
    })
    request.on('end', () => answer(request, body, response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    get tokenCount() {
      return tokenCount
    },
    get refusedCount() {
      return refusedCount
    },
    isDown: false,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return endpoint
}
