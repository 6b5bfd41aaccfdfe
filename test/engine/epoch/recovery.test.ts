// Golden table of recovery, and a property: whatever the facts, a task never resumes where state and offsets differ.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decideRecovery, type RecoveryFacts, STALL_LIMIT_MS } from '../../../src/engine/epoch/recovery.ts'

const done: RecoveryFacts = {
  committedOffset: 10,
  markerOffset: 10,
  readOffset: 7,
  changelogEnd: 7,
  stalledMs: 0,
}

test.each([
  ['offsets and marker agree at the end', {}, { kind: 'resume', inputOffset: 10, note: 'agree' }],
  ['rows are left to read though both agree', { readOffset: 6 }, { kind: 'read' }],
  [
    'offsets ahead before the end: the transaction is still being ended, wait',
    { committedOffset: 12, readOffset: 6 },
    { kind: 'read' },
  ],
  [
    'offsets ahead at the end: rows are missing',
    { committedOffset: 12 },
    { kind: 'stop', committedOffset: 12, markerOffset: 10 },
  ],
  [
    'offsets without any marker at the end: the changelog is not of this job',
    { markerOffset: undefined },
    { kind: 'stop', committedOffset: 10, markerOffset: undefined },
  ],
  [
    'offsets behind the marker: the marker is trusted',
    { committedOffset: 3 },
    { kind: 'resume', inputOffset: 10, note: 'marker-ahead' },
  ],
  [
    'offsets expired: the marker is trusted',
    { committedOffset: undefined },
    { kind: 'resume', inputOffset: 10, note: 'offsets-missing' },
  ],
  [
    'nothing anywhere: a new task',
    { committedOffset: undefined, markerOffset: undefined, readOffset: 0, changelogEnd: 0 },
    { kind: 'resume', inputOffset: undefined, note: 'new' },
  ],
  [
    'a foreign open transaction is waited for only so long',
    { readOffset: 6, stalledMs: STALL_LIMIT_MS },
    { kind: 'retry' },
  ],
  [
    'a stall never makes a task new',
    { committedOffset: undefined, markerOffset: undefined, readOffset: 6, stalledMs: STALL_LIMIT_MS },
    { kind: 'retry' },
  ],
] as const)('%s', (_, facts, decision) => {
  expect(decideRecovery({ ...done, ...facts })).toEqual(decision)
})

test('a task resumes only at its marker, and never before the committed offset', () => {
  const offset = fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined })
  const facts = fc.record({
    committedOffset: offset,
    markerOffset: offset,
    readOffset: fc.integer({ min: 0, max: 5 }),
    changelogEnd: fc.integer({ min: 0, max: 5 }),
    stalledMs: fc.constantFrom(0, STALL_LIMIT_MS),
  })
  fc.assert(
    fc.property(facts, (drawn) => {
      const decision = decideRecovery(drawn)
      if (decision.kind !== 'resume') return
      expect(decision.inputOffset).toBe(drawn.markerOffset)
      expect(drawn.markerOffset ?? -1).toBeGreaterThanOrEqual(drawn.committedOffset ?? -1)
    }),
  )
})
