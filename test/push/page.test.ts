// How the files of a page are served: with their hash, compressed, and with a policy that lets nothing in. Holds SPEC: PUSH-37.
import { request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { assetOf, type Page } from '../../src/push/page-assets.ts'
import { type Rig, startRig } from './push-fixture.ts'

const SCRIPT = `export const text = '${'of some length '.repeat(200)}'`
const page: Page = new Map([
  ['/', assetOf('index.html', Buffer.from('<!doctype html><title>Own</title>'))],
  ['/main.js', assetOf('main.js', Buffer.from(SCRIPT))],
  ['/icon.png', assetOf('icon.png', Buffer.alloc(4096))],
])

let rig: Rig
beforeEach(async () => {
  rig = await startRig({ page })
})
afterEach(() => rig.push.close())

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/** As it comes over the wire: `fetch` would unpack it. */
function get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: rig.push.port, path, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) }),
      )
    })
    asked.on('error', reject)
    asked.end()
  })
}

test('a page of a job is at / in place of the one that Millrace has, beside the views', async () => {
  expect((await get('/')).body.toString()).toContain('<title>Own</title>')
  expect((await get('/page/page.js')).status).toBe(404)
  expect(JSON.parse((await get('/views')).body.toString()).views).toHaveLength(1)
  await rig.push.close()
  rig = await startRig()
  expect((await get('/')).body.toString()).toContain('<title>Millrace: candles</title>')
  expect((await get('/page/page.js')).status).toBe(200)
})

test('what a browser has already is answered with 304, and what it has of before with the new', async () => {
  const first = await get('/main.js')
  expect(first).toMatchObject({ status: 200, headers: { 'cache-control': 'no-cache' } })
  const etag = String(first.headers.etag)
  expect(etag).toBe(`"${assetOf('main.js', Buffer.from(SCRIPT)).tag}"`)
  for (const known of [etag, `"other", W/${etag}`]) {
    const again = await get('/main.js', { 'if-none-match': known })
    expect(again).toMatchObject({ status: 304, headers: { etag, 'cache-control': 'no-cache' } })
    expect(again.body).toHaveLength(0)
  }
  expect((await get('/main.js', { 'if-none-match': '"other"' })).status).toBe(200)
  expect(assetOf('main.js', Buffer.from(`${SCRIPT}\n`)).tag).not.toBe(etag.slice(1, -1))
})

test('text is compressed for who takes it, pictures are not', async () => {
  const small = await get('/main.js', { 'accept-encoding': 'br, gzip' })
  expect(small.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding, origin' })
  expect(small.body.length).toBeLessThan(SCRIPT.length / 10)
  expect(gunzipSync(small.body).toString()).toBe(SCRIPT)
  const plain = await get('/main.js')
  expect(plain.headers['content-encoding']).toBeUndefined()
  expect(plain.body.toString()).toBe(SCRIPT)
  const picture = await get('/icon.png', { 'accept-encoding': 'gzip' })
  expect(picture.headers).toMatchObject({ 'content-type': 'image/png' })
  expect(picture.headers['content-encoding']).toBeUndefined()
})

test('a page loads nothing from elsewhere, runs nothing that is not a file of its server, and stands in no other page', async () => {
  for (const path of ['/', '/main.js']) {
    const { headers } = await get(path)
    const policy = String(headers['content-security-policy']).split('; ')
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain("style-src 'self'")
    expect(policy).toContain("connect-src 'self'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy.join()).not.toMatch(/unsafe|http|\*/)
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
  }
})
