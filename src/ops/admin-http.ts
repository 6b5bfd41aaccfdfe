// The admin server: /healthz, /readyz, /metrics, /config. Main thread.
// Keeps SPEC: OPS-1 (health says whether the loop beats, readiness whether records flow), CONFIG-3 (no secrets).
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { MillraceError } from '../core/errors.ts'
import type { ConfigEntry } from './config.ts'
import { METRICS_CONTENT_TYPE, type Registry } from './metrics.ts'

const BEAT_EVERY_MS = 500
/** A loop that did not beat for this long is not healthy. */
const BEAT_AGE_MS_MAX = 10_000
/** Slow or idle clients are let go, so that they cannot hold the stop of the process. */
const REQUEST_TIMEOUT_MS = 10_000

/** A restore of state that is under way. */
export interface RestoreState {
  rows: number
  /** Bytes of keys and values of these rows. */
  bytes: number
  /** Offsets of the changelog still to be read. */
  remainingOffsets: number
  /** 0 to 1. */
  share: number
  /** Undefined before the first rows. */
  etaSeconds: number | undefined
  tasks: { taskId: string; rows: number; bytes: number; remainingOffsets: number }[]
}

export interface Readiness {
  isReady: boolean
  /** Why not: `restoring 3 tasks`, `no partitions assigned`. */
  reasons: string[]
  /** Only while state is being restored. */
  restore?: RestoreState
}

export interface AdminOptions {
  host: string
  /** 0: any free port. */
  port: number
  registry: Registry
  ready: () => Readiness
  config: () => ConfigEntry[]
  /** Monotonic milliseconds. */
  nowMs: () => number
}

export interface AdminServer {
  /** The port that was taken. */
  port: number
  url: string
  /** Stops listening and lets go of open connections. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts the admin server. Throws MR3004 when the port is not free.
 *
 * @example
 * const admin = await startAdmin({ host: '127.0.0.1', port: 0, registry, ready, config: config.describe, nowMs })
 * await fetch(`${admin.url}/readyz`) // 200 { isReady: true, reasons: [] }, or 503 with reasons
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const heart = startHeart(options.nowMs)
  const app = adminApp(options, heart.ageMs)
  let server: Server
  try {
    server = await listen(app, options)
  } catch (error) {
    heart.stop()
    throw new MillraceError('MR3004', { port: options.port, reason: (error as Error).message }, { cause: error })
  }
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  const close = async () => {
    heart.stop()
    server.closeAllConnections()
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  return { port, url: `http://${host}:${port}`, close }
}

/** The routes, without a server. `beatAgeMs`: time since the event loop last beat. */
export function adminApp(options: Omit<AdminOptions, 'host' | 'port' | 'nowMs'>, beatAgeMs: () => number): Hono {
  const app = new Hono()
  app.get('/healthz', (c) => {
    const ageMs = Math.round(beatAgeMs())
    const isHealthy = ageMs <= BEAT_AGE_MS_MAX
    return c.json({ isHealthy, beatAgeMs: ageMs }, isHealthy ? 200 : 503)
  })
  app.get('/readyz', (c) => {
    const readiness = options.ready()
    return c.json(readiness, readiness.isReady ? 200 : 503)
  })
  app.get('/metrics', (c) => c.body(options.registry.text(), 200, { 'content-type': METRICS_CONTENT_TYPE }))
  app.get('/config', (c) => c.json({ config: options.config() }))
  app.notFound((c) => c.json({ paths: ['/healthz', '/readyz', '/metrics', '/config'] }, 404))
  return app
}

function listen(app: Hono, { host, port }: AdminOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port }) as Server
    server.requestTimeout = REQUEST_TIMEOUT_MS
    server.headersTimeout = REQUEST_TIMEOUT_MS
    server.once('error', reject)
    if (server.listening) resolve(server)
    else server.once('listening', () => resolve(server))
  })
}

function startHeart(nowMs: () => number): { ageMs: () => number; stop: () => void } {
  let beatMs = nowMs()
  const timer = setInterval(() => {
    beatMs = nowMs()
  }, BEAT_EVERY_MS)
  timer.unref()
  return { ageMs: () => nowMs() - beatMs, stop: () => clearInterval(timer) }
}
