// The page in a real browser: the candles that it draws are the rows that were pushed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { neededBrowser } from '../../scripts/setup/browser.mjs'
import { freePort, type Rig, startRig } from '../push/push-fixture.ts'

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const START_MS = Date.UTC(2026, 0, 5, 9, 0, 0)
const WAIT = { timeout: 15_000 }

let profile: string
let browser: BrowserContext
let page: Page
let rig: Rig
let problems: string[]

interface Candle {
  sym: string
  windowStart: number
  windowEnd: number
  open: number
  high: number
  low: number
  close: number
  volume: number
  vwap: number
  n: number
}

function candle(sym: string, second: number, close: number, volume: number): Candle {
  const windowStart = START_MS + 1000 * second
  const open = close - 0.25
  const range = { open, high: close + 0.5, low: open - 0.5, close }
  return { sym, windowStart, windowEnd: windowStart + 1000, ...range, volume, vwap: (open + close) / 2, n: 7 }
}

/** What the chart says that it has drawn. */
function drawn(): Promise<Record<string, string>> {
  return page
    .locator('#chart')
    .evaluate((chart) => ({ ...(chart as unknown as { dataset: Record<string, string> }).dataset }))
}

async function waitDrawn(row: Candle): Promise<void> {
  const attributes = `[data-symbol="${row.sym}"][data-window-start="${row.windowStart}"][data-close="${row.close}"][data-n="${row.n}"]`
  await page.locator(`#chart${attributes}`).waitFor(WAIT)
}

/** True when some pixels of the canvas have the colour of rising or falling candles. */
function paintedPixels(): Promise<number> {
  return page.evaluate(`(() => {
    const canvas = document.getElementById('chart')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let count = 0
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 255 && Math.abs(data[i] - data[i + 1]) > 60) count++
    return count
  })()`)
}

beforeAll(async () => {
  profile = mkdtempSync(join(tmpdir(), 'millrace-browser-'))
  const viewport = { width: 1280, height: 800 }
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: neededBrowser(),
    args: ARGS,
    viewport,
  })
})
afterAll(async () => {
  await browser.close()
  rmSync(profile, { recursive: true, force: true })
})
beforeEach(async () => {
  rig = await startRig()
  problems = []
  page = await browser.newPage()
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text())
  })
})
afterEach(async () => {
  await page.close()
  await rig.push.close()
})

it('draws the candles that were pushed, as they move', async () => {
  rig.put('ABC', candle('ABC', 0, 100, 10))
  await page.goto(rig.push.urls.page)
  await waitDrawn(candle('ABC', 0, 100, 10))
  let last = candle('ABC', 0, 100, 10)
  for (let second = 1; second <= 30; second++) {
    last = candle('ABC', second, 100 + Math.sin(second / 4) * 3, 10 + second)
    rig.put('ABC', last)
    await waitDrawn(last)
  }
  const chart = await drawn()
  const { sym, windowEnd, ...shown } = last
  expect(chart).toMatchObject(Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, String(value)])))
  expect(chart.candles).toBe('31')
  expect(await page.locator('#state').getAttribute('data-state')).toBe('live')
  expect(await paintedPixels()).toBeGreaterThan(500)
  expect(problems).toEqual([])
})

it('lists the symbols by volume and shows the one that is chosen', async () => {
  const rows = [candle('LOW', 0, 10, 5), candle('TOP', 0, 20, 5000), candle('MID', 0, 30, 50)]
  for (const row of rows) rig.put(row.sym, row)
  await page.goto(`${rig.push.urls.page}?sym=LOW`)
  await waitDrawn(rows[0]!)
  await page.locator('#top tr:nth-child(3)').waitFor(WAIT)
  const order = await page
    .locator('#top tr')
    .evaluateAll((trs) => trs.map((tr) => (tr as unknown as { dataset: { symbol: string } }).dataset.symbol))
  expect(order).toEqual(['TOP', 'MID', 'LOW'])
  await page.locator('#top tr[data-symbol="TOP"] button').click()
  await waitDrawn(rows[1]!)
  await page.selectOption('#symbol', 'MID')
  await waitDrawn(rows[2]!)
  expect(problems).toEqual([])
})

it('says so when the server goes away and goes on when it is back', async () => {
  await rig.push.close()
  const port = await freePort()
  rig = await startRig({ port })
  rig.put('ABC', candle('ABC', 0, 100, 10))
  await page.goto(rig.push.urls.page)
  await waitDrawn(candle('ABC', 0, 100, 10))
  await rig.push.close()
  await page.locator('#state:not([data-state="live"])').waitFor(WAIT)
  const { kafka } = rig
  rig = await startRig({ port }, 2, kafka)
  rig.put('ABC', candle('ABC', 1, 200, 20))
  await waitDrawn(candle('ABC', 1, 200, 20))
  await page.locator('#state[data-state="live"]').waitFor(WAIT)
  expect((await drawn()).candles).toBe('2')
})

it('shows why there is nothing to see in a view that does not exist', async () => {
  await page.goto(`${rig.push.urls.page}?view=none`)
  await page.locator('#state[data-state="closed"]').waitFor(WAIT)
  expect(await page.locator('#error').textContent()).toContain('MR7001')
})
