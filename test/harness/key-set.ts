// Signs tokens for tests, and serves the set of keys that they are verified with, also badly.
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

export interface TokenSigner {
  kid: string
  /** The public key as a JWK of a set. */
  jwk: Record<string, unknown>
  publicKey: CryptoKey
  /** `exp` in an hour unless the claims say. */
  sign(claims?: JWTPayload, header?: Record<string, unknown>): Promise<string>
}

export async function makeSigner(kid: string, alg = 'ES256'): Promise<TokenSigner> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  const sign = (claims: JWTPayload = {}, header: Record<string, unknown> = {}) =>
    new SignJWT({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })
      .setProtectedHeader({ alg, kid, ...header })
      .sign(privateKey)
  return { kid, jwk, publicKey, sign }
}

export class KeySetServer {
  /** What is answered: a set, a text that is none, a status, or nothing until `release`. */
  answer: { keys: Record<string, unknown>[] } | string | number | 'held'
  requestCount = 0
  readonly url: string
  readonly #server: Server
  readonly #held: ServerResponse[] = []

  private constructor(server: Server, keys: Record<string, unknown>[]) {
    this.answer = { keys }
    this.#server = server
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    server.on('request', (_, response) => {
      this.requestCount++
      if (this.answer === 'held') this.#held.push(response)
      else this.#say(response)
    })
  }
  static async start(...signers: TokenSigner[]): Promise<KeySetServer> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new KeySetServer(
      server,
      signers.map(({ jwk }) => jwk),
    )
  }
  get heldCount(): number {
    return this.#held.length
  }
  /** Answers those that wait. */
  release(): void {
    for (const response of this.#held.splice(0)) this.#say(response)
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
  #say(response: ServerResponse): void {
    const { answer } = this
    response.statusCode = typeof answer === 'number' ? answer : 200
    response.end(typeof answer === 'object' ? JSON.stringify(answer) : String(answer))
  }
}
