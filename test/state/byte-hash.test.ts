// The hash of bytes: joins store it with what waits, so it may never change. Holds SPEC: JOIN-4.
import { expect, test } from 'vitest'
import { hashBytes } from '../../src/state/byte-hash.ts'

test('the hash of bytes is what it was', () => {
  const hash = (text: string): number => {
    const bytes = new TextEncoder().encode(`--${text}`)
    return hashBytes(bytes, 2, bytes.length - 2) >>> 0
  }
  expect(['', 'a', 'BTC', 'order-12345', 'Zürich', 'x'.repeat(100)].map(hash)).toEqual([
    3931208967, 3580597083, 1750917165, 3115370493, 506074931, 2420618913,
  ])
})
