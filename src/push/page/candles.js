// Draws candles and volume on a canvas. No state: rows in, pixels out.

const CANDLE_WIDTH_PX = 9
const AXIS_WIDTH_PX = 68
const AXIS_HEIGHT_PX = 26
const VOLUME_SHARE = 0.18

/** Draws the newest candles that fit; returns how many those are. */
export function drawCandles(canvas, candles, style) {
  const scale = window.devicePixelRatio || 1
  const { clientWidth: width, clientHeight: height } = canvas
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale)
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale)
  const context = canvas.getContext('2d')
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, height)
  const shown = candles.slice(-Math.max(1, Math.floor((width - AXIS_WIDTH_PX) / CANDLE_WIDTH_PX)))
  if (shown.length === 0) return 0
  const area = { right: width - AXIS_WIDTH_PX, top: 12, bottom: height - AXIS_HEIGHT_PX }
  drawPrices(context, shown, area, style)
  drawTimes(context, shown, area, style)
  for (const [i, candle] of shown.entries()) drawCandle(context, candle, xOf(i, shown.length, area), shown, area, style)
  return shown.length
}

/** The newest candle stands at the right edge. */
function xOf(i, count, area) {
  return area.right - (count - i - 0.5) * CANDLE_WIDTH_PX
}

function priceRange(shown) {
  const low = Math.min(...shown.map((candle) => candle.low))
  const high = Math.max(...shown.map((candle) => candle.high))
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.001 || 1
  return { low: low - margin, high: high + margin }
}

function yOf(price, range, area) {
  const bottom = area.bottom - (area.bottom - area.top) * VOLUME_SHARE
  return bottom - ((price - range.low) / (range.high - range.low)) * (bottom - area.top)
}

function drawCandle(context, candle, x, shown, area, style) {
  const range = priceRange(shown)
  const open = yOf(candle.open, range, area)
  const close = yOf(candle.close, range, area)
  const body = CANDLE_WIDTH_PX - 3
  context.fillStyle = candle.close >= candle.open ? style.rise : style.fall
  context.fillRect(
    x - 0.5,
    yOf(candle.high, range, area),
    1,
    yOf(candle.low, range, area) - yOf(candle.high, range, area),
  )
  context.fillRect(x - body / 2, Math.min(open, close), body, Math.max(1, Math.abs(close - open)))
  const volumeMax = Math.max(...shown.map((each) => each.volume)) || 1
  const volume = (candle.volume / volumeMax) * (area.bottom - area.top) * VOLUME_SHARE * 0.85
  context.globalAlpha = 0.3
  context.fillRect(x - body / 2, area.bottom - volume, body, volume)
  context.globalAlpha = 1
}

function drawPrices(context, shown, area, style) {
  const range = priceRange(shown)
  const step = niceStep((range.high - range.low) / 6)
  context.font = '12px system-ui, sans-serif'
  context.textAlign = 'left'
  context.textBaseline = 'middle'
  for (let price = Math.ceil(range.low / step) * step; price <= range.high; price += step) {
    const y = Math.round(yOf(price, range, area)) + 0.5
    context.fillStyle = style.line
    context.fillRect(0, y - 0.5, area.right, 1)
    context.fillStyle = style.faint
    context.fillText(price.toFixed(decimalsOf(step)), area.right + 8, y)
  }
  const last = shown.at(-1)
  const y = Math.round(yOf(last.close, range, area))
  context.fillStyle = last.close >= last.open ? style.rise : style.fall
  context.fillRect(area.right, y - 10, AXIS_WIDTH_PX, 20)
  context.fillStyle = style.panel
  context.fillText(last.close.toFixed(Math.max(2, decimalsOf(step))), area.right + 8, y)
}

function drawTimes(context, shown, area, style) {
  const every = Math.ceil(90 / CANDLE_WIDTH_PX)
  context.textAlign = 'center'
  context.textBaseline = 'alphabetic'
  context.fillStyle = style.faint
  for (let i = shown.length - 1 - Math.floor(every / 2); i >= 0; i -= every) {
    const time = new Date(shown[i].windowStart).toLocaleTimeString([], { hour12: false })
    context.fillText(time, xOf(i, shown.length, area), area.bottom + 18)
  }
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough))
  const share = rough / power
  return (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10) * power
}

function decimalsOf(step) {
  return Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9)))
}
