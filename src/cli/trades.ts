// The seeded trade generator: demo, `gen trades`, benches and tests draw their records from it. Hot path: no object a
// record. Any thread; pure. Keeps SPEC: GEN-1 (a trade depends on the seed and its number alone).

import { FRAME_HEADER_BYTES, type FrameWriter, RECORD_HEADER_BYTES } from '../core/frame.ts'
import { type Spread, Symbols, TRADE_KEY_BYTES } from './symbols.ts'

/*
 * An event is a msgpack map of exactly 65 bytes, always laid out like this (big endian, as msgpack has it):
 *
 *    0 85                       map of 5
 *    1 a3 's' 'y' 'm'           5 a7 and 7 letters: `SYM0042`
 *   13 a5 'p' 'r' 'i' 'c' 'e'  19 cb float64
 *   28 a3 'q' 't' 'y'          32 cb float64, whole
 *   41 a2 't' 's'              44 cb float64, ms since the epoch (JavaScript's encoders write such integers so too)
 *   53 a2 'i' 'd'              56 cb float64, whole
 *
 * A longer one (`valueBytes`) is a map of 6 (86) and goes on with text that hardly compresses:
 *
 *   65 a3 'p' 'a' 'd'          69 da and its length (u16)          72 letters
 *
 * The Kafka key is the symbol's 7 letters. With envelopes a value is dc, the number of events (u16), and the events, all of
 * one symbol.
 */
export const TRADE_VALUE_BYTES = 65
const PAD_AT = 65
const PAD_TEXT_AT = 72
/** Sizes of a longer event. */
export const PADDED_BYTES_MIN = 128
export const PADDED_BYTES_MAX = 65_536
const ENVELOPE_HEAD_BYTES = 3
export const ENVELOPE_EVENTS_MAX = 1000
const SYM_AT = 6
const PRICE_AT = 20
const QTY_AT = 33
const TS_AT = 45
const ID_AT = 57

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
  /** Symbols there are, at most KEY_COUNT_MAX. Default 1,000. */
  keyCount?: number
  /** How often each of them comes. Default `zipf`. */
  spread?: Spread
  /** Bytes of an event: 65, or PADDED_BYTES_MIN to PADDED_BYTES_MAX with a field of text that nobody reads. Default 65. */
  valueBytes?: number
  /** Events of one symbol in each value, as an array; 1 for single events, at most ENVELOPE_EVENTS_MAX. Default 1. */
  envelopeEvents?: number
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
  readonly symbols: Symbols
  readonly #eventBytes: number
  readonly #envelopeEvents: number
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
    this.symbols = new Symbols(options.keyCount, options.spread)
    const { valueBytes = TRADE_VALUE_BYTES, envelopeEvents = 1 } = options
    if (valueBytes !== TRADE_VALUE_BYTES)
      assertWithin('bytes of an event', valueBytes, PADDED_BYTES_MIN, PADDED_BYTES_MAX)
    assertWithin('events of an envelope', envelopeEvents, 1, ENVELOPE_EVENTS_MAX)
    this.#eventBytes = valueBytes
    this.#envelopeEvents = envelopeEvents
  }

  /** Trade number `i`, from 0. The object is the same one each time: copy what must stay. */
  next(i: number): Trade {
    this.#draw(i)
    this.#trade.sym = this.symbols.name(this.#symbol)
    return this.#trade
  }

  /** The symbol of trade `i`, as its number: all that is needed to tell the trade's partition. */
  symbolOf(i: number): number {
    return this.symbols.draw(this.#symbolRandom(i, this.#random(i)))
  }

  /** How many trades, in whole envelopes, go into a frame of about `frameBytes`; at least one envelope. */
  countWithin(frameBytes: number): number {
    const events = this.#envelopeEvents
    const recordBytes = RECORD_HEADER_BYTES + TRADE_KEY_BYTES + events * this.#eventBytes
    return Math.max(1, Math.floor((frameBytes - FRAME_HEADER_BYTES) / recordBytes)) * events
  }

  /** The place of trade `i` in event time, before it is put out of order: ms since the epoch. */
  placeMs(i: number): number {
    return this.#startMs + Math.floor(i * this.#msPerRecord)
  }

  /**
   * Appends the trades `from` to `to` (exclusive) to a sink frame as records of `topicIndex`, partition by key.
   * `timestampMs` is their Kafka timestamp; -1 lets the client stamp them. With envelopes a record has the trades of one
   * envelope that are asked for.
   */
  fill(writer: FrameWriter, topicIndex: number, from: number, to: number, timestampMs = -1): void {
    const events = this.#envelopeEvents
    const headBytes = events > 1 ? ENVELOPE_HEAD_BYTES : 0
    const names = this.symbols.bytes
    for (let i = from; i < to; ) {
      const count = Math.min(events - (i % events), to - i)
      this.#draw(i)
      const nameAt = this.#symbol * TRADE_KEY_BYTES
      const valueBytes = headBytes + count * this.#eventBytes
      const start = writer.begin(topicIndex, -1, timestampMs, names, nameAt, TRADE_KEY_BYTES, valueBytes)
      if (headBytes > 0) writeEnvelopeHead(writer.bytes, start, count)
      let at = start + headBytes
      for (const end = i + count; i < end; i++) {
        this.#draw(i)
        this.#writeEvent(writer.bytes, at)
        at += this.#eventBytes
      }
      writer.end(start, at)
    }
  }

  #random(i: number): number {
    return mix(mix(this.#seed, i | 0), (i / TWO_32) | 0)
  }

  /** What draws the symbol of trade `i`: its own random number, or that of the first trade of its envelope. */
  #symbolRandom(i: number, random: number): number {
    return this.#envelopeEvents === 1 ? random : this.#random(i - (i % this.#envelopeEvents))
  }

  /** Works out trade `i` but for its symbol's text. */
  #draw(i: number): void {
    if (i >= this.count) throw new RangeError(`there are ${this.count} trades, none with number ${i}`)
    const random = this.#random(i)
    const symbol = this.symbols.draw(this.#symbolRandom(i, random))
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

  #writeEvent(bytes: Uint8Array, start: number): void {
    const trade = this.#trade
    for (let i = 0; i < TRADE_VALUE_BYTES; i++) bytes[start + i] = TEMPLATE[i]!
    const nameAt = this.#symbol * TRADE_KEY_BYTES
    const names = this.symbols.bytes
    for (let i = 0; i < TRADE_KEY_BYTES; i++) bytes[start + SYM_AT + i] = names[nameAt + i]!
    writeDouble(bytes, start + PRICE_AT, trade.price)
    writeDouble(bytes, start + QTY_AT, trade.qty)
    writeDouble(bytes, start + TS_AT, trade.ts)
    writeDouble(bytes, start + ID_AT, trade.id)
    if (this.#eventBytes > TRADE_VALUE_BYTES) writePad(bytes, start, start + this.#eventBytes, this.#random(trade.id))
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

const TEMPLATE = tradeTemplate()

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

function writeEnvelopeHead(bytes: Uint8Array, at: number, count: number): void {
  bytes[at] = 0xdc
  bytes[at + 1] = count >> 8
  bytes[at + 2] = count & 0xff
}

/** Makes the map at `start` one of 6 and adds the text up to `end`: letters from `0` to `o`, 6 bits of chance in each. */
function writePad(bytes: Uint8Array, start: number, end: number, seed: number): void {
  const length = end - start - PAD_TEXT_AT
  bytes[start] = 0x86
  let at = start + PAD_AT
  for (const byte of [0xa3, 0x70, 0x61, 0x64, 0xda, length >> 8, length & 0xff]) bytes[at++] = byte
  for (let random = seed | 1; at < end; random = xorShift(random)) {
    for (let shift = 0; shift < 24 && at < end; shift += 6) bytes[at++] = 0x30 + ((random >>> shift) & 0x3f)
  }
}

/** The next of a cheap sequence of 32-bit numbers, none of them 0. */
function xorShift(random: number): number {
  let next = random ^ (random << 13)
  next ^= next >>> 17
  return next ^ (next << 5)
}

function assertWithin(what: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw new RangeError(`${value} ${what}: a whole number from ${min} to ${max} is needed`)
}

function writeDouble(bytes: Uint8Array, at: number, value: number): void {
  scratchDouble[0] = value
  for (let i = 0; i < 8; i++) bytes[at + i] = scratchBytes[7 - i]!
}
