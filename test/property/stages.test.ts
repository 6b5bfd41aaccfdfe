// Joins with other operators before and behind them: whatever the cuts of frames and epochs, the restarts and the store, a job gives
// what it gives in one go, and what went in comes out. Holds SPEC: R3, JOIN-1, TABLE-1, TABLE-2, TABLE-3, ROWS-1, COUNT-1, STATE-4.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { job, kafka, msgpack, stream, sum, table, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { Complete } from '../../src/job/stages.ts'
import { type TestJobOptions, testJob } from '../../src/testing/index.ts'

interface Line {
  key: string
  v: number
}
interface Sent extends Line {
  topic: string
  ts: number
  deletes: boolean
}
interface Mode extends TestJobOptions {
  restartsAt: number[]
}

/** Late enough for each row to have a time of its own: none before 1970. */
const START_MS = 1_000
const topic = (name: string) => kafka(name, { value: msgpack<Line>(), key: 'key', outOfOrder: '3ms' })
const keyed = () => job('p').from(topic('s')).keyBy('key')
const out = kafka<object>('out')
const asOf = { type: 'left', asOf: { grace: '2ms' } } as const
const withRow = (one: Line, row: Line | undefined) => ({ key: one.key, v: one.v, row: row?.v ?? 0 })

/** Streams read `s`, and `t` where it is none of the tables. */
const jobs: [name: string, tables: string[], made: Complete][] = [
  [
    'windows, whose rows are joined as of a time',
    ['t'],
    keyed()
      .window('w', tumbling('5ms'))
      .aggregate({ v: sum('v') })
      .late(kafka('late-windows'))
      .keyBy('key')
      .joinTable('j', table(topic('t')), asOf, withRow)
      .late(kafka('late'))
      .to(out),
  ],
  [
    'a join with a table, then windows',
    ['t'],
    keyed()
      .joinTable('j', table(topic('t')), { type: 'left' }, withRow)
      .window('w', tumbling('5ms'))
      .aggregate({ v: sum('v') })
      .late(kafka('late'))
      .to(out),
  ],
  [
    'a join as of a time, then windows',
    ['t'],
    keyed()
      .joinTable('j', table(topic('t')), asOf, withRow)
      .late(kafka('late'))
      .window('w', tumbling('5ms'))
      .aggregate({ v: sum('v') })
      .late(kafka('late-windows'))
      .to(out),
  ],
  [
    'a join as of a time with a join of tables',
    ['t', 'u'],
    keyed()
      .joinTable(
        'j',
        table(topic('t')).join('k', table(topic('u')), { type: 'outer' }, (left, right) => ({
          key: '',
          v: (left?.v ?? 0) * 10 + (right?.v ?? 0),
        })),
        asOf,
        withRow,
      )
      .late(kafka('late'))
      .to(out),
  ],
  [
    'an interval join with the rows of windows',
    [],
    keyed()
      .join(
        'j',
        stream(topic('t'))
          .keyBy('key')
          .window('w', tumbling('5ms'))
          .aggregate({ v: sum('v') })
          .late(kafka('late-windows'))
          .keyBy('key'),
        { within: '6ms', type: 'outer', grace: '2ms' },
        (left, right) => ({ left: left?.v ?? null, right: right?.v ?? null }),
      )
      .late(kafka('late'))
      .to(out),
  ],
]

const lists: fc.Arbitrary<Sent[]> = fc
  .array(
    fc.record({
      topic: fc.constantFrom('s', 't', 'u'),
      key: fc.constantFrom('a', 'b', 'ab'),
      ts: fc.nat(9),
      v: fc.integer({ min: 1, max: 9 }),
      deletes: fc.boolean(),
    }),
    { maxLength: 50, size: 'max' },
  )
  .map((list) => list.map((one, i) => ({ ...one, ts: START_MS + one.ts + i })))
const modes: fc.Arbitrary<Mode> = fc.record({
  seed: fc.nat(1_000),
  store: fc.oneof(
    { weight: 6, arbitrary: fc.constant('memory' as const) },
    { weight: 1, arbitrary: fc.constant('lmdb' as const) },
  ),
  restartsAt: fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { maxLength: 4 }),
})

async function run(built: CompiledJob, tables: readonly string[], sent: readonly Sent[], mode: Mode) {
  const { restartsAt, ...options } = mode
  const t = testJob(built, options)
  try {
    for (const { topic, key, v, ts, deletes } of sent) {
      t.send(topic, { key, value: deletes && tables.includes(topic) ? undefined : { key, v }, timestampMs: ts })
    }
    t.restartAt(...restartsAt.filter((at) => at <= sent.length))
    await t.end()
    return {
      rows: t
        .outputs<{ v: number }>('out')
        .map(({ key, value, timestampMs }) => ({ key, value, v: value.v, timestampMs })),
      late: t.late<Line | undefined>().map(({ topic, key, value, timestampMs, headers }) => ({
        ...{ topic, key, value, v: value?.v ?? 0, timestampMs },
        // A made record is of the stream, but for rows of a join of tables.
        from: headers['millrace-source-topic'] ?? (headers['millrace-operator'] === 'k' ? 'k' : 's'),
      })),
      counts: t.counts,
      state: Object.values(t.state())
        .flat()
        .map(({ key, cells }) => [key, cells.length]),
    }
  } finally {
    await t.close()
  }
}

test.each(jobs)('%s: the same in one go and in pieces', async (_, tables, made) => {
  const built = made.build()
  const topics = ['s', 't', ...tables]
  await fc.assert(
    fc.asyncProperty(lists, modes, async (list, mode) => {
      const sent = list.filter((one) => topics.includes(one.topic))
      const whole = await run(built, tables, sent, { restartsAt: [] })
      expect(await run(built, tables, sent, mode)).toEqual(whole)
      expect(whole.counts).toMatchObject({ in: sent.length, dead: 0 })
      if (tables.length === 0) return
      // Each record of the stream is in a row or late, once: what is late says its topic, or that windows or a join made it.
      const sumOf = (of: readonly { v: number }[]): number => of.reduce((total, { v }) => total + v, 0)
      expect(sumOf(whole.rows) + sumOf(whole.late.filter(({ from }) => from === 's'))).toBe(
        sumOf(sent.filter((one) => one.topic === 's')),
      )
    }),
    { numRuns: 25 },
  )
})
