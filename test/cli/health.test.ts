// `millrace health` against real admin servers. Holds SPEC: OPS-2 (0 only for an answer of 200, within a limit).
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { type AdminServer, startAdmin } from '../../src/ops/admin-http.ts'
import { Registry } from '../../src/ops/metrics.ts'

const nowMs = () => performance.now()
let admin: AdminServer | undefined
let mute: Server | undefined

afterEach(async () => {
  await admin?.close()
  mute?.closeAllConnections()
  mute?.close()
  admin = undefined
  mute = undefined
})

/** An admin server on `host`, ready or not. */
async function adminOn(host: string, isReady: boolean): Promise<number> {
  admin = await startAdmin({
    host,
    port: 0,
    registry: new Registry({ nowMs }),
    ready: () => ({ isReady, reasons: isReady ? [] : ['restoring 3 tasks'] }),
    config: () => [],
    nowMs,
  })
  return admin.port
}

async function health(env: Record<string, string>, ...args: string[]) {
  const written = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[name] += text
    },
  })
  const code = await runCli(['health', '--json', ...args], { stdout: stream('stdout'), stderr: stream('stderr') }, env)
  return { code, ...JSON.parse(written.stdout.trimEnd().split('\n').at(-1)!) }
}

describe('millrace health', () => {
  test('asks the address that the configuration names, and this machine where that is every address', async () => {
    const port = await adminOn('0.0.0.0', true)
    const env = { MILLRACE_HTTP_HOST: '0.0.0.0', MILLRACE_HTTP_PORT: String(port) }
    expect(await health(env)).toMatchObject({
      code: 0,
      command: 'health',
      url: `http://127.0.0.1:${port}/healthz`,
      status: 200,
      answer: { isHealthy: true },
      correct: true,
    })
    expect(await health({}, '--http-port', String(port), '--ready')).toMatchObject({ code: 0, correct: true })
  })

  test('ends with 1 and the reasons when the job is not ready, though it is healthy', async () => {
    const port = String(await adminOn('127.0.0.1', false))
    expect(await health({ MILLRACE_HTTP_PORT: port })).toMatchObject({ code: 0, correct: true })
    expect(await health({ MILLRACE_HTTP_PORT: port }, '--ready')).toMatchObject({
      code: 1,
      status: 503,
      answer: { isReady: false, reasons: ['restoring 3 tasks'] },
      correct: false,
    })
  })

  test('ends with 1 where nobody listens', async () => {
    const port = await adminOn('127.0.0.1', true)
    await admin!.close()
    expect(await health({ MILLRACE_HTTP_PORT: String(port) })).toMatchObject({ code: 1, error: { code: 'MR3006' } })
  })

  test('does not wait longer than it was told for an answer', async () => {
    mute = createServer(() => {})
    await new Promise<void>((resolve) => mute!.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as AddressInfo
    const beganMs = performance.now()
    const ending = await health({ MILLRACE_HTTP_PORT: String(port) }, '--timeout-ms', '100')
    expect(ending).toMatchObject({ code: 1, error: { code: 'MR3006' } })
    expect(performance.now() - beganMs).toBeLessThan(5000)
  })
})
