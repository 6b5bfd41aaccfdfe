// The trade generator: bytes = values, determinism, shares. Keeps SPEC: GEN-1.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { TRADE_VALUE_BYTES, type Trade, type TradeOptions, tradeStream } from '../../src/cli/trades.ts'
import { FrameView, FrameWriter, sinkRecords } from '../../src/core/frame.ts'

const START_MS = 1_760_000_000_000

function options(more: Partial<TradeOptions> = {}): TradeOptions {
  return { seed: 7, count: Number.POSITIVE_INFINITY, startMs: START_MS, ...more }
}

function frameOf(trades: ReturnType<typeof tradeStream>, from: number, to: number): ArrayBuffer {
  const writer = new FrameWriter()
  trades.fill(writer, 3, from, to)
  return writer.take()!
}

describe('a trade stream', () => {
  test('writes the bytes of exactly the values that it tells, with the symbol as the key', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat({ max: 2 ** 40 }), (seed, from) => {
        const trades = tradeStream(options({ seed, lateShare: 0.1 }))
        sinkRecords(frameOf(trades, from, from + 20)).forEach((record, i) => {
          const trade = trades.next(from + i)
          expect(record.value!.length).toBe(TRADE_VALUE_BYTES)
          expect(unpack(record.value!)).toEqual(trade)
          expect(new TextDecoder().decode(record.key)).toBe(trade.sym)
          expect([record.topicIndex, record.partition, record.timestampMs, record.headers]).toEqual([3, -1, -1, []])
        })
      }),
      { numRuns: 30 },
    )
  })

  test('is the same for a seed for ever', () => {
    const frame = frameOf(tradeStream(options({ lateShare: 0.001 })), 0, 100_000)
    expect(createHash('sha256').update(new Uint8Array(frame)).digest('hex')).toBe(
      'd23dfabfc8771f5ff6906d1e0ba49caec56772d2ab94d6ca7dc199b95eacf465',
    )
    expect({ ...tradeStream(options()).next(12_345) }).toEqual({
      sym: 'SYM0002',
      price: 243.4375,
      qty: 230,
      ts: 1760000000123,
      id: 12345,
    })
  })

  test('gives each trade by its number alone, in any order and from any start', () => {
    const trades = tradeStream(options())
    const forward = Array.from({ length: 50 }, (_, i): Trade => ({ ...trades.next(i) }))
    for (let i = 49; i >= 0; i--) expect(trades.next(i)).toEqual(forward[i])
    expect(new Uint8Array(frameOf(trades, 10, 20))).toEqual(new Uint8Array(frameOf(tradeStream(options()), 10, 20)))
    expect(tradeStream(options({ seed: 8 })).next(3)).not.toEqual(forward[3])
  })

  test('puts 5 % out of order by 1 to 400 ms and the asked share very late, and no trade ahead of its place', () => {
    const trades = tradeStream(options({ lateShare: 0.01, lateMs: 60_000 }))
    const behind = { none: 0, some: 0, late: 0 }
    for (let i = 0; i < 100_000; i++) {
      const lagMs = START_MS + Math.floor(i / 100) - trades.next(i).ts
      if (lagMs === 0) behind.none++
      else if (lagMs === 60_000) behind.late++
      else {
        expect(lagMs).toBeGreaterThanOrEqual(1)
        expect(lagMs).toBeLessThanOrEqual(400)
        behind.some++
      }
    }
    expect(behind.some / 100_000).toBeCloseTo(0.05, 2)
    expect(behind.late / 100_000).toBeCloseTo(0.01, 2)
  })

  test('draws symbols by a Zipf law of exponent 1.1 over 1,000', () => {
    const counts = new Map<string, number>()
    const trades = tradeStream(options())
    for (let i = 0; i < 300_000; i++) {
      const { sym } = trades.next(i)
      counts.set(sym, (counts.get(sym) ?? 0) + 1)
    }
    expect(counts.size).toBe(1000)
    const ratio = counts.get('SYM0000')! / counts.get('SYM0009')!
    expect(ratio).toBeGreaterThan(10 ** 1.1 * 0.95)
    expect(ratio).toBeLessThan(10 ** 1.1 * 1.05)
  })

  test('has prices in 64ths and whole quantities, so that sums are exact', () => {
    const trades = tradeStream(options())
    for (let i = 0; i < 10_000; i++) {
      const { price, qty } = trades.next(i)
      expect(Number.isInteger(price * 64) && price > 0 && Number.isInteger(qty) && qty > 0).toBe(true)
    }
  })

  test('ends at its count', () => {
    const trades = tradeStream(options({ count: 10 }))
    expect(trades.next(9).id).toBe(9)
    expect(() => trades.next(10)).toThrow('there are 10 trades')
  })

  test('stamps the Kafka timestamp when told to', () => {
    const writer = new FrameWriter()
    tradeStream(options()).fill(writer, 0, 0, 1, 1234)
    const view = new FrameView(writer.take()!)
    expect(view.timestampMs(view.firstAt)).toBe(1234)
  })

  test('draws any number of symbols, uniformly or by about the same Zipf law, and names each in 7 letters', () => {
    const drawn = (spread: 'zipf' | 'uniform') => {
      const counts = new Map<string, number>()
      const trades = tradeStream(options({ keyCount: 2_000_000, spread }))
      for (let i = 0; i < 100_000; i++) {
        const { sym } = trades.next(i)
        if (i < 1000) expect(trades.symbols.name(trades.symbolOf(i))).toBe(sym)
        counts.set(sym, (counts.get(sym) ?? 0) + 1)
      }
      return counts
    }
    const uniform = drawn('uniform')
    expect(uniform.size).toBeGreaterThan(96_000)
    for (const sym of [...uniform.keys()].slice(0, 1000)) expect(sym).toMatch(/^S[0-9A-Z]{6}$/)
    expect(Math.max(...uniform.values())).toBeLessThan(6)
    const zipf = drawn('zipf')
    expect(zipf.size).toBeLessThan(40_000)
    const ratio = zipf.get('S000009')! / zipf.get('S00002R')!
    expect(ratio).toBeGreaterThan(10 ** 1.1 * 0.7)
    expect(ratio).toBeLessThan(10 ** 1.1 * 1.4)
  })

  test('adds a field of text up to the asked size, and changes nothing else', () => {
    const plain = tradeStream(options())
    for (const valueBytes of [128, 1_000, 10_000]) {
      for (const [i, { value }] of sinkRecords(frameOf(tradeStream(options({ valueBytes })), 5, 9)).entries()) {
        const { pad, ...trade } = unpack(value!) as Trade & { pad: string }
        expect(value!.length).toBe(valueBytes)
        expect(pad).toMatch(/^[0-o]+$/)
        expect(trade).toEqual(plain.next(5 + i))
      }
    }
    expect(() => tradeStream(options({ valueBytes: 100 }))).toThrow('100 bytes of an event')
  })

  test('puts the events of one symbol into an envelope, cut where the asked trades begin and end', () => {
    const trades = tradeStream(options({ envelopeEvents: 50, valueBytes: 200 }))
    const records = sinkRecords(frameOf(trades, 30, 170))
    const envelopes = records.map(({ value }) => unpack(value!) as Trade[])
    expect(envelopes.map((events) => events.length)).toEqual([20, 50, 50, 20])
    envelopes.forEach((events, i) => {
      expect(new Set(events.map(({ sym }) => sym))).toEqual(new Set([new TextDecoder().decode(records[i]!.key)]))
    })
    envelopes.flat().forEach((event, i) => {
      expect(event).toMatchObject(trades.next(30 + i))
    })
  })

  test('tells how many whole envelopes go into a frame', () => {
    const count = (more: Partial<TradeOptions>) => tradeStream(options(more)).countWithin(100_000)
    expect([count({}), count({ valueBytes: 10_000 }), count({ envelopeEvents: 50 })]).toEqual([961, 9, 1500])
    expect(count({ valueBytes: 60_000, envelopeEvents: 50 })).toBe(50)
  })
})
