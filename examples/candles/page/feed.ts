// What the page knows of the job: candles of one symbol, the day of all symbols, and how far both can be believed. Typed by the job.
import {
  createClient,
  type HeldRow,
  type RowState,
  type Subscription,
  type ViewFeed,
  type ViewState,
} from 'millrace/client'
import type job from '../job.ts'

export type Interval = '1s' | '1m' | '1h'
/** How long a candle is, and how many of them are shown: as many as the views of the job keep. */
export const INTERVALS: Readonly<Record<Interval, { sizeMs: number; candles: number }>> = {
  '1s': { sizeMs: 1000, candles: 120 },
  '1m': { sizeMs: 60_000, candles: 120 },
  '1h': { sizeMs: 3_600_000, candles: 72 },
}
const VIEWS = { '1s': 'candles', '1m': 'candles-1m', '1h': 'candles-1h' } as const

export interface Candle {
  readonly windowStart: number
  readonly windowEnd: number
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
  readonly vwap: number | null
  readonly n: number
}
/** A candle with what is known of it. */
export type KnownCandle = Candle & { readonly state: RowState; readonly timestampMs: number }

const MOVER_FIELDS = ['sym', 'close', 'dayStart', 'dayOpen', 'dayHigh', 'dayLow', 'dayVolume'] as const
/** The day of a symbol so far, UTC. */
export interface Mover {
  readonly sym: string
  readonly close: number
  readonly dayStart: number
  readonly dayOpen: number
  readonly dayHigh: number
  readonly dayLow: number
  readonly dayVolume: number
}

/**
 * - `connecting`: nothing was there yet
 * - `live`: what is shown is what the views have
 * - `reconnecting`: the connection is lost, or what was missed is being read
 * - `stale`: connected, and for long nothing has come, or the server says that what it has is not what there is
 * - `closed`: it will not come back by itself
 */
export type FeedState = 'connecting' | 'live' | 'reconnecting' | 'stale' | 'closed'

const STALE_AFTER_MS = 10_000
const MOVERS_GAP_MS = 1000
const RETRY_MS = 250

/** Where the server wants a token, behind the `#` of the address, which browsers do not send. */
const token = new URLSearchParams(location.hash.slice(1)).get('token')
const client = createClient<typeof job>({ retryMs: RETRY_MS, ...(token === null ? {} : { token }) })

type AnySubscription = Pick<Subscription<unknown>, 'state' | 'error' | 'close' | 'gapCount' | 'feed'>

/** Tells the state of several subscriptions as one. */
class Watch {
  readonly #subscriptions = new Map<string, AnySubscription>()
  #wasLive = false
  /** When something came the last time, by the clock of this page. */
  heardMs = performance.now()

  set(name: string, subscription: AnySubscription): void {
    this.#subscriptions.get(name)?.close()
    this.#subscriptions.set(name, subscription)
  }

  heard(): void {
    this.heardMs = performance.now()
  }

  /** What the server says of it. The day of some symbol moves each second; a candle of an hour may be quiet for long. */
  get feed(): ViewFeed | undefined {
    const isTold = ([name, { feed }]: [string, AnySubscription]): boolean =>
      feed.state !== 'live' && (feed.state !== 'quiet' || name === 'movers')
    return [...this.#subscriptions].find(isTold)?.[1].feed
  }

  get error(): string | undefined {
    return [...this.#subscriptions.values()].find(({ error }) => error !== undefined)?.error?.message
  }

  get gapCount(): number {
    return [...this.#subscriptions.values()].reduce((sum, { gapCount }) => sum + gapCount, 0)
  }

  get state(): FeedState {
    const states = [...this.#subscriptions.values()].map(({ state }) => state)
    const has = (state: ViewState): boolean => states.includes(state)
    if (has('closed')) return 'closed'
    if (has('waiting') || has('connecting')) return this.#wasLive ? 'reconnecting' : 'connecting'
    // Another symbol is being read: the connection is there.
    if (has('loading')) return this.#wasLive ? 'live' : 'connecting'
    this.#wasLive = true
    return this.feed !== undefined || performance.now() - this.heardMs > STALE_AFTER_MS ? 'stale' : 'live'
  }
}

export const watch = new Watch()

/** Rows that came, for who counts them. */
export let rowCount = 0

export interface CandleHandlers {
  /** All candles that there are; they replace those of before. */
  onAll(candles: readonly KnownCandle[]): void
  /** By window start; undefined: there is none any more, for one that was not committed in the end or that the view keeps no longer. */
  onChange(changes: ReadonlyMap<number, KnownCandle | undefined>): void
}

/** Follows the candles of a symbol, in place of those followed before: first the newest ones that its view keeps, then all that changes. */
export function followCandles(sym: string, interval: Interval, handlers: CandleHandlers): void {
  const subscription = client.view(VIEWS[interval]).subscribe(
    { key: sym, history: INTERVALS[interval].candles, provisional: true },
    {
      onSnapshot: (rows) => {
        took(rows.length)
        handlers.onAll(rows.map(known))
      },
      onUpdate: (rows) => {
        took(rows.length)
        handlers.onChange(new Map(rows.map((row) => [row.timeMs!, row.row === null ? undefined : known(row)])))
      },
    },
  )
  watch.set('candles', subscription)
}

function known({ row, state, timestampMs }: HeldRow<Candle>): KnownCandle {
  return { ...row, state, timestampMs }
}

/** Follows the day of all symbols. */
export function followMovers(onChange: (movers: readonly Mover[], isAll: boolean) => void): void {
  const tell = (rows: readonly { row: Mover | null }[], isAll: boolean): void => {
    took(rows.length)
    onChange(
      rows.map(({ row }) => row).filter((row) => row !== null),
      isAll,
    )
  }
  const subscription = client
    .view('movers')
    .subscribe(
      { fields: MOVER_FIELDS, minGapMs: MOVERS_GAP_MS },
      { onSnapshot: (rows) => tell(rows, true), onUpdate: (rows) => tell(rows, false) },
    )
  watch.set('movers', subscription)
}

function took(count: number): void {
  rowCount += count
  watch.heard()
}
