// Golden tables of several topics: what is read of which, in this order, then the rows that must come out. Each table runs in every
// mode of the engine: read one by one, by twos, and as far as topics go; restarts and deaths after each and after every second
// record; memory and LMDB; scanned and decoded; one of three partitions.
import { type CrashStep, type TestJob, type TestJobOptions, testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import { json, msgpack } from '../../src/index.ts'
import type { Format } from '../../src/job/format.ts'
import type { CompiledJob } from '../../src/job/plan.ts'

/** What the topics have: the letter of a topic is its name. */
export interface Line {
  key: string
  v: number
}

export interface GoldenTopics {
  /** `c:a@12=3`: topic, key, Kafka timestamp, value; `-` is none. */
  input: string
  /** `a@12 3+1`: key, Kafka timestamp, what the row's `text` says; `-` is none. In the order in which they are produced. */
  rows: string[]
  /** Where they are written. Default: `out`. */
  topic?: string
  /** As the input says them, without the topic. */
  late?: string[]
  filtered?: number
  /** Keys of the rows that are left when the input has ended, by key bytes. Default: none. */
  state?: string[]
}

interface Mode {
  options?: TestJobOptions
  format?: () => Format<Line>
  /** Records between two acts. */
  every?: number
  act?: (t: TestJob) => Promise<void>
}

const LMDB = { store: 'lmdb' } as const
const SPREAD = { partitions: 3, lanes: 2 } as const
const flush = (t: TestJob): Promise<void> => t.flush()
const restart = (t: TestJob): Promise<void> => t.restart()
function dies(step: CrashStep): (t: TestJob) => Promise<void> {
  return (t) => {
    t.crashAt(step)
    return t.flush()
  }
}

const MODES: [name: string, mode: Mode][] = [
  ['read as far as topics go', {}],
  ['decoded', { format: json<Line> }],
  ['two at a time', { every: 2, act: (t) => t.process() }],
  ['one at a time, committed', { every: 1, act: flush }],
  ['one at a time, decoded, committed at the end', { format: json<Line>, every: 1, act: (t) => t.process() }],
  ['started anew after each, from the changelog', { every: 1, act: restart }],
  ['started anew after every second, from the changelog', { every: 2, act: restart }],
  ['started anew after each, from LMDB', { options: LMDB, every: 1, act: restart }],
  ['dead after each, its commit lost', { every: 1, act: dies('commit-lost') }],
  ['dead after every second, its commit done', { options: LMDB, every: 2, act: dies('answer-lost') }],
  [
    // A second is longer than from one write of the store to the next, after which rows may leave memory.
    'nothing stays in memory',
    { options: { ...LMDB, limits: { stateMemoryBytesMax: 1 } }, every: 1, act: (t) => t.advanceWall(1_100) },
  ],
  ['one of three partitions', { options: SPREAD }],
  ['one of three partitions, moved to and fro', { options: SPREAD, every: 1, act: (t) => t.rebalance() }],
]

/** Runs a table in every mode. `jobOf`: the job over values in a format; its streams take the times of the records. */
export function goldenTopics(
  title: string,
  jobOf: (value: Format<Line>) => CompiledJob,
  table: GoldenTopics,
  textOf: (row: { text: string } | undefined) => string = (row) => row?.text ?? '-',
): void {
  const input = table.input.trim().split(/\s+/)
  test.each(MODES)(`${title}: %s`, async (_, { options = {}, format = msgpack<Line>, every = 0, act }) => {
    const t = testJob(jobOf(format()), options)
    try {
      for (const [i, word] of input.entries()) {
        send(t, word, options.partitions === undefined ? 0 : 1)
        if (act !== undefined && (i + 1) % every === 0) await act(t)
      }
      await t.end()
      const rows = t
        .outputs<{ text: string }>(table.topic ?? 'out')
        .map((row) => `${row.key}@${row.timestampMs} ${textOf(row.value)}`)
      expect(rows).toEqual(table.rows)
      const late = t.late<Line>().map((one) => `${one.key}@${one.timestampMs}=${one.value?.v ?? '-'}`)
      expect(late).toEqual(table.late ?? [])
      expect(t.counts).toMatchObject({
        in: input.length,
        dead: 0,
        late: late.length,
        filtered: table.filtered ?? 0,
        results: rows.length,
      })
      expect(Object.values(t.state()).flatMap((of) => of.map(({ key }) => key))).toEqual(table.state ?? [])
    } finally {
      await t.close()
    }
  })
}

function send(t: TestJob, word: string, partition: number): void {
  const [, topic = '', key = '', at, v] = /^(\w):(\w+)@(\d+)=(-|\d+)$/.exec(word)!
  t.send(topic, { key, value: v === '-' ? undefined : { key, v: Number(v) }, timestampMs: Number(at), partition })
}
