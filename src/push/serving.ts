// What the handlers of the push server share. Main thread.

import { MillraceError } from '../core/errors.ts'
import type { Log } from '../ops/log.ts'
import type { Connections } from './connections.ts'
import type { HttpReply } from './http-reply.ts'
import type { PushLimits } from './limits.ts'
import type { LiveView } from './live-view.ts'
import type { Page } from './page-assets.ts'
import type { PushMetrics } from './push-metrics.ts'
import { type Rights, rightTo } from './rights.ts'
import type { TokenCheck } from './token-check.ts'

export interface Serving {
  /** The address that the server listens on. */
  host: string
  allowedOrigins: readonly string[]
  /** Undefined: everybody may read the views. */
  tokens: TokenCheck | undefined
  /** Proxies in front of this server. */
  trustedProxies: number
  /** Runs upgrades to a WebSocket: where tokens are checked they come late. */
  runUpgrade: (upgrade: () => void) => void
  limits: PushLimits
  /** By name. */
  views: ReadonlyMap<string, LiveView>
  connections: Connections
  page: Page
  metrics: PushMetrics
  log: Log
  wallMs: () => number
}

/** Answers a request with an error, and counts it. */
export function deny({ metrics }: Serving, reply: HttpReply, status: number, error: MillraceError): void {
  metrics.refused(error.code).add(1)
  reply.error(status, error)
}

/** The views that may be read. */
export function permittedViews({ views }: Serving, rights: Rights): LiveView[] {
  return [...views.values()].filter(({ name }) => rightTo(rights, name) !== undefined)
}

export function noView(serving: Serving, view: string, rights: Rights): MillraceError {
  const names = permittedViews(serving, rights).map(({ name }) => name)
  return new MillraceError('MR7001', { view, views: names.join(', ') || 'none' })
}
