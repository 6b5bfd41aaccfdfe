// The dashboard of the candles job in a real browser, on rows that the test puts into its views: what it draws is what the views have,
// and it can be used by keyboard, on a phone, in dark and light, by everybody. Holds SPEC: PUSH-43, PUSH-44, PROV-1, PROV-2.
import { resolve } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { loadPage } from '../../src/cli/page.ts'
import { FrameWriter } from '../../src/core/frame.ts'
import { historyKey } from '../../src/core/history-key.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import type { Page as PageFiles } from '../../src/push/page-assets.ts'
import { ProvisionalHub } from '../../src/push/provisional-hub.ts'
import { freePort, type Rig, startRig } from '../push/push-fixture.ts'
import { DESKTOP, type Look, launch, PHONE, Screen, WAIT } from './dashboard-fixture.ts'

const START_MS = Date.UTC(2026, 0, 5, 9, 0, 0)
const DAY_MS = 86_400_000
const SYMBOLS = ['ALFA', 'BETA', 'DELTA', 'GAMMA', 'OMEGA', 'SIGMA']
const SIZES = { candles: 1000, 'candles-1m': 60_000, 'candles-1h': 3_600_000 }
const topicOf = (view: string): string => `job-view-${view}`
const views = [
  ...Object.keys(SIZES).map((name) => ({ name, topic: topicOf(name), history: true })),
  { name: 'movers', topic: topicOf('movers') },
]

let browser: Browser
let page: PageFiles
let rig: Rig
let kafka: MemoryKafka
/** As of an engine in this process. */
let hub: ProvisionalHub
const screens: Screen[] = []

beforeAll(async () => {
  browser = await launch()
  page = await loadPage(resolve('examples/candles/page'))
})
afterAll(() => browser.close())
beforeEach(async () => {
  kafka = createMemoryKafka({ topics: Object.fromEntries(views.map(({ topic }) => [topic, 2])) })
  hub = new ProvisionalHub(new Map([[0, topicOf('candles')]]))
  rig = await startRig({ views, page, provisional: hub }, 2, kafka)
})
afterEach(async () => {
  for (const screen of screens.splice(0)) await screen.close()
  await rig.push.close()
})

async function open(query = '', look: Look = {}): Promise<Screen> {
  const screen = await Screen.open(browser, `${rig.push.urls.page}${query}`, look)
  screens.push(screen)
  return screen
}

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

function candle(view: keyof typeof SIZES, sym: string, nth: number): Candle {
  const windowStart = START_MS + SIZES[view] * nth
  const wave = (at: number): number => 100 + sym.charCodeAt(0) / 8 + Math.sin(at / 5 + sym.charCodeAt(1)) * 4
  const [open, close] = [wave(nth), wave(nth + 1)]
  const range = { open, high: Math.max(open, close) + 0.4, low: Math.min(open, close) - 0.3, close }
  const volume = 1000 + 400 * (nth % 7)
  return { sym, windowStart, windowEnd: windowStart + SIZES[view], ...range, volume, vwap: (open + close) / 2, n: 9 }
}

function put(view: keyof typeof SIZES, row: Candle, isFinal = true, timestampMs = row.windowEnd - 1): void {
  const key = historyKey({ key: row.sym, timeMs: row.windowStart })
  const headers = isFinal ? [{ name: 'millrace-phase', value: new TextEncoder().encode('final') }] : []
  kafka.append(topicOf(view), { key, value: JSON.stringify(row), headers, timestampMs, partition: row.sym.length % 2 })
}

function putMover(sym: string, close: number, dayVolume: number, dayOpen = 100): void {
  const day = { dayStart: Math.floor(START_MS / DAY_MS) * DAY_MS, dayOpen, dayHigh: 130, dayLow: 90, dayVolume }
  kafka.append(topicOf('movers'), { key: sym, value: JSON.stringify({ sym, close, ...day }) })
}

/** Six symbols with sixty candles of each length, the newest of them open. */
function putAll(): void {
  for (const [i, sym] of SYMBOLS.entries()) {
    for (const view of Object.keys(SIZES) as (keyof typeof SIZES)[])
      for (let nth = 0; nth < 60; nth++) put(view, candle(view, sym, nth), nth < 59)
    putMover(sym, 100 + [3, -2, 0, 8, -5, 1][i]!, 1000 * (i + 1))
  }
}

const asDrawn = ({ windowStart, open, high, low, close }: Candle, isOpen: boolean) => ({
  time: windowStart,
  ...{ open, high, low, close, isOpen },
})
const drawnCandles = async (screen: Screen) => (await screen.drawn()).candles
const isShown = (screen: Screen, sym: string, interval: string, count: number) =>
  screen.until(
    `dashboard.sym === '${sym}' && dashboard.interval === '${interval}' && dashboard.drawn().candles.length === ${count}`,
  )

it('draws the history of the chosen symbol at once, then every row as it comes, late ones in their places', async () => {
  putAll()
  const screen = await open('?sym=BETA')
  await isShown(screen, 'BETA', '1s', 60)
  const rows = Array.from({ length: 60 }, (_, nth) => candle('candles', 'BETA', nth))
  const drawn = await screen.drawn()
  expect(drawn.candles).toEqual(rows.map((row, nth) => asDrawn(row, nth === 59)))
  expect(drawn.volumes).toEqual(rows.map(({ windowStart, volume }) => ({ time: windowStart, value: volume })))
  expect(drawn.vwaps).toEqual(rows.map(({ windowStart, vwap }) => ({ time: windowStart, value: vwap })))
  await expect.poll(() => screen.colouredPixels()).toBeGreaterThan(2000)
  expect(await screen.text('#legend [data-of="phase"]')).toBe('open')
  for (let nth = 60; nth < 70; nth++) {
    rows.push(candle('candles', 'BETA', nth))
    put('candles', rows[nth]!, false)
    await isShown(screen, 'BETA', '1s', nth + 1)
  }
  // A late trade: the one of before changes, is closed, and the newest stays the newest.
  const late = { ...rows[67]!, high: 150, volume: 9999 }
  put('candles', late)
  await screen.until('dashboard.drawn().candles[67].high === 150')
  const after = await screen.drawn()
  expect(after.candles[67]).toEqual(asDrawn(late, false))
  expect(after.candles.at(-1)).toEqual(asDrawn(rows[69]!, true))
  expect(after.volumes[67]!.value).toBe(9999)
  expect(await screen.text('#legend [data-of="close"]')).toBe(rows[69]!.close.toFixed(2))
  expect(screen.problems).toEqual([])
})

it('draws candles before their commit as such, and as they are when they are committed or taken back', async () => {
  const [first, second] = [candle('candles', 'ALFA', 0), candle('candles', 'ALFA', 1)]
  put('candles', first, false)
  hub.begun(1)
  const screen = await open('?sym=ALFA')
  await isShown(screen, 'ALFA', '1s', 1)
  const give = (epoch: number, row: Candle): void => {
    const writer = new FrameWriter()
    const key = historyKey({ key: row.sym, timeMs: row.windowStart })
    writer.append(0, row.sym.length % 2, row.windowEnd - 1, Buffer.from(key), Buffer.from(JSON.stringify(row)))
    hub.given(1, epoch, writer.take()!)
  }
  const grown = { ...first, high: 150, close: 149 }
  give(1, grown)
  give(1, second)
  await isShown(screen, 'ALFA', '1s', 2)
  const marked = { isProvisional: true }
  expect(await drawnCandles(screen)).toEqual([grown, second].map((row) => ({ ...asDrawn(row, true), ...marked })))
  expect(await screen.text('#legend [data-of="phase"]')).toBe('provisional')
  expect(await screen.page.locator('#key-provisional').isVisible()).toBe(true)
  await screen.picture('provisional')
  // Hatched, not empty and not full.
  await expect.poll(() => screen.colouredPixels()).toBeGreaterThan(100)
  const hatched = await screen.colouredPixels()
  hub.committed(1, 1)
  put('candles', grown, false)
  put('candles', second, false)
  await screen.until('dashboard.drawn().candles.every(({ isProvisional }) => !isProvisional)')
  expect(await drawnCandles(screen)).toEqual([grown, second].map((row) => asDrawn(row, true)))
  await expect.poll(() => screen.colouredPixels()).toBeGreaterThan(hatched)
  expect(await screen.page.locator('#key-provisional').isVisible()).toBe(false)
  // An attempt that ends without its commit: one goes back to what it was, the other is no more.
  give(2, { ...second, close: 90, low: 89 })
  give(2, candle('candles', 'ALFA', 2))
  await isShown(screen, 'ALFA', '1s', 3)
  hub.ended(1)
  await isShown(screen, 'ALFA', '1s', 2)
  expect(await drawnCandles(screen)).toEqual([grown, second].map((row) => asDrawn(row, true)))
  expect(screen.problems).toEqual([])
})

it('leaves windows without trades empty, puts one that comes late between the others, and keeps the newest', async () => {
  for (const nth of [0, 1, 5]) put('candles', candle('candles', 'ALFA', nth))
  putMover('ALFA', 101, 5)
  const screen = await open()
  await isShown(screen, 'ALFA', '1s', 3)
  put('candles', candle('candles', 'ALFA', 3))
  await isShown(screen, 'ALFA', '1s', 4)
  const times = async () => (await drawnCandles(screen)).map(({ time }) => (time - START_MS) / 1000)
  expect(await times()).toEqual([0, 1, 3, 5])
  put('candles', candle('candles', 'ALFA', 122))
  await screen.until(`dashboard.drawn().candles.at(-1).time === ${START_MS + 122_000}`)
  expect(await times()).toEqual([3, 5, 122])
  expect(screen.problems).toEqual([])
})

it('shows other lengths of candles and other symbols, and remembers them in the address', async () => {
  putAll()
  const screen = await open('?sym=ALFA')
  await isShown(screen, 'ALFA', '1s', 60)
  for (const [label, view] of [
    ['1 m', 'candles-1m'],
    ['1 h', 'candles-1h'],
  ] as const) {
    await screen.page.getByRole('radio', { name: label }).check()
    await isShown(screen, 'ALFA', label.replace(' ', ''), 60)
    const expected = Array.from({ length: 60 }, (_, nth) => asDrawn(candle(view, 'ALFA', nth), nth === 59))
    expect(await drawnCandles(screen)).toEqual(expected)
  }
  await screen.page.locator('#movers tr[data-symbol="GAMMA"]').click()
  await isShown(screen, 'GAMMA', '1h', 60)
  await screen.page.reload()
  await isShown(screen, 'GAMMA', '1h', 60)
  expect(screen.page.url()).toContain('sym=GAMMA&interval=1h')
  expect(await screen.page.title()).toContain('GAMMA')
})

it('finds a symbol by keyboard alone, from anywhere', async () => {
  putAll()
  const screen = await open('?sym=ALFA')
  await isShown(screen, 'ALFA', '1s', 60)
  const { keyboard } = screen.page
  const search = screen.page.locator('#search')
  const active = () => screen.page.evaluate(`document.querySelector('#found [aria-selected="true"] span')?.textContent`)
  await screen.page.locator('#movers tr').nth(5).waitFor(WAIT)
  await keyboard.press('/')
  expect(await search.getAttribute('aria-expanded')).toBe('true')
  await keyboard.type('a')
  // Those that begin with it come first, then by volume.
  expect(await screen.page.locator('#found li span:first-child').allTextContents()).toEqual([
    ...['ALFA', 'SIGMA', 'OMEGA', 'GAMMA', 'DELTA', 'BETA'],
  ])
  await keyboard.press('ArrowDown')
  expect(await active()).toBe('SIGMA')
  expect(await search.getAttribute('aria-activedescendant')).toBe('found-1')
  await keyboard.press('ArrowUp')
  await keyboard.press('ArrowUp')
  expect(await active()).toBe('BETA')
  await keyboard.type('m')
  expect(await active()).toBe('GAMMA')
  await keyboard.press('Enter')
  await isShown(screen, 'GAMMA', '1s', 60)
  expect(await search.getAttribute('aria-expanded')).toBe('false')
  await keyboard.type('zzz')
  expect(await screen.text('#found li')).toBe('No symbol has zzz')
  await keyboard.press('Enter')
  expect(await screen.page.evaluate('dashboard.sym')).toBe('GAMMA')
  await keyboard.press('Escape')
  expect(await search.inputValue()).toBe('')
  // The chart: from candle to candle, and back to the newest.
  await screen.page.locator('#chart').focus()
  for (let i = 0; i < 3; i++) await keyboard.press('ArrowLeft')
  const third = candle('candles', 'GAMMA', 57)
  await expect.poll(() => screen.text('#legend [data-of="open"]')).toBe(third.open.toFixed(2))
  expect(await screen.text('#legend [data-of="phase"]')).toBe('closed')
  await keyboard.press('End')
  await expect.poll(() => screen.text('#legend [data-of="phase"]')).toBe('open')
})

it('sorts the movers by each column, says so, and holds the order while somebody is in it', async () => {
  putAll()
  const screen = await open('?sym=ALFA')
  const order = () =>
    screen.page.evaluate(`[...document.querySelectorAll('#movers tbody tr')].map((row) => row.dataset.symbol)`)
  await expect.poll(order).toEqual(['SIGMA', 'OMEGA', 'GAMMA', 'DELTA', 'BETA', 'ALFA'])
  const header = (name: string) => screen.page.getByRole('columnheader', { name })
  const sorted: [string, string, string[]][] = [
    ['Change', 'descending', ['GAMMA', 'ALFA', 'SIGMA', 'DELTA', 'BETA', 'OMEGA']],
    ['Change', 'ascending', ['OMEGA', 'BETA', 'DELTA', 'SIGMA', 'ALFA', 'GAMMA']],
    ['Symbol', 'ascending', ['ALFA', 'BETA', 'DELTA', 'GAMMA', 'OMEGA', 'SIGMA']],
    ['Last', 'descending', ['GAMMA', 'ALFA', 'SIGMA', 'DELTA', 'BETA', 'OMEGA']],
  ]
  for (const [name, direction, symbols] of sorted) {
    await header(name).getByRole('button').focus()
    await screen.page.keyboard.press('Enter')
    expect(await order()).toEqual(symbols)
    expect(await header(name).getAttribute('aria-sort')).toBe(direction)
    expect(await screen.page.locator('#movers [aria-sort]').count()).toBe(1)
  }
  const line = screen.page.locator('#movers tr[data-symbol="GAMMA"]')
  await line.locator('button').focus()
  putMover('BETA', 125, 2000)
  await expect.poll(() => screen.text('#movers tr[data-symbol="BETA"] td:nth-child(2)')).toBe('125.00')
  expect(await order()).toEqual(sorted[3]![2])
  expect(await screen.page.locator('#held').isVisible()).toBe(true)
  await screen.page.locator('#search').focus()
  putMover('BETA', 126, 2000)
  await expect.poll(order).toEqual(['BETA', 'GAMMA', 'ALFA', 'SIGMA', 'DELTA', 'OMEGA'])
  expect(await screen.text('#movers tr[data-symbol="BETA"] td:nth-child(3)')).toBe('+26.00 %')
  expect(await screen.text('#movers tr[data-symbol="OMEGA"] td:nth-child(3)')).toBe('−5.00 %')
})

it('is dark or light as the system says, until it is chosen here, and then from the first paint on', async () => {
  putAll()
  const screen = await open('', { colorScheme: 'light' })
  const back = () => screen.page.evaluate('getComputedStyle(document.documentElement).backgroundColor')
  const light = await back()
  await screen.page.emulateMedia({ colorScheme: 'dark' })
  const dark = await back()
  expect(dark).not.toBe(light)
  await screen.page.locator('#theme').click()
  expect(await back()).toBe(light)
  expect(await screen.page.locator('#theme').getAttribute('aria-pressed')).toBe('false')
  await screen.page.reload({ waitUntil: 'commit' })
  await screen.page.locator('body').waitFor(WAIT)
  expect(await back()).toBe(light)
  expect(screen.problems).toEqual([])
})

it('tells times in UTC or in local time, and always which', async () => {
  putAll()
  const screen = await open('?sym=ALFA')
  await isShown(screen, 'ALFA', '1s', 60)
  expect(await screen.text('#zone-name')).toBe('UTC')
  await expect.poll(() => screen.text('#legend [data-of="time"]')).toBe('2026-01-05 09:00:59')
  await screen.page.locator('#zone').click()
  const distance = -new Date(START_MS).getTimezoneOffset() / 60
  expect(await screen.text('#zone-name')).toMatch(distance === 0 ? /^UTC\+0$/ : /^UTC[+−]/)
})

it('says how late a row is on the screen, from its own time', async () => {
  putMover('ALFA', 100, 1)
  const now = Date.now()
  const row = { ...candle('candles', 'ALFA', 0), windowStart: Math.floor(now / 1000) * 1000 }
  const screen = await open('?sym=ALFA')
  await screen.untilState('live')
  await screen.until(`document.querySelector('#empty').textContent === 'No candles of ALFA yet'`)
  put('candles', row, false, Date.now() - 700)
  await expect.poll(async () => Number.parseInt((await screen.text('#p50'))!, 10)).toBeGreaterThanOrEqual(700)
  expect(Number.parseInt((await screen.text('#p99'))!, 10)).toBeLessThan(5000)
})

it('says that it is cut off and dims what it shows, and goes on where it was without a gap', async () => {
  await rig.push.close()
  const port = await freePort()
  rig = await startRig({ views, page, port }, 2, kafka)
  putAll()
  const screen = await open('?sym=ALFA')
  await isShown(screen, 'ALFA', '1s', 60)
  await screen.untilState('live')
  expect(await screen.page.locator('#lost').isVisible()).toBe(false)
  await rig.push.close()
  await screen.untilState('reconnecting')
  expect(await screen.text('#state')).toBe('Reconnecting')
  expect(await screen.text('#lost')).toMatch(/^Connection lost\. Shown is what was known at \d\d:\d\d:\d\d UTC\.$/)
  const opacity = () => screen.page.evaluate(`Number(getComputedStyle(document.querySelector('#chart')).opacity)`)
  await expect.poll(opacity).toBeLessThan(0.5)
  expect(await screen.text('#p50')).toBe('–')
  expect(await screen.page.title()).toContain('Reconnecting')
  await screen.picture('lost')
  for (let nth = 60; nth < 75; nth++) put('candles', candle('candles', 'ALFA', nth))
  rig = await startRig({ views, page, port }, 2, kafka)
  await isShown(screen, 'ALFA', '1s', 75)
  await screen.untilState('live')
  await expect.poll(opacity).toBe(1)
  expect(await screen.page.locator('#lost').isVisible()).toBe(false)
})

it('says what the server knows of rows that do not move', async () => {
  await rig.push.close()
  rig = await startRig({ views, page, limits: { staleAfterMs: 1500 } }, 2, kafka)
  putAll()
  const screen = await open('?sym=ALFA')
  await screen.untilState('stale')
  expect(await screen.text('#lost')).toMatch(/^Nothing new since \d\d:\d\d:\d\d UTC\.$/)
  const failure = { code: -195, name: '_TRANSPORT', message: 'no broker', isFatal: false, isRetriable: true }
  kafka.faults.before = ({ call }) => {
    if (call === 'poll' || call === 'watermarks') throw new KafkaError({ ...failure, requiresAbort: false })
    return undefined
  }
  await screen.until(
    `document.querySelector('#lost').textContent.startsWith('The server has been cut off from Kafka since')`,
    { timeout: 40_000 },
  )
  kafka.faults.before = undefined
  putMover('ALFA', 101, 2)
  await screen.untilState('live', { timeout: 40_000 })
})

it('says that nothing comes any more, and why it has ended', async () => {
  putAll()
  const screen = await open('?sym=ALFA')
  await isShown(screen, 'ALFA', '1s', 60)
  await screen.untilState('stale')
  expect(await screen.text('#lost')).toMatch(/^Nothing new since \d\d:\d\d:\d\d UTC\.$/)
  putMover('ALFA', 101, 2)
  await screen.untilState('live')
  await rig.push.close()
  rig = await startRig({ page })
  const none = await open()
  await none.untilState('closed')
  expect(await none.text('#lost')).toContain('MR7001')
})

for (const [name, size] of [
  ['desktop', DESKTOP],
  ['phone', PHONE],
] as const) {
  for (const colorScheme of ['dark', 'light'] as const) {
    it(`is for everybody: ${name}, ${colorScheme}`, async () => {
      putAll()
      const screen = await open('?sym=DELTA', { size, colorScheme })
      await isShown(screen, 'DELTA', '1s', 60)
      await screen.untilState('live')
      await screen.page.locator('#movers tr').nth(6).waitFor(WAIT)
      expect(await screen.accessibility()).toEqual([])
      await screen.page.locator('#search').focus()
      await screen.page.locator('#found li').nth(5).waitFor(WAIT)
      expect(await screen.accessibility()).toEqual([])
      await screen.page.keyboard.press('Escape')
      await screen.picture(`${name}-${colorScheme}`)
      // Nothing sticks out, and what is touched is large enough.
      const { scrollWidth, small } = (await screen.page.evaluate(`({
        scrollWidth: document.documentElement.scrollWidth,
        small: [...document.querySelectorAll('button, input, a')].filter((element) => {
          const { width, height } = element.getBoundingClientRect()
          return width < 24 || height < 24
        }).map(({ outerHTML }) => outerHTML),
      })`)) as { scrollWidth: number; small: string[] }
      expect(scrollWidth).toBeLessThanOrEqual(size.width)
      expect(small).toEqual([])
      expect(screen.problems).toEqual([])
    })
  }
}

it('does not move while it loads and while rows come', async () => {
  putAll()
  const screen = await open('?sym=ALFA')
  await isShown(screen, 'ALFA', '1s', 60)
  for (let nth = 60; nth < 64; nth++) {
    put('candles', candle('candles', 'ALFA', nth), false)
    putMover('ALFA', 100 + nth, nth * 1_000_000)
    await isShown(screen, 'ALFA', '1s', nth + 1)
  }
  const shift = await screen.page.evaluate(`new Promise((resolve) => {
    let sum = 0
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) sum += entry.value
    })
    observer.observe({ type: 'layout-shift', buffered: true })
    setTimeout(() => resolve(sum), 200)
  })`)
  expect(shift).toBeLessThan(0.01)
})
