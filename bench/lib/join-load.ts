// The load of the join bench and what must come of it: orders and payments of many keys, somewhat out of order. Main thread.
import { Packr } from 'msgpackr'
import { FrameWriter } from '../../src/core/frame.ts'
import { seeded } from '../../src/testing/seeded.ts'

export interface JoinLoad {
  /** Of both sides together. */
  records: number
  keys: number
  /** Records of a side that wait for others, about. */
  live: number
  /** Records of a side per second of event time. */
  rate: number
}

export interface Entry {
  key: string
  ts: number
  id: number
  amount: number
}

export const OUT_OF_ORDER_MS = 500
const OUT_OF_ORDER_SHARE = 0.05
const START_MS = 1_750_000_000_000
const encoder = new TextEncoder()
const packr = new Packr({ useRecords: false })

/** Half a bound on both sides is as long as a key has one record; what waits longer than that does so by grace. */
export function boundsOf({ keys, live, rate }: JoinLoad): { withinMs: number; graceMs: number } {
  const withinMs = Math.max(1, Math.round((keys / rate) * 500))
  return { withinMs, graceMs: Math.max(0, Math.round((live / rate) * 1_000) - withinMs - OUT_OF_ORDER_MS) }
}

/** One side, record by record; the same for the same load. */
export class SideOf {
  readonly #random: () => number
  readonly #load: JoinLoad
  readonly #timesMs: number[] = []
  /** Of all frames: what the making of them leaves behind would be collected on the lane's time. */
  readonly #writer = new FrameWriter(1 << 20)
  #next = 0

  constructor(load: JoinLoad, side: 0 | 1) {
    this.#random = seeded(side + 1)
    this.#load = load
  }

  next(): Entry {
    const { keys, rate } = this.#load
    const random = this.#random
    const id = this.#next++
    const back = random() < OUT_OF_ORDER_SHARE ? Math.floor(random() * OUT_OF_ORDER_MS) : 0
    const ts = START_MS + Math.floor((id / rate) * 1_000) - back
    this.#timesMs.push(ts)
    return { key: `order-${Math.floor(random() * keys)}`, ts, id, amount: Math.floor(random() * 1_000) }
  }

  /** How many of those so far have their deadline at or after a watermark. */
  liveAt(watermarkMs: number): number {
    const { withinMs, graceMs } = boundsOf(this.#load)
    const firstMs = watermarkMs - withinMs - graceMs
    return this.#timesMs.reduce((count, ts) => (ts >= firstMs ? count + 1 : count), 0)
  }
  /** The watermark of this side alone. */
  get watermarkMs(): number {
    return this.#timesMs.reduce((max, ts) => Math.max(max, ts), Number.NEGATIVE_INFINITY) - OUT_OF_ORDER_MS
  }

  /** A source frame of the next `count` records. */
  frame(count: number): ArrayBuffer {
    const writer = this.#writer
    const first = this.#next
    for (let i = 0; i < count; i++) {
      const entry = this.next()
      writer.appendSource(entry.id, entry.ts, encoder.encode(entry.key), packr.pack(entry))
    }
    return writer.take(0, first + count)!
  }
}

/** A pair of ids as one number, to be added up. */
export function pairHash(left: number, right: number): number {
  return (Math.imul(left + 1, 0x9e3779b1) ^ Math.imul(right + 1, 0x85ebca6b)) >>> 0
}

export interface Pairs {
  count: number
  /** Sum of the hashes of all pairs. */
  hash: number
}

/** All pairs of the load: none of its records is late. */
export function expectedPairs(load: JoinLoad): Pairs {
  const { withinMs } = boundsOf(load)
  const byKey = new Map<string, [Entry[], Entry[]]>()
  for (const side of [0, 1] as const) {
    const entries = new SideOf(load, side)
    for (let i = 0; i < load.records / 2; i++) {
      const entry = entries.next()
      let sides = byKey.get(entry.key)
      if (sides === undefined) {
        sides = [[], []]
        byKey.set(entry.key, sides)
      }
      sides[side].push(entry)
    }
  }
  const pairs: Pairs = { count: 0, hash: 0 }
  for (const [lefts, rights] of byKey.values()) {
    rights.sort((a, b) => a.ts - b.ts)
    lefts.sort((a, b) => a.ts - b.ts)
    let from = 0
    for (const left of lefts) {
      while (from < rights.length && rights[from]!.ts < left.ts - withinMs) from++
      for (let at = from; at < rights.length && rights[at]!.ts <= left.ts + withinMs; at++) {
        pairs.count++
        pairs.hash += pairHash(left.id, rights[at]!.id)
      }
    }
  }
  return pairs
}
