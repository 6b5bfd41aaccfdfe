// Joins with tables against plain loops over what was sent: every cut, restart, store and number of partitions.
// Holds SPEC: TABLE-1, TABLE-2, TABLE-3, TABLE-4, COUNT-1, R3, STATE-4.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { partitionOfKey } from '../../src/core/murmur2.ts'
import { job, kafka, msgpack, table } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type TestJob, type TestJobOptions, testJob } from '../../src/testing/index.ts'

interface Line {
  key: string
  v: number
}
/** One that was sent to the stream or a table; `v` undefined: it deletes a row. */
interface Sent {
  topic: 's' | 't'
  key: string
  ts: number
  v: number | undefined
}
interface Shape {
  outOfOrder: number
  grace: number
}
interface Mode extends TestJobOptions {
  restartsAt: number[]
}

const out = kafka<{ text: string }>('out')
const topic = (name: string, outOfOrder = 0) =>
  kafka(name, { value: msgpack<Line>(), key: 'key', outOfOrder: `${outOfOrder}ms` as const })
const text = (...sides: readonly (Line | undefined)[]) => ({ text: sides.map((side) => side?.v ?? '-').join('+') })

/** Times that go on, out of order by up to 12 steps. */
const sentUpTo = (deletes: 's' | 'both', stepMs: number): fc.Arbitrary<Sent[]> =>
  fc
    .array(
      fc.record({
        topic: fc.constantFrom<'s' | 't'>('s', 't'),
        key: fc.constantFrom('a', 'b', 'ab', 'c', 'd'),
        ts: fc.nat(12),
        v: fc.option(fc.nat(9), { nil: undefined, freq: 3 }),
      }),
      { maxLength: 60, size: 'max' },
    )
    .map((list) =>
      list.map((one, i) => ({
        ...one,
        ts: (one.ts + i) * stepMs,
        v: one.topic === 's' && deletes === 's' ? (one.v ?? 0) : one.v,
      })),
    )

const modes: fc.Arbitrary<Mode> = fc.record({
  partitions: fc.constantFrom(1, 3),
  lanes: fc.constantFrom(1, 2),
  seed: fc.nat(1_000),
  store: fc.oneof(
    { weight: 5, arbitrary: fc.constant('memory' as const) },
    { weight: 1, arbitrary: fc.constant('lmdb' as const) },
  ),
  restartsAt: fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 3 }),
})

interface Result {
  /** Of each partition, in order. */
  rows: string[][]
  late: string[][]
  stateKeys: string[]
  counts: TestJob['counts']
  /** The records of each partition, in the order sent. */
  sent: Sent[][]
}

async function run(built: CompiledJob, sent: readonly Sent[], { restartsAt, ...options }: Mode): Promise<Result> {
  const t = testJob(built, options)
  try {
    for (const { topic, key, v, ts } of sent)
      t.send(topic, { key, value: v === undefined ? undefined : { key, v }, timestampMs: ts })
    t.restartAt(...restartsAt.filter((at) => at <= sent.length))
    await t.end()
    const { partitions = 1 } = options
    // The sinks have as many partitions as the topics that are read, so keys are in those of the same number.
    const outputs = t.outputs<{ text: string }>('out')
    const late = t.late<Line>()
    const perPartition = <T>(list: readonly T[], of: (one: T) => number): T[][] =>
      Array.from({ length: partitions }, (_, partition) => list.filter((one) => of(one) === partition))
    return {
      rows: perPartition(outputs, (row) => row.partition).map((list) =>
        list.map((row) => `${row.key}@${row.timestampMs} ${row.value?.text ?? '-'}`),
      ),
      late: perPartition(late, (row) => row.partition).map((list) =>
        list.map((row) => `${row.key}@${row.timestampMs}=${row.value?.v ?? '-'}`),
      ),
      stateKeys: Object.values(t.state()).flatMap((rows) => rows.map(({ key }) => key)),
      counts: t.counts,
      sent: perPartition(sent, ({ key }) => partitionOfKey(Buffer.from(key), partitions)),
    }
  } finally {
    await t.close()
  }
}

/** Of each key, the values that are there after all; of keys whose last one deletes it, none. */
function liveKeys(sent: readonly Sent[]): string[] {
  const rows = new Map(sent.map(({ key, v }) => [key, v]))
  return [...rows].flatMap(([key, v]) => (v === undefined ? [] : [key])).sort()
}

test('a stream with a table as it is: the row that was sent last before the record', async () => {
  const built = job('p')
    .from(topic('s'))
    .keyBy('key')
    .joinTable('j', table(topic('t')), { type: 'left' }, text)
    .to(out)
    .build()
  await fc.assert(
    fc.asyncProperty(sentUpTo('s', 1), modes, async (list, mode) => {
      const { rows, stateKeys, counts, sent } = await run(built, list, mode)
      const expected = sent.map((own) => {
        const latest = new Map<string, number | undefined>()
        return own.flatMap(({ topic, key, v, ts }) => {
          if (topic === 's') return [`${key}@${ts} ${v}+${latest.get(key) ?? '-'}`]
          latest.set(key, v)
          return []
        })
      })
      expect(rows).toEqual(expected)
      expect(stateKeys.sort()).toEqual(liveKeys(list.filter((one) => one.topic === 't')))
      expect(counts).toMatchObject({ in: list.length, late: 0, dead: 0, filtered: 0 })
    }),
    { numRuns: 60 },
  )
})

interface Versions {
  of: Map<string, { ts: number; v: number | undefined }[]>
  rows: string[]
  late: string[]
}

/** A partition of an as-of join, without an index and without forgetting what nobody can ask for. */
function asOfOracle(sent: readonly Sent[], { outOfOrder, grace }: Shape): Versions {
  const result: Versions = { of: new Map(), rows: [], late: [] }
  const clocks = { s: Number.NEGATIVE_INFINITY, t: Number.NEGATIVE_INFINITY }
  const versionsOf = (key: string) => result.of.get(key) ?? []
  let waiting: (Sent & { place: number })[] = []
  const close = (horizon: number): void => {
    const due = waiting
      .filter(({ ts }) => ts < horizon)
      .sort((a, b) => a.ts - b.ts || (a.key < b.key ? -1 : a.key > b.key ? 1 : a.place - b.place))
    waiting = waiting.filter(({ ts }) => ts >= horizon)
    for (const { key, ts, v } of due) {
      const found = versionsOf(key).findLast((version) => version.ts <= ts)
      result.rows.push(`${key}@${ts} ${v}+${found?.v ?? '-'}`)
    }
    // A row that is no more is forgotten when the second that it went in is past.
    for (const [key, versions] of result.of) {
      const { ts, v } = versions.at(-1)!
      if (v === undefined && (Math.floor(ts / 1_000) + 1) * 1_000 < horizon) result.of.delete(key)
    }
  }
  for (const [place, one] of sent.entries()) {
    const { topic, key, ts, v } = one
    clocks[topic] = Math.max(clocks[topic], ts - outOfOrder)
    const horizon = Math.min(clocks.s, clocks.t) - grace
    close(horizon)
    if (topic === 's' && ts >= horizon) waiting.push({ ...one, place })
    else if (topic === 's' || versionsOf(key).some((other) => other.ts > ts && other.ts <= horizon))
      result.late.push(`${key}@${ts}=${v ?? '-'}`)
    else {
      const others = versionsOf(key).filter((other) => other.ts !== ts)
      const versions = [...others, { ts, v }].sort((a, b) => a.ts - b.ts)
      const newest = versions.at(-1)!
      if (newest.v === undefined && newest.ts <= horizon) result.of.delete(key)
      else result.of.set(key, versions)
    }
  }
  close(Number.POSITIVE_INFINITY)
  return result
}

test('a stream with a table as of a time: the row by then, whatever was read first, and what is late', async () => {
  const shapes = fc.record({ outOfOrder: fc.nat(6), grace: fc.nat(6) })
  const inputs = fc
    .tuple(fc.constantFrom(1, 400), shapes)
    .chain(([stepMs, { outOfOrder, grace }]) =>
      fc.tuple(sentUpTo('s', stepMs), fc.constant({ outOfOrder: outOfOrder * stepMs, grace: grace * stepMs })),
    )
  await fc.assert(
    fc.asyncProperty(
      inputs,
      fc.constantFrom('left' as const, 'inner' as const),
      modes,
      async ([list, shape], type, mode) => {
        const built = job('p')
          .from(topic('s', shape.outOfOrder))
          .keyBy('key')
          .joinTable('j', table(topic('t', shape.outOfOrder)), { type, asOf: { grace: `${shape.grace}ms` } }, text)
          .late(kafka('late'))
          .to(out)
          .build()
        const { rows, late, stateKeys, counts, sent } = await run(built, list, mode)
        const partitions = sent.map((own) => asOfOracle(own, shape))
        const isShown = (row: string): boolean => type === 'left' || !row.endsWith('+-')
        expect(rows).toEqual(partitions.map((own) => own.rows.filter(isShown)))
        expect(late).toEqual(partitions.map((own) => own.late))
        const live = partitions.flatMap(({ of }) =>
          [...of].flatMap(([key, list]) => (list.at(-1)!.v === undefined ? [] : [key])),
        )
        expect(stateKeys.sort()).toEqual(live.sort())
        expect(counts).toMatchObject({ in: list.length, late: late.flat().length, dead: 0, filtered: 0 })
      },
    ),
    { numRuns: 150 },
  )
})

const hasResult = {
  inner: (left: unknown, right: unknown) => left !== undefined && right !== undefined,
  left: (left: unknown) => left !== undefined,
  outer: (left: unknown, right: unknown) => left !== undefined || right !== undefined,
}

test('two tables: what each change of either makes of the result, in the order sent', async () => {
  const types = fc.constantFrom('inner' as const, 'left' as const, 'outer' as const)
  await fc.assert(
    fc.asyncProperty(sentUpTo('both', 1), types, modes, async (list, type, mode) => {
      const built = job('p')
        .table(topic('s'))
        .join('j', table(topic('t')), { type }, text)
        .to(out)
        .build()
      const { rows, stateKeys, counts, sent } = await run(built, list, mode)
      const expected = sent.map((own) => {
        const both = { s: new Map<string, Sent>(), t: new Map<string, Sent>() }
        return own.flatMap((one) => {
          const { topic, key, v } = one
          const was = hasResult[type](both.s.get(key), both.t.get(key))
          if (v !== undefined) both[topic].set(key, one)
          else if (!both[topic].delete(key)) return []
          const [left, right] = [both.s.get(key), both.t.get(key)]
          const other = topic === 's' ? right : left
          const at = `${key}@${Math.max(one.ts, other?.ts ?? one.ts)}`
          if (hasResult[type](left, right)) return [`${at} ${left?.v ?? '-'}+${right?.v ?? '-'}`]
          return was ? [`${at} -`] : []
        })
      })
      expect(rows).toEqual(expected)
      const live = (['s', 't'] as const).flatMap((side) => liveKeys(list.filter((one) => one.topic === side)))
      expect(stateKeys.sort()).toEqual(live.sort())
      expect(counts).toMatchObject({ in: list.length, late: 0, dead: 0, filtered: 0 })
    }),
    { numRuns: 60 },
  )
})
