// Interval joins of many records at nearly one time, which share rows of state.
// Holds SPEC: JOIN-1, JOIN-4.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DriveOptions } from '../lane/lane-driver.ts'
import { driveStreams } from '../lane/streams-driver.ts'
import {
  type Event,
  expectOracle,
  inputOf,
  oracle,
  pairsOf,
  type Shape,
  type Side,
  texts,
  toOut,
} from './join-oracle.ts'

describe('many records of a key at nearly one time', () => {
  /** Some keys have a few of hundreds, and some records are large: rows of state are full by number or by bytes. */
  const crowds = fc
    .array(
      fc.record({
        side: fc.constantFrom<Side>(0, 1),
        key: fc.oneof({ weight: 8, arbitrary: fc.constant('a') }, { weight: 2, arbitrary: fc.nat(9).map(String) }),
        ts: fc.nat(30),
        pad: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5_000) }),
      }),
      { minLength: 300, maxLength: 1_200, size: 'max' },
    )
    .map((list) =>
      list.map(({ side, key, ts, pad }, id): Event => ({ id, side, key, ts, from: ts, to: ts, pad: 'x'.repeat(pad) })),
    )
  const shape: Shape = { type: 'outer', before: 0, after: 0, isOfFields: false, grace: 5_000, outOfOrder: [50, 50] }

  test.each([
    ['in memory', {}],
    ['in frames of 37', { frameRecords: 37 }],
    ['with restarts', { frameRecords: 37, restart: 'changelog' }],
    ['reopened from disk', { frameRecords: 37, store: 'lmdb', restart: 'store' }],
    [
      'with no more than a row in memory',
      { frameRecords: 37, store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } },
    ],
  ] as [string, DriveOptions][])('%s meet those of their time, in the order that they came', async (_, options) => {
    await fc.assert(
      fc.asyncProperty(crowds, async (list) => {
        const driven = await driveStreams(toOut(shape), inputOf(list), options)
        expectOracle(driven, list, shape)
        expect(texts(pairsOf(driven))).toEqual(texts(oracle(list, shape).rows))
      }),
      { numRuns: 4 },
    )
  })
})
