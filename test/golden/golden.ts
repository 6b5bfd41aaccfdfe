// Golden tables: records as text, the time axis drawn beside them, the rows that must come out last. Each table runs in every
// mode: frames of 1, 2 and all; a restart never, after each and after every second record; memory and LMDB; and through the whole
// engine on one of three partitions, committed after each record or dying there.
import { type CrashStep, testJob } from 'millrace/test'
import { pack, unpack } from 'msgpackr'
import { expect, test } from 'vitest'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type InputRecord, type Row } from '../lane/lane-driver.ts'

/** What the jobs of golden tables read. */
export interface Tick {
  key: string
  ts: number
  value: number
}

export const FRAMES: [name: string, options: DriveOptions][] = [
  ['all in one frame', {}],
  ['two a frame', { frameRecords: 2 }],
  ['one a frame', { frameRecords: 1 }],
  ['every record decoded', { path: 'free', frameRecords: 2 }],
]
export const RESTARTS: [name: string, options: DriveOptions][] = [
  ['after each, from the changelog', { frameRecords: 1, restart: 'changelog' }],
  ['after every second, from the changelog', { frameRecords: 2, restart: 'changelog' }],
  ['after each, from LMDB', { frameRecords: 1, restart: 'store', store: 'lmdb' }],
  ['after every second, LMDB lost', { frameRecords: 2, restart: 'changelog', store: 'lmdb' }],
  [
    'never, nothing stays in memory',
    { store: 'lmdb', flushEach: true, frameRecords: 1, limits: { stateMemoryBytesMax: 1 } },
  ],
]

/** After how many records the engine commits, and whether it dies in that commit. */
export const ENGINES: [name: string, every: number, crash: CrashStep | undefined][] = [
  ['committed after each', 1, undefined],
  ['dead after every second, its commit lost', 2, 'commit-lost'],
  ['dead after every second, its commit done', 2, 'answer-lost'],
]

export interface Golden {
  /** `a@12=3`: key, event time, value; in the order of the partition. */
  input: string
  /** Rows as `text` gives them, in the order that they are written. */
  rows: string[]
  /** Where they are written. Default: `out`. */
  topic?: string
  /** Counts that are not those of records accepted. */
  counts?: { late?: number; refused?: number; dead?: number; expanded?: number }
}

/** Runs a table in every mode. `text`: a row of the topic as the table has it, undefined to leave it out. */
export function golden(title: string, job: CompiledJob, table: Golden, text: (row: Row) => string | undefined): void {
  const input = ticksOf(table.input)
  const { late = 0, refused = 0, dead = 0, expanded = 0 } = table.counts ?? {}
  const { topic = 'out' } = table
  test.each([...FRAMES, ...RESTARTS])(`${title}: %s`, async (_, options) => {
    const driven = await drive(job, input, options)
    expect(rowsOf(driven, topic).flatMap((row) => text(row) ?? [])).toEqual(table.rows)
    const accepted = input.length + expanded - late - dead
    expect(driven.counts).toMatchObject({ in: input.length, expanded, accepted, late, refused, dead })
    expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
  })

  test.each(ENGINES)(`${title}: one of three partitions, %s`, async (_, every, crash) => {
    const t = testJob(job, { partitions: 3, lanes: 2 })
    for (const [i, { value }] of input.entries()) {
      t.send('in', { value, partition: 1 })
      if ((i + 1) % every !== 0) continue
      if (crash !== undefined) t.crashAt(crash)
      await t.flush()
    }
    await t.end()
    const rows = t.outputs(topic).map((row) => text({ ...row, value: row.value && pack(row.value) }))
    expect(rows.filter((row) => row !== undefined)).toEqual(table.rows)
    expect(t.counts).toMatchObject({ in: input.length, late, refused, dead })
    expect(Object.values(t.state()).flat()).toEqual([])
  })
}

export function ticksOf(text: string): InputRecord[] {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [, key = '', ts, value = '1'] = /^(\w+)@(-?\d+)(?:=(-?\d+))?$/.exec(word)!
      return { key, value: { key, ts: Number(ts), value: Number(value) } satisfies Tick }
    })
}

function rowsOf({ rows }: Driven, topic: string): Row[] {
  return rows.filter((row) => row.topic === topic)
}

/** The fields of a row. */
export function fieldsOf(row: Row): Record<string, unknown> {
  return unpack(row.value!) as Record<string, unknown>
}
