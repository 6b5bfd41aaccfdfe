// Verifies tokens and reads from them who it is, until when, and what may be read. Main thread; with src/push/token-keys.ts the only user
// of jose.
// Keeps SPEC: PUSH-25 (a token is verified before anything is served), PUSH-27 (keys that cannot be had are a refusal, not a failure).

import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import { ALL_RIGHTS, type Rights, readRights } from './rights.ts'
import { KEY_SET_TIMES, type KeySetTimes, type KeySource, openKeys, type TokenKeys } from './token-keys.ts'

export interface AuthOptions {
  keys: KeySource
  /** A token must be from one of these; without it from anyone who has the key. */
  issuers?: readonly string[]
  /** A token must be for one of these; without it for anyone. */
  audiences?: readonly string[]
  /** Allowed signatures; default: those that go with the keys. */
  algorithms?: readonly string[]
  /** Difference of clocks that is let pass. */
  clockToleranceMs: number
  /** Name of the claim that says what may be read. */
  claim: string
  /** What a token without the claim may read. */
  withoutClaim: 'nothing' | 'all'
  /** Whether a token may be in the address, as `?token=`. */
  allowQueryToken: boolean
  /** Of a key set at an address. */
  times?: KeySetTimes
}

/** What a client may do, and until when. */
export interface Grant {
  /** Who it is; undefined: the token does not say. */
  subject: string | undefined
  /** ms since the epoch; the connection ends then. */
  expiresMs: number
  rights: Rights
}

/** Of everybody where there is no authentication. */
export const ANYONE: Grant = { subject: undefined, expiresMs: Number.POSITIVE_INFINITY, rights: ALL_RIGHTS }

/** Tokens that are verified at a time: while a key set is fetched they all wait. */
const CHECKS_MAX = 1_000
const NOTHING: Rights = { views: new Map(), others: undefined }

export class TokenCheck {
  readonly #options: AuthOptions
  readonly #clock: Clock
  readonly #keys: TokenKeys
  #pendingCount = 0

  /** Throws MR7023 when the keys cannot be used. */
  constructor(options: AuthOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
    this.#keys = openKeys(options.keys, options.algorithms, clock, options.times ?? KEY_SET_TIMES)
  }

  get allowsQuery(): boolean {
    return this.#options.allowQueryToken
  }

  /**
   * Verifies a token. Throws MR7016 (there is none), MR7017 (not valid), MR7018 (expired) and MR7019 (there are no keys to verify it with
   * now).
   */
  async check(token: string | undefined): Promise<Grant> {
    if (token === undefined) throw new MillraceError('MR7016')
    if (this.#pendingCount >= CHECKS_MAX)
      throw new MillraceError('MR7019', { reason: `${CHECKS_MAX} tokens wait for them already` })
    this.#pendingCount++
    try {
      return this.#grantOf(await this.#verified(token))
    } finally {
      this.#pendingCount--
    }
  }

  async #verified(token: string): Promise<JWTPayload> {
    const { issuers, audiences, clockToleranceMs } = this.#options
    try {
      const { payload } = await jwtVerify(token, this.#keys.getKey, {
        algorithms: [...this.#keys.algorithms],
        requiredClaims: ['exp'],
        clockTolerance: clockToleranceMs / 1000,
        currentDate: new Date(this.#clock.wallMs()),
        ...(issuers === undefined ? {} : { issuer: [...issuers] }),
        ...(audiences === undefined ? {} : { audience: [...audiences] }),
      })
      return payload
    } catch (error) {
      throw refusalOf(error)
    }
  }

  #grantOf(payload: JWTPayload): Grant {
    const { claim, clockToleranceMs } = this.#options
    const rights = this.#rightsOf(payload)
    if (typeof rights === 'string') throw new MillraceError('MR7017', { reason: `its claim ${claim}: ${rights}` })
    return { subject: payload.sub, expiresMs: payload.exp! * 1000 + clockToleranceMs, rights }
  }

  #rightsOf(payload: JWTPayload): Rights | string {
    const { claim, withoutClaim } = this.#options
    if (Object.hasOwn(payload, claim)) return readRights(payload[claim])
    return withoutClaim === 'all' ? ALL_RIGHTS : NOTHING
  }
}

/** What the client is told of a failed verification; what is no matter of its token stays as it is. */
function refusalOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new MillraceError('MR7018', {}, { cause: error })
  // A key that the algorithm does not go with is a TypeError of jose.
  if (!(error instanceof errors.JOSEError || error instanceof TypeError)) return error
  return new MillraceError('MR7017', { reason: reasonOf(error) }, { cause: error })
}

function reasonOf(error: Error): string {
  if (error instanceof errors.JWTClaimValidationFailed)
    return `its claim ${error.claim} ${error.reason === 'missing' ? 'is missing' : 'is not what is expected here'}`
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is not right'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed here'
  if (error instanceof errors.JWKSNoMatchingKey) return 'no key is known that it could be signed with'
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'it names no key (`kid`), and there are several'
  if (error instanceof TypeError) return 'its algorithm does not go with the key'
  return 'it is no signed JWT'
}
