// CRC32C against known answers and a bit-by-bit twin. Quick.
// Keeps SPEC: STATE-6 (damage is never read as state).

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../src/state/crc32c.ts'
import { RowHash } from '../../src/state/row-hash.ts'

test.each([
  // the vectors of RFC 3720, appendix B.4
  ['32 zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['0 to 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ['31 to 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ['123456789', Uint8Array.from(Buffer.from('123456789')), 0xe3069283],
  ['nothing', new Uint8Array(0), 0],
])('the CRC32C of %s is the known one', (_, bytes, crc) => {
  expect(crc32c(bytes, 0, bytes.length)).toBe(crc)
})

function slowCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

test('any range in one go or in two gives what bit by bit gives', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(), fc.nat(), (bytes, a, b) => {
      const start = a % (bytes.length + 1)
      const middle = start + (b % (bytes.length - start + 1))
      const expected = slowCrc(bytes.subarray(start))
      expect(crc32c(bytes, start, bytes.length)).toBe(expected)
      expect(crc32c(bytes, middle, bytes.length, crc32c(bytes, start, middle))).toBe(expected)
    }),
  )
})

test('the running hash does not depend on order and takes rows out again', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 0xffffffff })), fc.array(fc.nat({ max: 0xffffffff })), (kept, gone) => {
      const one = new RowHash()
      for (const crc of [...kept, ...gone]) one.add(crc)
      for (const crc of gone) one.remove(crc)
      const other = new RowHash()
      for (const crc of [...kept].reverse()) other.add(crc)
      expect(one.equals(other)).toBe(true)
      const view = new DataView(new ArrayBuffer(16))
      one.write(view, 0)
      expect(RowHash.read(view, 0).equals(one)).toBe(true)
      other.add(0)
      expect(one.equals(other)).toBe(false)
    }),
  )
})

test('the running hash tells rows whose CRCs add up alike', () => {
  const hashOf = (...crcs: number[]): RowHash => {
    const hash = new RowHash()
    for (const crc of crcs) hash.add(crc)
    return hash
  }
  expect(hashOf(1, 4).equals(hashOf(2, 3))).toBe(false)
})
