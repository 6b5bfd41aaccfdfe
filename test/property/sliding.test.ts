// Sliding windows against sets of records: every emission, cut, restart and store. Holds SPEC: R3, R4, R6, WIN-10, AGG-5.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { count, custom, first, job, kafka, last, max, msgpack, sliding, sum } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'
import { inputOf, POISON, resultsOf, type Tick, tickUpTo } from './ticks.ts'

interface Shape {
  size: number
  grace: number
  outOfOrder: number
}

type Emission = 'final' | 'updates' | { every: '7ms' }

function build({ size, grace, outOfOrder }: Shape, emit: Emission, isPoisoned: boolean): CompiledJob {
  const all = custom<Tick, number[], string, readonly ['value']>({
    fields: ['value'],
    init: () => [],
    add: (state, value) => {
      if (value === POISON) throw new RangeError('poison')
      state.push(value)
      return state
    },
    merge: (state, later) => {
      state.push(...later)
      return state
    },
    result: (state) => state.join(' '),
  })
  return job('s')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: `${outOfOrder}ms` }))
    .keyBy('key')
    .window('w', sliding(`${size}ms`, { grace: `${grace}ms` }))
    .aggregate({
      n: count(),
      v: sum('value'),
      high: max('value'),
      from: first('name'),
      to: last('value'),
      ...(isPoisoned ? { all } : {}),
    })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

interface Sent {
  phase: string
  row: unknown
}

/** All windows of all records ever accepted, found anew at each record: those that are open judge it, those that close give rows. */
function oracle(ticks: readonly Tick[], { size, grace, outOfOrder }: Shape, isPoisoned: boolean) {
  const accepted: Tick[] = []
  const sent: Sent[] = []
  let [watermark, late, dead, refused] = [Number.NEGATIVE_INFINITY, 0, 0, 0]
  const isClosed = (end: number, at: number): boolean => at > end + grace
  const within = (own: readonly Tick[], end: number): Tick[] => own.filter(({ ts }) => ts >= end - size && ts <= end)
  const endsOf = (own: readonly Tick[]): Set<number> => {
    const ends = own.flatMap(({ ts }) => [ts, ts + 1 + size])
    return new Set(ends.sort((a, b) => a - b).filter((end) => within(own, end).length > 0))
  }
  const send = (phase: string, own: readonly Tick[], end: number): void => {
    sent.push({ phase, row: rowOf(within(own, end), end - size, end, isPoisoned) })
  }
  const moveTo = (to: number): void => {
    const due: { key: string; own: Tick[]; end: number }[] = []
    for (const key of new Set(accepted.map((tick) => tick.key))) {
      const own = accepted.filter((tick) => tick.key === key)
      for (const end of endsOf(own)) if (isClosed(end, to) && !isClosed(end, watermark)) due.push({ key, own, end })
    }
    due.sort((a, b) => a.end - b.end || (a.key < b.key ? -1 : 1))
    for (const { own, end } of due) send('final', own, end)
    watermark = to
  }
  for (const tick of ticks) {
    moveTo(Math.max(watermark, tick.ts - outOfOrder))
    const own = accepted.filter(({ key }) => key === tick.key)
    const before = endsOf(own)
    const touched = [...endsOf([...own, tick])].filter((end) => within([tick], end).length > 0 || !before.has(end))
    const closed = touched.filter((end) => isClosed(end, watermark))
    if (closed.length === touched.length) late++
    else if (isPoisoned && tick.value === POISON) dead++
    else {
      accepted.push(tick)
      refused += closed.filter((end) => [...own, tick].some(({ ts }) => ts === end)).length
      for (const end of touched) if (!closed.includes(end)) send('early', [...own, tick], end)
    }
  }
  moveTo(Number.POSITIVE_INFINITY)
  return { sent, late, dead, refused }
}

function rowOf(own: readonly Tick[], windowStart: number, windowEnd: number, isPoisoned: boolean): unknown {
  return {
    key: own[0]!.key,
    windowStart,
    windowEnd,
    ...resultsOf(own),
    // Merged in the order of time, those of one time in the order of the partition.
    ...(isPoisoned
      ? {
          all: [...own]
            .sort((a, b) => a.ts - b.ts)
            .map(({ value }) => value)
            .join(' '),
        }
      : {}),
  }
}

/** Times that mostly go up, with leaps, and come back to windows that were left. */
const ticks = fc
  .array(fc.tuple(tickUpTo(8), fc.nat(30)), { maxLength: 90, size: 'max' })
  .map((list) => list.map(([one, back], i) => ({ ...one, ts: one.ts + i * 2 + (i % 17 === 0 ? 40 : 0) - back })))
/** Sizes for a few records of a key and for more than are merged one by one. */
const shapes = fc.record({ size: fc.integer({ min: 1, max: 120 }), grace: fc.nat(20), outOfOrder: fc.nat(25) })
const sentBy = (driven: Driven): (Sent & { id: string; rev: number })[] =>
  driven.rows.filter(isOut).map(({ value, headers }) => ({
    phase: headers['millrace-phase']!,
    row: unpack(value!),
    id: headers['millrace-id']!,
    rev: Number(headers['millrace-rev']),
  }))
const isOut = ({ topic }: Row): boolean => topic === 'out'

function expectRows(driven: Driven, list: readonly Tick[], shape: Shape, emit: Emission, isPoisoned: boolean): void {
  const { sent, late, dead, refused } = oracle(list, shape, isPoisoned)
  const isWanted = ({ phase }: Sent): boolean => phase === 'final' || emit === 'updates'
  const rows = sentBy(driven).map(({ phase, row }) => ({ phase, row }))
  expect(rows.filter(isWanted)).toEqual(sent.filter(isWanted))
  expect(driven.counts).toMatchObject({ in: list.length, accepted: list.length - late - dead, late, dead, refused })
  expect(driven.rows.filter(({ topic }) => topic === 'late')).toHaveLength(late)
  expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
}

/** The revs of an id grow by one, to its final row, of which there is one. */
function expectRevs(driven: Driven): void {
  const revs = new Map<string, number>()
  const ended = new Set<string>()
  for (const { id, rev, phase } of sentBy(driven)) {
    expect(ended).not.toContain(id)
    expect(rev).toBe((revs.get(id) ?? 0) + 1)
    revs.set(id, rev)
    if (phase === 'final') ended.add(id)
  }
  expect(ended).toEqual(new Set(revs.keys()))
}

const modes: fc.Arbitrary<DriveOptions> = fc.record({
  frameRecords: fc.integer({ min: 1, max: 9 }),
  restart: fc.constantFrom('never', 'changelog'),
  path: fc.constantFrom('planned', 'free'),
})

describe.each(['final', 'updates', { every: '7ms' }] as const)('sliding windows, emit %j', (emit) => {
  test('give the rows of the oracle, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(ticks, shapes, modes, fc.boolean(), async (list, shape, mode, isPoisoned) => {
        const driven = await drive(build(shape, emit, isPoisoned), inputOf(list), mode)
        expectRows(driven, list, shape, emit, isPoisoned)
        expectRevs(driven)
      }),
      { numRuns: 120 },
    )
  })

  test('give the same rows in the same order, whatever the frames and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(ticks, shapes, modes, async (list, shape, mode) => {
        const whole = await drive(build(shape, emit, false), inputOf(list))
        const cut = await drive(build(shape, emit, false), inputOf(list), mode)
        expect(sentBy(cut)).toEqual(sentBy(whole))
      }),
      { numRuns: 60 },
    )
  })
})

test.each([
  ['reopened from disk after each frame', { store: 'lmdb', restart: 'store' }],
  ['of which nothing stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } }],
  ['of which half stays in memory', { store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 5_000 } }],
] as [string, DriveOptions][])('sliding windows %s give the same rows', async (_, options) => {
  const emissions = fc.constantFrom<Emission[]>('final', 'updates', { every: '7ms' })
  await fc.assert(
    fc.asyncProperty(ticks, shapes, emissions, async (list, shape, emit) => {
      const driven = await drive(build(shape, emit, false), inputOf(list), { ...options, frameRecords: 4 })
      expectRows(driven, list, shape, emit, false)
      expectRevs(driven)
    }),
    { numRuns: 20 },
  )
})
