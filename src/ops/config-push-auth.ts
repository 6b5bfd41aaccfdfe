// The configuration keys of who may read the views, and what must be true of them together. Main thread; pure.
// Keeps SPEC: CONFIG-1 (this table, the flags, the environment and docs/reference/config.md are equal), CONFIG-2 (all problems at once).

import type { ConfigRow } from './config-table.ts'
import { textsOf } from './config-value.ts'
import { PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS } from './token-algorithms.ts'

export const AUTH_ROWS = [
  {
    key: 'push.auth.jwksUrl',
    type: 'string',
    default: undefined,
    reason:
      'Tokens (JWT) are wanted of all who read the views, and verified with the key set (JWKS) at this address: https, or http to this machine. At most one of the four sources of keys can be set; without one everybody may read.',
  },
  {
    key: 'push.auth.jwksFile',
    type: 'string',
    default: undefined,
    reason: 'The same with the key set of a file, read at the start.',
  },
  {
    key: 'push.auth.publicKeyFile',
    type: 'string',
    default: undefined,
    reason: 'The same with a public key or a certificate, a PEM file that is read at the start.',
  },
  {
    key: 'push.auth.secret',
    type: 'string',
    default: undefined,
    reason:
      'The same with a shared secret, as UTF-8; at least 32 bytes for HS256, 48 for HS384, 64 for HS512. Whoever verifies with it can also make tokens.',
  },
  {
    key: 'push.auth.issuer',
    type: 'string',
    default: undefined,
    reason: 'What `iss` of a token must be; several are separated by commas. Without it, it is not looked at.',
  },
  {
    key: 'push.auth.audience',
    type: 'string',
    default: undefined,
    reason:
      'What `aud` of a token must have; several are separated by commas. Without it tokens for other services of the same issuer are taken too.',
  },
  {
    key: 'push.auth.algorithms',
    type: 'string',
    default: undefined,
    reason:
      'Signatures that are taken, separated by commas. Default: what goes with a public key, HS256 with a secret, RS256, PS256, ES256 and EdDSA with a key set. `none` is none.',
  },
  {
    key: 'push.auth.clockToleranceMs',
    type: 'ms',
    default: 5_000,
    min: 0,
    max: 600_000,
    reason: 'Clocks may differ by this much: a token counts so much longer, and so much earlier.',
  },
  {
    key: 'push.auth.claim',
    type: 'string',
    default: 'millrace',
    reason: 'The claim of a token that says which views and keys may be read.',
  },
  {
    key: 'push.auth.withoutClaim',
    type: 'choice',
    default: 'nothing',
    choices: ['nothing', 'all'],
    reason: 'What may be read with a token that has no such claim.',
  },
  {
    key: 'push.auth.allowQueryToken',
    type: 'boolean',
    default: false,
    reason:
      'Take tokens from addresses (`?token=`) too, for an EventSource of a browser, which can set no header. Addresses are often logged.',
  },
] as const satisfies readonly ConfigRow[]

const SOURCES = ['push.auth.jwksUrl', 'push.auth.jwksFile', 'push.auth.publicKeyFile', 'push.auth.secret']
/** Of no effect without keys: whoever sets them means to have authentication. */
const NEEDS_KEYS = ['push.auth.issuer', 'push.auth.audience', 'push.auth.algorithms', 'push.auth.allowQueryToken']
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** A value that was chosen, as the configuration has it. */
interface Chosen {
  key: string
  value: unknown
  origin: string
  where: string
}

/** Notes what cannot be: keys from two places or none, algorithms that do not go with them, keys over a network without TLS. */
export function checkAuth(chosen: ReadonlyMap<string, Chosen>, problems: string[]): void {
  const add = ({ key, where, origin }: Chosen, text: string) => problems.push(`${where || origin}: ${key} ${text}`)
  const given = SOURCES.map((key) => chosen.get(key)!).filter(({ value }) => value !== undefined)
  for (const entry of given.slice(1)) add(entry, `cannot be set beside ${given[0]!.key}: keys come from one place`)
  if (given.length === 0) {
    const useless = NEEDS_KEYS.map((key) => chosen.get(key)!).filter(
      ({ value }) => value !== undefined && value !== false,
    )
    for (const entry of useless) add(entry, `does nothing without keys: set one of ${SOURCES.join(', ')}`)
    return
  }
  const url = chosen.get('push.auth.jwksUrl')!
  if (url.value !== undefined && !isSafe(String(url.value)))
    add(url, 'must be an https address, or http to this machine: who can change the keys can make tokens')
  const algorithms = chosen.get('push.auth.algorithms')!
  const fitting = given[0]!.key === 'push.auth.secret' ? SECRET_ALGORITHMS : PUBLIC_KEY_ALGORITHMS
  for (const name of textsOf(algorithms.value as string | undefined)) {
    if (fitting.includes(name)) continue
    add(algorithms, `has ${name}, but with ${given[0]!.key} there are ${fitting.join(', ')}`)
  }
}

function isSafe(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname))
}
