// `npm run bench:pixel`: from a record that is produced to its candle on the screen, before its commit: a real broker, the candles job with
// its page, a real browser. Trades of one symbol are sent at intended times, each with a price of its own, beside those of others; the page
// tells after each frame which price it has drawn. In the end all candles that it has drawn must be those of the trades. Main thread.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Packr } from 'msgpackr'
import { type Browser, chromium, type Page } from 'playwright-core'
import { neededBrowser } from '../scripts/setup/browser.mjs'
import { produceTrades } from '../src/cli/trade-producer.ts'
import { tradeStream } from '../src/cli/trades.ts'
import { FrameWriter } from '../src/core/frame.ts'
import { Histogram } from '../src/core/histogram.ts'
import { systemClock, systemScheduler } from '../src/ops/system-clock.ts'
import { startBroker } from '../test/harness/broker.ts'
import { readNumbers } from './lib/arguments.ts'
import { type Cluster, clusterOn } from './lib/cluster.ts'
import { freePort, startJobRun, untilReady } from './lib/job-process.ts'
import { machineMs, sendPaced } from './lib/paced.ts'
import { report, rounded, runBench, tell } from './lib/report.ts'

const OPTIONS = {
  /** Trades a second of the symbol that is looked at. */
  rate: { default: 20, min: 1 },
  /** Trades a second of all others. */
  others: { default: 1_000, min: 1 },
  /** Measured time, after the warm-up; the page keeps 180 candles. */
  seconds: { default: 30, min: 1 },
  /** Most of a minute a broker that was just started compiles itself, on the cores that all share. */
  'warm-up': { default: 60, min: 0 },
  /** Milliseconds between two commits: rows are on the screen before theirs, and each costs the broker a marker a partition. */
  commit: { default: 250, min: 1 },
  partitions: { default: 4, min: 1 },
  seed: { default: 1, min: 0 },
} as const
const TARGET_MS = { p50: 30, p99: 100 }

const SYM = 'PIXEL'
/** Prices are exact in binary, and each is one trade. */
const FIRST_PRICE = 100
const PRICE_STEP = 1 / 64
const BROWSER_ARGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking']
const START_MS = 2_000
const WAIT_MS = 30_000
const encoder = new TextEncoder()
const packr = new Packr({ useRecords: false })

/** When a price was on the screen, by the wall clock. */
type Sighting = [price: number, atMs: number]
interface Candle {
  time: number
  open: number
  high: number
  low: number
  close: number
}
interface Trade {
  /** Event time, and when it was to be sent. */
  ts: number
  price: number
  qty: number
}

/** In the page: after each frame in which the newest candle of the chart has changed, its price and the time. */
const watchFrames = `(() => {
  globalThis.sightings = []
  let last
  const { port1, port2 } = new MessageChannel()
  // A message that is sent from a frame comes when the frame is painted.
  port1.onmessage = ({ data }) => sightings.push([data, performance.timeOrigin + performance.now()])
  const look = () => {
    requestAnimationFrame(look)
    const price = dashboard.drawn().candles.at(-1)?.close
    if (price === last) return
    last = price
    port2.postMessage(price)
  }
  requestAnimationFrame(look)
})()`

await runBench(async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS)
  const executablePath = neededBrowser()
  // Of its own: topics and views have the names that the example gives them.
  const broker = await startBroker()
  const folder = await mkdtemp(join(tmpdir(), 'millrace-pixel-'))
  try {
    const browser = await chromium.launch({ executablePath, args: BROWSER_ARGS })
    try {
      await measure(clusterOn(broker.brokers), browser, folder, options)
    } finally {
      await browser.close()
    }
  } finally {
    await broker.stop()
    await rm(folder, { recursive: true, force: true })
  }
})

type Options = Record<keyof typeof OPTIONS, number>

/** Runs the job beside. */
async function measure(cluster: Cluster, browser: Browser, stateDir: string, options: Options): Promise<void> {
  await cluster.createTopic('trades', options.partitions)
  const [httpPort, pushPort] = [await freePort(), await freePort()]
  const running = startJobRun({
    brokers: cluster.brokers,
    file: 'examples/candles/job.ts',
    env: { RUN_TS_IS_SET_UP: '1' },
    stateDir,
    instanceId: 'bench',
    untilEnd: false,
    httpPort,
    flags: [
      ...['--push-port', String(pushPort)],
      ...['min', 'max'].flatMap((end) => [`--commit-${end}-ms`, String(options.commit)]),
    ],
  })
  try {
    await untilReady(running, httpPort)
    await look(cluster, browser, `http://127.0.0.1:${pushPort}/?sym=${SYM}`, options)
  } finally {
    running.kill('SIGTERM')
    await running.end
  }
}

async function look(cluster: Cluster, browser: Browser, url: string, options: Options): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  await page.goto(url)
  await page.evaluate(watchFrames)
  const sent = await send(cluster, options)
  const isDrawn = (price: number): Promise<boolean> =>
    page.evaluate(`dashboard.drawn().candles.at(-1)?.close === ${price}`) as Promise<boolean>
  for (const endMs = machineMs() + WAIT_MS; !(await isDrawn(sent.at(-1)!.price)); ) {
    if (machineMs() > endMs)
      throw new Error(`the last trade is not on the screen: ${JSON.stringify(await drawn(page))}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const latencyMs = latencies(sent.slice(options.rate * options['warm-up']), await page.evaluate('sightings'))
  const wrong = wrongCandles(await drawn(page), sent)
  for (const problem of [...wrong, ...problems].slice(0, 5)) tell(`  ${problem}`)
  const percentile = (percent: number): number => rounded(latencyMs.percentile(percent), 1)
  report({
    command: 'bench:pixel',
    correct: wrong.length === 0 && problems.length === 0,
    ...options,
    trades: latencyMs.count,
    latencyMsP50: percentile(50),
    latencyMsP95: percentile(95),
    latencyMsP99: percentile(99),
    latencyMsMax: rounded(latencyMs.max, 1),
    targets: { p50: percentile(50) <= TARGET_MS.p50, p99: percentile(99) <= TARGET_MS.p99 },
  })
}

function drawn(page: Page): Promise<Candle[]> {
  return page.evaluate('dashboard.drawn().candles') as Promise<Candle[]>
}

/** Sends the trades of the symbol at their times, and others beside them; gives the former. */
async function send(cluster: Cluster, options: Options): Promise<Trade[]> {
  const { rate, others, seconds, seed } = options
  const settings = { 'linger.ms': 1, 'compression.codec': 'none' }
  const [producer, otherProducer] = [
    await cluster.kafka.openProducer({ settings }),
    await cluster.kafka.openProducer({ settings }),
  ]
  const startMs = machineMs() + START_MS
  const startWallMs = performance.timeOrigin + performance.now() + START_MS
  const recordCount = rate * (seconds + options['warm-up'])
  const trades = Array.from({ length: recordCount }, (_, i): Trade => {
    return { ts: startWallMs + (i * 1_000) / rate, price: FIRST_PRICE + i * PRICE_STEP, qty: 1 + (i % 9) }
  })
  let isDone = false
  const beside = produceTrades({
    producer: otherProducer,
    topic: 'trades',
    trades: tradeStream({
      seed,
      count: Number.POSITIVE_INFINITY,
      startMs: Math.floor(Date.now()),
      recordsPerEventSecond: others,
    }),
    records: Number.POSITIVE_INFINITY,
    rate: others,
    clock: systemClock,
    scheduler: systemScheduler,
    flushMs: WAIT_MS,
    isStopped: () => isDone,
  })
  const writer = new FrameWriter(1 << 16)
  await sendPaced({
    recordsPerSecond: rate,
    recordCount,
    startMs,
    send: (from, to) => {
      for (const { ts, price, qty } of trades.slice(from, to)) {
        const wholeMs = Math.floor(ts)
        writer.append(0, -1, wholeMs, encoder.encode(SYM), packr.pack({ sym: SYM, price, qty, ts: wholeMs }))
      }
      return producer.produce(writer.take()!, ['trades'])
    },
  })
  await producer.flush(WAIT_MS)
  isDone = true
  await beside
  await producer.close()
  await otherProducer.close()
  return trades
}

/** From when a trade was to be sent to the first frame that shows it, or one behind it. */
function latencies(trades: readonly Trade[], sightings: unknown): Histogram {
  const latencyMs = new Histogram()
  const seen = sightings as Sighting[]
  let at = 0
  for (const { price, ts } of trades) {
    while (at < seen.length && seen[at]![0] < price) at++
    if (at === seen.length) throw new Error(`the price ${price} was never on the screen`)
    latencyMs.record(seen[at]![1] - ts)
  }
  return latencyMs
}

/** What is wrong with the candles on the screen. */
function wrongCandles(candles: readonly Candle[], trades: readonly Trade[]): string[] {
  const expected = new Map<number, Candle>()
  for (const { ts, price } of trades) {
    const time = Math.floor(ts / 1_000) * 1_000
    const candle = expected.get(time)
    if (candle === undefined) expected.set(time, { time, open: price, high: price, low: price, close: price })
    else Object.assign(candle, { high: Math.max(candle.high, price), low: Math.min(candle.low, price), close: price })
  }
  const shown = candles.map(({ time, open, high, low, close }) => JSON.stringify({ time, open, high, low, close }))
  const right = [...expected.values()].slice(-candles.length).map((candle) => JSON.stringify(candle))
  if (candles.length < Math.min(expected.size, 180)) return [`${candles.length} candles of ${expected.size}`]
  return right.flatMap((candle, i) => (candle === shown[i] ? [] : [`drawn is ${shown[i]}, not ${candle}`]))
}
