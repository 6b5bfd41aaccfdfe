// The hash of a plan's stateful meaning: equal where stored state fits, different where it does not.
import {
  type AggregateOf,
  approxDistinctCount,
  avg,
  type CalendarOptions,
  type CalendarUnit,
  type Complete,
  calendar,
  collect,
  count,
  countWindow,
  custom,
  type Duration,
  distinctCount,
  globalWindow,
  histogram,
  hopping,
  job,
  json,
  kafka,
  msgpack,
  quantiles,
  recordTime,
  sliding,
  sum,
  topK,
  tumbling,
  type WindowSpec,
} from 'millrace'
import { expect, test } from 'vitest'
import { planHash, stateMeaning } from '../../src/job/plan-hash.ts'
import candles from '../harness/candles-job.ts'

interface Trade {
  sym: string
  side: string
  price: number
  qty: number
  ts: number
}

const source = kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' })
const keyed = job('x').from(source).keyBy('sym')
const base = keyed.window('w', tumbling('1s', { grace: '1s' })).aggregate({ n: count(), s: sum('qty') })

const hash = (stage: Complete): string => planHash(stage.build().plan)
const windowed = (size: Duration, grace: Duration, offset: Duration = '0ms'): Complete =>
  keyed
    .window('w', tumbling(size, { grace, offset }))
    .aggregate({ n: count(), s: sum('qty') })
    .to(kafka('out'))
const inWindow = keyed.window('w', tumbling('1s', { grace: '1s' }))
const from = (topic: typeof source): Complete =>
  job('x')
    .from(topic)
    .keyBy('sym')
    .window('w', tumbling('1s', { grace: '1s' }))
    .aggregate({ n: count(), s: sum('qty') })
    .to(kafka('out'))

const same: [what: string, stage: Complete][] = [
  ['another sink', base.to(kafka('elsewhere', { value: json() }), { emit: 'updates' })],
  ['a view and a late topic', base.late(kafka('late')).to(kafka('out')).toView('v')],
  [
    'a filter',
    job('x')
      .from(source)
      .filter(['qty'], (qty) => qty > 0)
      .keyBy('sym')
      .window('w', tumbling('1s', { grace: '1s' }))
      .aggregate({ n: count(), s: sum('qty') })
      .to(kafka('out')),
  ],
  ['other names of results', inWindow.aggregate({ trades: count(), volume: sum('qty') }).to(kafka('out'))],
  ['the same size written otherwise', windowed('1000ms', '1s')],
  [
    'another lateness of the source',
    from(kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '5s' })),
  ],
]
test.each(same)('%s leaves the hash as it is', (_what, stage) => {
  expect(hash(stage)).toBe(hash(base.to(kafka('out'))))
})

const different: [what: string, stage: Complete][] = [
  ['another size', windowed('2s', '1s')],
  ['another grace', windowed('1s', '2s')],
  ['another offset', windowed('1s', '1s', '500ms')],
  ['another aggregate', inWindow.aggregate({ n: count(), s: avg('qty') }).to(kafka('out'))],
  ['another field', inWindow.aggregate({ n: count(), s: sum('price') }).to(kafka('out'))],
  ['another order', inWindow.aggregate({ s: sum('qty'), n: count() }).to(kafka('out'))],
  ['one more aggregate', inWindow.aggregate({ n: count(), s: sum('qty'), m: count() }).to(kafka('out'))],
  [
    'another name of the window',
    keyed
      .window('v', tumbling('1s', { grace: '1s' }))
      .aggregate({ n: count(), s: sum('qty') })
      .to(kafka('out')),
  ],
  ['another name of the aggregate', inWindow.aggregate({ n: count(), s: sum('qty') }, { name: 'z' }).to(kafka('out'))],
  ['no window', keyed.aggregate({ n: count(), s: sum('qty') }).to(kafka('out'))],
  ['another source topic', from(kafka('trades2', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' }))],
  ['another event time', from(kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: recordTime() }))],
  [
    'another key',
    job('x')
      .from(kafka('trades', { value: msgpack<Trade>(), key: 'side', eventTime: 'ts' }))
      .keyBy('side')
      .window('w', tumbling('1s', { grace: '1s' }))
      .aggregate({ n: count(), s: sum('qty') })
      .to(kafka('out')),
  ],
]
test.each(different)('%s changes the hash', (_what, stage) => {
  expect(hash(stage)).not.toBe(hash(base.to(kafka('out'))))
})

test('panes instead of windows are another meaning, and so is another hop', () => {
  const hop = (by: Duration, emit: 'final' | 'updates') =>
    keyed.window('w', hopping('60s', by)).aggregate({ n: count() }).to(kafka('out'), { emit })
  const hashes = [hop('1s', 'final'), hop('1s', 'updates'), hop('2s', 'final')].map(hash)
  expect(new Set(hashes).size).toBe(3)
  expect(stateMeaning(hop('1s', 'final').build().plan)).toContain("window 'w' = hopping 1m by 1s in panes of 1s")
})

test('unit, zone, offset and grace of a calendar are meaning', () => {
  const by = (unit: CalendarUnit, options?: CalendarOptions) =>
    keyed.window('w', calendar(unit, options)).aggregate({ n: count() }).to(kafka('out'))
  const timeZone = 'Europe/Berlin'
  const all = [
    ...[by('day'), by('week'), by('day', { timeZone }), by('day', { timeZone, offset: '6h' })],
    by('day', { timeZone, offset: '6h', grace: '1h' }),
  ]
  expect(new Set(all.map(hash)).size).toBe(all.length)
  expect(hash(by('day', { timeZone: 'UTC', offset: '0ms' }))).toBe(hash(by('day')))
  expect(stateMeaning(all[4]!.build().plan)).toContain("window 'w' = calendar day in Europe/Berlin offset 6h grace 1h")
})

test('windows by count are told apart by size, hop and panes, and from the global window and none', () => {
  const counted = (window: WindowSpec, emit: 'final' | 'updates' = 'final') =>
    keyed.window('w', window).aggregate({ n: count() }, { name: 'a' }).to(kafka('out'), { emit })
  const all = [
    counted(countWindow(10)),
    counted(countWindow(20)),
    counted(countWindow(10, { hop: 5 })),
    counted(countWindow(10, { hop: 5 }), 'updates'),
    counted(globalWindow()),
    keyed.aggregate({ n: count() }, { name: 'a' }).to(kafka('out')),
  ]
  expect(new Set(all.map(hash)).size).toBe(all.length)
  expect(hash(counted(countWindow(10), 'updates'))).toBe(hash(counted(countWindow(10))))
  const texts = all.map((stage) => /window 'w' = ([^,]*),/.exec(stateMeaning(stage.build().plan))?.[1])
  expect(texts).toEqual([
    ...['count 10', 'count 20', 'count 10 by 5 in panes of 5', 'count 10 by 5'],
    ...['global', undefined],
  ])
})

test('sliding windows are known by their size and grace', () => {
  const slide = (size: Duration, grace: Duration) =>
    keyed.window('w', sliding(size, { grace })).aggregate({ n: count() }).to(kafka('out'))
  const hashes = [slide('60s', '0ms'), slide('30s', '0ms'), slide('60s', '1s')].map(hash)
  expect(new Set(hashes).size).toBe(3)
  expect(stateMeaning(slide('60s', '1s').build().plan)).toContain("window 'w' = sliding 1m")
})

test('custom accumulators are told apart by their name and fields', () => {
  const functions = { init: () => 0, add: (s: number) => s + 1, result: (s: number) => s }
  const a = hash(keyed.aggregate({ a: custom(functions) }).to(kafka('out')))
  expect(hash(keyed.aggregate({ a: custom({ ...functions }) }).to(kafka('out')))).toBe(a)
  expect(hash(keyed.aggregate({ b: custom(functions) }).to(kafka('out')))).not.toBe(a)
  expect(hash(keyed.aggregate({ a: custom({ ...functions, fields: ['qty'] }) }).to(kafka('out')))).not.toBe(a)
})

test('reduce is told from an aggregate of a function, and known by its name', () => {
  const latest = keyed.reduce((_, trade) => trade).to(kafka('out'))
  expect(stateMeaning(latest.build().plan)).toBe("trades by 'ts', key 'sym', 'reduce' = reduce")
  expect(hash(keyed.reduce('last', (_, trade) => trade).to(kafka('out')))).not.toBe(hash(latest))
})

test('a process is known by its name and ttl, not by its functions', () => {
  const of = (name: string, options: object): string =>
    hash(keyed.process(name, { onRecord: () => {}, ...options }).to(kafka('out')))
  const plain = of('p', {})
  expect(of('p', { onTimer: () => {}, state: () => 1 })).toBe(plain)
  expect(new Set([plain, of('q', {}), of('p', { ttl: '1h' }), of('p', { ttl: '2h' })]).size).toBe(4)
})

test('topN is known by all that its lists depend on, and not by how many rows it keeps', () => {
  const of = (options: object): string =>
    hash(keyed.topN('t', { n: 2, by: 'qty', rowKey: 'side', ...options }).to(kafka('out')))
  const plain = of({})
  expect(of({ keep: 5_000 })).toBe(plain)
  const others = [
    { n: 3 },
    { by: 'price' },
    { by: ['qty', 'price'] },
    { rowKey: 'ts' },
    { order: 'asc' },
    { ttl: '1h' },
  ]
  expect(new Set([plain, ...others.map(of)]).size).toBe(7)
})

test('options that state depends on are in the meaning, those that choose what a row shows are not', () => {
  const of = (aggregate: AggregateOf<Trade>): string => hash(keyed.aggregate({ a: aggregate }).to(kafka('out')))
  expect(of(quantiles('price', [0.5, 0.9]))).toBe(of(quantiles('price', [0.99])))
  expect(of(topK('side', 3))).toBe(of(topK('side', 5)))
  expect(of(quantiles('price', [0.5], { accuracy: 0.02 }))).not.toBe(of(quantiles('price', [0.5])))
  expect(of(topK('side', 3, { capacity: 10 }))).not.toBe(of(topK('side', 3)))
  expect(of(histogram('price', [1, 2]))).not.toBe(of(histogram('price', [1, 3])))
  expect(of(distinctCount('side', { limit: 10 }))).not.toBe(of(distinctCount('side')))
  expect(of(approxDistinctCount('side', { precision: 10 }))).not.toBe(of(approxDistinctCount('side')))
  expect(of(collect('side', { limit: 10 }))).not.toBe(of(collect('side', { limit: 11 })))
})

test('the meaning reads as text, and the hash of the candles job is fixed for ever', () => {
  const { plan } = candles.build()
  expect(stateMeaning(plan)).toBe(
    "trades by 'ts', key 'sym', window '1s' = tumbling 1s grace 500ms, " +
      "'1s-aggregate' = first(price) max(price) min(price) last(price) sum(qty) weightedMean(price,qty) count",
  )
  expect(planHash(plan)).toMatchInlineSnapshot(`"f09afc626d4e1ba8"`)
})
