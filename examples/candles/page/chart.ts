// The chart: candles, their volume below them and the VWAP across them. It draws what it is given and can say what it has drawn.
import {
  type CandlestickData,
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  createChart,
  type HistogramData,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  type LineData,
  LineSeries,
  LineStyle,
  TickMarkType,
  type Time,
  type UTCTimestamp,
  type WhitespaceData,
} from 'lightweight-charts'
import type { Drawn } from './drawn.ts'
import type { KnownCandle } from './feed.ts'
import { clock, day, price, short } from './format.ts'
import { type Body, ProvisionalBars } from './provisional-bars.ts'
import { colour } from './theme.ts'

type Bar<D> = D | WhitespaceData

/** The page has the notice and the link itself; the logo brings styles that the policy of pages does not let in. */
const NO_LOGO = { attributionLogo: false }
const RIGHT_BARS = 4
const BAR_PX = 8
/** Behind a colour of six digits: of bodies that are hatched instead. The label of the last price has the colour without it. */
const CLEAR = '00'

export class Chart {
  readonly #chart: IChartApi
  readonly #candles: ISeriesApi<'Candlestick'>
  readonly #volumes: ISeriesApi<'Histogram'>
  readonly #vwaps: ISeriesApi<'Line'>
  readonly #hatches: ProvisionalBars
  /** By window start. */
  #known = new Map<number, KnownCandle>()
  /** Window starts, in order. */
  #starts: number[] = []
  #sizeMs = 1000
  #pointedAt: number | undefined
  readonly #onPoint: () => void

  constructor(element: HTMLElement, onPoint: () => void) {
    this.#onPoint = onPoint
    this.#chart = createChart(element, { autoSize: true, layout: NO_LOGO })
    this.#vwaps = this.#chart.addSeries(LineSeries, {
      lineWidth: 1,
      priceLineVisible: false,
      lastValueVisible: false,
      crosshairMarkerVisible: false,
    })
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      priceFormat: { type: 'custom', formatter: price, minMove: 0.01 },
    })
    this.#volumes = this.#chart.addSeries(
      HistogramSeries,
      {
        priceFormat: { type: 'custom', formatter: short, minMove: 1 },
        priceLineVisible: false,
        lastValueVisible: false,
      },
      1,
    )
    const [prices, volumes] = this.#chart.panes()
    prices!.setStretchFactor(4)
    volumes!.setStretchFactor(1)
    this.#hatches = new ProvisionalBars(this.#chart, this.#candles)
    this.#candles.attachPrimitive(this.#hatches)
    this.#chart.subscribeCrosshairMove(({ time }) => this.#point(time === undefined ? undefined : Number(time) * 1000))
    element.addEventListener('keydown', (event) => this.#key(event))
    this.restyle()
  }

  /** Takes the colours and the zone as they are now. */
  restyle(): void {
    const line = colour('line')
    this.#chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: 'transparent' },
        textColor: colour('faint'),
        fontFamily: getComputedStyle(document.body).fontFamily,
        fontSize: 11,
        panes: { separatorColor: line, separatorHoverColor: 'transparent', enableResize: false },
        ...NO_LOGO,
      },
      grid: { vertLines: { color: colour('grid') }, horzLines: { color: colour('grid') } },
      crosshair: {
        mode: CrosshairMode.Normal,
        vertLine: { color: colour('faint'), style: LineStyle.Dashed, width: 1, labelBackgroundColor: colour('label') },
        horzLine: { color: colour('faint'), style: LineStyle.Dashed, width: 1, labelBackgroundColor: colour('label') },
      },
      rightPriceScale: { borderColor: line, scaleMargins: { top: 0.08, bottom: 0.06 }, minimumWidth: 68 },
      timeScale: {
        borderColor: line,
        rightOffset: RIGHT_BARS,
        barSpacing: this.#chart.timeScale().options().barSpacing || BAR_PX,
        secondsVisible: true,
        timeVisible: true,
        tickMarkFormatter: tickText,
      },
      localization: { timeFormatter: (time: Time) => `${day(ms(time))} ${clock(ms(time))}` },
    })
    this.#vwaps.applyOptions({ color: colour('vwap') })
    this.#drawAll()
  }

  /** All candles; they replace those of before, and the newest comes into sight. */
  replace(candles: readonly KnownCandle[], sizeMs: number): void {
    this.#sizeMs = sizeMs
    this.#known = new Map(candles.map((candle) => [candle.windowStart, candle]))
    this.#starts = candles.map(({ windowStart }) => windowStart)
    this.#drawAll()
    this.#chart.timeScale().applyOptions({ secondsVisible: sizeMs < 60_000, barSpacing: BAR_PX })
    this.#chart.timeScale().scrollToRealTime()
    this.#onPoint()
  }

  /** Candles that are new or have changed, by window start, and those that are gone (undefined); at most `max` of all. */
  change(changes: ReadonlyMap<number, KnownCandle | undefined>, max: number): void {
    const before = this.#starts.at(-1)
    let isInOrder = true
    for (const [start, candle] of changes) {
      if (candle === undefined) {
        if (!this.#known.delete(start)) continue
        this.#starts = this.#starts.filter((one) => one !== start)
        if (this.#pointedAt === start) this.#pointAtNone()
        isInOrder = false
        continue
      }
      if (!this.#known.has(start)) {
        const newest = this.#starts.at(-1)
        if (newest !== undefined && start !== newest + this.#sizeMs) isInOrder = false
        this.#starts.push(start)
      }
      this.#known.set(start, candle)
    }
    if (!isInOrder) this.#starts.sort((a, b) => a - b)
    const newest = this.#starts.at(-1) ?? 0
    while (this.#starts.length > 0 && this.#starts[0]! <= newest - max * this.#sizeMs) {
      this.#known.delete(this.#starts.shift()!)
      isInOrder = false
    }
    if (isInOrder && before !== undefined) this.#drawSome([...changes.keys()], before)
    else this.#drawAll()
    this.#onPoint()
  }

  /** The candle that is pointed at, else the newest; undefined: there is none. */
  get looked(): KnownCandle | undefined {
    return this.#known.get(this.#pointedAt ?? Number.NaN) ?? this.#known.get(this.#starts.at(-1) ?? Number.NaN)
  }

  get count(): number {
    return this.#starts.length
  }

  /** It may still change: also one before the newest does, as long as late trades are waited for. */
  isOpen({ state }: KnownCandle): boolean {
    return state !== 'final'
  }

  /** The candle of a window, undefined: there is none. */
  candleAt(start: number): KnownCandle | undefined {
    return this.#known.get(start)
  }

  get hasProvisional(): boolean {
    return this.#hatches.bodies.length > 0
  }

  /** From the series themselves, not from what they were given. */
  drawn(): Drawn {
    const { rise, fall } = shadesNow()
    return {
      candles: this.#candles.data().flatMap((bar) => {
        if (!('open' in bar)) return []
        const { open: first, high, low, close, color } = bar as CandlestickData
        const drawn = { time: ms(bar.time), open: first, high, low, close }
        if (color === rise.solid + CLEAR || color === fall.solid + CLEAR)
          return [{ ...drawn, isOpen: true, isProvisional: true as const }]
        return [{ ...drawn, isOpen: color === rise.open || color === fall.open }]
      }),
      volumes: valuesOf(this.#volumes.data()),
      vwaps: valuesOf(this.#vwaps.data()),
    }
  }

  /** One by one, those that are older than `newest` in their places. */
  #drawSome(starts: readonly number[], newest: number): void {
    const shades = shadesNow()
    for (const start of [...starts].sort((a, b) => a - b)) {
      const candle = this.#known.get(start)
      if (candle === undefined) continue
      const isOlder = start < newest
      this.#candles.update(this.#bar(candle, shades), isOlder)
      this.#volumes.update(this.#volume(candle, shades), isOlder)
      this.#vwaps.update(vwapOf(candle), isOlder)
    }
    this.#hatch()
  }

  #drawAll(): void {
    const shades = shadesNow()
    const [candles, volumes, vwaps]: [Bar<CandlestickData>[], Bar<HistogramData>[], Bar<LineData>[]] = [[], [], []]
    let next = this.#starts[0] ?? 0
    for (const start of this.#starts) {
      // A window without trades has no candle, and its place stays empty.
      for (; next < start; next += this.#sizeMs) candles.push({ time: seconds(next) })
      next = start + this.#sizeMs
      const candle = this.#known.get(start)!
      candles.push(this.#bar(candle, shades))
      volumes.push(this.#volume(candle, shades))
      vwaps.push(vwapOf(candle))
    }
    this.#candles.setData(candles)
    this.#volumes.setData(volumes)
    this.#vwaps.setData(vwaps)
    this.#hatch()
  }

  #bar(candle: KnownCandle, shades: Shades): CandlestickData {
    const { open, high, low, close, windowStart } = candle
    const side = shades[close >= open ? 'rise' : 'fall']
    const color = candle.state === 'provisional' ? side.solid + CLEAR : this.isOpen(candle) ? side.open : side.solid
    return { time: seconds(windowStart), open, high, low, close, color, borderColor: side.solid, wickColor: side.solid }
  }

  #volume(candle: KnownCandle, shades: Shades): HistogramData {
    const side = shades[candle.close >= candle.open ? 'rise' : 'fall']
    return {
      time: seconds(candle.windowStart),
      value: candle.volume,
      color: this.isOpen(candle) ? side.open : side.volume,
    }
  }

  #hatch(): void {
    const shades = shadesNow()
    this.#hatches.bodies = [...this.#known.values()]
      .filter(({ state }) => state === 'provisional')
      .map(({ windowStart, open, close }): Body => {
        return { time: seconds(windowStart), open, close, colour: shades[close >= open ? 'rise' : 'fall'].solid }
      })
  }

  #point(start: number | undefined): void {
    if (this.#pointedAt === start) return
    this.#pointedAt = start
    this.#onPoint()
  }

  #pointAtNone(): void {
    this.#chart.clearCrosshairPosition()
    this.#point(undefined)
  }

  #key(event: KeyboardEvent): void {
    const scale = this.#chart.timeScale()
    const zoom = (factor: number): void =>
      scale.applyOptions({ barSpacing: Math.min(40, Math.max(2, scale.options().barSpacing * factor)) })
    const step = (by: number): void => {
      const at = this.#pointedAt === undefined ? this.#starts.length : this.#starts.indexOf(this.#pointedAt)
      const candle = this.#known.get(
        this.#starts[Math.min(this.#starts.length - 1, Math.max(0, at + by))] ?? Number.NaN,
      )
      if (candle === undefined) return
      this.#chart.setCrosshairPosition(candle.close, seconds(candle.windowStart), this.#candles)
      this.#point(candle.windowStart)
    }
    const toNewest = (): void => {
      this.#pointAtNone()
      scale.scrollToRealTime()
    }
    const keys: Record<string, () => void> = {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      '+': () => zoom(1.25),
      '-': () => zoom(0.8),
      End: toNewest,
      Escape: toNewest,
    }
    const act = keys[event.key]
    if (act === undefined) return
    event.preventDefault()
    act()
  }
}

interface Side {
  solid: string
  open: string
  volume: string
}
type Shades = Record<'rise' | 'fall', Side>

function shadesNow(): Shades {
  const side = (name: string): Side => ({
    solid: colour(name),
    open: colour(`${name}-open`),
    volume: colour(`${name}-volume`),
  })
  return { rise: side('rise'), fall: side('fall') }
}

function vwapOf({ windowStart, vwap }: KnownCandle): Bar<LineData> {
  return vwap === null ? { time: seconds(windowStart) } : { time: seconds(windowStart), value: vwap }
}

function valuesOf(data: readonly (HistogramData | LineData | WhitespaceData)[]): { time: number; value: number }[] {
  return data.flatMap((bar) => ('value' in bar ? [{ time: ms(bar.time), value: bar.value }] : []))
}

function tickText(time: Time, kind: TickMarkType): string {
  if (kind <= TickMarkType.DayOfMonth) return day(ms(time)).slice(5)
  return clock(ms(time), kind === TickMarkType.TimeWithSeconds)
}

const seconds = (timeMs: number): UTCTimestamp => (timeMs / 1000) as UTCTimestamp
const ms = (time: Time): number => Number(time) * 1000
