// Result rows in both formats are read back as the same row by the usual decoders.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { createRowEncoder, type RowParts } from '../../src/codec/encode-row.ts'
import { writeDigits, writeNumberMsgpack, writeNumberText } from '../../src/codec/numbers.ts'

function parts(key: string, numbers: number[], others: unknown[] = []): RowParts {
  const keySource = new TextEncoder().encode(`..${key}..`)
  return {
    keySource,
    keyStart: 2,
    keyBytes: keySource.length - 4,
    windowStartMs: 1_760_000_000_000,
    idMs: 0,
    windowEndMs: 1_760_000_001_000,
    numbers: Float64Array.from(numbers),
    others,
  }
}

function encode(format: 'msgpack' | 'json', isWindowed: boolean, names: string[], row: RowParts): unknown {
  const encoder = createRowEncoder(format, 'sym', isWindowed, names)
  const bytesMax = encoder.prepare(row)
  const target = new Uint8Array(bytesMax + 3)
  const end = encoder.write(target, 3, row)
  expect(end - 3).toBeLessThanOrEqual(bytesMax)
  const bytes = target.subarray(3, end)
  return format === 'msgpack' ? unpack(bytes) : JSON.parse(new TextDecoder().decode(bytes))
}

describe.each(['msgpack', 'json'] as const)('a row as %s', (format) => {
  test('is key, window and results, in this order', () => {
    const row = encode(format, true, ['open', 'n'], parts('A', [1.5, 3]))
    expect(row).toEqual({ sym: 'A', windowStart: 1_760_000_000_000, windowEnd: 1_760_000_001_000, open: 1.5, n: 3 })
    expect(Object.keys(row as object)).toEqual(['sym', 'windowStart', 'windowEnd', 'open', 'n'])
  })

  test('has null for a value that a record brought and that is no number', () => {
    expect(encode(format, false, ['last'], parts('A', [Number.NaN], [Number.NaN]))).toEqual({ sym: 'A', last: null })
  })

  test('has no window without one', () => {
    expect(encode(format, false, ['n'], parts('A', [3]))).toEqual({ sym: 'A', n: 3 })
  })

  test('shows results that are no numbers, and null where there is none', () => {
    const row = parts('A', [Number.NaN, Number.NaN, 1], ['text', undefined])
    expect(encode(format, false, ['a', 'b', 'c'], row)).toEqual({ sym: 'A', a: 'text', b: null, c: 1 })
  })

  test('carries any key and any finite number', () => {
    const numbers = fc.array(
      fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeInteger(), fc.integer()),
      {
        minLength: 1,
        maxLength: 20,
      },
    )
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), numbers, (key, values) => {
        const names = values.map((_, i) => `r${i}`)
        const row = encode(format, true, names, parts(key, values)) as Record<string, unknown>
        expect(row.sym).toBe(key)
        // Zero is zero: JSON and msgpack integers know no other.
        for (const [i, name] of names.entries()) expect(row[name]).toBe(values[i] === 0 ? 0 : values[i])
      }),
    )
  })
})

describe('numbers', () => {
  test.each([
    [0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [256, 'cd0100'],
    [65_536, 'ce00010000'],
    [4_294_967_295, 'ceffffffff'],
    [-1, 'ff'],
    [-33, 'd0df'],
    [-129, 'd1ff7f'],
    [-32_769, 'd2ffff7fff'],
    [-2_147_483_648, 'd280000000'],
    // Beyond 32 bits: a double, since readers in JavaScript make a bigint of a 64-bit integer.
    [4_294_967_296, 'cb41f0000000000000'],
    [1.5, 'cb3ff8000000000000'],
    [Number.NaN, 'c0'],
  ])('%d is msgpack %s', (number, hex) => {
    const target = new Uint8Array(9)
    const end = writeNumberMsgpack(target, 0, number)
    expect(Buffer.from(target.subarray(0, end)).toString('hex')).toBe(hex)
  })

  test('whole numbers are written as String writes them', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (number) => {
        const target = new Uint8Array(24)
        expect(new TextDecoder().decode(target.subarray(0, writeDigits(target, 0, number)))).toBe(String(number))
      }),
    )
  })

  test('numbers in JSON are those of JSON.stringify', () => {
    fc.assert(
      fc.property(fc.double(), (number) => {
        const target = new Uint8Array(40)
        const text = new TextDecoder().decode(target.subarray(0, writeNumberText(target, 0, number)))
        expect(text).toBe(JSON.stringify(number))
      }),
    )
  })
})
