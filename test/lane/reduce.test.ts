// reduce: rows that are records, running and in windows, in every mode. Holds SPEC: REDUCE-1, REDUCE-2, R9, R10, ERR-3.
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import {
  count,
  countWindow,
  globalWindow,
  hopping,
  job,
  json,
  kafka,
  last,
  msgpack,
  session,
  tumbling,
  type WindowSpec,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { testJob } from '../../src/testing/index.ts'
import { type Driven, type DriveOptions, drive, type InputRecord } from './lane-driver.ts'

interface Reading {
  sensor: string
  celsius: number
  ts: number
  seen: number
}

const source = kafka('readings', { value: msgpack<Reading>(), key: 'sensor', eventTime: 'ts', outOfOrder: '5ms' })
const keyed = job('r').from(source).keyBy('sensor')

/** `a@12=3`: sensor, event time, degrees. */
function readings(text: string): InputRecord[] {
  return text.split(' ').map((word) => {
    const [, sensor, ts, celsius] = /^(\w+)@(\d+)=(-?\d+)$/.exec(word)!
    return { key: sensor!, value: { sensor, celsius: Number(celsius), ts: Number(ts), seen: 1 } }
  })
}

/** The hotter one, and how many it was made of. */
function hotter(before: Reading, reading: Reading): Reading {
  if (reading.celsius === 99) throw new RangeError('no such temperature')
  return { ...(reading.celsius > before.celsius ? reading : before), seen: before.seen + reading.seen }
}

/** `a=3 at 7 of 2, early#1 @12`: the row, of how many it is made, phase and rev, Kafka timestamp. */
function seen(driven: Driven): string[] {
  return driven.rows.map(({ key, value, headers: h, timestampMs }) => {
    const { sensor, celsius, ts, seen } = unpack(value!) as Reading
    expect(sensor).toBe(key)
    return `${key}=${celsius} at ${ts} of ${seen}, ${h['millrace-phase']}#${h['millrace-rev']} @${timestampMs}`
  })
}

const MODES: [name: string, options: DriveOptions][] = [
  ['all in one frame', {}],
  ['one a frame', { frameRecords: 1 }],
  ['every record decoded', { path: 'free', frameRecords: 2 }],
  ['a restart from the changelog after each', { frameRecords: 1, restart: 'changelog' }],
  ['a restart from LMDB after each', { frameRecords: 2, restart: 'store', store: 'lmdb' }],
  ['nothing stays in memory', { frameRecords: 1, store: 'lmdb', flushEach: true, limits: { stateMemoryBytesMax: 1 } }],
]

describe.each(MODES)('reduce, %s', (_mode, options) => {
  test('gives a record for each that changes it: the first as it came, then what the function made', async () => {
    const built = keyed.reduce(hotter).to(kafka('out')).build()
    const driven = await drive(built, readings('a@10=3 b@11=7 a@12=5 a@13=4'), options)
    expect(seen(driven)).toEqual([
      'a=3 at 10 of 1, early#1 @10',
      'b=7 at 11 of 1, early#1 @11',
      'a=5 at 12 of 2, early#2 @12',
      'a=5 at 12 of 3, early#3 @13',
      'a=5 at 12 of 3, final#4 @13',
      'b=7 at 11 of 1, final#2 @11',
    ])
    expect(driven.rows[0]!.headers['millrace-id']).toBe('reduce:a')
  })

  test('of a window is one record, at its close, and late records are late', async () => {
    const built = keyed.window('w', tumbling('10ms')).reduce(hotter).late(kafka('late')).to(kafka('out')).build()
    const driven = await drive(built, readings('a@10=3 a@14=1 b@12=2 a@31=8 a@11=9'), options)
    expect(seen({ ...driven, rows: driven.rows.filter(({ topic }) => topic === 'out') })).toEqual([
      'a=3 at 10 of 2, final#1 @19',
      'b=2 at 12 of 1, final#1 @19',
      'a=8 at 31 of 1, final#1 @39',
    ])
    expect(driven.counts).toMatchObject({ in: 5, accepted: 4, late: 1 })
    expect([driven.stats.rowCount, driven.stats.keyCount]).toEqual([0, 0])
  })

  test('a record that the function throws on is dead and changes nothing', async () => {
    const built = keyed.window('w', tumbling('10ms')).reduce(hotter).to(kafka('out')).build()
    const driven = await drive(built, readings('a@10=3 a@14=99 a@12=2'), options)
    const rows = driven.rows.filter(({ topic }) => topic === 'out')
    expect(seen({ ...driven, rows })).toEqual(['a=3 at 10 of 2, final#1 @19'])
    expect(driven.counts).toMatchObject({ in: 3, accepted: 2, dead: 1 })
  })

  test('windows that share panes are made of what their panes have become', async () => {
    const built = keyed.window('w', hopping('20ms', '10ms')).reduce(hotter).to(kafka('out')).build()
    const driven = await drive(built, readings('a@10=3 a@22=5 a@15=4'), options)
    expect(seen(driven)).toEqual([
      'a=4 at 15 of 2, final#1 @19',
      'a=5 at 22 of 3, final#1 @29',
      'a=5 at 22 of 1, final#1 @39',
    ])
    expect(driven.stats.rowCount).toBe(0)
  })

  test('sessions that meet become one, and their rows are taken back', async () => {
    const built = keyed.window('w', session('5ms')).reduce('peak', hotter).to(kafka('out'), { emit: 'updates' }).build()
    const driven = await drive(built, readings('a@10=3 a@18=5 a@14=1'), options)
    expect(seen(driven)).toEqual([
      'a=3 at 10 of 1, early#1 @10',
      'a=5 at 18 of 1, early#1 @18',
      'a=5 at 18 of 1, retracted#2 @18',
      'a=3 at 10 of 1, retracted#2 @10',
      'a=5 at 18 of 3, early#3 @18',
      'a=5 at 18 of 3, final#4 @18',
    ])
    expect(driven.rows[0]!.headers['millrace-id']).toBe('peak:a:10')
  })
})

describe.each(MODES)('a function that changes what it is given, %s', (_mode, options) => {
  const adding = (before: Reading, reading: Reading): Reading => {
    reading.celsius += before.celsius
    before.celsius = 1_000
    if (reading.seen === 0) throw new RangeError('nothing seen')
    return reading
  }
  const celsius = (driven: Driven): number[] =>
    driven.rows.flatMap(({ topic, value }) => (topic === 'out' ? [(unpack(value!) as Reading).celsius] : []))

  test('changes nothing that is kept, when it throws neither', async () => {
    const input = readings('a@10=3 a@11=4 a@12=5')
    Object.assign(input[1]!.value as Reading, { seen: 0 })
    const driven = await drive(keyed.reduce(adding).to(kafka('out')).build(), input, options)
    expect(celsius(driven)).toEqual([3, 8, 8])
    expect(driven.counts).toMatchObject({ dead: 1 })
  })

  test('behind it, or where the row is a record again, the same', async () => {
    const doubled = (row: Reading): Reading => {
      row.celsius *= 2
      return row
    }
    const input = readings('a@10=3 a@11=4 a@12=5')
    const mapped = await drive(keyed.reduce(adding).map(doubled).to(kafka('out')).build(), input, options)
    expect(celsius(mapped)).toEqual([6, 14, 24, 24])
    const inPlace = (before: Reading, { celsius }: Reading): Reading =>
      Object.assign(before, { celsius: before.celsius + celsius })
    const again = keyed
      .reduce(inPlace)
      .keyBy('sensor')
      .aggregate({ celsius: last('celsius') })
    const driven = await drive(again.to(kafka('out'), { emit: 'updates' }).build(), input, options)
    expect(celsius(driven)).toEqual([3, 7, 12, 12])
  })

  test.each([
    ['hopping', hopping('20ms', '10ms'), [7, 12, 5]],
    ['by count', countWindow(2, { hop: 1 }), [7, 9, 5]],
  ] as [string, WindowSpec, number[]][])('%s', async (_, window, totals) => {
    const built = keyed.window('w', window).reduce(adding).to(kafka('out'), { emit: 'updates' }).build()
    const driven = await drive(built, readings('a@10=3 a@15=4 a@25=5'), options)
    const finals = driven.rows.filter(({ headers }) => headers['millrace-phase'] === 'final')
    expect(celsius({ ...driven, rows: finals }).sort()).toEqual(totals.sort())
  })
})

test('with every, the latest row goes out at a tick', async () => {
  const built = keyed
    .window('w', globalWindow())
    .reduce(hotter)
    .to(kafka('out'), { emit: { every: '10ms' } })
    .build()
  const driven = await drive(built, readings('a@1=3 a@2=5 a@11=4'))
  expect(seen(driven)).toEqual(['a=5 at 2 of 2, early#1 @2', 'a=5 at 2 of 3, final#2 @11'])
})

test('rows go on: through functions, into views, and by their key as records of another window', async () => {
  const t = testJob(
    keyed
      .window('w', tumbling('10ms'))
      .reduce(hotter)
      .toView('peaks', { value: json() })
      .filter(['celsius'], (celsius) => celsius > 0)
      .map(({ sensor, celsius }) => ({ sensor, tenths: celsius * 10 }))
      .to(kafka('out'))
      .keyBy('sensor')
      .window('long', tumbling('1s'))
      .aggregate({ n: count() })
      .to(kafka('counted')),
  )
  const values = readings('a@10=-3 a@22=5 a@25=4 b@23=1').map(({ value }) => ({ value }))
  t.send('readings', ...(values as { value: Reading }[]))
  await t.end()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([
    { sensor: 'a', tenths: 50 },
    { sensor: 'b', tenths: 10 },
  ])
  expect(t.outputs('counted').map(({ value }) => value)).toMatchObject([
    { sensor: 'a', n: 1 },
    { sensor: 'b', n: 1 },
  ])
  expect(t.view('peaks').get('a')?.value).toEqual({ sensor: 'a', celsius: 5, ts: 22, seen: 2 })
  expect(t.state()).toEqual({ 'w-reduce': [], 'long-aggregate': [] })
})

test.each([
  ['tumbling', tumbling('40ms'), ['3 5 1 2']],
  ['hopping', hopping('20ms', '10ms'), ['3 1', '3 1 5 2', '5 2']],
  ['sessions', session('9ms'), ['3 5 1 2']],
] as [string, WindowSpec, string[]][])(
  'rows may be anything that a record may be, made in order: %s',
  async (_, window, rows) => {
    const texts: CompiledJob = keyed
      .map(['celsius'], (celsius) => String(celsius))
      .window('w', window)
      .reduce((before, celsius) => `${before} ${celsius}`)
      .to(kafka('out', { value: json() }))
      .build()
    const input = readings('a@10=3 a@22=5 a@18=1 a@25=2')
    const driven = await drive(texts, input, { restart: 'changelog', frameRecords: 1 })
    expect(driven.rows.map(({ value }) => JSON.parse(new TextDecoder().decode(value)))).toEqual(rows)
  },
)
