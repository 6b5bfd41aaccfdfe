// The admin server over real HTTP. Keeps SPEC: OPS-1, CONFIG-3.
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { MillraceError } from '../../src/core/errors.ts'
import { type AdminServer, adminApp, type Readiness, startAdmin } from '../../src/ops/admin-http.ts'
import { loadConfig } from '../../src/ops/config.ts'
import { Registry } from '../../src/ops/metrics.ts'

let admin: AdminServer | undefined
afterEach(async () => {
  await admin?.close()
  admin = undefined
})

const readiness: Readiness = { isReady: false, reasons: ['restoring 2 tasks'] }

function options(port = 0) {
  const registry = new Registry({ nowMs: () => performance.now() })
  registry.gauge('millrace_lanes', 'Lanes.').with().set(2)
  const config = loadConfig({ flags: { kafka: ['sasl.password=hunter2'], 'http.port': port } })
  const nowMs = () => performance.now()
  return { host: '127.0.0.1', port, registry, ready: () => readiness, config: config.describe, nowMs }
}

describe('the admin server', () => {
  test('says that the loop beats', async () => {
    admin = await startAdmin(options())
    const answer = await fetch(`${admin.url}/healthz`)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({ isHealthy: true, beatAgeMs: expect.any(Number) })
  })

  test('is not healthy when the loop has not beaten for long', async () => {
    const answer = await adminApp(options(), () => 10_001).request('/healthz')
    expect([answer.status, await answer.json()]).toEqual([503, { isHealthy: false, beatAgeMs: 10_001 }])
  })

  test('is ready when the job says so, and tells the reasons when not', async () => {
    admin = await startAdmin(options())
    Object.assign(readiness, { isReady: false, reasons: ['restoring 2 tasks'] })
    const before = await fetch(`${admin.url}/readyz`)
    expect([before.status, await before.json()]).toEqual([503, { isReady: false, reasons: ['restoring 2 tasks'] }])
    Object.assign(readiness, { isReady: true, reasons: [] })
    expect((await fetch(`${admin.url}/readyz`)).status).toBe(200)
  })

  test('exposes the metrics in the type that Prometheus asks for', async () => {
    admin = await startAdmin(options())
    const answer = await fetch(`${admin.url}/metrics`)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await answer.text()).toContain('\nmillrace_lanes 2\n')
  })

  test('lists the configuration with its origins and without secrets', async () => {
    admin = await startAdmin(options())
    const text = await (await fetch(`${admin.url}/config`)).text()
    expect(JSON.parse(text).config).toContainEqual({
      key: 'kafka.sasl.password',
      value: '***',
      origin: 'flag',
      where: '--kafka',
    })
    expect(text).not.toContain('hunter2')
  })

  test('answers an unknown path with the known ones', async () => {
    admin = await startAdmin(options())
    const answer = await fetch(`${admin.url}/nothing`)
    expect(answer.status).toBe(404)
    expect(await answer.json()).toEqual({ paths: ['/healthz', '/readyz', '/metrics', '/config'] })
  })

  test('refuses a port in use with MR3004', async () => {
    admin = await startAdmin(options())
    const failure = await startAdmin(options(admin.port)).catch((error: unknown) => error)
    expect((failure as MillraceError).code).toBe('MR3004')
    expect((failure as MillraceError).details).toMatchObject({
      port: admin.port,
      reason: expect.stringContaining('EADDRINUSE'),
    })
  })

  test('closes at once though a client keeps a connection open, and twice is fine', async () => {
    admin = await startAdmin(options())
    const socket = connect(admin.port, '127.0.0.1')
    await new Promise((resolve) => socket.once('connect', resolve))
    const ended = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    await admin.close()
    await admin.close()
    await ended
    await expect(fetch(`${admin.url}/healthz`)).rejects.toThrow()
  })
})
