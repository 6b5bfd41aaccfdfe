// Golden tables of jobs of two streams: records of both as one text, in the order in which they are read. Each table runs in every mode
// of golden.ts.
import { type CrashStep, testJob } from 'millrace/test'
import { pack } from 'msgpackr'
import { expect, test } from 'vitest'
import type { CompiledJob } from '../../src/job/plan.ts'
import type { Row } from '../lane/lane-driver.ts'
import { driveStreams, type StreamRecord } from '../lane/streams-driver.ts'
import { FRAMES, RESTARTS, type Tick, ticksOf } from './golden.ts'

/** Whether the engine dies in the commit of each record: what is read anew is one record, so that the streams meet as they did. */
const ENGINES: [name: string, crash: CrashStep | undefined][] = [
  ['committed after each', undefined],
  ['dead after each, its commit lost', 'commit-lost'],
  ['dead after each, its commit done', 'answer-lost'],
]

export interface GoldenStreams {
  /** `l:a@12=3`: topic, key, event time, value; in the order in which they are read. */
  input: string
  /** Rows as `text` gives them, in the order that they are written. */
  rows: string[]
  /** Records of topic `late`, likewise: where they are among the rows of other topics is not promised. */
  late?: string[]
  /** Counts of the job, 0 where not told; `accepted` is what is left. */
  expanded?: number
  filtered?: number
}

/** Runs a table in every mode. `text`: a row of any topic as the table has it, undefined to leave it out. */
export function goldenStreams(
  title: string,
  job: CompiledJob,
  table: GoldenStreams,
  text: (row: Row) => string | undefined,
): void {
  const input = recordsOf(table.input)
  const { late: lateRows = [], expanded = 0, filtered = 0 } = table
  const late = lateRows.length
  const accepted = input.length + expanded - late - filtered
  const counts = { in: input.length, expanded, accepted, late, filtered, dead: 0 }
  test.each([...FRAMES, ...RESTARTS])(`${title}: %s`, async (_, options) => {
    const driven = await driveStreams(job, input, options)
    const isLate = ({ topic }: Row): boolean => topic === 'late'
    const rows = [...driven.rows.filter((row) => !isLate(row)), ...driven.rows.filter(isLate)]
    expect(rows.flatMap((row) => text(row) ?? [])).toEqual([...table.rows, ...lateRows])
    expect(driven.counts).toMatchObject(counts)
    expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
  })

  test.each(ENGINES)(`${title}: one of three partitions, %s`, async (_, crash) => {
    const t = testJob(job, { partitions: 3, lanes: 2 })
    for (const { topic, value } of input) {
      t.send(topic, { value, partition: 1 })
      if (crash !== undefined) t.crashAt(crash)
      await t.flush()
    }
    await t.end()
    const rows = [...t.outputs(), ...t.late()].map((row) => ({ ...row, value: pack(row.value) }))
    expect(rows.flatMap((row) => text(row) ?? [])).toEqual([...table.rows, ...lateRows])
    expect(t.counts).toMatchObject(counts)
    expect(Object.values(t.state()).flat()).toEqual([])
  })
}

function recordsOf(text: string): StreamRecord[] {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [topic = '', tick = ''] = word.split(':')
      const [record] = ticksOf(tick)
      return { ...record!, topic, timestampMs: (record!.value as Tick).ts }
    })
}
