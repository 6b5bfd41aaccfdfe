import { expect, test } from 'vitest'
import { DeadFlood } from '../../src/engine/dead-flood.ts'

test('a share at the limit is no flood, one over it is', () => {
  const flood = new DeadFlood(100, 0.5)
  expect(flood.add(10, 5)).toBe(false)
  expect(flood.add(10, 6)).toBe(true)
})

test('a few records are not judged', () => {
  expect(new DeadFlood(100, 0.1).add(9, 9)).toBe(false)
})

test('old records leave the window, so a recovered input is no flood', () => {
  const flood = new DeadFlood(100, 0.5)
  flood.add(50, 50)
  for (let i = 0; i < 20; i++) flood.add(10, 0)
  expect(flood.dead).toBe(0)
  expect(flood.add(10, 6)).toBe(false)
})

test('a flood after a long healthy time is found within the window', () => {
  const flood = new DeadFlood(100, 0.5)
  for (let i = 0; i < 1_000; i++) expect(flood.add(10, 0)).toBe(false)
  const found = Array.from({ length: 10 }, () => flood.add(10, 10)).indexOf(true)
  expect(found).toBeGreaterThan(-1)
})
