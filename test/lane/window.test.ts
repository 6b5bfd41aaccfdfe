// Golden tables of the windowed aggregate, each in every mode: frame sizes, restarts, stores. The time axis is drawn.
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { count, first, job, kafka, last, max, min, msgpack, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type Driven, type DriveOptions, drive, type InputRecord } from './lane-driver.ts'

interface Trade {
  sym: string
  price: number
  qty: number
  ts: number
}

/** 10 ms windows, 5 ms out of order, 2 ms of grace. */
function windowJob(emit: 'final' | 'updates'): CompiledJob {
  return job('w')
    .from(kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '5ms' }))
    .keyBy('sym')
    .window('w10', tumbling('10ms', { grace: '2ms' }))
    .aggregate({
      open: first('price'),
      high: max('price'),
      low: min('price'),
      close: last('price'),
      v: sum('qty'),
      n: count(),
    })
    .late(kafka('late'))
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

/** `A@12=3`: symbol, event time, price. */
function trades(...texts: string[]): InputRecord[] {
  return texts.map((text) => {
    const [, sym, ts, price] = /^(\w+)@(-?\d+)=(.+)$/.exec(text)!
    return { key: sym!, value: { sym, price: Number(price), qty: 2, ts: Number(ts) } }
  })
}

/** Rows as text: `A[10,20) open high low close n`, in the order they were written. */
function finals(driven: Driven): string[] {
  return driven.rows
    .filter((row) => row.topic === 'out' && row.headers['millrace-phase'] === 'final')
    .map((row) => {
      const v = unpack(row.value!) as Record<string, number>
      return `${v.sym}[${v.windowStart},${v.windowEnd}) ${v.open} ${v.high} ${v.low} ${v.close} n${v.n}`
    })
}

const MODES: [name: string, options: DriveOptions][] = [
  ['all in one frame', {}],
  ['one a frame', { frameRecords: 1 }],
  ['three a frame', { frameRecords: 3 }],
  ['a restart from the changelog after each', { frameRecords: 1, restart: 'changelog' }],
  ['a restart from LMDB after each', { frameRecords: 2, restart: 'store', store: 'lmdb' }],
  ['LMDB lost after each', { frameRecords: 3, restart: 'changelog', store: 'lmdb' }],
  ['every record decoded', { path: 'free', frameRecords: 2 }],
]

/*
 *  0         10        20        30      event time; [0,10) closes at watermark 12 = event time 17
 *  ├─────────┼─────────┼─────────┤
 */
const GOLDEN: [name: string, input: InputRecord[], rows: string[], late: number][] = [
  ['one window, closed at the end of input', trades('A@1=5', 'A@3=9', 'A@2=1'), ['A[0,10) 5 9 1 9 n3'], 0],
  ['first and last go by event time', trades('A@5=5', 'A@2=2', 'A@8=8', 'A@7=7'), ['A[0,10) 2 8 2 8 n4'], 0],
  [
    'equal times: first keeps the earlier place, last takes the later',
    trades('A@4=1', 'A@4=2'),
    ['A[0,10) 1 2 1 2 n2'],
    0,
  ],
  [
    'a record at the end belongs to the next window',
    trades('A@9=1', 'A@10=2'),
    ['A[0,10) 1 1 1 1 n1', 'A[10,20) 2 2 2 2 n1'],
    0,
  ],
  [
    'event time 16 leaves [0,10) open',
    trades('A@1=1', 'B@16=2', 'A@2=3'),
    ['A[0,10) 1 3 1 3 n2', 'B[10,20) 2 2 2 2 n1'],
    0,
  ],
  [
    'event time 17 closes it: the next record is late',
    trades('A@1=1', 'B@17=2', 'A@2=3'),
    ['A[0,10) 1 1 1 1 n1', 'B[10,20) 2 2 2 2 n1'],
    1,
  ],
  [
    'a jump closes many windows, ends ascending and keys in byte order',
    trades('b@11=1', 'a@12=2', 'B@1=3', 'a@2=4', 'C@500=5'),
    ['B[0,10) 3 3 3 3 n1', 'a[0,10) 4 4 4 4 n1', 'a[10,20) 2 2 2 2 n1', 'b[10,20) 1 1 1 1 n1', 'C[500,510) 5 5 5 5 n1'],
    0,
  ],
  [
    'times before 1970 have windows too',
    trades('A@-1=1', 'A@-10=2', 'A@0=3'),
    ['A[-10,0) 2 2 1 1 n2', 'A[0,10) 3 3 3 3 n1'],
    0,
  ],
]

describe.each(MODES)('windows, %s', (_mode, options) => {
  test.each(GOLDEN)('%s', async (_name, input, rows, late) => {
    const driven = await drive(windowJob('final'), input, options)
    expect(finals(driven)).toEqual(rows)
    expect(driven.counts).toMatchObject({ in: input.length, accepted: input.length - late, late, dead: 0, filtered: 0 })
    expect(driven.rows.filter((row) => row.topic === 'late')).toHaveLength(late)
    // Everything is closed: nothing may be left behind.
    expect(driven.stats).toMatchObject({ rowCount: 0, evictedRowCount: 0 })
  })

  test('update mode emits one row a changing record, then the final one, and revs grow by one', async () => {
    const driven = await drive(windowJob('updates'), trades('A@1=1', 'A@2=2', 'B@3=3', 'A@30=4'), options)
    const seen = driven.rows.map(({ headers: h }) => `${h['millrace-id']} ${h['millrace-phase']} ${h['millrace-rev']}`)
    expect(seen).toEqual([
      'w10-aggregate:A:0 early 1',
      'w10-aggregate:A:0 early 2',
      'w10-aggregate:B:0 early 1',
      'w10-aggregate:A:0 final 3',
      'w10-aggregate:B:0 final 2',
      'w10-aggregate:A:30 early 1',
      'w10-aggregate:A:30 final 2',
    ])
  })
})

test('a final row is stamped end - 1 ms, an early one with the greatest event time of its row', async () => {
  const driven = await drive(windowJob('updates'), trades('A@4=1', 'A@2=1'))
  expect(driven.rows.map((row) => row.timestampMs)).toEqual([4, 4, 9])
})

test.each([
  ['end', 9],
  ['max', 4],
  ['start', 0],
] as const)('resultTime %s stamps a final row %i', async (resultTime, timestampMs) => {
  const compiled = job('w')
    .from(kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' }))
    .keyBy('sym')
    .window('w10', tumbling('10ms'))
    .aggregate({ n: count() })
    .to(kafka('out', { resultTime }))
    .build()
  const driven = await drive(compiled, trades('A@4=1', 'A@2=1'))
  expect(driven.rows.map((row) => row.timestampMs)).toEqual([timestampMs])
})

test('a late record goes on as it came, with its window, the watermark and the lateness', async () => {
  const [first, second, late] = trades('A@1=1', 'B@30=2', 'A@2=3')
  const headers = [{ name: 'own', value: Uint8Array.of(0x31) }]
  const driven = await drive(windowJob('final'), [first!, second!, { ...late!, timestampMs: 77, headers }])
  const row = driven.rows.find(({ topic }) => topic === 'late')!
  expect(row).toMatchObject({ key: 'A', timestampMs: 77 })
  expect(unpack(row.value!)).toEqual(late!.value)
  expect(row.headers).toEqual({
    'millrace-late-window-start': '0',
    'millrace-late-window-end': '10',
    'millrace-late-watermark': '25',
    'millrace-late-by': '13',
    'millrace-source-topic': 'trades',
    'millrace-source-partition': '3',
    'millrace-source-offset': '2',
    own: '1',
  })
})

test('records after the end of input are late, and a second end changes nothing', async () => {
  const { LaneDriver } = await import('./lane-driver.ts')
  const driver = new LaneDriver(windowJob('final'))
  await driver.open()
  await driver.send(trades('A@1=1'))
  await driver.end()
  await driver.commit()
  await driver.restart('changelog')
  expect((await driver.send(trades('A@99=1'))).counts).toMatchObject({ in: 1, late: 1 })
  expect((await driver.end()).out).toBeUndefined()
  await driver.commit()
  expect(driver.position).toMatchObject({ isEnded: true, watermarkMs: Number.POSITIVE_INFINITY, inputOffset: 2 })
  await driver.close()
})
