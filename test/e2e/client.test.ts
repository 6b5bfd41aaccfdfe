// The client as it is published, in a real browser, on a page of another origin than the server's. Holds SPEC: PUSH-18, PUSH-19, PUSH-31.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, it } from 'vitest'
import { neededBrowser } from '../../scripts/setup/browser.mjs'
import { freePort, type Rig, startRig } from '../push/push-fixture.ts'

const CLIENT = resolve(import.meta.dirname, '../../dist/src/client/index.js')
const PAGE = '<!doctype html><title>page</title><pre id="shown"></pre>'

let profile: string
let browser: BrowserContext
let page: Page
let site: Server
let siteUrl: string

beforeAll(async () => {
  site = createServer((request, response) => {
    const isScript = request.url === '/client.js'
    response.writeHead(200, { 'content-type': isScript ? 'text/javascript' : 'text/html' })
    response.end(isScript ? readFileSync(CLIENT) : PAGE)
  })
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done))
  siteUrl = `http://localhost:${(site.address() as AddressInfo).port}`
  profile = mkdtempSync(join(tmpdir(), 'millrace-browser-'))
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: neededBrowser(),
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  })
  page = await browser.newPage()
})
afterAll(async () => {
  await browser.close()
  site.closeAllConnections()
  site.close()
  rmSync(profile, { recursive: true, force: true })
})

/** Follows the view in the page, whose text is what it holds. */
async function follow(rig: Rig, transport: string): Promise<void> {
  const options = JSON.stringify({ url: `http://127.0.0.1:${rig.push.port}`, transport, token: 'a.b.c', retryMs: 50 })
  await page.goto(siteUrl)
  await page.evaluate(`import('/client.js').then(({ createClient }) => {
    const client = createClient(${options})
    const show = () => {
      const rows = [...view.rows.values()].map(({ key, row }) => key + '=' + row.close)
      document.getElementById('shown').textContent = [client.transport, ...rows].join(' ')
    }
    const view = client.view('candles').subscribe({}, { onSnapshot: show, onUpdate: show })
  })`)
}

it.each(['websocket', 'sse'])(
  'holds the rows over %s, also behind a server that was started anew',
  async (transport) => {
    const options = { allowedOrigins: [siteUrl], port: await freePort() }
    const rig = await startRig(options)
    rig.put('A', { close: 1 })
    await follow(rig, transport)
    const shows = (text: string): Promise<void> =>
      page.locator(`#shown:text-is("${transport} ${text}")`).waitFor({ timeout: 15_000 })
    await shows('A=1')
    rig.put('B', { close: 2 })
    await shows('A=1 B=2')
    await rig.push.close()
    rig.put('A', { close: 3 })
    const again = await startRig(options, 2, rig.kafka)
    try {
      await shows('A=3 B=2')
    } finally {
      await again.push.close()
    }
  },
)
