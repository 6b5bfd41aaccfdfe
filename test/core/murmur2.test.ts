// The partitioner against the vectors of Kafka's own Java client.
import { describe, expect, it } from 'vitest'
import { murmur2, partitionOfKey } from '../../src/core/murmur2.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('murmur2', () => {
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as the Java client does', (text, hash) => {
    expect(murmur2(bytes(text))).toBe(hash)
  })

  it('hashes a slice like a copy of it', () => {
    expect(murmur2(bytes('xxfoobaryy'), 2, 6)).toBe(-790332482)
  })

  it('drops the sign bit of a hash instead of negating it', () => {
    expect(partitionOfKey(bytes('21'), 7)).toBe((-973932308 & 0x7fffffff) % 7)
    expect(partitionOfKey(bytes(''), 1)).toBe(0)
  })
})
