// `millrace test`: lines in, lines out, in this process. Holds SPEC: TEST-7.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { sliceLine } from 'millrace/test'
import { afterAll, expect, test } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-lines-'))
afterAll(() => rmSync(folder, { recursive: true }))
const candles = resolve(import.meta.dirname, '../harness/candles-job.ts')

async function called(job: string, ...flags: string[]) {
  const written = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[name] += text
    },
  })
  const code = await runCli(['test', job, ...flags], { stdout: stream('stdout'), stderr: stream('stderr') }, {})
  return { code, ...written }
}

const played = (lines: readonly object[], ...flags: string[]) => playedBy(candles, lines, ...flags)

async function playedBy(job: string, lines: readonly object[], ...flags: string[]) {
  const input = join(folder, 'in.jsonl')
  writeFileSync(input, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
  const { code, stdout, stderr } = await called(job, '--input', input, '--json', ...flags)
  const out = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  return { code, stderr, rows: out.slice(0, -1), summary: out.at(-1) }
}

const trade = (ts: number, price: number, more: object = {}) => ({
  topic: 'trades',
  key: 'A',
  value: { sym: 'A', price, qty: 1, ts },
  timestamp: ts,
  ...more,
})
const finals = (rows: { topic: string }[]) => rows.filter(({ topic }) => topic === 'candles-1s')

test('rows come with window and phase, late records with how late, dead ones with why; the last line is the summary', async () => {
  const { code, rows, summary } = await played([
    trade(500, 10),
    trade(4_000, 11),
    trade(600, 99, { headers: { trace: 'x' } }),
    { topic: 'trades', key: 'A', value: null, timestamp: 4_000 },
    { end: true },
  ])
  expect(code).toBe(0)
  expect(finals(rows)).toMatchObject([
    { kind: 'row', key: 'A', phase: 'final', windowStart: 0, windowEnd: 1_000, timestamp: 999, value: { open: 10 } },
    { kind: 'row', key: 'A', phase: 'final', windowStart: 4_000, windowEnd: 5_000, timestamp: 4_999 },
  ])
  expect(rows[0]).toMatchObject({ topic: 'candles-view-candles', phase: 'early', windowStart: 0, windowEnd: 1_000 })
  expect(rows.filter(({ kind }) => kind === 'late')).toMatchObject([
    {
      ...{
        topic: 'candles-late',
        value: { price: 99 },
        windowStart: 0,
        windowEnd: 1_000,
        watermark: 2_000,
        lateBy: 500,
      },
      headers: { trace: 'x' },
    },
  ])
  expect(rows.filter(({ kind }) => kind === 'dead')).toMatchObject([
    { code: 'MR2011', value: null, source: { topic: 'trades', partition: 0, offset: 3 } },
  ])
  expect(summary).toMatchObject({
    ...{ command: 'test', job: 'candles', records: 4, rows: 6, late: 1, dead: 1, watermarkMs: null },
    counts: { in: 4, accepted: 2, late: 1, dead: 1 },
    state: { '1s-aggregate': 0 },
  })
})

test('steps take effect in their place: event time that is told closes a window before the next record', async () => {
  const { rows, summary } = await played([
    trade(500, 10),
    { advanceToMs: 1_500 },
    trade(600, 99),
    { advanceWallMs: 60_000 },
    { flush: true },
  ])
  expect(finals(rows)).toMatchObject([{ windowStart: 0, value: { n: 1 } }])
  expect(summary).toMatchObject({ late: 1, watermarkMs: 1_500 })
})

test('a final row may wait for the end of what is processed together; with --each and --commit-each it comes before the next record', async () => {
  const job = join(folder, 'job.ts')
  const text = `import { count, job, json, kafka, tumbling } from 'millrace'
    export default job('counts')
      .from(kafka('trades', { value: json<{ sym: string; ts: number }>(), key: 'sym', eventTime: 'ts' }))
      .keyBy('sym').window('1s', tumbling('1s')).aggregate({ n: count() })
      .late(kafka('late')).to(kafka('rows', { value: json() }))`
  writeFileSync(job, text)
  const lines = [trade(500, 10), trade(4_000, 11), trade(600, 12)]
  const kinds = async (...flags: string[]) =>
    (await playedBy(job, lines, ...flags)).rows.map(({ kind }: { kind: string }) => kind)
  expect(await kinds()).toEqual(['late', 'row'])
  expect(await kinds('--each')).toEqual(['row', 'late'])
  expect(await kinds('--commit-each')).toEqual(['row', 'late'])
})

test.each([
  ["tumbling('1s')", [[0, 1_000]]],
  [
    "hopping('2s', '1s')",
    [
      [-1_000, 1_000],
      [0, 2_000],
    ],
  ],
  [
    "cumulate('2s', '1s')",
    [
      [0, 1_000],
      [0, 2_000],
    ],
  ],
  ["calendar('month', { timeZone: 'Europe/Berlin' })", [[-3_600_000, 31 * 86_400_000 - 3_600_000]]],
  ["sliding('2s')", [[-1_500, 500]]],
])('rows of %s have their window, also where their value does not say it', async (window, bounds) => {
  const job = join(folder, `job-${window.replaceAll(/\W/g, '')}.ts`)
  const text = `import { calendar, count, cumulate, hopping, job, json, kafka, sliding, tumbling } from 'millrace'
    export default job('counts')
      .from(kafka('trades', { value: json<{ sym: string; ts: number }>(), key: 'sym', eventTime: 'ts' }))
      .keyBy('sym').window('w', ${window}).aggregate({ n: count() })
      .map(({ n }) => ({ n })).to(kafka('rows', { value: json() }))`
  writeFileSync(job, text)
  const { rows, summary } = await playedBy(job, [trade(500, 10), { flush: true }, { end: true }])
  expect(rows.map(({ windowStart, windowEnd }) => [windowStart, windowEnd])).toEqual(bounds)
  expect(rows.map(({ value }) => value)).toEqual(bounds.map(() => ({ n: 1 })))
  expect(summary.state).toEqual({ 'w-aggregate': 0 })
})

test('on partitions and lanes, and cut by a seed, the rows are the same', async () => {
  const lines = [trade(500, 10), { ...trade(700, 5), partition: 0 }, trade(4_000, 11), trade(5_000, 12), { end: true }]
  const plain = await played(lines)
  const cut = await played(lines, '--seed', '3', '--lanes', '2')
  expect(finals(cut.rows)).toEqual(finals(plain.rows))
  expect(finals(plain.rows)).toHaveLength(3)
})

test('records of a captured slice are lines too', async () => {
  const record = {
    ...{ topic: 'trades', partition: 0, offset: 17, timestampMs: 500, headers: [] },
    ...{ key: new TextEncoder().encode('A'), value: Uint8Array.of(0xc1) },
  }
  const { rows } = await played([JSON.parse(sliceLine(record))])
  expect(rows).toMatchObject([{ kind: 'dead', value: { base64: 'wQ==' }, source: { offset: 17 } }])
})

test.each([
  [[trade(1, 1), { flush: 1 }], 'Line 2 of the input is not valid: flush is not true'],
  [[{ topic: 'orders', value: {} }], 'the job reads trades, not orders'],
  [[{ ...trade(1, 1), vale: 1 }], 'there is no field vale (did you mean value?)'],
  [[{ topic: 'trades', key: 'A' }], 'value is missing; null is a tombstone'],
  [[trade(1, 1, { partition: 1 })], 'partition 1 is not one of 1'],
  [[trade(1.5, 1)], 'timestamp is no whole number'],
])('a line that says nothing there is is refused with its number: %j', async (lines, words) => {
  const { code, stderr, summary } = await played(lines)
  expect(code).toBe(2)
  expect(summary).toMatchObject({ command: 'test', error: { code: 'MR3007' } })
  expect(stderr).toContain(words)
})

test('an input that is not there is refused', async () => {
  const { code, stderr } = await called(candles, '--input', join(folder, 'none'))
  expect(code).toBe(2)
  expect(stderr).toContain('ENOENT')
})
