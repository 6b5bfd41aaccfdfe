// What follows from what a reader has seen, by times that the tests give. Holds SPEC: PUSH-36.
import { expect, it } from 'vitest'
import { FeedFacts } from '../../src/push/feed-facts.ts'

const LIMITS = { staleAfterMs: 30_000, behindAfterMs: 10_000, rowLagMsMax: 0 }
const WALL_MS = 1_767_603_600_000

function facts(limits: Partial<typeof LIMITS> = {}): FeedFacts {
  return new FeedFacts([0, 0], { ...LIMITS, ...limits }, 0)
}

function state(of: FeedFacts, nowMs: number): string {
  return of.judge(nowMs, WALL_MS + nowMs).state
}

it('a reader that follows an end which always moves is never behind', () => {
  const view = facts()
  for (let i = 1; i <= 1_000; i++) {
    // Always 5 short: an open transaction.
    view.took(0, 10 * i, 10 * i + 5, WALL_MS, 100 * i)
    expect(view.judge(100 * i, WALL_MS)).toMatchObject({ state: 'live', lagRecords: 5 })
  }
})

it('a reader that comes forward, but not to where the end was, is behind since it saw that end', () => {
  const view = facts()
  view.took(0, 10, 100_000, WALL_MS, 1_000)
  for (let i = 2; i <= 10; i++) view.took(0, 10 * i, 100_000 + i, WALL_MS, 1_000 * i)
  expect(state(view, 10_000)).toBe('live')
  view.took(0, 200, 100_020, WALL_MS, 11_000)
  expect(view.judge(11_000, WALL_MS)).toEqual({ state: 'behind', sinceMs: 1_000, lagRecords: 99_820 })
  view.took(0, 100_020, 100_020, WALL_MS, 12_000)
  expect(view.judge(12_000, WALL_MS)).toMatchObject({ state: 'live', lagRecords: 0 })
})

it('marks of transactions at the end are no records that are missing', () => {
  const view = facts()
  view.took(0, 10, 11, WALL_MS, 1_000)
  view.atEnd(0, 11, 1_100)
  expect(view.judge(20_000, WALL_MS)).toMatchObject({ state: 'live', lagRecords: 0 })
})

it('one partition is enough to be behind, one is enough not to be quiet', () => {
  const view = facts()
  view.took(1, 10, 20, WALL_MS, 1_000)
  view.took(0, 10, 10, WALL_MS, 40_000)
  expect(state(view, 40_000)).toBe('behind')
  view.atEnd(1, 20, 40_001)
  expect(state(view, 40_001)).toBe('live')
  expect(view.judge(70_000, WALL_MS)).toMatchObject({ state: 'quiet', sinceMs: 40_000 })
})

it('one that is cut off is nothing else, until a broker answers', () => {
  const view = facts()
  view.cut(5_000)
  view.cut(6_000)
  expect(view.judge(100_000, WALL_MS)).toMatchObject({ state: 'cut', sinceMs: 5_000 })
  view.reached(100_000)
  expect(state(view, 100_000)).toBe('quiet')
  view.cut(101_000)
  view.took(0, 1, 1, WALL_MS, 102_000)
  expect(view.judge(102_000, WALL_MS)).toMatchObject({ state: 'live', sinceMs: 102_000 })
})

it('old rows are behind only where that is asked for, and only while they come', () => {
  const view = facts({ rowLagMsMax: 1_000 })
  view.took(0, 1, 1, WALL_MS, 1_000)
  expect(state(view, 1_000)).toBe('live')
  expect(state(view, 1_001)).toBe('behind')
  expect(view.judge(5_000, WALL_MS + 5_000)).toMatchObject({ state: 'behind', sinceMs: 1_001 })
  expect(state(view, 31_000)).toBe('quiet')
  const other = facts()
  other.took(0, 1, 1, 0, 1_000)
  expect(state(other, 1_001)).toBe('live')
})
