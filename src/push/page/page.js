// The candles page: follows a view over a WebSocket and shows the chosen symbol. `?view=` names another view, `?sym=` the
// symbol to begin with.
import { drawCandles } from './candles.js'

const CANDLES_MAX = 400
const SYMBOLS_MAX = 2000
const TOP_ROWS = 10
const RETRY_MS = 500
const RETRY_MS_MAX = 15000
/** Not understood, the token has expired, and nothing permitted: the page has no other token. */
const FINAL_CODES = [4006, 4401, 4403]
const MOVES_CODE = 4009
const PROTOCOL = 'millrace.json.v1'
/** The one subscription of the page. */
const ID = 1

const query = new URLSearchParams(location.search)
const viewName = query.get('view') ?? 'candles'
/** Behind the #, which is never sent to a server: `#token=...`. */
const token = new URLSearchParams(location.hash.slice(1)).get('token')
const byId = (id) => document.getElementById(id)

/** By symbol: candles by window start, in order. */
const symbols = new Map()
let chosen = query.get('sym') ?? undefined
let position
let gapCount = 0
let retryMs = RETRY_MS
let rowsThisSecond = 0
let isDirty = true
/** The server said that asking again does not help. */
let isOver = false

byId('view-name').textContent = viewName
byId('symbol').addEventListener('change', (event) => choose(event.target.value))
addEventListener('resize', () => {
  isDirty = true
})
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  isDirty = true
})
setInterval(showRate, 1000)
requestAnimationFrame(render)
connect()

function connect() {
  setState('connecting')
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
  const socket = new WebSocket(
    `${scheme}://${location.host}/live`,
    token === null ? [PROTOCOL] : [PROTOCOL, `bearer.${token}`],
  )
  socket.onopen = () => subscribe(socket, position)
  socket.onmessage = (event) => receive(JSON.parse(event.data), socket)
  socket.onclose = (event) => {
    if (isOver || FINAL_CODES.includes(event.code)) {
      setState('closed')
      return
    }
    setState('waiting')
    // The server has spread those that it sends away.
    const isMoved = event.code === MOVES_CODE && retryMs === RETRY_MS
    setTimeout(connect, isMoved ? 0 : retryMs * (0.5 + Math.random() / 2))
    retryMs = Math.min(RETRY_MS_MAX, retryMs * 2)
  }
}

/** `resume`: what was missed since a position comes as an update; without one all rows come. */
function subscribe(socket, resume) {
  position = resume
  socket.send(
    JSON.stringify({ type: 'subscribe', id: ID, view: viewName, ...(resume === undefined ? {} : { resume }) }),
  )
}

function receive(message, socket) {
  if (message.type === 'snapshot') takeSnapshot(message)
  else if (message.type === 'update') takeUpdate(message, socket)
  else if (message.type === 'reset') position = undefined
  else if (message.type === 'error') refused(message, socket)
}

/** A position that this server does not reach is given up: it shows what it has. */
function refused({ id, code, message, canRetry }, socket) {
  showError(`${code}: ${message}`)
  if (id !== ID) return
  if (canRetry) {
    subscribe(socket, undefined)
    return
  }
  isOver = true
  socket.close()
}

function takeSnapshot(message) {
  for (const row of message.rows) takeRow(row)
  if (!message.isLast) return
  position = message.position
  retryMs = RETRY_MS
  showError(undefined)
  setState('live')
}

/** An update must continue where the last message ended; otherwise something was missed and all starts over. */
function takeUpdate(message, socket) {
  if (position === undefined) return
  if (message.prev !== position) {
    byId('gaps').textContent = String(++gapCount)
    subscribe(socket, undefined)
    return
  }
  position = message.position
  retryMs = RETRY_MS
  setState('live')
  for (const row of message.rows) takeRow(row)
  rowsThisSecond += message.rows.length
}

function takeRow({ key, row }) {
  if (row === null || typeof row.windowStart !== 'number') return
  const symbol = String(row.sym ?? key)
  let candles = symbols.get(symbol)
  if (candles === undefined) {
    if (symbols.size >= SYMBOLS_MAX) return
    candles = new Map()
    symbols.set(symbol, candles)
    addSymbol(symbol)
  }
  candles.set(row.windowStart, row)
  if (candles.size > CANDLES_MAX) candles.delete(Math.min(...candles.keys()))
  isDirty = true
}

function addSymbol(symbol) {
  const option = new Option(symbol, symbol)
  const select = byId('symbol')
  select.add(option, [...select.options].find((other) => other.value > symbol) ?? null)
  byId('symbol-count').textContent = String(symbols.size)
  if (chosen === undefined || chosen === symbol) choose(symbol)
}

function choose(symbol) {
  chosen = symbol
  byId('symbol').value = symbol
  isDirty = true
}

function candlesOf(symbol) {
  return [...(symbols.get(symbol)?.values() ?? [])].sort((a, b) => a.windowStart - b.windowStart)
}

function render() {
  requestAnimationFrame(render)
  if (!isDirty) return
  isDirty = false
  const candles = candlesOf(chosen)
  const style = getComputedStyle(document.documentElement)
  const colour = (name) => style.getPropertyValue(`--${name}`).trim()
  const colours = Object.fromEntries(['rise', 'fall', 'line', 'faint', 'panel'].map((name) => [name, colour(name)]))
  const drawnCount = drawCandles(byId('chart'), candles, colours)
  byId('empty').hidden = drawnCount > 0
  tell(candles.at(-1), drawnCount)
  showTop()
}

/** What was drawn, as attributes too: for screen readers of another kind, the tests. */
function tell(last, drawnCount) {
  const { dataset } = byId('chart')
  dataset.symbol = chosen ?? ''
  dataset.candles = String(drawnCount)
  if (last === undefined) return
  const fields = ['windowStart', 'open', 'high', 'low', 'close', 'volume', 'vwap', 'n']
  for (const field of fields) dataset[field] = String(last[field] ?? '')
  const parts = ['open', 'high', 'low', 'close', 'vwap', 'volume'].filter((field) => Number.isFinite(last[field]))
  byId('legend').replaceChildren(
    ...parts.flatMap((field) => {
      const value = document.createElement('b')
      value.textContent = field === 'volume' ? compact(last[field]) : last[field].toFixed(2)
      return [`${field} `, value, '  ']
    }),
  )
}

function showTop() {
  const totals = [...symbols].map(([symbol, candles]) => {
    const rows = [...candles.values()]
    const first = rows.reduce((a, b) => (b.windowStart < a.windowStart ? b : a))
    const last = rows.reduce((a, b) => (b.windowStart > a.windowStart ? b : a))
    return {
      symbol,
      last: last.close,
      change: last.close / first.open - 1,
      volume: rows.reduce((sum, row) => sum + row.volume, 0),
    }
  })
  totals.sort((a, b) => b.volume - a.volume)
  byId('top').replaceChildren(...totals.slice(0, TOP_ROWS).map(topRow))
}

function topRow({ symbol, last, change, volume }) {
  const row = document.createElement('tr')
  row.dataset.symbol = symbol
  if (symbol === chosen) row.dataset.chosen = ''
  const button = document.createElement('button')
  button.textContent = symbol
  button.addEventListener('click', () => choose(symbol))
  const name = document.createElement('td')
  name.append(button)
  const percent = `${change >= 0 ? '+' : '−'}${Math.abs(change * 100).toFixed(2)} %`
  row.append(name, cell(last.toFixed(2)), cell(percent, change >= 0 ? 'rise' : 'fall'), cell(compact(volume)))
  return row
}

function cell(text, colour) {
  const element = document.createElement('td')
  element.className = colour === undefined ? 'number' : `number ${colour}`
  element.textContent = text
  return element
}

function compact(number) {
  return new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(number)
}

function showRate() {
  byId('rate').textContent = String(rowsThisSecond)
  rowsThisSecond = 0
}

function setState(state) {
  byId('state').dataset.state = state
  byId('state').textContent = state
}

function showError(text) {
  byId('error').hidden = text === undefined
  byId('error').textContent = text ?? ''
}
