// Functions with state and timers against lists: every cut, restart and store, and with timers by the clock.
// Holds SPEC: PROCESS-2 to PROCESS-7, R3, R4, COUNT-1.
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { count, job, kafka, msgpack, type ProcessContext, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { testJob } from '../../src/testing/index.ts'
import { type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'

interface Tick {
  key: string
  ts: number
  /** What the record does: adds to the state, deletes it, sets or cancels a timer `after` it, throws. */
  does: 'add' | 'delete' | 'set' | 'cancel' | 'throw'
  after: number
}
interface Shape {
  ttl: number
  outOfOrder: number
  /** A timer sets the next one so much later, as long as the state is there; 0: none. */
  again: number
}
type Seen = [what: string, ms: number, watermarkMs: number, state: number | null]

function build({ ttl, outOfOrder, again }: Shape): CompiledJob {
  return job('p')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: `${outOfOrder}ms` }))
    .keyBy('key')
    .process('p', {
      ttl: `${ttl}ms`,
      onRecord({ ts, does, after }, ctx: ProcessContext<number | undefined, Seen>) {
        ctx.emit(['record', ts, ctx.watermarkMs, ctx.state.get() ?? null])
        if (does === 'add') ctx.state.set((ctx.state.get() ?? 0) + 1)
        if (does === 'delete') ctx.state.delete()
        if (does === 'set') ctx.timers.at(ts + after)
        if (does === 'cancel') ctx.timers.cancel(ts + after)
        if (does === 'throw') throw new RangeError('poison')
      },
      onTimer({ timeMs }, ctx) {
        const state = ctx.state.get()
        ctx.emit(['timer', timeMs, ctx.watermarkMs, state ?? null])
        if (again > 0 && state !== undefined) ctx.timers.at(timeMs + again)
      },
    })
    .to(kafka('out'))
    .window('w', tumbling('1ms'))
    .aggregate({ n: count() })
    .to(kafka('counted'))
    .build()
}

/** A sorted list of timers and a map of states, record by record. */
function oracle(ticks: readonly Tick[], { ttl, outOfOrder, again }: Shape) {
  const rows: unknown[] = []
  const states = new Map<string, { n: number; untilMs: number }>()
  let timers: { key: string; ms: number }[] = []
  let [now, dead, late] = [Number.NEGATIVE_INFINITY, 0, 0]
  const stateOf = (key: string): number | undefined => {
    const state = states.get(key)
    return state !== undefined && state.untilMs >= now ? state.n : undefined
  }
  const without = (key: string, ms: number) => timers.filter((one) => one.key !== key || one.ms !== ms)
  const moveTo = (to: number): void => {
    for (;;) {
      timers.sort((a, b) => a.ms - b.ms || (a.key < b.key ? -1 : 1))
      const due = timers[0]
      if (due === undefined || due.ms > to) break
      const { key, ms } = timers.shift()!
      now = Math.max(now, ms)
      const state = stateOf(key)
      rows.push([key, now, ['timer', ms, now, state ?? null]])
      if (again > 0 && state !== undefined && to < Infinity)
        timers = [...without(key, ms + again), { key, ms: ms + again }]
    }
    now = to
  }
  for (const { key, ts, does, after } of ticks) {
    moveTo(Math.max(now, ts - outOfOrder))
    if (does === 'throw') dead++
    else {
      rows.push([key, ts, ['record', ts, now, stateOf(key) ?? null]])
      if (ts < now) late++
    }
    if (does === 'add') {
      const untilMs = Math.max(ts, now) + ttl
      states.set(key, { n: (stateOf(key) ?? 0) + 1, untilMs: Math.max(untilMs, states.get(key)?.untilMs ?? untilMs) })
    }
    if (does === 'delete') states.delete(key)
    if (does === 'set') timers = [...without(key, ts + after), { key, ms: ts + after }]
    if (does === 'cancel') timers = without(key, ts + after)
    moveTo(now)
  }
  moveTo(Number.POSITIVE_INFINITY)
  return { rows, dead, late }
}

/** Times that mostly go up, with leaps and a few far back. */
const ticks = fc
  .array(
    fc.record({
      key: fc.oneof(fc.constantFrom('a', 'b'), fc.integer({ min: 10, max: 30 }).map(String)),
      ts: fc.nat(12),
      does: fc.constantFrom<Tick['does']>('add', 'add', 'delete', 'set', 'set', 'set', 'cancel', 'throw'),
      after: fc.integer({ min: -10, max: 60 }),
    }),
    { maxLength: 80, size: 'max' },
  )
  .map((list) => list.map((one, i) => ({ ...one, ts: one.ts + i * 3 + (i % 19 === 0 ? 70 : 0) })))
const shapes = fc.record({
  ttl: fc.integer({ min: 1, max: 90 }),
  outOfOrder: fc.nat(15),
  again: fc.constantFrom(0, 0, 7, 30),
})
const modes: fc.Arbitrary<DriveOptions> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      frameRecords: fc.integer({ min: 1, max: 9 }),
      restart: fc.constantFrom('never', 'changelog'),
      path: fc.constantFrom('planned', 'free'),
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
const seen = ({ key, timestampMs, value }: Row): unknown => [key, timestampMs, unpack(value!)]

test('rows, states and timers are those of the oracle, whatever the frames, restarts and stores', async () => {
  await fc.assert(
    fc.asyncProperty(ticks, shapes, modes, async (list, shape, mode) => {
      const input = list.map((value) => ({ key: value.key, value }))
      const driven = await drive(build(shape), input, mode)
      const { rows, dead, late } = oracle(list, shape)
      expect(driven.rows.filter(({ topic }) => topic === 'out').map(seen)).toEqual(rows)
      // Of what it emits, the rows of records behind the watermark are late in a window without grace, and no others.
      expect(driven.counts).toMatchObject({ in: list.length, expanded: rows.length, dead, late })
      expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
    }),
    { numRuns: 150 },
  )
})

const UNIT_MS = 60_000

interface Alarm {
  key: string
  ts: number
  ringsMs: number
}
const alarms = job('w')
  .from(kafka('in', { value: msgpack<Alarm>(), key: 'key', eventTime: 'ts' }))
  .keyBy('key')
  .process('p', {
    state: () => 0,
    onRecord({ ringsMs }, ctx: ProcessContext<number, string>) {
      ctx.state.set(ctx.state.get() + 1)
      ctx.timers.atWall(ringsMs)
      ctx.timers.cancelWall(ringsMs + UNIT_MS)
    },
    onTimer({ timeMs }, ctx) {
      ctx.emit(`${ctx.key} ${timeMs} of ${ctx.state.get()} at ${ctx.timeMs}`)
      ctx.state.delete()
    },
  })
  .to(kafka('out'))
  .build()

/** Units of the clock; in each some alarms are set for one of the next, and something may happen to the process. */
const units = fc.array(
  fc.record({
    alarms: fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), inUnits: fc.nat(4) }), { maxLength: 4 }),
    happens: fc.constantFrom('nothing', 'restart', 'commit-lost', 'answer-lost'),
  }),
  { minLength: 1, maxLength: 8 },
)

test('timers by the clock come in their time, once, whatever becomes of the process', async () => {
  await fc.assert(
    fc.asyncProperty(units, async (list) => {
      const t = testJob(alarms, { partitions: 2 })
      const expected: string[] = []
      let pending: { key: string; ms: number }[] = []
      const states = new Map<string, number>()
      let ts = 0
      // In the middle of a unit: starts and stops take some milliseconds.
      await t.advanceWall(UNIT_MS / 2)
      for (const [unit, { alarms: set, happens }] of list.entries()) {
        for (const { key, inUnits } of set) {
          const ms = (unit + 1 + inUnits) * UNIT_MS
          t.send('in', { value: { key, ts: 10, ringsMs: ms } satisfies Alarm, partition: 0 })
          ts = 10
          states.set(key, (states.get(key) ?? 0) + 1)
          pending = pending.filter((one) => one.key !== key || (one.ms !== ms && one.ms !== ms + UNIT_MS))
          pending.push({ key, ms })
        }
        if (happens === 'restart') await t.restart()
        else if (happens !== 'nothing') t.crashAt(happens)
        await t.advanceWall(UNIT_MS)
        const due = pending.filter(({ ms }) => ms <= (unit + 1) * UNIT_MS)
        pending = pending.filter((one) => !due.includes(one))
        due.sort((a, b) => a.ms - b.ms || (a.key < b.key ? -1 : 1))
        for (const { key, ms } of due) {
          expected.push(`${key} ${ms} of ${states.get(key) ?? 0} at ${ts}`)
          states.delete(key)
        }
        expect(t.outputs('out').map(({ value }) => value)).toEqual(expected)
      }
      await t.end()
      expect(t.outputs('out')).toHaveLength(expected.length)
    }),
    { numRuns: 25 },
  )
})
