// What the configuration says of push, as the push server takes it. Main thread; pure.

import { type Config, originsOf } from '../ops/config.ts'
import { textsOf } from '../ops/config-value.ts'
import type { PushOptions } from '../push/server.ts'
import type { AuthOptions } from '../push/token-check.ts'
import type { KeySource } from '../push/token-keys.ts'

type PushSettings = Required<Pick<PushOptions, 'allowedOrigins' | 'limits' | 'positionSecret' | 'trustedProxies'>> &
  Pick<PushOptions, 'auth' | 'copyDir'>

/** Of the time that a stop may take. */
const DRAIN_SHARE_OF_STOP = 0.5

/** Who may connect and read, the folder of copies, and the limits of push that are configured. */
export function pushSettings({ push, limits: { stopMs, viewBytesMax } }: Config): PushSettings {
  const { connectionsMax, connectionsPerAddressMax, subscriptionsMax, viewRowsMax, recentRowsMax } = push
  const { clientBytesMax, slowClientMsMax, subscribeMsMax, staleAfterMs, behindAfterMs, rowLagMsMax } = push
  const { provisionalRowsMax, provisionalBytesMax, provisionalMsMax } = push
  return {
    allowedOrigins: originsOf(push.allowedOrigins),
    positionSecret: push.positionSecret ?? '',
    copyDir: push.dir,
    auth: authOf(push),
    trustedProxies: push.trustedProxies,
    limits: {
      ...{ connectionsMax, connectionsPerAddressMax, subscriptionsMax, viewRowsMax, recentRowsMax, viewBytesMax },
      ...{ clientBytesMax, slowClientMsMax, subscribeMsMax, staleAfterMs, behindAfterMs, rowLagMsMax },
      ...{ provisionalRowsMax, provisionalBytesMax, provisionalMsMax },
      drainMs: Math.min(push.drainMs, stopMs * DRAIN_SHARE_OF_STOP),
    },
  }
}

function authOf(push: Config['push']): AuthOptions | undefined {
  const keys = keysOf(push)
  if (keys === undefined) return undefined
  const list = (text: string | undefined) => (text === undefined ? undefined : textsOf(text))
  const issuers = list(push['auth.issuer'])
  const audiences = list(push['auth.audience'])
  const algorithms = list(push['auth.algorithms'])
  return {
    keys,
    ...(issuers === undefined ? {} : { issuers }),
    ...(audiences === undefined ? {} : { audiences }),
    ...(algorithms === undefined ? {} : { algorithms }),
    clockToleranceMs: push['auth.clockToleranceMs'],
    claim: push['auth.claim'],
    withoutClaim: push['auth.withoutClaim'],
    allowQueryToken: push['auth.allowQueryToken'],
  }
}

/** The configuration has let at most one through. */
function keysOf(push: Config['push']): KeySource | undefined {
  const url = push['auth.jwksUrl']
  if (url !== undefined) return { kind: 'jwksUrl', url }
  const jwksFile = push['auth.jwksFile']
  if (jwksFile !== undefined) return { kind: 'jwksFile', file: jwksFile }
  const publicKeyFile = push['auth.publicKeyFile']
  if (publicKeyFile !== undefined) return { kind: 'publicKeyFile', file: publicKeyFile }
  const secret = push['auth.secret']
  return secret === undefined ? undefined : { kind: 'secret', secret }
}
