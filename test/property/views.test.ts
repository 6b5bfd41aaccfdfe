// Views that keep their rows for a time, against a map of keys that is looked through before every row: every cut, restart and store.
// Holds SPEC: VIEW-1, VIEW-2, R3.
import fc from 'fast-check'
import { testJob } from 'millrace/test'
import { unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import { count, type Duration, hopping, job, kafka, msgpack, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type DriveOptions, drive, type Row } from '../lane/lane-driver.ts'

interface Tick {
  key: string
  ts: number
  name: string
}
interface Shape {
  kind: 'updates' | 'final' | 'running' | 'table'
  keep: number
  grace: number
  /** Rows have the key of the record, or the name in it. */
  isNamed: boolean
}
/** A row, or its removal, that the job writes when the clock is at `clockMs`; its own time is `timeMs`. */
interface Write {
  clockMs: number
  key: string
  timeMs: number | undefined
}

const SIZE = 10
const DELAY = 4
const ms = (n: number): Duration => `${n}ms`

function build({ kind, keep, grace, isNamed }: Shape): CompiledJob {
  const source = kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: ms(DELAY) })
  if (kind === 'table') {
    const start = job('t').table(source)
    return start
      .filter(({ name }) => name !== 'z')
      .toView('v', { keep: ms(keep) })
      .build()
  }
  const keyed = job('t').from(source).keyBy('key')
  const key = isNamed ? { key: (row: { key: string }) => `${row.key}!` } : {}
  if (kind === 'running')
    return keyed
      .aggregate({ n: count() })
      .toView('v', { keep: ms(keep), ...key })
      .build()
  return keyed
    .window('w', tumbling(ms(SIZE), { grace: ms(grace) }))
    .aggregate({ n: count() })
    .toView('v', { emit: kind, keep: ms(Math.max(keep, grace)), ...key })
    .build()
}

/** What the job writes without `keep`, and where its clock is at the end. */
function writesOf(ticks: readonly Tick[], { kind, grace, isNamed }: Shape): Write[] {
  const writes: Write[] = []
  const open = new Map<string, { key: string; end: number }>()
  const newest = new Map<string, number>()
  const name = (key: string): string => (isNamed && kind !== 'table' ? `${key}!` : key)
  let [watermark, timeMax] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const close = (upTo: number, clockMax: number): void => {
    const due = [...open.values()].filter(({ end }) => end + grace <= upTo)
    due.sort((a, b) => a.end - b.end || (a.key < b.key ? -1 : 1))
    for (const { key, end } of due) {
      open.delete(`${key} ${end}`)
      writes.push({ clockMs: Math.min(clockMax, end + grace), key: name(key), timeMs: end })
    }
  }
  for (const { key, ts, name: row } of ticks) {
    timeMax = Math.max(timeMax, ts)
    watermark = Math.max(watermark, ts - DELAY)
    if (kind === 'table') writes.push({ clockMs: watermark, key, timeMs: row === 'z' ? undefined : ts })
    else if (kind === 'running') {
      newest.set(key, Math.max(newest.get(key) ?? ts, ts))
      writes.push({ clockMs: watermark, key: name(key), timeMs: newest.get(key)! })
    } else {
      close(watermark, watermark)
      const end = Math.floor(ts / SIZE) * SIZE + SIZE
      if (end + grace <= watermark) continue
      open.set(`${key} ${end}`, { key, end })
      if (kind === 'updates') writes.push({ clockMs: watermark, key: name(key), timeMs: end })
    }
  }
  close(Number.POSITIVE_INFINITY, timeMax)
  const totals = [...newest].sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [key, timeMs] of totals) writes.push({ clockMs: timeMax, key: name(key), timeMs })
  return [...writes, { clockMs: timeMax, key: '', timeMs: undefined }]
}

/** The same with what is removed: before each row, all that is due by then, in order. */
function oracle(ticks: readonly Tick[], shape: Shape): string[] {
  const keepMs = shape.kind === 'updates' || shape.kind === 'final' ? Math.max(shape.keep, shape.grace) : shape.keep
  const held = new Map<string, number>()
  const rows: string[] = []
  for (const { clockMs, key, timeMs } of writesOf(ticks, shape)) {
    const due = [...held].filter(([, time]) => time + keepMs < clockMs)
    due.sort(([a, timeA], [b, timeB]) => timeA - timeB || (a < b ? -1 : 1))
    for (const [one, time] of due) {
      held.delete(one)
      rows.push(`${one} expired @${time + keepMs}`)
    }
    if (key === '') break
    if (timeMs === undefined) held.delete(key)
    else held.set(key, timeMs)
    rows.push(`${key} ${timeMs === undefined ? 'gone' : 'row'}`)
  }
  return rows
}

function text({ key, value, timestampMs, headers }: Row): string {
  if (value !== undefined) return `${key} ${unpack(value) === undefined ? '?' : 'row'}`
  return headers['millrace-phase'] === 'expired' ? `${key} expired @${timestampMs}` : `${key} gone`
}

const ticks = fc
  .array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      ts: fc.nat(12),
      name: fc.constantFrom('x', 'y', 'z'),
    }),
    { minLength: 1, maxLength: 60, size: 'max' },
  )
  .map((list) => list.map((one, i) => ({ ...one, ts: one.ts + i * 3 + (i % 17 === 16 ? 40 : 0) })))
const shapes: fc.Arbitrary<Shape> = fc.record({
  kind: fc.constantFrom('updates', 'final', 'running', 'table'),
  keep: fc.integer({ min: 1, max: 60 }),
  grace: fc.nat(12),
  isNamed: fc.boolean(),
})
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

test('rows go when they are older than they are kept, whatever the frames, restarts and stores', async () => {
  await fc.assert(
    fc.asyncProperty(ticks, shapes, modes, async (list, shape, mode) => {
      const input = list.map((value) => ({ key: value.key, value }))
      const driven = await drive(build(shape), input, mode)
      expect(driven.rows.map(text)).toEqual(oracle(list, shape))
      // The totals of a running result stay, and nothing else.
      const totals = shape.kind === 'running' ? new Set(list.map(({ key }) => key)).size : 0
      expect(driven.stats.rowCount).toBeLessThanOrEqual(totals)
    }),
    { numRuns: 200 },
  )
})

/** Rows of panes, and rows of a running result of records that have moved: neither is driven through one lane above. */
const others = {
  panes: (keep: Duration): CompiledJob =>
    job('t')
      .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: ms(DELAY) }))
      .keyBy('key')
      .window('w', hopping('20ms', '5ms'))
      .aggregate({ n: count() })
      .toView('v', { emit: 'final', keep })
      .build(),
  moved: (keep: Duration): CompiledJob =>
    job('t')
      .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: ms(DELAY) }))
      .keyBy('name')
      .aggregate({ n: count() })
      .toView('v', { keep })
      .build(),
}

test.each(Object.entries(others))(
  '%s: the same rows go at the same places, however the records are cut',
  async (_, of) => {
    await fc.assert(
      fc.asyncProperty(ticks, fc.integer({ min: 1, max: 60 }), fc.nat(), async (list, keep, seed) => {
        const [whole, cut] = await Promise.all(
          [undefined, seed].map(async (one) => {
            const t = testJob(of(ms(keep)), one === undefined ? {} : { seed: one })
            t.send('in', ...list.map((value) => ({ value })))
            await t.end()
            expect(t.state()['view-v'] ?? []).toEqual([])
            return t.outputs().map(({ key, value, timestampMs }) => [key, value, timestampMs])
          }),
        )
        expect(cut).toEqual(whole)
        expect(whole!.length).toBeGreaterThan(0)
      }),
      { numRuns: 40 },
    )
  },
)
