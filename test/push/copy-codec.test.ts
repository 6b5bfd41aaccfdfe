// The bytes of a view's copy. Holds SPEC: PUSH-41.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { changesKey, KEY_BYTES_MAX, keyOfRow, rowKey, rowOfValue, rowValue } from '../../src/push/copy-codec.ts'

/** Keys of all planes: between surrogates and the units above them UTF-8 and code units differ in order. */
const text = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom('\uffff', '\ue000', '\u{10000}', '\ud7ff'),
  ),
  maxLength: 6,
})

it('keys sort as their code units do, and come back', () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(keyOfRow(rowKey(a))).toBe(a)
      const byUnits = a < b ? -1 : a > b ? 1 : 0
      expect(Buffer.compare(rowKey(a), rowKey(b))).toBe(byUnits)
    }),
  )
  expect(Buffer.compare(rowKey('\u{10000}'), rowKey('\uffff'))).toBe(-1)
  expect(Buffer.compare(Buffer.from('\u{10000}'), Buffer.from('\uffff'))).toBe(1)
})

it('the longest key is one that LMDB takes', () => {
  const longest = '\u{1f600}'.repeat(KEY_BYTES_MAX / 4)
  expect(rowKey(longest).length).toBe(1801)
})

it('rows come back, and changes sort by their sequence', () => {
  const json = JSON.stringify({ close: 1.5, text: 'ä€😀' })
  const row = { key: 'k', partition: 7, offset: 2 ** 52, timestampMs: 1e12, sequence: 2 ** 40, revision: 3, json }
  for (const isFinal of [false, true]) {
    const whole = { ...row, isRemoval: false, isFinal, isCurrent: true, place: undefined }
    expect(rowOfValue('k', rowValue(whole))).toEqual({ ...whole, revision: 0 })
  }
  expect(Buffer.compare(changesKey(255), changesKey(256))).toBe(-1)
})
