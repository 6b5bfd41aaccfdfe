// The page of the candles job: the chart of one symbol, the day of all, and whether what is shown is true. `?sym=` and `?interval=` say
// what to begin with.
import type { ViewFeed } from 'millrace/client'
import './main.css'
import { Chart } from './chart.ts'
import { byId, setClass, setText } from './dom.ts'
import type { Drawn } from './drawn.ts'
import {
  type FeedState,
  followCandles,
  followMovers,
  INTERVALS,
  type Interval,
  type KnownCandle,
  rowCount,
  watch,
} from './feed.ts'
import * as text from './format.ts'
import { Latency } from './latency.ts'
import { changeOf, Movers } from './movers.ts'
import { startSearch } from './search.ts'
import { followTheme } from './theme.ts'

const TICK_MS = 1000
const WORDS: Readonly<Record<FeedState, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  stale: 'Stale',
  closed: 'Closed',
}

const query = new URLSearchParams(location.search)
const chart = new Chart(byId('chart'), () => (isLegendDue = true))
const movers = new Movers((sym) => choose(sym))
/** Rows of one frame whose time to the screen is measured. */
const FRESH_MAX = 1000
const latency = new Latency()

let sym = query.get('sym') ?? undefined
let interval: Interval = '1s'
/** Undefined: the candles of the symbol have not come yet. */
let isLoaded = false
/** Times of the rows that are on the screen with the next frame, ms since the epoch. */
let fresh: number[] = []
let isLegendDue = true
/** As of the last tick. */
let rowsBefore = 0
let isMoversDue = false
let state: FeedState = 'connecting'
/** What the server says of rows that do not move. */
let feed: ViewFeed | undefined
/** When the newest row came that is shown, by the clock of this device. */
let heardAtMs = Date.now()

followTheme(() => chart.restyle())
startSearch(movers.symbols, choose)
byId('zone').addEventListener('click', () => {
  text.setZone(text.zoneNow() === 'UTC' ? 'local' : 'UTC')
  chart.restyle()
  isLegendDue = true
  tick()
})
for (const input of document.querySelectorAll<HTMLInputElement>('input[name="interval"]')) {
  input.addEventListener('change', () => chooseInterval(input.value as Interval))
}
document.addEventListener('visibilitychange', () => {
  // While nobody looks nothing is drawn, so there is nothing to measure either.
  if (document.hidden) latency.clear()
})
followMovers((rows, isAll) => {
  movers.take(rows, isAll)
  heardAtMs = Date.now()
  isMoversDue = true
})
const asked = query.get('interval')
if (asked !== null && asked in INTERVALS) chooseInterval(asked as Interval)
else if (sym !== undefined) choose(sym)
setInterval(tick, TICK_MS)
tick()
requestAnimationFrame(frame)

function choose(next: string): void {
  sym = next
  setText(byId('symbol'), sym)
  byId('chart').setAttribute('aria-label', `Candles of ${sym}, ${interval}`)
  isLoaded = false
  isMoversDue = true
  fresh = []
  latency.clear()
  chart.replace([], INTERVALS[interval].sizeMs)
  followCandles(sym, interval, {
    onAll: (candles) => {
      isLoaded = true
      fresh = []
      chart.replace(candles, INTERVALS[interval].sizeMs)
    },
    onChange: (changes) => {
      heardAtMs = Date.now()
      note(changes.values())
      // At once: the chart draws in the next frame what it has by then.
      chart.change(changes, INTERVALS[interval].candles)
    },
  })
  const address = new URL(location.href)
  address.searchParams.set('sym', sym)
  address.searchParams.set('interval', interval)
  history.replaceState(null, '', address)
}

function chooseInterval(next: Interval): void {
  interval = next
  for (const input of document.querySelectorAll<HTMLInputElement>('input[name="interval"]'))
    input.checked = input.value === next
  if (sym !== undefined) choose(sym)
}

/** What stands around the chart, once a frame. */
function frame(): void {
  requestAnimationFrame(frame)
  showState()
  if (sym === undefined && movers.symbols.size > 0) {
    const [first] = [...movers.symbols.values()].sort((a, b) => b.dayVolume - a.dayVolume)
    choose(first!.sym)
  }
  const nowMs = Date.now()
  for (const timestampMs of fresh) latency.add(nowMs, nowMs - timestampMs)
  fresh = []
  if (isMoversDue) {
    isMoversDue = false
    movers.show(sym)
    showDay()
  }
  if (isLegendDue) {
    isLegendDue = false
    showLegend()
  }
}

/**
 * A row of the close has the time of its window's end, whenever it comes: it tells nothing of the way to the screen. Nor does one that
 * was there already, and is committed now or shown again in place of one that was taken back.
 */
function note(candles: Iterable<KnownCandle | undefined>): void {
  // A page that nobody sees has no frames.
  if (document.hidden) return
  for (const candle of candles) {
    if (candle === undefined || candle.state === 'final' || fresh.length >= FRESH_MAX) continue
    const { timestampMs, windowStart } = candle
    const shownMs = chart.candleAt(windowStart)?.timestampMs ?? Number.NEGATIVE_INFINITY
    if (timestampMs > shownMs) fresh.push(timestampMs)
  }
}

function showDay(): void {
  const mover = sym === undefined ? undefined : movers.symbols.get(sym)
  if (mover === undefined) {
    for (const id of ['last', 'change', 'day-high', 'day-low', 'day-volume']) setText(byId(id), '–')
    return
  }
  const share = changeOf(mover)
  setText(byId('change'), text.percent(share))
  setClass(byId('change'), `delta ${text.deltaClass(share)}`)
  setText(byId('day-high'), text.price(mover.dayHigh))
  setText(byId('day-low'), text.price(mover.dayLow))
  setText(byId('day-volume'), text.short(mover.dayVolume))
  setText(byId('movers-day'), `${new Date(mover.dayStart).toISOString().slice(0, 10)}, UTC`)
}

function showLegend(): void {
  const candle = chart.looked
  const put = (name: string, value: string): void =>
    setText(document.querySelector(`#legend [data-of="${name}"]`)!, value)
  const newest = chart.drawn().candles.at(-1)
  setText(byId('last'), newest === undefined ? '–' : text.price(newest.close))
  const prices = ['open', 'high', 'low', 'close'] as const
  for (const name of prices) put(name, candle === undefined ? '–' : text.price(candle[name]))
  put('vwap', candle?.vwap == null ? '–' : text.price(candle.vwap))
  put('volume', candle === undefined ? '–' : text.whole(candle.volume))
  put('n', candle === undefined ? '–' : text.whole(candle.n))
  put('time', candle === undefined ? '–' : `${text.day(candle.windowStart)} ${text.clock(candle.windowStart)}`)
  const phase =
    candle === undefined
      ? '–'
      : candle.state === 'provisional'
        ? 'provisional'
        : chart.isOpen(candle)
          ? 'open'
          : 'closed'
  put('phase', phase)
  byId('legend').dataset.phase = phase
  byId('key-provisional').hidden = !chart.hasProvisional
  byId('legend').dataset.side = candle === undefined || candle.close >= candle.open ? 'rise' : 'fall'
  document.title = newest === undefined || sym === undefined ? 'Candles · Millrace' : titleOf(newest.close)
}

function titleOf(last: number): string {
  const mark = state === 'live' ? '' : `${WORDS[state]} · `
  return `${mark}${sym} ${text.price(last)} · Millrace`
}

/** What is shown is dimmed as long as it is not what the views have, and it is said since when. */
function showState(): void {
  const next = watch.state
  const isEmpty = chart.count === 0
  byId('empty').hidden = !isEmpty || next === 'closed'
  if (isEmpty) setText(byId('empty'), emptyText(next))
  if (next === state && watch.feed === feed) return
  state = next
  feed = watch.feed
  byId('main').dataset.state = state
  byId('state').dataset.state = state
  setText(byId('state').querySelector('span')!, WORDS[state])
  const isLost = state === 'reconnecting' || state === 'stale' || state === 'closed'
  byId('lost').hidden = !isLost
  if (isLost) {
    latency.clear()
    setText(byId('lost'), lostText(state))
  }
  isLegendDue = true
}

function emptyText(now: FeedState): string {
  if (now !== 'live' && now !== 'stale') return `${WORDS[now]}…`
  if (sym === undefined) return 'Waiting for the first trade…'
  return isLoaded ? `No candles of ${sym} yet` : `Loading ${sym}…`
}

function lostText(now: FeedState): string {
  const since = `${text.clock(heardAtMs)} ${text.zoneName()}`
  if (now === 'stale') return feed === undefined ? `Nothing new since ${since}.` : feedText(feed)
  if (now === 'closed') return `This page has ended: ${watch.error ?? 'the server takes no connection from it'}`
  return `Connection lost. Shown is what was known at ${since}.`
}

function feedText({ state: fed, sinceMs, lagRecords, job }: ViewFeed): string {
  const since = sinceMs === undefined ? '' : ` since ${text.clock(sinceMs)} ${text.zoneName()}`
  if (fed === 'cut') return `The server has been cut off from Kafka${since}.`
  if (fed === 'behind') {
    const by = lagRecords === undefined ? '' : `, by ${text.whole(lagRecords)} records`
    return `The server has been behind${since}${by}.`
  }
  if (job === 'absent') return `Nothing new${since}: the job is not running.`
  return `Nothing new${since}${job === 'running' ? ': the job runs, its input stands still' : ''}.`
}

function tick(): void {
  const nowMs = Date.now()
  setText(byId('clock'), text.clock(nowMs))
  setText(byId('zone-name'), text.zoneName())
  byId('zone').title = text.zoneNow() === 'UTC' ? 'Show local time' : 'Show UTC'
  const quantiles = state === 'live' ? latency.of(nowMs) : undefined
  // A clock that is behind that of the trades measures nothing.
  const isMeasured = quantiles !== undefined && quantiles.p50 >= 0
  setText(byId('p50'), isMeasured ? text.millis(quantiles.p50) : '–')
  setText(byId('p99'), isMeasured ? text.millis(quantiles.p99) : '–')
  setText(byId('rate'), text.whole(rowCount - rowsBefore))
  rowsBefore = rowCount
}

/** For tests and the curious: what is on the screen, from where it is drawn. */
export interface Dashboard {
  drawn(): Drawn
  readonly state: FeedState
  readonly sym: string | undefined
  readonly interval: Interval
  readonly gapCount: number
}

declare global {
  var dashboard: Dashboard
}
globalThis.dashboard = {
  drawn: () => chart.drawn(),
  get state() {
    return state
  },
  get sym() {
    return sym
  },
  get interval() {
    return interval
  },
  get gapCount() {
    return watch.gapCount
  },
}
