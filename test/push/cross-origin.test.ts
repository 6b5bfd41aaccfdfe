// Pages of other origins: what a browser is told before it lets one read. Holds SPEC: PUSH-31, PUSH-8.
import { request } from 'node:http'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { eventually, type Rig, startRig } from './push-fixture.ts'

const DESK = 'https://desk.example'

let rig: Rig
beforeEach(async () => {
  rig = await startRig({ allowedOrigins: [DESK] })
  await eventually(() => rig.push.isReady())
})
afterEach(() => rig.push.close())

/** Status and headers of an answer. */
function ask(
  method: string,
  path: string,
  origin?: string,
): Promise<{ status: number; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const headers = origin === undefined ? {} : { origin }
    const asked = request({ port: rig.push.port, host: '127.0.0.1', method, path, headers }, (answer) => {
      resolve({ status: answer.statusCode!, headers: answer.headers })
      answer.destroy()
    })
    asked.on('error', reject)
    asked.end()
  })
}

test.each(['/events/candles', '/views', '/views/candles', '/views/none'])(
  'an allowed page may read %s, which says so to it alone',
  async (path) => {
    const { headers } = await ask('GET', path, DESK)
    expect(headers).toMatchObject({ 'access-control-allow-origin': DESK, vary: 'origin' })
    expect((await ask('GET', path)).headers).not.toHaveProperty('access-control-allow-origin')
    const foreign = await ask('GET', path, 'https://evil.example')
    expect(foreign.status).toBe(403)
    expect(foreign.headers).not.toHaveProperty('access-control-allow-origin')
  },
)

test('a browser that asks before is told that an allowed page may say a token, and nothing for another', async () => {
  const { status, headers } = await ask('OPTIONS', '/events/candles', DESK)
  expect(status).toBe(204)
  expect(headers).toMatchObject({
    'access-control-allow-origin': DESK,
    'access-control-allow-methods': 'GET',
    'access-control-allow-headers': expect.stringContaining('authorization'),
  })
  expect((await ask('OPTIONS', '/events/candles', 'https://evil.example')).status).toBe(403)
})
