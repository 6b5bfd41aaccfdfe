// The dashboard in a real browser: pages of any size and colours, what they have drawn, and pictures of them in .cache/test/dashboard.
import { mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import type { Drawn } from '../../examples/candles/page/drawn.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const PICTURES = join(ROOT, '.cache/test/dashboard')
const ARGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
]
const POLL_MS = 25
export const WAIT = { timeout: 15_000 }
const AXE = readFileSync(join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8')

export const DESKTOP = { width: 1440, height: 900 }
export const PHONE = { width: 390, height: 844 }

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROME_PATH ?? '/usr/bin/chromium', args: ARGS })
}

export interface Look {
  size?: { width: number; height: number }
  colorScheme?: 'dark' | 'light'
}

/** A page with a profile of its own, and what it complains of. */
export class Screen {
  readonly page: Page
  readonly problems: string[] = []
  readonly #context: BrowserContext

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context
    this.page = page
    page.on('pageerror', (error) => this.problems.push(error.message))
    page.on('console', (message) => {
      // That one is about `colouredPixels`.
      if (message.text().includes('willReadFrequently')) return
      if (message.type() === 'error' || message.type() === 'warning') this.problems.push(message.text())
    })
  }

  static async open(
    browser: Browser,
    url: string,
    { size = DESKTOP, colorScheme = 'dark' }: Look = {},
  ): Promise<Screen> {
    const context = await browser.newContext({ viewport: size, colorScheme, hasTouch: size.width < 500 })
    const screen = new Screen(context, await context.newPage())
    await screen.page.goto(url)
    return screen
  }

  close(): Promise<void> {
    return this.#context.close()
  }

  /** What the series of the chart hold. */
  drawn(): Promise<Drawn> {
    return this.page.evaluate('dashboard.drawn()')
  }

  /** Asks again and again from outside: the policy of the page lets nothing be evaluated in it. */
  async until(condition: string, { timeout } = WAIT): Promise<void> {
    const endMs = performance.now() + timeout
    while ((await this.page.evaluate(condition)) !== true) {
      if (performance.now() > endMs) throw new Error(`not met after ${timeout} ms: ${condition}`)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  untilState(state: string, limit = WAIT): Promise<void> {
    const isSaid = `document.querySelector('#main').dataset.state === '${state}'`
    return this.until(`dashboard.state === '${state}' && ${isSaid}`, limit)
  }

  text(selector: string): Promise<string | null> {
    return this.page.locator(selector).textContent()
  }

  /** Pixels of the chart that have colour: candles and volumes, not lines and letters. */
  colouredPixels(): Promise<number> {
    return this.page.evaluate(`[...document.querySelectorAll('#chart canvas')].reduce((sum, canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, Math.max(1, canvas.width), Math.max(1, canvas.height))
      let count = 0
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 60 && Math.abs(data[i] - data[i + 1]) > 60) count++
      return sum + count
    }, 0)`)
  }

  /** What axe finds against WCAG 2.2 AA and good practice, one line each. */
  async accessibility(): Promise<string[]> {
    await this.page.evaluate(AXE)
    return this.page.evaluate(`axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) =>
      id + ': ' + html.slice(0, 120) + ' ' + failureSummary)))`)
  }

  async picture(name: string): Promise<void> {
    mkdirSync(PICTURES, { recursive: true })
    await this.page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true })
  }
}
