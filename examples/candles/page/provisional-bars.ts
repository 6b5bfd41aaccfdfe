// Hatches the bodies of candles that are not committed yet: they may be taken back, and must not look like the others.
import type {
  IChartApi,
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesApi,
  ISeriesPrimitive,
  Time,
} from 'lightweight-charts'

export interface Body {
  readonly time: Time
  readonly open: number
  readonly close: number
  readonly colour: string
}

type Target = Parameters<IPrimitivePaneRenderer['draw']>[0]

const LINE_EVERY_PX = 4
const BODY_SHARE = 0.7

export class ProvisionalBars implements ISeriesPrimitive<Time> {
  readonly #chart: IChartApi
  readonly #series: ISeriesApi<'Candlestick'>
  bodies: readonly Body[] = []

  constructor(chart: IChartApi, series: ISeriesApi<'Candlestick'>) {
    this.#chart = chart
    this.#series = series
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return [{ renderer: () => ({ draw: (target) => this.#draw(target) }) }]
  }

  #draw(target: Target): void {
    const half = (this.#chart.timeScale().options().barSpacing * BODY_SHARE) / 2
    target.useMediaCoordinateSpace(({ context }) => {
      for (const body of this.bodies) {
        const x = this.#chart.timeScale().timeToCoordinate(body.time)
        const [a, b] = [body.open, body.close].map((price) => this.#series.priceToCoordinate(price))
        if (x === null || a == null || b == null) continue
        const top = Math.min(a, b)
        hatch(context, x - half, top, 2 * half, Math.max(2, Math.abs(a - b)), body.colour)
      }
    })
  }
}

function hatch(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  colour: string,
): void {
  context.save()
  context.beginPath()
  context.rect(x, y, width, height)
  context.clip()
  context.strokeStyle = colour
  context.lineWidth = 1
  context.beginPath()
  for (let at = -height; at < width; at += LINE_EVERY_PX) {
    context.moveTo(x + at, y + height)
    context.lineTo(x + at + height, y)
  }
  context.stroke()
  context.restore()
}
