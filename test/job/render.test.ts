// The plan for people: the path of each operator, and the tree.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import {
  argMax,
  count,
  countWindow,
  custom,
  envelope,
  globalWindow,
  job,
  json,
  type KafkaTopic,
  kafka,
  msgpack,
  quantiles,
  sum,
  topK,
  tumbling,
  type WindowSpec,
} from 'millrace'
import { expect, test } from 'vitest'
import { operatorPaths } from '../../src/job/paths.ts'
import { planHash } from '../../src/job/plan-hash.ts'
import { describePlan, renderPlan } from '../../src/job/render.ts'
import candles from '../harness/candles-job.ts'

interface Trade {
  sym: string
  qty: number
  ts: number
}

const pathsOf = (stage: { build(): { plan: Parameters<typeof operatorPaths>[0] } }): string[] =>
  operatorPaths(stage.build().plan).map(({ operator, path, why }) => `${operator}: ${path}, ${why}`)

test('the candles job stays on the fast path', () => {
  expect(pathsOf(candles)).toEqual([
    'filter-1: fast, reads qty from the bytes',
    'keyby-sym: fast, checks the Kafka key against sym',
    '1s: none, works on event time alone',
    '1s-aggregate: fast, reads price, qty from the bytes',
    'late: none, passes the original bytes on',
    'to-candles-1s: none, encodes the row of 1s-aggregate',
    'view-candles: none, encodes the row of 1s-aggregate',
  ])
})

test('envelopes of msgpack are fast, functions over the record and what follows a map are free', () => {
  const stage = job('x')
    .from(kafka('in', { value: envelope(msgpack<Trade>()), key: 'sym' }))
    .filter(['qty'], (qty) => qty > 0)
    .filter((trade) => trade.qty > 0)
    .keyBy('sym')
    .map(['qty'], (qty) => ({ qty }))
    .filter(['qty'], (qty) => qty > 1)
    .aggregate({ n: count(), total: sum('qty') })
    .map((row) => ({ ...row, m: 1 }))
    .to(kafka('out', { key: (row) => row.sym }))
  expect(pathsOf(stage)).toEqual([
    'filter-1: fast, reads qty from the bytes',
    'filter-2: free, its function takes the whole record',
    'keyby-sym: fast, checks the Kafka key against sym',
    'map-1: fast, reads qty from the bytes',
    'filter-3: free, takes qty from the row of map-1',
    'aggregate: free, takes qty from the row of map-1',
    'map-2: free, its function takes the row of aggregate',
    'to-out: free, its key or headers function takes the row of map-2',
  ])
})

test('JSON, a schema and a time function decode every record', () => {
  const why = <K extends string>(source: KafkaTopic<Trade, K>): string | undefined =>
    pathsOf(
      job('x')
        .from(source)
        .filter(['qty'], () => true)
        .to(kafka('out')),
    )[0]
  const schema = { '~standard': { version: 1, vendor: 'x', validate: (value: unknown) => ({ value }) } }
  expect([
    why(kafka('in', { value: json<Trade>() })),
    why(kafka('in', { schema: schema as StandardSchemaV1<unknown, Trade> })),
    why(kafka('in', { value: msgpack<Trade>(), eventTime: (trade) => trade.ts })),
  ]).toEqual([
    'filter-1: free, takes qty from the record; JSON values are decoded whole',
    'filter-1: free, takes qty from the record; the schema takes the whole record',
    'filter-1: free, takes qty from the record; the event time function takes the whole record',
  ])
})

test('an aggregate is free when one of its accumulators takes the record, and fast when none reads a field', () => {
  const keyed = job('x')
    .from(kafka('in', { value: msgpack<Trade>(), key: 'sym' }))
    .keyBy('sym')
  const whole = custom({ init: () => 0, add: (s: number, _trade: Trade) => s, result: (s: number) => s })
  expect(pathsOf(keyed.aggregate({ total: sum('qty'), all: whole }).to(kafka('out')))[1]).toBe(
    'aggregate: free, all takes the whole record',
  )
  expect(pathsOf(keyed.aggregate({ n: count() }).to(kafka('out')))[1]).toBe('aggregate: fast, reads no field')
})

test('windows without event time say what they work on, and have no grace', () => {
  const keyed = job('x')
    .from(kafka('in', { value: msgpack<Trade>(), key: 'sym' }))
    .keyBy('sym')
  const lineOf = (window: WindowSpec): string | undefined => {
    const { plan } = keyed.window('w', window).aggregate({ n: count() }).to(kafka('out')).build()
    return renderPlan(plan, operatorPaths(plan))
      .split('\n')
      .find((line) => line.includes('window w'))
      ?.replace(/\s+/g, ' ')
  }
  expect(lineOf(countWindow(4, { hop: 2 }))).toBe(' └─ window w: count 4 by 2 in panes of 2 - counts records')
  expect(lineOf(globalWindow())).toBe(' └─ window w: global - holds all records')
})

test('a plan is drawn as a tree with the path of each operator', () => {
  const { plan } = job('x')
    .from(kafka('in', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', closeOnIdle: { maxDelay: '5s' } }))
    .filter(['qty'], (qty) => qty > 0)
    .keyBy('sym')
    .window('1s', tumbling('1s', { grace: '500ms', offset: '100ms' }))
    .aggregate({ n: count(), total: sum('qty') })
    .late(kafka('in-late'))
    .to(kafka('out', { value: json() }))
    .toView('v', { emit: { every: '250ms' } })
    .build()
  expect(`\n${renderPlan(plan, operatorPaths(plan))}\n`).toBe(`
job x
from in                                                          msgpack, key sym, event time ts, out of order 0ms, idle after 10s, closes on idle 5s behind
└─ filter-1 (qty)                                                fast  reads qty from the bytes
   └─ keyBy sym                                                  fast  checks the Kafka key against sym
      └─ window 1s: tumbling 1s, offset 100ms, grace 500ms       -     works on event time alone
         └─ aggregate 1s-aggregate: n = count, total = sum(qty)  fast  reads qty from the bytes
            ├─ late -> in-late                                   -     passes the original bytes on
            ├─ to out (json), final                              -     encodes the row of 1s-aggregate
            └─ view v (msgpack), every 250ms                     -     encodes the row of 1s-aggregate
dead letters x-dlq
changelog x-changelog
state ${planHash(plan)}
`)
})

test('aggregates are shown with their fields and options', () => {
  const { plan } = job('x')
    .from(kafka('in', { value: msgpack<Trade>(), key: 'sym' }))
    .keyBy('sym')
    .aggregate({ p: quantiles('qty', [0.5, 0.9]), top: topK('sym', 3), by: argMax('sym', 'qty') })
    .to(kafka('out'))
    .build()
  expect(renderPlan(plan, operatorPaths(plan))).toContain(
    'aggregate aggregate: p = quantiles(qty, q 0.5 0.9, accuracy 0.01), top = topK(sym, k 3, capacity 1000), by = argMax(sym, qty)  fast  reads qty, sym from the bytes',
  )
})

test('reduce is shown by its name, and takes the whole record', () => {
  const { plan } = job('x')
    .from(kafka('in', { value: msgpack<Trade>(), key: 'sym' }))
    .keyBy('sym')
    .reduce((a, b) => (b.qty > a.qty ? b : a))
    .to(kafka('out'))
    .build()
  const line = renderPlan(plan, operatorPaths(plan))
    .split('\n')
    .find((one) => one.includes('reduce'))
  expect(line).toMatch(/└─ reduce reduce +free {2}its function takes the whole record$/)
})

test('a process is shown with its ttl and timers, and what is behind it takes its rows', () => {
  const { plan } = job('x')
    .from(kafka('in', { value: msgpack<Trade>(), key: 'sym' }))
    .keyBy('sym')
    .process('p', { onRecord: () => {}, onTimer: () => {}, ttl: '90s' })
    .map((row) => row)
    .to(kafka('out'))
    .build()
  const lines = renderPlan(plan, operatorPaths(plan)).replaceAll(/ {2,}/g, '  ').split('\n')
  expect(lines.slice(3, 6)).toEqual([
    '  └─ process p: state for 90s, timers  free  its function takes the whole record',
    '  └─ map-1 (record)  free  its function takes the row of p',
    '  └─ to out (msgpack), updates  -  encodes the row of map-1',
  ])
})

test('topN is shown with what it ranks by and what it keeps', () => {
  const { plan } = job('x')
    .from(kafka('in', { value: msgpack<Trade>(), key: 'sym' }))
    .keyBy('sym')
    .topN('best', { n: 3, by: ['qty', 'ts'], rowKey: 'ts', ttl: '1h' })
    .to(kafka('out'))
    .build()
  expect(renderPlan(plan, operatorPaths(plan))).toContain(
    'topN best: 3 by qty, ts desc, rows of ts, keeps 1000, groups for 1h  free  its list takes the whole record',
  )
})

test('the same is there as data, and survives JSON', () => {
  const { plan } = candles.build()
  const description = JSON.parse(JSON.stringify(describePlan(plan, operatorPaths(plan))))
  expect(description.job).toBe('candles')
  expect(description.planHash).toBe(planHash(plan))
  expect(description.topics).toEqual([
    'candles-late',
    'candles-1s',
    'candles-view-candles',
    'candles-dlq',
    'candles-changelog',
  ])
  expect(description.paths).toHaveLength(7)
})
