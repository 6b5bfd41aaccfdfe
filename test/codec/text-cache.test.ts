// The cache of short texts against a decoder without memory. Holds SPEC: CODEC-2, CODEC-4.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TextCache } from '../../src/codec/text-cache.ts'

// A byte order mark is a letter like others.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

test('any bytes give the text that decoding gives, however often and whatever was asked before', () => {
  const cache = new TextCache()
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }).map((value) => new TextEncoder().encode(value)),
    fc.uint8Array({ maxLength: 40 }),
  )
  fc.assert(
    fc.property(fc.array(text, { maxLength: 30 }), (texts) => {
      for (const bytes of [...texts, ...texts]) {
        expect(cache.text(bytes, 0, bytes.length)).toBe(decoder.decode(bytes.slice()))
      }
    }),
  )
})

test('a text may begin with a byte order mark', () => {
  const bytes = new TextEncoder().encode('\uFEFFBTC')
  expect(new TextCache().text(bytes, 0, bytes.length)).toBe('\uFEFFBTC')
})

test('far more texts than it has places for, of one length, stay apart', () => {
  const cache = new TextCache()
  const bytes = new TextEncoder().encode('key-000000')
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 20_000; i++) {
      const digits = String(i).padStart(6, '0')
      for (let at = 0; at < 6; at++) bytes[4 + at] = digits.charCodeAt(at)
      expect(cache.text(bytes, 0, bytes.length)).toBe(`key-${digits}`)
    }
  }
})

test('what it remembers does not change with the bytes it was read from', () => {
  const cache = new TextCache()
  const bytes = new TextEncoder().encode('price')
  expect(cache.text(bytes, 0, 5)).toBe('price')
  bytes[0] = 'd'.charCodeAt(0)
  expect(cache.text(bytes, 0, 5)).toBe('drice')
})

test('bytes that are not UTF-8 become the replacement character', () => {
  expect(new TextCache().text(Uint8Array.of(0x61, 0xff, 0x62), 0, 3)).toBe('a\ufffdb')
})
