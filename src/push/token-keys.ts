// The keys that tokens are verified with: a set at an address, in a file, a public key or a shared secret. Main thread; with
// src/push/token-check.ts the only user of jose.
// Keeps SPEC: PUSH-25 (algorithms are those that go with the keys), PUSH-27 (keys that cannot be had are a refusal, not a failure).

import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createLocalJWKSet, createRemoteJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import type { Clock } from '../core/clock.ts'
import { MillraceError } from '../core/errors.ts'
import { KEY_ALGORITHMS, SECRET_BYTES_MIN } from '../ops/token-algorithms.ts'

/** Where keys come from: exactly one of them. */
export type KeySource =
  | { kind: 'jwksUrl'; url: string }
  /** A JSON Web Key Set. */
  | { kind: 'jwksFile'; file: string }
  /** PEM: a public key or a certificate. */
  | { kind: 'publicKeyFile'; file: string }
  /** As UTF-8. */
  | { kind: 'secret'; secret: string }

/** Times of a key set at an address, ms. */
export interface KeySetTimes {
  /** For one request of the set. */
  timeoutMs: number
  /** After a request nothing is asked anew, whatever keys tokens name. */
  cooldownMs: number
  /** So long a set is used. */
  cacheMs: number
}

export const KEY_SET_TIMES: KeySetTimes = { timeoutMs: 5_000, cooldownMs: 30_000, cacheMs: 600_000 }
/** After a request that failed, others are told so without another request. */
const FAILURE_REST_MS = 1_000

export interface TokenKeys {
  getKey: JWTVerifyGetKey
  algorithms: readonly string[]
}

/**
 * Opens keys; those at an address are asked for with the first token. `algorithms`: those that are allowed, undefined: what goes with the
 * keys. Throws MR7023 when they cannot be used.
 */
export function openKeys(
  source: KeySource,
  algorithms: readonly string[] | undefined,
  clock: Clock,
  times: KeySetTimes,
): TokenKeys {
  switch (source.kind) {
    case 'jwksUrl':
      return { getKey: remoteKeys(source.url, clock, times), algorithms: algorithms ?? DEFAULT_ALGORITHMS }
    case 'jwksFile':
      return { getKey: keysOfFile(source.file), algorithms: algorithms ?? DEFAULT_ALGORITHMS }
    case 'publicKeyFile':
      return publicKey(source.file, algorithms)
    case 'secret':
      return sharedSecret(source.secret, algorithms ?? ['HS256'])
  }
}

const DEFAULT_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA']

/** Keys by a token's `kid`. What goes wrong on the way to them is MR7019, what is wrong with the token stays as jose says it. */
function remoteKeys(url: string, clock: Clock, times: KeySetTimes): JWTVerifyGetKey {
  const { timeoutMs: timeoutDuration, cooldownMs: cooldownDuration, cacheMs: cacheMaxAge } = times
  const remote = createRemoteJWKSet(new URL(url), { timeoutDuration, cooldownDuration, cacheMaxAge })
  let failure: { error: MillraceError; untilMs: number } | undefined
  return async (header, token) => {
    if (failure !== undefined && clock.monotonicMs() < failure.untilMs) throw failure.error
    try {
      return await remote(header, token)
    } catch (error) {
      if (isOfToken(error)) throw error
      const reason = `${url}: ${causeText(error)}`
      failure = { error: new MillraceError('MR7019', { reason }), untilMs: clock.monotonicMs() + FAILURE_REST_MS }
      throw failure.error
    }
  }
}

/** Whether the token names no key of the set, or what no key is for. */
function isOfToken(error: unknown): boolean {
  const { JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported } = errors
  return [JWKSNoMatchingKey, JWKSMultipleMatchingKeys, JOSENotSupported].some((kind) => error instanceof kind)
}

/** `fetch failed` says nothing, its cause does. */
function causeText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error && !(error instanceof errors.JOSEError) ? error.cause.message : error.message
}

function keysOfFile(file: string): JWTVerifyGetKey {
  return usable(file, (text) => {
    const set = JSON.parse(text) as JSONWebKeySet
    const getKey = createLocalJWKSet(set)
    if (set.keys.length === 0) throw new Error('it has no keys')
    return getKey
  })
}

function publicKey(file: string, asked: readonly string[] | undefined): TokenKeys {
  const key = usable(file, createPublicKey)
  const fitting = algorithmsOf(key)
  const strange = asked?.find((name) => !fitting.includes(name))
  const reason = `${file}: push.auth.algorithms has ${strange}, the key is for ${fitting.join(', ') || 'none of them'}`
  if (strange !== undefined || fitting.length === 0) throw new MillraceError('MR7023', { reason })
  return { getKey: async () => key, algorithms: asked ?? fitting }
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  const curve = asymmetricKeyDetails?.namedCurve
  return KEY_ALGORITHMS[curve === undefined ? (asymmetricKeyType ?? '') : curve] ?? []
}

function sharedSecret(secret: string, algorithms: readonly string[]): TokenKeys {
  const key = new TextEncoder().encode(secret)
  const leastBytes = Math.max(...algorithms.map((name) => SECRET_BYTES_MIN[name] ?? 0))
  if (key.length < leastBytes) {
    const reason = `push.auth.secret has ${key.length} bytes, ${algorithms.join(', ')} need at least ${leastBytes}`
    throw new MillraceError('MR7023', { reason })
  }
  return { getKey: async () => key, algorithms }
}

/** What is read from the text of a file. Throws MR7023, without the text. */
function usable<T>(file: string, read: (text: string) => T): T {
  try {
    return read(readFileSync(file, 'utf8'))
  } catch (error) {
    const reason = `${file}: ${error instanceof Error ? error.message : String(error)}`
    throw new MillraceError('MR7023', { reason }, { cause: error })
  }
}
