// The seeded trade generator: demo, `gen trades`, benches and tests draw their records from it. Hot path: no object a
// record. Any thread; pure. Keeps SPEC: GEN-1 (a trade depends on the seed and its number alone).

import type { FrameWriter } from '../core/frame.ts'

/*
 * A value is a msgpack map of exactly 65 bytes, always laid out like this (big endian, as msgpack has it):
 *
 *    0 85                       map of 5
 *    1 a3 's' 'y' 'm'           5 a7 and 7 letters: `SYM0042`
 *   13 a5 'p' 'r' 'i' 'c' 'e'  19 cb float64
 *   28 a3 'q' 't' 'y'          32 cb float64, whole
 *   41 a2 't' 's'              44 cb float64, ms since the epoch (JavaScript's encoders write such integers so too)
 *   53 a2 'i' 'd'              56 cb float64, whole
 *
 * The Kafka key is the symbol's 7 letters.
 */
export const TRADE_VALUE_BYTES = 65
export const TRADE_KEY_BYTES = 7
const SYM_AT = 6
const PRICE_AT = 20
const QTY_AT = 33
const TS_AT = 45
const ID_AT = 57

const SYMBOL_COUNT = 1000
const ZIPF_EXPONENT = 1.1
/** Symbols are drawn by a table of this many slots; the rarest of 1,000 symbols still has 5. */
const SLOT_COUNT = 1 << 16
/** Prices are whole 64ths, so that sums of price x quantity are exact in any order and oracles can compare bits. */
const TICKS_PER_UNIT = 64
/** A price walks between points this far apart in event time (two walks, a slow and a fast one, are added). */
const SLOW_STEP_MS = 16_384
const FAST_STEP_MS = 1024
const TWO_32 = 2 ** 32

export interface TradeOptions {
  seed: number
  /** Trades there are; `next` beyond the last throws a RangeError. Infinity: no end. */
  count: number
  /** Event time of the first trade. */
  startMs: number
  /** Trades per second of event time. Default 100,000. */
  recordsPerEventSecond?: number
  /** Share of trades that come out of order. Default 0.05. */
  outOfOrderShare?: number
  /** An out-of-order trade is 1 to this many ms behind its place. Default 400. */
  outOfOrderMsMax?: number
  /** Share of trades that come very late. Default 0. */
  lateShare?: number
  /** A very late trade is this far behind its place. Default 30,000. */
  lateMs?: number
}

/** One trade; the stream fills the same object again and again. */
export interface Trade {
  sym: string
  price: number
  qty: number
  /** Event time, ms since the epoch. */
  ts: number
  id: number
}

/**
 * A stream of trades, by number. `fill` writes the same trades as bytes that `next` gives as values.
 *
 * @example
 * const trades = tradeStream({ seed: 1, count: 1_000_000, startMs: 1_760_000_000_000 })
 * trades.next(0).sym // 'SYM0004'
 * trades.fill(writer, 0, 0, 10_000) // the first 10,000 as records of topic 0 of a sink frame
 */
export function tradeStream(options: TradeOptions): TradeStream {
  return new TradeStream(options)
}

export class TradeStream {
  readonly count: number
  readonly #seed: number
  readonly #startMs: number
  readonly #msPerRecord: number
  /** Of 2^32: below the first very late, below the second out of order. */
  readonly #lateBelow: number
  readonly #outOfOrderBelow: number
  readonly #outOfOrderMsMax: number
  readonly #lateMs: number
  readonly #trade: Trade = { sym: '', price: 0, qty: 0, ts: 0, id: 0 }
  #symbol = 0

  constructor(options: TradeOptions) {
    this.count = options.count
    this.#seed = mix(options.seed | 0, 0x9e3779b9)
    this.#startMs = options.startMs
    this.#msPerRecord = 1000 / (options.recordsPerEventSecond ?? 100_000)
    const lateShare = options.lateShare ?? 0
    this.#lateBelow = lateShare * TWO_32
    this.#outOfOrderBelow = (lateShare + (options.outOfOrderShare ?? 0.05)) * TWO_32
    this.#outOfOrderMsMax = options.outOfOrderMsMax ?? 400
    this.#lateMs = options.lateMs ?? 30_000
  }

  /** Trade number `i`, from 0. The object is the same one each time: copy what must stay. */
  next(i: number): Trade {
    this.#draw(i)
    this.#trade.sym = SYMBOLS[this.#symbol]!
    return this.#trade
  }

  /** The place of trade `i` in event time, before it is put out of order: ms since the epoch. */
  placeMs(i: number): number {
    return this.#startMs + Math.floor(i * this.#msPerRecord)
  }

  /**
   * Appends the trades `from` to `to` (exclusive) to a sink frame as records of `topicIndex`, partition by key.
   * `timestampMs` is their Kafka timestamp; -1 lets the client stamp them.
   */
  fill(writer: FrameWriter, topicIndex: number, from: number, to: number, timestampMs = -1): void {
    const trade = this.#trade
    for (let i = from; i < to; i++) {
      this.#draw(i)
      const symbolAt = this.#symbol * TRADE_KEY_BYTES
      const start = writer.begin(
        topicIndex,
        -1,
        timestampMs,
        SYMBOL_BYTES,
        symbolAt,
        TRADE_KEY_BYTES,
        TRADE_VALUE_BYTES,
      )
      writeTrade(writer.bytes, start, symbolAt, trade)
      writer.end(start, start + TRADE_VALUE_BYTES)
    }
  }

  /** Works out trade `i` but for its symbol's text. */
  #draw(i: number): void {
    if (i >= this.count) throw new RangeError(`there are ${this.count} trades, none with number ${i}`)
    const random = mix(mix(this.#seed, i | 0), (i / TWO_32) | 0)
    const symbol = SYMBOL_BY_SLOT[random >>> 16]!
    const order = mix(random, 1) >>> 0
    const placeMs = this.placeMs(i)
    const trade = this.#trade
    this.#symbol = symbol
    trade.id = i
    trade.qty = 1 + ((mix(random, 2) >>> 0) % 500)
    trade.price = (this.#priceTicks(symbol, placeMs) + (random & 3)) / TICKS_PER_UNIT
    trade.ts = placeMs
    if (order < this.#lateBelow) trade.ts -= this.#lateMs
    else if (order < this.#outOfOrderBelow) trade.ts -= 1 + (order % this.#outOfOrderMsMax)
  }

  /** A walk around the symbol's own level: 20 to 276 units, moving by about 5 %. */
  #priceTicks(symbol: number, atMs: number): number {
    const level = mix(this.#seed, symbol + 7)
    const units = 20 + ((level >>> 0) % 256)
    const swing = (units * TICKS_PER_UNIT) / 25
    return (
      units * TICKS_PER_UNIT + walk(level, atMs, SLOW_STEP_MS, swing) + walk(~level, atMs, FAST_STEP_MS, swing >> 2)
    )
  }
}

/** A straight line between seeded points `stepMs` apart, from 0 to `swing`, whole. */
function walk(seed: number, atMs: number, stepMs: number, swing: number): number {
  const step = Math.floor(atMs / stepMs)
  const from = (mix(seed, step) >>> 0) / TWO_32
  const to = (mix(seed, step + 1) >>> 0) / TWO_32
  return Math.floor(swing * (from + (to - from) * ((atMs - step * stepMs) / stepMs)))
}

/** Mixes two 32-bit numbers into one in which every bit depends on all (the finisher of murmur3). */
function mix(a: number, b: number): number {
  let hash = a ^ Math.imul(b, 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

const SYMBOLS: readonly string[] = Array.from({ length: SYMBOL_COUNT }, (_, i) => `SYM${String(i).padStart(4, '0')}`)
const SYMBOL_BYTES = new TextEncoder().encode(SYMBOLS.join(''))
const SYMBOL_BY_SLOT = zipfSlots()
const TEMPLATE = tradeTemplate()

/** The symbol of each slot, `SYM0000` the most frequent. */
function zipfSlots(): Uint16Array {
  const weights = SYMBOLS.map((_, i) => (i + 1) ** -ZIPF_EXPONENT)
  const whole = weights.reduce((sum, weight) => sum + weight, 0)
  const slots = new Uint16Array(SLOT_COUNT)
  let from = 0
  let sum = 0
  for (let i = 0; i < SYMBOL_COUNT; i++) {
    sum += weights[i]!
    const to = Math.round((sum / whole) * SLOT_COUNT)
    slots.fill(i, from, to)
    from = to
  }
  return slots
}

function tradeTemplate(): Uint8Array {
  const bytes = new Uint8Array(TRADE_VALUE_BYTES)
  let at = 0
  const put = (code: number, text: string, gap: number) => {
    bytes[at] = code
    for (let i = 0; i < text.length; i++) bytes[at + 1 + i] = text.charCodeAt(i)
    at += 1 + text.length + gap
  }
  put(0x85, '', 0)
  put(0xa3, 'sym', 0)
  put(0xa7, '', TRADE_KEY_BYTES)
  for (const name of ['price', 'qty', 'ts', 'id']) {
    put(0xa0 | name.length, name, 0)
    put(0xcb, '', 8)
  }
  return bytes
}

const scratchDouble = new Float64Array(1)
const scratchBytes = new Uint8Array(scratchDouble.buffer)

function writeTrade(bytes: Uint8Array, start: number, symbolAt: number, trade: Trade): void {
  for (let i = 0; i < TRADE_VALUE_BYTES; i++) bytes[start + i] = TEMPLATE[i]!
  for (let i = 0; i < TRADE_KEY_BYTES; i++) bytes[start + SYM_AT + i] = SYMBOL_BYTES[symbolAt + i]!
  writeDouble(bytes, start + PRICE_AT, trade.price)
  writeDouble(bytes, start + QTY_AT, trade.qty)
  writeDouble(bytes, start + TS_AT, trade.ts)
  writeDouble(bytes, start + ID_AT, trade.id)
}

function writeDouble(bytes: Uint8Array, at: number, value: number): void {
  scratchDouble[0] = value
  for (let i = 0; i < 8; i++) bytes[at + i] = scratchBytes[7 - i]!
}
