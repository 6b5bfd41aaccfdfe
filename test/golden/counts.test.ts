// Golden tables of windows by count and of the global window. Holds SPEC: R3, R4, R6, R8, R9, WIN-8, WIN-9, EMIT-1, EMIT-2.
import { testJob } from 'millrace/test'
import { describe, expect, test } from 'vitest'
import { sinkRecords } from '../../src/core/frame.ts'
import { count, countWindow, custom, globalWindow, job, kafka, msgpack, sum, type WindowSpec } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { outputLine, rowWindows } from '../../src/testing/json-lines.ts'
import { drive, LaneDriver, type Row } from '../lane/lane-driver.ts'
import { fieldsOf, golden, type Tick, ticksOf } from './golden.ts'

type Emission = 'final' | 'updates' | { every: '10ms' }

/** An accumulator throws on it: the record is dead. */
const POISON = 99

const poisoned = custom<Tick, number, number>({
  init: () => 0,
  add: (state, { value }) => {
    if (value === POISON) throw new RangeError('poison')
    return state + value
  },
  merge: (a, b) => a + b,
  result: (state) => state,
})

function countJob(window: WindowSpec, emit: Emission = 'final', isPoisoned = false): CompiledJob {
  return job('g')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts', outOfOrder: '4ms' }))
    .keyBy('key')
    .window('w', window)
    .aggregate({ n: count(), v: isPoisoned ? poisoned : sum('value') })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

/** `a#0[10,15] n2 v7 @15`, with the Kafka timestamp; of rows that are not final with phase and rev. */
function text(row: Row): string {
  const { key, windowStart, windowEnd, n, v } = fieldsOf(row)
  const { 'millrace-id': id = '', 'millrace-phase': phase, 'millrace-rev': rev } = row.headers
  expect(id.startsWith(`w-aggregate:${key}`)).toBe(true)
  const bounds = windowStart === undefined ? '' : `[${windowStart},${windowEnd}]`
  const end = phase === 'final' ? `@${row.timestampMs}` : `${phase} ${rev}`
  return `${key}${id.slice(`w-aggregate:${key}:`.length)}${bounds} n${n} v${v} ${end}`
}

/*
 *   size 2       a ● ● ● ● ●         records of a key, in the order of the partition
 *                  └0┘ └1┘ └2        the last is not full: it has its row at the end of the input
 */
describe('windows of so many records', () => {
  golden(
    'are full in the order of the partition, by key, and those that are not go out at the end, by key',
    countJob(countWindow(2)),
    {
      input: 'b@10=1 a@11=2 b@12=4 c@13=8 b@14=16 a@15=32 a@16=64',
      rows: [
        ...['b#0[10,12] n2 v5 @12', 'a#0[11,15] n2 v34 @15'],
        ...['a#1[16,16] n1 v64 @16', 'b#1[14,14] n1 v16 @14', 'c#0[13,13] n1 v8 @13'],
      ],
    },
    text,
  )
  golden(
    'take records of any time: bounds and timestamp are their least and their greatest',
    countJob(countWindow(3)),
    { input: 'a@500=1 a@-3=2 a@20=4 a@7=8', rows: ['a#0[-3,500] n3 v7 @500', 'a#1[7,7] n1 v8 @7'] },
    text,
  )
  golden(
    'of one record are each its own row',
    countJob(countWindow(1)),
    { input: 'a@5=1 b@5=2 a@4=4', rows: ['a#0[5,5] n1 v1 @5', 'b#0[5,5] n1 v2 @5', 'a#1[4,4] n1 v4 @4'] },
    text,
  )
  golden(
    'do not count records that an accumulator threw on',
    countJob(countWindow(2), 'final', true),
    {
      input: 'a@1=99 a@2=1 a@3=99 a@4=2 a@5=99 a@6=4 b@7=99 a@8=99 a@9=8 c@9=3',
      rows: ['a#0[2,4] n2 v3 @4', 'a#1[6,9] n2 v12 @9', 'c#0[9,9] n1 v3 @9'],
      counts: { dead: 5 },
    },
    text,
  )
  golden(
    'give a row for each record with updates, that of the last one before the final row',
    countJob(countWindow(2), 'updates'),
    {
      input: 'a@10=1 a@12=2 a@13=4',
      rows: [
        ...['a#0[10,10] n1 v1 early 1', 'a#0[10,12] n2 v3 early 2', 'a#0[10,12] n2 v3 @12'],
        ...['a#1[13,13] n1 v4 early 1', 'a#1[13,13] n1 v4 @13'],
      ],
    },
    text,
  )
  golden(
    'give what changed at each tick with every, before the record that passes it',
    countJob(countWindow(3), { every: '10ms' }),
    {
      input: 'b@1=1 a@2=2 a@11=4 a@12=8 a@13=16 b@21=32',
      rows: [
        ...['a#0[2,2] n1 v2 early 1', 'b#0[1,1] n1 v1 early 1', 'a#0[2,12] n3 v14 @12'],
        ...['a#1[13,13] n1 v16 early 1', 'a#1[13,13] n1 v16 @13', 'b#0[1,21] n2 v33 @21'],
      ],
    },
    text,
  )
})

/*
 *   size 4, hop 2       record   0  1  2  3  4  5  6
 *                                ├── #0 ──┤
 *                                      ├── #1 ──┤
 *                                            ├── #2 ...      not full
 *                                                  ├ #3 ...
 */
describe('overlapping windows of so many records', () => {
  const input = 'a@1=1 a@2=2 A@2=1 a@3=4 a@4=8 a@5=16 a@6=32 a@7=64'
  const finals = [
    ...['a#0[1,4] n4 v15 @4', 'a#1[3,6] n4 v60 @6'],
    ...['A#0[2,2] n1 v1 @2', 'a#2[5,7] n3 v112 @7', 'a#3[7,7] n1 v64 @7'],
  ]
  golden('begin a hop apart, out of shared panes', countJob(countWindow(4, { hop: 2 })), { input, rows: finals }, text)
  golden(
    'give the same final rows where each has a row of its own',
    countJob(countWindow(4, { hop: 2 }), 'updates'),
    { input, rows: finals },
    (row) => (row.headers['millrace-phase'] === 'final' ? text(row) : undefined),
  )
  golden(
    'need no hop that divides the size',
    countJob(countWindow(5, { hop: 3 })),
    {
      input: 'a@1=1 a@2=2 a@3=4 a@4=8 a@5=16 a@6=32 a@7=64 a@8=128',
      rows: ['a#0[1,5] n5 v31 @5', 'a#1[4,8] n5 v248 @8', 'a#2[7,8] n2 v192 @8'],
    },
    text,
  )
  golden(
    'have a row for each window that a record is in, with updates, the oldest first',
    countJob(countWindow(3, { hop: 1 }), 'updates'),
    {
      input: 'a@1=1 a@2=2 a@3=4',
      rows: [
        ...['a#0[1,1] n1 v1 early 1', 'a#0[1,2] n2 v3 early 2', 'a#1[2,2] n1 v2 early 1'],
        ...['a#0[1,3] n3 v7 early 3', 'a#1[2,3] n2 v6 early 2', 'a#2[3,3] n1 v4 early 1', 'a#0[1,3] n3 v7 @3'],
        ...['a#1[2,3] n2 v6 @3', 'a#2[3,3] n1 v4 @3'],
      ],
    },
    text,
  )
  const dead = { input: 'a@1=99 a@2=1 a@3=99 a@4=2 a@5=4 a@6=99 a@7=8', counts: { dead: 3 } }
  const rows = ['a#0[2,4] n2 v3 @4', 'a#1[4,5] n2 v6 @5', 'a#2[5,7] n2 v12 @7', 'a#3[7,7] n1 v8 @7']
  const hop = countWindow(2, { hop: 1 })
  golden('do not count dead records in panes', countJob(hop, 'final', true), { ...dead, rows }, text)
  golden('do not count dead records in rows of their own', countJob(hop, 'updates', true), { ...dead, rows }, (row) =>
    row.headers['millrace-phase'] === 'final' ? text(row) : undefined,
  )
})

describe('the global window', () => {
  const input = 'b@10=1 a@500=2 b@-3=4'
  golden(
    'has one final row for each key, at the end of the input',
    countJob(globalWindow()),
    { input, rows: ['a n1 v2 @500', 'b n2 v5 @10'] },
    text,
  )
  golden(
    'has early rows with updates, and the final one',
    countJob(globalWindow(), 'updates'),
    {
      input,
      rows: ['b n1 v1 early 1', 'a n1 v2 early 1', 'b n2 v5 early 2', 'a n1 v2 @500', 'b n2 v5 @10'],
    },
    text,
  )
  golden(
    'has early rows with every, and the final one',
    countJob(globalWindow(), { every: '10ms' }),
    { input: 'b@1=1 a@12=2 b@13=4', rows: ['b n1 v1 early 1', 'a n1 v2 @12', 'b n2 v5 @13'] },
    text,
  )
  golden(
    'does not have keys of which every record is dead',
    countJob(globalWindow(), 'final', true),
    { input: 'a@1=99 b@2=1', rows: ['b n1 v1 @2'], counts: { dead: 1 } },
    text,
  )
})

test.each([
  ['by count', countWindow(2)],
  ['by count that overlap', countWindow(3, { hop: 2 })],
  ['for all time', globalWindow()],
])('after the end of the input records are late for windows %s, also after a restart', async (_, window) => {
  const driver = new LaneDriver(countJob(window))
  await driver.open()
  await driver.send(ticksOf('a@1'))
  await driver.end()
  await driver.commit()
  await driver.send(ticksOf('a@2'))
  await driver.commit()
  await driver.restart('changelog')
  await driver.send(ticksOf('b@3'))
  await driver.end()
  await driver.close()
  const late = driver.rows.filter(({ topic }) => topic === 'late')
  expect(driver.rows.map(({ topic }) => topic)).toEqual(['out', 'late', 'late'])
  expect(Object.keys(late[0]!.headers)).not.toContain('millrace-late-window-end')
  expect(late[0]!.headers).toMatchObject({ 'millrace-late-watermark': 'Infinity', 'millrace-late-by': 'Infinity' })
})

test('a key keeps its place in its window until the input ends', async () => {
  const { rows, stats } = await drive(countJob(countWindow(2)), ticksOf('a@1 a@2 b@3'), { isEnded: false })
  expect(rows.map(text)).toEqual(['a#0[1,2] n2 v2 @2'])
  expect([stats.rowCount, stats.keyCount]).toEqual([2, 2])
})

test('the state of a test names no end of a window that has none yet', async () => {
  const t = testJob(countJob(globalWindow()))
  t.send('in', { value: { key: 'a', ts: 1, value: 1 } })
  await t.flush()
  expect(t.state()).toMatchObject({ 'w-aggregate': [{ key: 'a', windowEndMs: undefined }] })
  await t.end()
})

test.each([
  ['by count', countWindow(1), { windowStart: 1, windowEnd: 1 }],
  ['for all time', globalWindow(), {}],
])('lines of millrace test have the bounds that a row of a window %s says', async (_, window, bounds) => {
  const counted = countJob(window)
  const t = testJob(counted)
  t.send('in', { value: { key: 'a', ts: 1, value: 1 } })
  await t.end()
  const [row] = t.outputs<object>('out')
  const lineOf = (value: object): object =>
    JSON.parse(outputLine({ kind: 'row', row: { ...row!, value } }, rowWindows(counted)))
  const { windowStart, windowEnd } = lineOf(row!.value) as { windowStart?: number; windowEnd?: number }
  expect({ windowStart, windowEnd }).toEqual({ windowStart: undefined, windowEnd: undefined, ...bounds })
  expect(Object.keys(lineOf({ n: 1 }))).not.toContain('windowStart')
})

test('records that dedup drops are not counted', async () => {
  const deduped = job('g')
    .from(kafka('in', { value: msgpack<Tick>(), key: 'key', eventTime: 'ts' }))
    .keyBy('key')
    .dedup('value', { within: '1h' })
    .window('w', countWindow(2))
    .aggregate({ n: count(), v: sum('value') })
    .to(kafka('out', { value: msgpack() }))
    .build()
  const driven = await drive(deduped, ticksOf('a@1=1 a@2=1 a@3=2 a@4=2 a@5=3'), {
    frameRecords: 1,
    restart: 'changelog',
  })
  expect(driven.rows.map(text)).toEqual(['a#0[1,3] n2 v3 @3', 'a#1[5,5] n1 v3 @5'])
  expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
})

test('a record changes the pane that it is in, not each of the windows', async () => {
  const driver = new LaneDriver(countJob(countWindow(50, { hop: 1 })))
  await driver.open()
  await driver.send(ticksOf('a@1 '.repeat(70)))
  await driver.commit()
  await driver.send(ticksOf('a@1'))
  const sealed = await driver.ask({ op: 'seal', epoch: 1, attempt: 0 })
  // The pane, that which is free again, the head of the key, and the marker.
  expect(sealed.op === 'seal' && sinkRecords(sealed.out!).length).toBeLessThanOrEqual(4)
  await driver.close()
})
