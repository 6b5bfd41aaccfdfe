// Golden tables of the state keys. Quick.
// Keeps SPEC: STATE-3 (windows sort by their end, negative ends too, then by key bytes).

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareKeys,
  isMarkerKey,
  MARKER_KEY,
  operatorRange,
  plainKey,
  prefixEnd,
  readOperatorId,
  readWindowEndMs,
  windowKey,
  windowRange,
} from '../../src/state/keys.ts'
import { hex, text } from './backend-cases.ts'

describe('state keys', () => {
  test.each([
    // operator, window end, key, bytes
    [0, 0, '', '0000 8000000000000000'],
    [1, 1, 'a', '0001 8000000000000001 61'],
    [0x0102, 1_700_000_001_000, 'BTC', '0102 8000018bcfe56be8 425443'],
    [3, -1, 'a', '0003 7fffffffffffffff 61'],
    [3, -60_000, 'a', '0003 7fffffffffff15a0 61'],
    [0xfffe, Number.MAX_SAFE_INTEGER, '', 'fffe 801fffffffffffff'],
    [0xfffe, Number.MIN_SAFE_INTEGER, '', 'fffe 7fe0000000000001'],
    [5, 4_294_967_296, 'x', '0005 8000000100000000 78'],
    [5, -4_294_967_296, 'x', '0005 7fffffff00000000 78'],
  ])('of operator %i, window end %i and key %s are laid out as drawn', (operatorId, endMs, name, bytes) => {
    const key = windowKey(operatorId, endMs, text(name))
    expect(hex(key)).toBe(bytes.replaceAll(' ', ''))
    expect([readOperatorId(key), readWindowEndMs(key)]).toEqual([operatorId, endMs])
  })

  test.each([
    [0, '', '0000'],
    [0x0102, 'BTC', '0102425443'],
  ])('of operator %i and plain key %s are laid out as drawn', (operatorId, name, bytes) => {
    expect(hex(plainKey(operatorId, text(name)))).toBe(bytes)
  })

  test('sort by operator, then window end, then key bytes', () => {
    const anyKey = fc.record({
      operatorId: fc.nat({ max: 3 }),
      endMs: fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -3, max: 3 })),
      key: fc.uint8Array({ maxLength: 4 }),
    })
    fc.assert(
      fc.property(anyKey, anyKey, (a, b) => {
        const expected = a.operatorId - b.operatorId || Math.sign(a.endMs - b.endMs) || Buffer.compare(a.key, b.key)
        const found = compareKeys(windowKey(a.operatorId, a.endMs, a.key), windowKey(b.operatorId, b.endMs, b.key))
        expect(Math.sign(found)).toBe(Math.sign(expected))
      }),
    )
  })

  test('are within the range of their window and operator and of no other', () => {
    const ends = [Number.MIN_SAFE_INTEGER, -256, -1, 0, 255, 256, 0xffff_ffff, Number.MAX_SAFE_INTEGER]
    for (const endMs of ends) {
      for (const key of [new Uint8Array(0), new Uint8Array(40).fill(0xff)]) {
        const bytes = windowKey(0x00ff, endMs, key)
        const isWithin = ({ from, to }: { from: Uint8Array; to: Uint8Array }): boolean =>
          compareKeys(bytes, from) >= 0 && compareKeys(bytes, to) < 0
        expect(ends.filter((other) => isWithin(windowRange(0x00ff, other)))).toEqual([endMs])
        expect([0x00fe, 0x00ff, 0x0100].filter((other) => isWithin(operatorRange(other)))).toEqual([0x00ff])
      }
    }
  })

  test.each([
    ['00', '01'],
    ['00ff', '01'],
    ['0001ff', '0002'],
    ['fffe', 'ffff'],
  ])('of prefix %s end before %s', (prefix, end) => {
    expect(hex(prefixEnd(Buffer.from(prefix, 'hex')))).toBe(end)
  })

  test('have no end for a prefix of nothing but 0xff', () => {
    expect(() => prefixEnd(Uint8Array.of(0xff, 0xff))).toThrow(RangeError)
  })

  test('know the marker, which is above all operators', () => {
    expect(isMarkerKey(MARKER_KEY)).toBe(true)
    expect([plainKey(0xfffe, text('')), Uint8Array.of(0xff), Uint8Array.of(0xff, 0xff, 0)].map(isMarkerKey)).toEqual([
      false,
      false,
      false,
    ])
    expect(
      compareKeys(windowKey(0xfffe, Number.MAX_SAFE_INTEGER, new Uint8Array(9).fill(255)), MARKER_KEY),
    ).toBeLessThan(0)
  })
})
