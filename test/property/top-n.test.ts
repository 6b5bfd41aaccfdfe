// The best rows of groups against a sort of all of them: every cut, restart and store. Holds SPEC: TOPN-1 to TOPN-4, R3, COUNT-1.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { job, kafka, msgpack } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'

interface Score {
  key: string
  ts: number
  id: number
  points: number
  name: string
}
interface Shape {
  n: number
  keep: number
  order: 'asc' | 'desc'
  ttl: number
}

function build({ n, keep, order, ttl }: Shape): CompiledJob {
  return job('t')
    .from(kafka('in', { value: msgpack<Score>(), key: 'key', eventTime: 'ts', outOfOrder: '5ms' }))
    .keyBy('key')
    .topN('top', { n, keep: Math.max(n, keep), order, by: ['points', 'name'], rowKey: 'id', ttl: `${ttl}ms` })
    .to(kafka('out'))
    .build()
}

/** A list a group, sorted anew for each record; what is different of its first n. */
function oracle(scores: readonly Score[], { n, keep, order, ttl }: Shape): unknown[] {
  const groups = new Map<string, { list: Score[]; untilMs: number }>()
  const rows: unknown[] = []
  let watermark = Number.NEGATIVE_INFINITY
  const sign = order === 'desc' ? -1 : 1
  const compare = (a: Score, b: Score): number =>
    sign * (a.points - b.points || (a.name === b.name ? 0 : a.name < b.name ? -1 : 1))
  for (const score of scores) {
    watermark = Math.max(watermark, score.ts - 5)
    const known = groups.get(score.key)
    const group = known !== undefined && known.untilMs >= watermark ? known : { list: [], untilMs: -Infinity }
    const before = group.list.slice(0, n)
    const at = group.list.findIndex(({ id }) => id === score.id)
    if (at >= 0 && compare(group.list[at]!, score) === 0) group.list[at] = score
    else {
      if (at >= 0) group.list.splice(at, 1)
      group.list.push(score)
      group.list.sort(compare)
    }
    group.list.splice(Math.max(n, keep))
    const after = group.list.slice(0, n)
    for (const [i, row] of before.entries()) {
      if (after[i]?.id !== row.id) rows.push([score.key, 'retracted', { ...row, rank: i + 1 }])
    }
    for (const [i, row] of after.entries()) {
      if (before[i] !== row) rows.push([score.key, 'early', { ...row, rank: i + 1 }])
    }
    groups.set(score.key, {
      ...group,
      untilMs: Math.max(group.untilMs, Math.max(score.ts, watermark) + ttl),
    })
  }
  return rows
}

const scores = fc
  .array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      ts: fc.nat(12),
      id: fc.nat(7),
      points: fc.integer({ min: -3, max: 3 }),
      name: fc.constantFrom('x', 'y'),
    }),
    { maxLength: 80, size: 'max' },
  )
  .map((list) => list.map((one, i) => ({ ...one, ts: one.ts + i * 3 + (i % 23 === 0 ? 60 : 0) })))
const shapes = fc.record({
  n: fc.integer({ min: 1, max: 4 }),
  keep: fc.integer({ min: 1, max: 9 }),
  order: fc.constantFrom('asc', 'desc'),
  ttl: fc.integer({ min: 1, max: 120 }),
}) as fc.Arbitrary<Shape>
const modes: fc.Arbitrary<DriveOptions> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      frameRecords: fc.integer({ min: 1, max: 9 }),
      restart: fc.constantFrom('never', 'changelog'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<DriveOptions>(
      { frameRecords: 4, store: 'lmdb', restart: 'store' },
      { frameRecords: 4, store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } },
    ),
  },
)
const seen = ({ key, headers, value }: Row): unknown => [key, headers['millrace-phase'], unpack(value!)]

/** Who applies the changes in their order has the list: nothing is new that is there, nothing goes that is not. */
function expectReader(rows: readonly Row[], n: number): void {
  const lists = new Map<string, string>()
  for (const { key, headers, value } of rows) {
    const { rank, id } = unpack(value!) as Score & { rank: number }
    const place = `${key} ${rank}`
    expect(rank).toBeLessThanOrEqual(n)
    if (headers['millrace-phase'] === 'retracted') {
      expect(lists.get(place)).toBe(`${id}`)
      lists.delete(place)
    } else {
      expect(lists.get(place) ?? `${id}`).toBe(`${id}`)
      lists.set(place, `${id}`)
    }
  }
}

test('rows that come and go are those of the oracle, whatever the frames, restarts and stores', async () => {
  await fc.assert(
    fc.asyncProperty(scores, shapes, modes, async (list, shape, mode) => {
      const driven = await drive(
        build(shape),
        list.map((value) => ({ key: value.key, value })),
        mode,
      )
      const rows = oracle(list, shape)
      expect(driven.rows.map(seen)).toEqual(rows)
      expect(driven.counts).toMatchObject({ in: list.length, expanded: rows.length, dead: 0, late: 0 })
      expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
    }),
    { numRuns: 150 },
  )
})

test('who applies the changes in their order has the list', async () => {
  await fc.assert(
    fc.asyncProperty(scores, shapes, async (list, shape) => {
      const driven = await drive(
        build({ ...shape, ttl: 10_000 }),
        list.map((value) => ({ key: value.key, value })),
      )
      expectReader(driven.rows, shape.n)
    }),
    { numRuns: 60 },
  )
})
