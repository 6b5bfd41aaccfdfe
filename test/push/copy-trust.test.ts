// When a copy of a view is used, and what it remembers. Holds SPEC: PUSH-12, PUSH-41.
import { describe, expect, it } from 'vitest'
import { type Change, COPY_VERSION, type CopyMeta } from '../../src/push/copy-codec.ts'
import { distrust, recall } from '../../src/push/copy-trust.ts'
import type { ViewRow } from '../../src/push/view-store.ts'

const HOUR_MS = 3_600_000
const NOW_MS = 1_750_000_000_000
const identity = { view: 'v', topic: 't', topicId: 'id', format: 'json' }
const meta: CopyMeta = {
  ...identity,
  version: COPY_VERSION,
  sequence: 7,
  offsets: [5, 9],
  forgottenSequence: 0,
  forgotten: [0, 0],
  forgottenRemovals: [0, 0],
  rowCount: 3,
  rowBytes: 600,
  openedMs: NOW_MS - 100 * HOUR_MS,
  wholeMs: NOW_MS - HOUR_MS,
}
const marks = { low: [0, 0], high: [5, 20], removalMs: 2 * HOUR_MS, isIdKnown: true }

describe('a copy', () => {
  it.each([
    ['as it should be', {}, {}, undefined],
    ['of another view', { view: 'w' }, {}, 'its view is w, not v'],
    ['of another topic', { topic: 'u' }, {}, 'its topic is u, not t'],
    ['of a topic that was made anew', { topicId: 'old' }, {}, 'its topicId is old, not id'],
    ['of values read in another way', { format: 'msgpack' }, {}, 'its format is msgpack, not json'],
    ['of a topic whose id is not told', {}, { isIdKnown: false }, 'the id of the topic is not known'],
    ['of fewer partitions', { offsets: [5] }, {}, 'it has 1 partitions, not 2'],
    [
      'that stopped before what is left',
      {},
      { low: [0, 10] },
      'it ended at offset 9 of partition 1, before its start 10',
    ],
    ['at the start of what is left', {}, { low: [5, 9] }, undefined],
    ['beyond the end', {}, { high: [4, 20] }, 'it ended at offset 5 of partition 0, beyond its end 4'],
    ['that never had all of the topic', { wholeMs: 0 }, {}, 'it was never whole'],
    ['of a topic whose removals stay no one knows how long', {}, { removalMs: 0 }, 'how long the topic keeps removals'],
    ['that is just too old', { wholeMs: NOW_MS - HOUR_MS - 1 }, {}, 'it was whole 3600001 ms ago'],
  ])('%s', (_, of, now, reason) => {
    const found = distrust({ ...meta, ...of }, identity, { ...marks, ...now }, NOW_MS)
    if (reason === undefined) expect(found).toBeUndefined()
    else expect(found).toContain(reason)
  })
})

describe('what a copy remembers', () => {
  const row = (key: string, sequence: number): ViewRow => {
    const place = { partition: 0, offset: sequence, timestampMs: 0, sequence, revision: 0 }
    const state = { isRemoval: false, isFinal: false, isCurrent: true }
    return { key, ...place, json: '"0123456789"', ...state, place: undefined }
  }
  const rows = new Map([row('a', 5), row('b', 3), row('c', 7)].map((one) => [one.key, one]))
  const known: CopyMeta = {
    ...meta,
    sequence: 7,
    offsets: [8],
    forgotten: [1],
    forgottenRemovals: [1],
    forgottenSequence: 1,
  }
  const change = (sequence: number, key: string, isRemoval = false): Change => [
    sequence,
    0,
    sequence,
    0,
    isRemoval,
    key,
  ]
  /** Newest first. Change 2, of a, was replaced by 5; 4 removed d. */
  const batches = [
    { first: 6, last: 7, offsets: [8], changes: [change(7, 'c')] },
    {
      first: 1,
      last: 5,
      offsets: [6],
      changes: [change(1, 'z', true), change(2, 'a'), change(3, 'b'), change(4, 'd', true), change(5, 'a')],
    },
  ]
  const recalled = (recentRowsMax: number, bytesMax: number) => {
    const found = recall(known, batches, (key) => rows.get(key), { recentRowsMax, bytesMax })
    const { forgottenSequence, forgotten, forgottenRemovals } = found.known
    return [found.recent.map(({ sequence }) => sequence), forgottenSequence, forgotten, forgottenRemovals]
  }
  const BYTES = 2 * 13 + 160

  it('is each change that was not replaced, as far as there is room', () => {
    expect(recalled(100, 100 * BYTES)).toEqual([[3, 4, 5, 7], 1, [1], [1]])
    expect(recalled(3, 100 * BYTES)).toEqual([[5, 7], 4, [5], [5]])
    expect(recalled(100, 2 * BYTES)).toEqual([[5, 7], 4, [5], [5]])
    // Of the batch before only its end is known.
    expect(recalled(1, 100 * BYTES)).toEqual([[7], 5, [6], [6]])
    expect(recalled(100, 0)).toEqual([[], 7, [8], [8]])
  })

  it('is nothing where rows and changes do not fit together', () => {
    const read = (): ViewRow => row('c', 6)
    expect(() => recall(known, batches, read, { recentRowsMax: 9, bytesMax: 1e6 })).toThrow('MR7032')
  })
})
