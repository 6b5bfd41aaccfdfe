// The dashboard while its server is killed again and again under load: a real Kafka, the job of the example as a process, trades all the
// time, and a process that serves its views and gets SIGKILL twenty times. The page looks at itself at each frame: no candle is
// missing, doubled or goes back, and it never says that it is live when it is not. Holds SPEC: PUSH-1, PUSH-11, PUSH-12, PUSH-18, PUSH-43.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pack } from 'msgpackr'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import type { Producer } from '../../src/kafka/port.ts'
import { freePort } from '../harness/broker.ts'
import { BrokerJob } from '../harness/broker-job.ts'
import type { CommandProcess } from '../harness/command-process.ts'
import { CandleOracle } from '../harness/oracle.ts'
import { launch, Screen } from './dashboard-fixture.ts'

const KILLS = 20
/** From kill to kill; what takes longer is waited for. */
const KILL_EVERY_MS = 5500
/** A machine that is too slow for all of them within this does fewer. */
const KILLING_MS_MAX = 240_000
const KILLS_MIN = 5
const TRADES_PER_SECOND = 400
const SYMBOL_COUNT = 40
/** Trades come so much out of order, which is within what the job waits for. */
const DISORDER_MS = 800
const SYM = 'S0'
const RECOVERY = { timeout: 60_000 }
const encoder = new TextEncoder()

let browser: Browser
let rig: BrokerJob
beforeAll(async () => {
  browser = await launch()
  rig = new BrokerJob('dashboard', inject('brokers'))
})
afterAll(async () => {
  await browser.close()
  rig.end()
})

/** Trades in real time, and what candles they make; one of four is of the symbol that is watched. */
class Market {
  readonly oracle = new CandleOracle({ sizeMs: 1000, graceMs: Number.MAX_SAFE_INTEGER / 2, outOfOrderMs: 0 })
  readonly #producer: Producer
  readonly #startMs = Date.now()
  #count = 0
  #isStopped = false
  readonly ended: Promise<void>

  constructor(producer: Producer) {
    this.#producer = producer
    this.ended = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.ended
    await this.#producer.flush(30_000)
    await this.#producer.close()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const due = Math.floor(((Date.now() - this.#startMs) * TRADES_PER_SECOND) / 1000)
      const writer = new FrameWriter()
      const from = this.#count
      for (; this.#count < due; this.#count++) this.#add(writer, this.#count)
      if (this.#count > from) await this.#producer.produce(writer.take()!, [`${rig.name}-trades`])
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  #add(writer: FrameWriter, i: number): void {
    const ts = Date.now() - ((i * 7919) % DISORDER_MS)
    const sym = i % 4 === 0 ? SYM : `S${1 + (i % (SYMBOL_COUNT - 1))}`
    const trade = {
      sym,
      price: 100 + Math.round(64 * (5 * Math.sin(i / 900) + ((i * 31) % 17) / 17)) / 64,
      qty: 1 + (i % 5),
      ts,
    }
    this.oracle.add(0, trade)
    writer.append(0, 0, ts, encoder.encode(sym), pack(trade))
  }
}

/** Runs in the page, at each frame. */
const CHECKER = `(() => {
  const seen = new Map()
  const found = { problems: [], looks: 0, live: 0, lost: 0, newest: 0 }
  globalThis.checked = found
  const say = (text) => {
    if (found.problems.length < 20) found.problems.push(text)
  }
  const look = () => {
    requestAnimationFrame(look)
    found.looks++
    const { candles, volumes, vwaps } = dashboard.drawn()
    const volumeOf = new Map(volumes.map(({ time, value }) => [time, value]))
    if (candles.length !== volumes.length || candles.length !== vwaps.length) say('candles, volumes and VWAP are not as many')
    let before
    for (const candle of candles) {
      if (before !== undefined && candle.time !== before + 1000)
        say((candle.time > before ? 'a gap' : 'a repeat') + ' between ' + before + ' and ' + candle.time)
      before = candle.time
      const volume = volumeOf.get(candle.time)
      const text = JSON.stringify([candle, volume])
      const last = seen.get(candle.time)
      if (last !== undefined && volume < last.volume) say(candle.time + ' goes back from ' + last.text + ' to ' + text)
      if (last !== undefined && !last.isOpen && last.text !== text) say('closed ' + last.text + ' became ' + text)
      seen.set(candle.time, { volume, text, isOpen: candle.isOpen })
    }
    if (before < found.newest) say('the newest went back to ' + before)
    found.newest = before ?? 0
    const { state } = dashboard
    const isLost = state === 'reconnecting' || state === 'stale' || state === 'closed'
    found[state === 'live' ? 'live' : 'lost']++
    const isSaid = !document.querySelector('#lost').hidden
    const shown = document.querySelector('#state').dataset.state
    if (isLost !== isSaid || shown !== state) say('it is ' + state + ' and says ' + shown)
  }
  look()
})()`

test(`up to ${KILLS} kills under load: no gap, no repeat, no lie`, { timeout: 480_000 }, async () => {
  await rig.makeTopics({ trades: 1 })
  const text = readFileSync(resolve('examples/candles/job.ts'), 'utf8')
    .replace("job('candles')", `job('${rig.name}')`)
    .replaceAll("kafka('", `kafka('${rig.name}-`)
  const job = rig.run(text, '--push-port', '0', '--log-format', 'json')
  await job.saying(/ready in/)
  const market = new Market(await rig.kafka.openProducer({}))
  const port = await freePort()
  const page = resolve('dist/examples/candles/page')
  const serve = (): CommandProcess =>
    rig.command(
      'serve',
      text,
      '--push-port',
      String(port),
      '--http-port',
      '0',
      '--push-page',
      page,
      '--log-format',
      'json',
    )
  let server = serve()
  await server.saying(/ready in/)
  const screen = await Screen.open(browser, `http://127.0.0.1:${port}/?sym=${SYM}`)
  await screen.untilState('live', RECOVERY)
  await screen.until('dashboard.drawn().candles.length > 3', RECOVERY)
  await screen.page.evaluate(CHECKER)
  const startMs = performance.now()
  let kills = 0
  while (kills < KILLS && performance.now() - startMs < KILLING_MS_MAX) {
    const kill = ++kills
    const killedMs = performance.now()
    server.child.kill('SIGKILL')
    await screen.untilState('reconnecting')
    if (kill === 1) await screen.picture('killed')
    await server.exit()
    server = serve()
    await screen.untilState('live', RECOVERY)
    // It goes on, too, beyond what was there while it was cut off.
    await screen.until(`dashboard.drawn().candles.at(-1).time >= ${Date.now() - 1000}`, RECOVERY)
    const { problems } = await screen.page.evaluate<{ problems: string[] }>('checked')
    expect(problems, `after kill ${kill}`).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, killedMs + KILL_EVERY_MS - performance.now())))
  }
  const seconds = (performance.now() - startMs) / 1000
  await market.stop()
  await screen.picture('after-kills')
  const checked = await screen.page.evaluate<{ problems: string[]; looks: number; live: number; lost: number }>(
    'checked',
  )
  const drawn = await screen.drawn()
  console.log(`${kills} kills in ${Math.round(seconds)} s, ${checked.looks} looks, ${drawn.candles.length} candles`)
  expect(checked.problems).toEqual([])
  expect(kills).toBeGreaterThanOrEqual(KILLS_MIN)
  expect(checked.live).toBeGreaterThan(kills)
  expect(checked.lost).toBeGreaterThan(kills)
  // What is closed is what the trades give, every one of them.
  const volumes = new Map(drawn.volumes.map(({ time, value }) => [time, value]))
  const vwaps = new Map(drawn.vwaps.map(({ time, value }) => [time, value]))
  const closed = drawn.candles.filter(({ isOpen }) => !isOpen)
  const expected = market.oracle
    .rows()
    .filter(
      ({ sym, windowStart }) => sym === SYM && windowStart >= closed[0]!.time && windowStart <= closed.at(-1)!.time,
    )
    .sort((a, b) => a.windowStart - b.windowStart)
    .map(({ windowStart, open, high, low, close, volume, vwap }) => ({
      ...{ time: windowStart, open, high, low, close, isOpen: false, volume },
      vwap: expect.closeTo(vwap, 9),
    }))
  expect(closed.length).toBeGreaterThan(60)
  expect(closed.map((one) => ({ ...one, volume: volumes.get(one.time), vwap: vwaps.get(one.time) }))).toEqual(expected)
  // A server that is away is the browser's to complain of, all else is not.
  expect(
    screen.problems.filter((problem) => !/ERR_CONNECTION_REFUSED|WebSocket connection|net::ERR/.test(problem)),
  ).toEqual([])
})
