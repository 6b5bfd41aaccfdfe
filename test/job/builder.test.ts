// The builder and its compiler: the plan of a job, and all problems of a bad one.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import {
  approxDistinctCount,
  type CalendarOptions,
  calendar,
  collect,
  count,
  countWindow,
  cumulate,
  custom,
  decimalSum,
  distinctCount,
  envelope,
  first,
  globalWindow,
  histogram,
  hopping,
  job,
  json,
  kafka,
  msgpack,
  processingTime,
  quantile,
  quantiles,
  recordTime,
  session,
  sliding,
  stddev,
  sum,
  topK,
  tumbling,
  type WindowSpec,
} from 'millrace'
import { expect, test } from 'vitest'
import runningSum from '../../examples/running-sum/job.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { compiledJobOf } from '../../src/job/compiled-job.ts'
import type { CompiledJob, ViewPlan } from '../../src/job/plan.ts'
import { planHash } from '../../src/job/plan-hash.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import type { ViewOptions } from '../../src/job/stages.ts'
import { inputTopics } from '../../src/job/topology.ts'
import candles from '../harness/candles-job.ts'

interface Trade {
  sym: string
  price: number
  qty: number
  ts: number
}
const trades = kafka('trades', { value: msgpack<Trade>(), key: 'sym' })

/** What a JavaScript user may write: every method everywhere. */
interface Loose {
  [method: string]: (...args: unknown[]) => Loose
}
const loose = (stage: unknown): Loose => stage as Loose

function errorOf(stage: { build(): unknown }): MillraceError {
  try {
    stage.build()
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError)
    return error as MillraceError
  }
  throw new Error('the job was built')
}

function problemsOf(stage: unknown): string[] {
  const error = errorOf(stage as { build(): unknown })
  expect(error.code).toBe('MR1002')
  return String(error.details.problems).split('\n  - ').slice(1)
}

test('the candles job gives its golden plan', () => {
  const { plan, functions } = candles.build()
  expect(functions.map((fn) => (fn as (qty: number) => boolean)(1))).toEqual([true])
  expect(JSON.parse(JSON.stringify(plan))).toEqual({
    formatVersion: 1,
    job: 'candles',
    source: {
      topic: 'trades',
      format: 'msgpack',
      shape: 'single',
      keyField: 'sym',
      eventTime: { kind: 'field', field: 'ts' },
      outOfOrderMs: 2000,
      maxFutureMs: 86_400_000,
      idleAfterMs: 10_000,
    },
    operators: [
      { kind: 'filter', name: 'filter-1', fields: ['qty'], fn: 0 },
      { kind: 'keyBy', name: 'keyby-sym', field: 'sym' },
      { kind: 'window', name: '1s', window: { kind: 'tumbling', sizeMs: 1000, offsetMs: 0, graceMs: 500 } },
      {
        kind: 'aggregate',
        name: '1s-aggregate',
        aggregates: [
          { as: 'open', kind: 'first', fields: ['price'] },
          { as: 'high', kind: 'max', fields: ['price'] },
          { as: 'low', kind: 'min', fields: ['price'] },
          { as: 'close', kind: 'last', fields: ['price'] },
          { as: 'volume', kind: 'sum', fields: ['qty'] },
          { as: 'vwap', kind: 'weightedMean', fields: ['price', 'qty'] },
          { as: 'n', kind: 'count', fields: [] },
        ],
      },
      { kind: 'late', name: 'late', topic: 'candles-late' },
      {
        kind: 'to',
        name: 'to-candles-1s',
        topic: 'candles-1s',
        sink: { format: 'msgpack' },
        emit: { kind: 'final' },
        resultTime: 'end',
      },
      {
        kind: 'view',
        name: 'view-candles',
        view: 'candles',
        topic: 'candles-view-candles',
        sink: { format: 'msgpack' },
        emit: { kind: 'updates' },
      },
    ],
    functionCount: 1,
  })
})

test('building twice gives equal plans, and a stage can be the start of several jobs', () => {
  expect(candles.build()).toEqual(candles.build())
  const base = job('x').from(trades).keyBy('sym')
  const a = base.aggregate({ n: count() }).to(kafka('a')).build()
  const b = base
    .aggregate({ total: sum('qty') })
    .to(kafka('b'))
    .build()
  expect([a, b].map(({ plan }) => plan.operators.map((operator) => operator.name))).toEqual([
    ['keyby-sym', 'aggregate', 'to-a'],
    ['keyby-sym', 'aggregate', 'to-b'],
  ])
})

test('a running aggregate emits updates by default', () => {
  const sinks = runningSum.build().plan.operators.filter((operator) => operator.kind === 'to')
  expect(sinks.map(({ emit }) => emit)).toEqual([{ kind: 'updates' }])
})

test('emission defaults to final for a window, and to updates for a view', () => {
  const rows = job('x').from(trades).keyBy('sym').window('w', tumbling('1s')).aggregate({ n: count() })
  const { plan } = rows
    .to(kafka('a'))
    .toView('v')
    .to(kafka('b'), { emit: { every: '250ms' } })
    .build()
  expect(plan.operators.flatMap((operator) => ('emit' in operator ? [operator.emit] : []))).toEqual([
    { kind: 'final' },
    { kind: 'updates' },
    { kind: 'every', everyMs: 250 },
  ])
})

test('rows of a view are shown before their commit where the job says so, and its state means the same', () => {
  const plans = [{}, { provisional: false }, { provisional: true }].map(
    (options) => running().toView('v', options).build().plan,
  )
  const marks = plans.map(({ operators }) =>
    operators.flatMap((one) => (one.kind === 'view' ? [one.isProvisional] : [])),
  )
  expect(marks).toEqual([[undefined], [undefined], [true]])
  expect(new Set(plans.map(planHash)).size).toBe(1)
})

test('all source options reach the plan', () => {
  const { plan, functions } = job('x')
    .from(
      kafka('in', {
        value: envelope(json<Trade>()),
        key: 'sym',
        eventTime: (trade) => trade.ts * 1000,
        outOfOrder: '2s',
        idleAfter: '1m',
        closeOnIdle: { maxDelay: '5s' },
        maxFuture: '1h',
        maxPast: '30d',
      }),
    )
    .to(kafka('out'))
    .build()
  expect(plan.source).toEqual({
    topic: 'in',
    format: 'json',
    shape: 'envelope',
    keyField: 'sym',
    eventTime: { kind: 'function', fn: 0 },
    outOfOrderMs: 2_000,
    maxFutureMs: 3_600_000,
    maxPastMs: 30 * 86_400_000,
    idleAfterMs: 60_000,
    closeOnIdle: { maxDelayMs: 5_000 },
    schemaFn: undefined,
  })
  expect((functions[0] as (trade: unknown) => number)({ ts: 2 })).toBe(2000)
})

test('functions are numbered in the order of the chain', () => {
  const { plan, functions } = job('x')
    .from(kafka('in', { value: json<Trade>(), key: 'sym', eventTime: recordTime() }))
    .filter((trade) => trade.qty > 0)
    .keyBy('sym')
    .map(['price'], (price) => ({ price }))
    .aggregate({
      n: count(),
      list: custom({ fields: ['price'], init: (): number[] => [], add: (s, p) => [...s, p], result: (s) => s.length }),
    })
    .to(kafka('out', { key: (row) => row.sym, headers: () => ({ a: 'b' }) }))
    .build()
  expect(plan.functionCount).toBe(7)
  expect(functions).toHaveLength(7)
  expect(plan.operators).toMatchObject([
    { kind: 'filter', fn: 0 },
    { kind: 'keyBy' },
    { kind: 'map', fields: ['price'], fn: 1 },
    { kind: 'aggregate', aggregates: [{ as: 'n' }, { as: 'list', fields: ['price'], init: 2, add: 3, result: 4 }] },
    { kind: 'to', sink: { keyFn: 5, headersFn: 6 } },
  ])
})

test('options of aggregates are in the plan, with their defaults', () => {
  const { plan } = job('x')
    .from(kafka('in', { value: json<Trade>(), key: 'sym' }))
    .keyBy('sym')
    .aggregate({
      p: quantiles('price', [0.5, 0.9]),
      top: topK('sym', 3, { capacity: 50 }),
      sizes: histogram('qty', [1, 2]),
      total: decimalSum('sym'),
    })
    .to(kafka('out'))
    .build()
  expect(plan.operators[1]).toMatchObject({
    aggregates: [
      { as: 'p', kind: 'quantiles', fields: ['price'], options: { q: [0.5, 0.9], accuracy: 0.01 } },
      { as: 'top', kind: 'topK', fields: ['sym'], options: { k: 3, capacity: 50 } },
      { as: 'sizes', kind: 'histogram', fields: ['qty'], options: { bounds: [1, 2] } },
      { as: 'total', kind: 'decimalSum', fields: ['sym'] },
    ],
  })
})

test('options of aggregates that cannot be are problems, each with what may be', () => {
  const stage = job('x')
    .from(kafka('in', { value: json<Trade>(), key: 'sym' }))
    .keyBy('sym')
    .aggregate({
      a: quantile('price', 1.5),
      b: quantiles('price', []),
      c: quantile('price', 0.5, { accuracy: 0 }),
      d: histogram('qty', [2, 2]),
      e: histogram('qty', [Number.NaN]),
      f: topK('sym', 2.5),
      g: collect('sym', {} as { limit: number }),
      h: distinctCount('sym', { limitt: 5 } as object),
      i: approxDistinctCount('sym', { precision: 17 }),
      j: stddev('' as 'price'),
      k: { kind: 'covariance', fields: ['price'] } as never,
    })
    .to(kafka('out'))
  expect(problemsOf(stage)).toEqual([
    "aggregate 'aggregate': 'a': quantile: q must be a number from 0 to 1, not 1.5",
    "aggregate 'aggregate': 'b': quantiles: q must be a list of 1 to 100 numbers, each a number from 0 to 1, not a list",
    "aggregate 'aggregate': 'c': quantile: accuracy must be a number from 0.001 to 0.1, not 0",
    "aggregate 'aggregate': 'd': histogram: bounds must be a list of 1 to 100 numbers, ascending, not a list",
    "aggregate 'aggregate': 'e': histogram: bounds must be a list of 1 to 100 numbers, ascending, not a list",
    "aggregate 'aggregate': 'f': topK: k must be a whole number from 1 to 1000, not 2.5",
    "aggregate 'aggregate': 'g': collect: limit must be a whole number from 1 to 10000, not undefined",
    "aggregate 'aggregate': 'h': distinctCount: there is no option 'limitt', did you mean 'limit'?",
    "aggregate 'aggregate': 'i': approxDistinctCount: precision must be a whole number from 4 to 16, not 17",
    "aggregate 'aggregate': 'j': stddev must be a field name, not ''",
    "aggregate 'aggregate': 'k': covariance must be a field name, not undefined",
  ])
})

test('dead letters go where the job says', () => {
  const { plan } = job('x', { deadLetters: kafka('x-dead') })
    .from(trades)
    .to(kafka('out'))
    .build()
  const topics = planTopics(plan)
  expect(topics.names[topics.dlq]).toBe('x-dead')
  const without = planTopics(job('x').from(trades).to(kafka('out')).build().plan)
  expect(without.names[without.dlq]).toBe('x-dlq')
})

test('a schema gives its value back, and throws its issues', () => {
  const schema: StandardSchemaV1<unknown, { id: string }> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value) =>
        value === 'good' ? { value: { id: 'a' } } : { issues: [{ message: 'is bad', path: ['list', { key: 0 }] }] },
    },
  }
  const { plan, functions } = job('x')
    .from(kafka('in', { value: json(), schema, key: 'id' }))
    .to(kafka('out'))
    .build()
  const validate = functions[plan.source.schemaFn!] as (value: unknown) => unknown
  expect(validate('good')).toEqual({ id: 'a' })
  expect(() => validate('other')).toThrow('list.0: is bad')
})

test('an asynchronous schema is refused at its first record', () => {
  const schema: StandardSchemaV1<unknown, { id: string }> = {
    '~standard': { version: 1, vendor: 'test', validate: () => Promise.reject(new Error('late')) },
  }
  const { plan, functions } = job('x')
    .from(kafka('in', { value: json(), schema }))
    .to(kafka('out'))
    .build()
  expect(() => (functions[plan.source.schemaFn!] as (value: unknown) => unknown)({})).toThrow('asynchronous')
})

test('all problems of a job are told at once', () => {
  const bad = loose(job('My Job', { deadLetter: 1 } as object)).from!(
    kafka('tra des', { outOfOrder: '2 s', idelAfter: '1s', headers: () => ({}) } as object),
  ).filter!(['qty'], 'qty > 0').window!('1 S', { kind: 'tumbling', size: '0ms', offset: '0ms', grace: 5 }).aggregate!({
    windowStart: count(),
    x: { kind: 'median', field: 'a' },
  }).late!(kafka('late', { value: json() })).to!(
    kafka('out', { maxPast: '1d', key: 'sym', resultTime: 'begin' } as object),
    { emit: 'finally' },
  ).map!(() => ({}))
  expect(problemsOf(bad)).toEqual([
    "the name of the job must be 1 to 64 of a-z, 0-9 and '-', not 'My Job'",
    "job: there is no option 'deadLetter', did you mean 'deadLetters'?",
    "from: the topic must be a Kafka topic name (1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'), not 'tra des'",
    "source 'tra des': 'headers' is not an option of a source",
    "source 'tra des': there is no option 'idelAfter', did you mean 'idleAfter'?",
    "source 'tra des': outOfOrder must be a duration like '500ms', '10s' or '1.5h', not '2 s'",
    "filter-1 must be a function, not 'qty > 0'",
    "the name of a window must be 1 to 64 of a-z, 0-9 and '-', not '1 S'",
    "window '1 S' needs keyed records: put keyBy before it",
    "window '1 S': size must be at least 1ms, not '0ms'",
    "window '1 S': grace must be a duration like '500ms', '10s' or '1.5h', not 5",
    "aggregate '1 S-aggregate': 'windowStart' is a field of the row itself; choose another name",
    "aggregate '1 S-aggregate': 'x' must be an aggregate, e.g. sum('qty'), not an object",
    "late: records go to 'late' as they came; the topic takes no options",
    "to 'out': 'maxPast' is not an option of a sink",
    "to 'out': key of a sink is a function of the row, e.g. (row) => row.sym",
    "to 'out': resultTime must be 'end' or 'max' or 'start', not 'begin'",
    "to 'out': emit must be 'final' or 'updates' or { every: '250ms' }, not 'finally', did you mean 'final'?",
    'nothing takes what map-1 gives: put a sink after it',
  ])
})

const aggregated = () => job('x').from(trades).keyBy('sym').window('w', tumbling('1s')).aggregate({ n: count() })
const inGlobal = () => job('x').from(trades).keyBy('sym').window('w', globalWindow()).aggregate({ n: count() })
const running = () => job('x').from(trades).keyBy('sym').aggregate({ n: count() })

const inWindow = (window: WindowSpec, emit: 'final' | 'updates' = 'final') =>
  job('x').from(trades).keyBy('sym').window('w', window).aggregate({ n: count() }).to(kafka('out'), { emit })

const viewOf = (window: WindowSpec, options: Pick<ViewOptions<never, never>, 'keep' | 'history'>) =>
  job('x').from(trades).keyBy('sym').window('w', window).aggregate({ n: count() }).toView('v', options)

test('history is by the time that the rows of a window keep, and is as short as keep', () => {
  const planOf = (window: WindowSpec, options: Parameters<typeof viewOf>[1]): unknown => {
    const { keepMs, history } = viewOf(window, options).build().plan.operators.at(-1) as ViewPlan
    return [history, keepMs]
  }
  expect(planOf(tumbling('1s'), { history: true })).toEqual(['start', undefined])
  expect(planOf(tumbling('1s'), { history: true, keep: '1h' })).toEqual(['start', 3_600_000])
  expect(planOf(session('1s'), { history: '2h', keep: '1h' })).toEqual(['start', 3_600_000])
  expect(planOf(cumulate('2s', '1s'), { history: '1h', keep: '2h' })).toEqual(['end', 3_600_000])
})

test('overlapping windows share panes where final rows alone are wanted and all can be merged', () => {
  const paneOf = (stage: { build(): CompiledJob }): unknown => {
    const operator = stage.build().plan.operators.find(({ kind }) => kind === 'window')
    return operator?.kind === 'window' && 'paneMs' in operator.window ? operator.window.paneMs : 'no overlap'
  }
  expect(paneOf(inWindow(hopping('60s', '1s')))).toBe(1_000)
  expect(paneOf(inWindow(hopping('10s', '4s')))).toBe(2_000)
  expect(paneOf(inWindow(cumulate('1d', '1h')))).toBe(3_600_000)
  expect(paneOf(inWindow(hopping('60s', '1s'), 'updates'))).toBeUndefined()
  expect(paneOf(inWindow(hopping('60s', '1s')).toView('v'))).toBeUndefined()
  expect(paneOf(inWindow(tumbling('60s')))).toBe('no overlap')
  const withCustom = (merge?: (a: number, b: number) => number) => {
    const n = custom<Trade, number, number>({
      init: () => 0,
      add: (state) => state + 1,
      result: (state) => state,
      ...(merge && { merge }),
    })
    return job('x').from(trades).keyBy('sym').window('w', hopping('60s', '1s')).aggregate({ n }).to(kafka('out'))
  }
  expect(paneOf(withCustom())).toBeUndefined()
  expect(paneOf(withCustom((a, b) => a + b))).toBe(1_000)
})

test('windows by count share panes of a hop where that divides the size, as overlapping windows do', () => {
  const windowOf = (stage: { build(): CompiledJob }): unknown => {
    const operator = stage.build().plan.operators.find(({ kind }) => kind === 'window')
    return operator?.kind === 'window' ? operator.window : undefined
  }
  const counted = (size: number, hop: number, pane: number | undefined) => ({
    kind: 'count',
    sizeRecords: size,
    hopRecords: hop,
    paneRecords: pane,
  })
  expect(windowOf(inWindow(countWindow(10)))).toEqual(counted(10, 10, undefined))
  expect(windowOf(inWindow(countWindow(10, { hop: 5 })))).toEqual(counted(10, 5, 5))
  expect(windowOf(inWindow(countWindow(10, { hop: 4 })))).toEqual(counted(10, 4, undefined))
  expect(windowOf(inWindow(countWindow(10, { hop: 5 }), 'updates'))).toEqual(counted(10, 5, undefined))
  const n = custom<Trade, number, number>({ init: () => 0, add: (state) => state + 1, result: (state) => state })
  const unmerged = job('x')
    .from(trades)
    .keyBy('sym')
    .window('w', countWindow(10, { hop: 5 }))
    .aggregate({ n })
  expect(windowOf(unmerged.to(kafka('out')))).toEqual(counted(10, 5, undefined))
  expect(windowOf(inWindow(globalWindow()))).toEqual({ kind: 'global' })
})

test('results in the global window may have the names of bounds, which its rows have not', () => {
  const named = (window: WindowSpec) => () =>
    job('x').from(trades).keyBy('sym').window('w', window).aggregate({ windowEnd: count() }).to(kafka('out')).build()
  expect(named(globalWindow())().plan.operators.at(-2)).toMatchObject({ aggregates: [{ as: 'windowEnd' }] })
  expect(named(countWindow(2))).toThrow('windowEnd')
})

const onlyProblem: [what: string, stage: () => unknown, problem: string][] = [
  ['no sink', () => running(), 'the job has no sink: end it with to(kafka(...)) or toView(...)'],
  ['no source', () => loose(job('x')).to!(kafka('out')), "from takes a topic, kafka('name', {...}), not undefined"],
  [
    'a hop longer than the size',
    () => inWindow(hopping('1s', '2s')),
    "window 'w': hop '2s' is longer than the size '1s': records between two windows would be in none",
  ],
  [
    'too many windows around a time',
    () => inWindow(hopping('1d', '1s')),
    "window 'w': hop '1s' is too short for the size '1d': 86400 windows hold each time, 10000 are possible",
  ],
  [
    'a step that does not divide the size',
    () => inWindow(cumulate('10s', '3s')),
    "window 'w': step '3s' must divide the size '10s'",
  ],
  [
    'an offset as long as the hop',
    () => inWindow(hopping('10s', '2s', { offset: '2s' })),
    "window 'w': offset '2s' must be shorter than the hop '2s'",
  ],
  [
    'a unit that there is not',
    () => inWindow(calendar('days' as 'day', { offset: '30d' })),
    "window 'w': unit must be 'hour' or 'day' or 'week' or 'month' or 'quarter' or 'year', not 'days', did you mean 'day'?",
  ],
  [
    'a zone that there is not',
    () => inWindow(calendar('day', { timeZone: 'Europe/Berln' })),
    "window 'w': timeZone must be a time zone like 'Europe/Berlin' or 'UTC', not 'Europe/Berln', did you mean 'Europe/Berlin'?",
  ],
  [
    'a distance from UTC as a zone',
    () => inWindow(calendar('day', { timeZone: '+02:00' })),
    "window 'w': timeZone must be a time zone like 'Europe/Berlin' or 'UTC', not '+02:00'",
  ],
  [
    'an offset as long as a day',
    () => inWindow(calendar('day', { offset: '24h' })),
    "window 'w': offset '24h' must be shorter than the shortest day, 1d",
  ],
  [
    'an offset as long as a February',
    () => inWindow(calendar('month', { offset: '28d' })),
    "window 'w': offset '28d' must be shorter than the shortest month, 28d",
  ],
  [
    'an option that there is not, all else at once',
    () => inWindow(calendar('hour', { timezone: 'UTC', offset: '-1h', grace: 'x' } as unknown as CalendarOptions)),
    "window 'w': there is no option 'timezone', did you mean 'timeZone'?; " +
      "window 'w': offset must be a duration like '500ms', '10s' or '1.5h', not '-1h'; " +
      "window 'w': grace must be a duration like '500ms', '10s' or '1.5h', not 'x'",
  ],
  [
    'no whole number of records',
    () => inWindow(countWindow(2.5, { hop: 1 })),
    "window 'w': size must be a whole number of records, at least 1, not 2.5",
  ],
  [
    'a hop of no records',
    () => inWindow(countWindow(2, { hop: 0 })),
    "window 'w': hop must be a whole number of records, at least 1, not 0",
  ],
  [
    'a hop of more records than the size',
    () => inWindow(countWindow(2, { hop: 3 })),
    "window 'w': hop 3 is more than the size 2: records between two windows would be in none",
  ],
  [
    'too many windows around a record',
    () => inWindow(countWindow(20_002, { hop: 2 })),
    "window 'w': hop 2 is too small for the size 20002: 10001 windows hold each record, 10000 are possible",
  ],
  [
    'resultTime in the global window',
    () => inGlobal().to(kafka('out', { resultTime: 'end' })),
    "to 'out': resultTime is the time of a window's final row, and the global window has no bounds",
  ],
  [
    'a grace of too many gaps',
    () => inWindow(session('1ms', { grace: '2s' })),
    "window 'w': 2s of grace and outOfOrder are too long for the gap 1ms: 1000 sessions of a key may be open",
  ],
  [
    'sessions of a state that cannot be merged',
    () =>
      job('x')
        .from(trades)
        .keyBy('sym')
        .window('w', session('1m'))
        .aggregate({ n: custom<Trade, number, number>({ init: () => 0, add: (n) => n + 1, result: (n) => n }) })
        .to(kafka('out')),
    "aggregate 'w-aggregate': 'n' needs merge, since sessions that meet become one",
  ],
  [
    'bounds of a time that records do not bring',
    () =>
      job('x')
        .from(kafka('in', { eventTime: processingTime(), outOfOrder: '1s', closeOnIdle: { maxDelay: '1s' } }))
        .to(kafka('out')),
    "source 'in': outOfOrder is for times that records bring; processingTime() is the clock when they are read; source 'in': closeOnIdle is for times that records bring; processingTime() is the clock when they are read",
  ],
  [
    'gaps of windows that overlap, without an end, and of no result',
    () =>
      loose(job('x').from(trades).keyBy('sym').window('w', hopping('10s', '5s'))).aggregate!(
        { n: count() },
        { gapFill: { fill: { m: 'last', n: 'most' } } },
      ).to!(kafka('out')),
    [
      "aggregate 'w-aggregate': gapFill is for tumbling windows",
      "aggregate 'w-aggregate': gapFill needs for, how long a key without records has rows, e.g. '1h'",
      "aggregate 'w-aggregate': gapFill: fill: there is no option 'm', did you mean 'n'?",
      "aggregate 'w-aggregate': gapFill: fill of 'n' must be 'null' or 'zero' or 'last', not 'most', did you mean 'last'?",
    ].join('; '),
  ],
  [
    'a dedup without a key and without an end',
    () => loose(job('x').from(trades)).dedup!('price', { witin: '1h' }).to!(kafka('out')),
    [
      "dedup: there is no option 'witin', did you mean 'within'?",
      "dedup 'dedup' needs keyed records: put keyBy before it",
      "dedup 'dedup' needs within, how long an id is remembered, e.g. '1h'",
    ].join('; '),
  ],
  [
    'two dedups, the second behind an aggregate',
    () =>
      loose(job('x').from(trades).keyBy('sym').dedup('ts', { within: '1h' }).aggregate({ n: count() })).dedup!('n', {
        within: '1s',
        name: 'again',
      }).to!(kafka('out')),
    "dedup 'again' comes after aggregate; it is for records; dedup is said twice",
  ],
  [
    'sliding windows of no size and of a grace that is no duration',
    () => inWindow(sliding('0ms', { grace: 'x' as '1s' })),
    "window 'w': size must be at least 1ms, not '0ms'; window 'w': grace must be a duration like '500ms', '10s' or '1.5h', not 'x'",
  ],
  [
    'sliding windows of a state that cannot be merged',
    () =>
      job('x')
        .from(trades)
        .keyBy('sym')
        .window('w', sliding('1m'))
        .aggregate({ n: custom<Trade, number, number>({ init: () => 0, add: (n) => n + 1, result: (n) => n }) })
        .to(kafka('out')),
    "aggregate 'w-aggregate': 'n' needs merge, since sliding windows share their records",
  ],
  [
    'no window',
    () => inWindow({ kind: 'toString' } as unknown as WindowSpec),
    "window 'w' takes a window, e.g. tumbling('1s'), not an object",
  ],
  [
    'a second keyBy',
    () => loose(job('x').from(trades).keyBy('sym')).keyBy!('sym').to!(kafka('out')),
    "keyBy('sym'): the records are already keyed by 'sym'",
  ],
  [
    'aggregate without keyBy',
    () => loose(job('x').from(trades)).aggregate!({ n: count() }).to!(kafka('out')),
    "aggregate 'aggregate' needs keyed records: put keyBy before it",
  ],
  [
    'a second aggregate',
    () => loose(running()).aggregate!({ n: count() }, { name: 'two' }).to!(kafka('out')),
    "aggregate 'two' comes after another aggregate: put keyBy between them",
  ],
  [
    'topN without keyBy, of nothing',
    () => loose(job('x').from(trades)).topN!('t').to!(kafka('out')),
    "topN 't' needs keyed records: put keyBy before it, by the group; topN 't': n must be a whole number from 1 to 10000, not undefined; topN 't': by must be a field name, not undefined; topN 't': rowKey must be a field name, not undefined",
  ],
  [
    'topN with wrong options, and what may not follow it',
    () =>
      loose(
        loose(job('x').from(trades).keyBy('sym')).topN!('t', {
          n: 5,
          by: 'qty',
          rowKey: 'sym',
          order: 'up',
          keep: 4,
        }).toView!('v'),
      ).keyBy!('qty').to!(kafka('out')),
    "topN 't': order must be 'desc' or 'asc', not 'up'; topN 't': keep must be a whole number from 5 to 10000, not 4; view 'v' needs key after topN, which tells the rows of a group apart, e.g. key: (row) => String(row.rank); keyBy comes after topN, whose rows come and go: only filter, map, to and toView may follow",
  ],
  [
    'a process without keyBy, with wrong options',
    () =>
      loose(job('x').from(trades)).process!('p', { onRecord: 1, onTimer: 2, state: 3, ttl: 'x', onTime: 4 }).to!(
        kafka('out'),
      ),
    "process 'p' needs keyed records: put keyBy before it; process 'p': there is no option 'onTime', did you mean 'onTimer'?; process 'p': state must be a function, not 3; process 'p': onRecord must be a function, not 1; process 'p': onTimer must be a function, not 2; process 'p': ttl must be a duration like '500ms', '10s' or '1.5h', not 'x'",
  ],
  [
    'a process of nothing, after an aggregate',
    () => loose(running()).process!('p').to!(kafka('out')),
    "process 'p' comes after an aggregate: put keyBy between them, then its rows are records; process 'p' needs onRecord, a function of a record and its context",
  ],
  [
    'a process that nobody takes the rows of',
    () => loose(job('x').from(trades).keyBy('sym')).process!('p', { onRecord: () => {} }),
    'the job has no sink: end it with to(kafka(...)) or toView(...)',
  ],
  [
    'reduce without keyBy and without a function',
    () => loose(job('x').from(trades)).reduce!('Peak', 7).to!(kafka('out')),
    "the name of a reduce must be 1 to 64 of a-z, 0-9 and '-', not 'Peak'; reduce 'Peak' needs keyed records: put keyBy before it; reduce 'Peak' must be a function of two records, not 7",
  ],
  [
    'reduce after an aggregate',
    () => loose(running()).reduce!(() => 0).to!(kafka('out')),
    "reduce 'reduce' comes after another aggregate: put keyBy between them",
  ],
  [
    'a window without aggregate',
    () => loose(job('x').from(trades).keyBy('sym').window('w', tumbling('1s'))).to!(kafka('out')),
    "window 'w' must be followed by aggregate or reduce, not by to",
  ],
  [
    'final without a window',
    () => loose(running()).to!(kafka('out'), { emit: 'final' }),
    "to 'out': emit 'final' needs a window; a running result has no end, use 'updates' or { every: '250ms' }",
  ],
  [
    'final of a view without a window',
    () => loose(running()).toView!('v', { emit: 'final' }),
    "view 'v': emit 'final' needs a window; a running result has no end, use 'updates' or { every: '250ms' }",
  ],
  [
    'rows before their commit, not as a yes or no',
    () => loose(running()).toView!('v', { provisional: 'always' }),
    "view 'v': provisional must be true or false, not 'always'",
  ],
  [
    'late without a window',
    () => loose(running()).late!(kafka('l')).to!(kafka('out')),
    'late needs a window, a join of two streams or one as of a time: without one no record is late',
  ],
  [
    'emit of plain records',
    () => loose(job('x').from(trades)).to!(kafka('out'), { emit: 'updates' }),
    "to 'out': emit is for results of an aggregate; records are written as they come",
  ],
  [
    'a view whose rows go before their grace is over',
    () =>
      job('x')
        .from(trades)
        .keyBy('sym')
        .window('w', tumbling('1s', { grace: '2s' }))
        .aggregate({ n: count() })
        .toView('v', { keep: '1999ms' }),
    "view 'v': keep must be at least the grace of the window, 2s: its rows change until then",
  ],
  [
    'a history by number',
    () => viewOf(countWindow(2), { history: true }),
    "view 'v': history is by the time of a window, which windows by count has not",
  ],
  [
    'a history of a table',
    () =>
      loose(job('x').table(kafka('t', { key: 'k', value: msgpack<{ k: string }>() }))).toView!('v', { history: '1d' }),
    "view 'v': history is for rows of an aggregate, which have a time that stays",
  ],
  [
    'a history that is not as long as the grace',
    () => viewOf(tumbling('1s', { grace: '2s' }), { history: '1s', keep: '1h' }),
    "view 'v': history must be at least the grace of the window, 2s: its rows change until then",
  ],
  [
    'a view that keeps its rows for no time',
    () => running().toView('v', { keep: '0ms' }),
    "view 'v': keep must be at least 1ms, not '0ms'",
  ],
  [
    'a view of plain records',
    () => loose(job('x').from(trades)).toView!('v'),
    "view 'v' needs an aggregate or a table: it keeps the latest row per key",
  ],
  [
    'every of nothing',
    () => running().to(kafka('out'), { emit: { every: '0ms' } }),
    "to 'out': emit every must be at least 1ms, not '0ms'",
  ],
  [
    'resultTime without a window',
    () => running().to(kafka('out', { resultTime: 'max' })),
    "to 'out': resultTime is the time of a window's final row, and there is no window",
  ],
  [
    'an envelope in a sink',
    () => running().to(kafka('out', { value: envelope(json()) })),
    "to 'out': a result is one value; envelope formats are for sources",
  ],
  [
    'no aggregates',
    () => job('x').from(trades).keyBy('sym').aggregate({}).to(kafka('out')),
    "aggregate 'aggregate' takes at least one aggregate, e.g. { n: count() }, not an object",
  ],
  [
    'a result named as the key',
    () =>
      job('x')
        .from(trades)
        .keyBy('sym')
        .aggregate({ sym: first('sym') })
        .to(kafka('out')),
    "aggregate 'aggregate': 'sym' is a field of the row itself; choose another name",
  ],
  [
    'a result named by digits',
    () => job('x').from(trades).keyBy('sym').aggregate({ 1: count() }).to(kafka('out')),
    "aggregate 'aggregate': '1' cannot be the name of a result",
  ],
  [
    'an offset as long as the window',
    () =>
      job('x')
        .from(trades)
        .keyBy('sym')
        .window('w', tumbling('1s', { offset: '1s' }))
        .aggregate({ n: count() })
        .to(kafka('out')),
    "window 'w': offset '1s' must be shorter than the size '1s'",
  ],
  [
    'an aggregate named as its window',
    () =>
      job('x')
        .from(trades)
        .keyBy('sym')
        .window('w', tumbling('1s'))
        .aggregate({ n: count() }, { name: 'w' })
        .to(kafka('out')),
    "there are two operators with the name 'w'",
  ],
  ['a view twice', () => running().toView('v').toView('v'), "there are two operators with the name 'view-v'"],
  [
    'a sink that is the source',
    () => running().to(kafka('trades')),
    "the topic 'trades' cannot be the source and a sink at once",
  ],
  [
    'a sink that is the changelog',
    () => running().to(kafka('x-changelog')),
    "the topic 'x-changelog' cannot be the changelog and a sink at once",
  ],
  [
    'a late topic that is a sink',
    () => aggregated().late(kafka('out')).to(kafka('out')),
    "the topic 'out' cannot be the late topic and a sink at once",
  ],
  [
    'nine intervals',
    () =>
      ([1, 2, 3, 4, 5, 6, 7, 8, 9] as const).reduce(
        (stage, n) => stage.to(kafka('out'), { emit: { every: `${n}s` } }),
        running().to(kafka('out')),
      ),
    "the sinks have 9 different 'every' intervals, 8 are possible",
  ],
  [
    'closeOnIdle without maxDelay',
    () =>
      job('x')
        .from(kafka('in', { closeOnIdle: {} as { maxDelay: '1s' } }))
        .to(kafka('out')),
    "source 'in': closeOnIdle needs maxDelay, how far behind the clock the watermark stays, e.g. { maxDelay: '5s' }",
  ],
  [
    'a schema that is none',
    () =>
      job('x')
        .from(kafka('in', { schema: {} as StandardSchemaV1<unknown, Trade> }))
        .to(kafka('out')),
    "source 'in': schema must be a Standard Schema (version 1), for example of zod, valibot or arktype",
  ],
]

test.each(onlyProblem)('a job with %s is refused with just that problem', (_what, stage, problem) => {
  expect(problemsOf(stage()).join('; ')).toBe(problem)
})

const positive: StandardSchemaV1<unknown, Trade> = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Trade }) },
}
const moved = { kind: 'repartition', name: 'repartition', topic: 'x-repartition' }

test.each([
  ['another field than the declared key', () => job('x').from(trades).keyBy('price'), 'price', 'msgpack'],
  [
    'a source without a key',
    () =>
      job('x')
        .from(kafka('in', { value: json<Trade>() }))
        .keyBy('sym'),
    'sym',
    'json',
  ],
  [
    'a map before it',
    () =>
      job('x')
        .from(trades)
        .map((trade) => trade)
        .keyBy('sym'),
    'sym',
    'msgpack',
  ],
  [
    'an envelope without a key',
    () =>
      job('x')
        .from(kafka('in', { value: envelope(json<Trade>()) }))
        .keyBy('sym'),
    'sym',
    'json',
  ],
  [
    'a schema, whose values are no JSON any more',
    () =>
      job('x')
        .from(kafka('in', { value: json(), schema: positive }))
        .keyBy('sym'),
    'sym',
    'msgpack',
  ],
] as const)('keyBy with %s moves the records through a topic of the job', (_, keyed, field, format) => {
  const { plan } = loose(keyed()).aggregate!({ n: count() }).to!(kafka('out')).build!() as unknown as CompiledJob
  const at = plan.operators.findIndex(({ kind }) => kind === 'repartition')
  expect(plan.operators.slice(at, at + 2)).toEqual([
    { ...moved, field, format },
    { kind: 'keyBy', name: `keyby-${field}`, field },
  ])
  const topics = planTopics(plan)
  expect(topics.repartitions.map((index) => topics.names[index])).toEqual(['x-repartition'])
  expect(inputTopics(plan)).toEqual([plan.source.topic, 'x-repartition'])
  expect(topics.changelogs.map((index) => topics.names[index])).toEqual([undefined, 'x-changelog'])
})

test('keyBy on the declared key moves nothing', () => {
  const { plan } = runningSum.build()
  const topics = planTopics(plan)
  expect(topics.repartitions).toEqual([])
  expect(topics.changelogs.map((index) => topics.names[index])).toEqual([`${plan.job}-changelog`])
  expect(inputTopics(plan)).toEqual([plan.source.topic])
})

test('a list of problems leaves no space at the end of a line', () => {
  const error = errorOf(loose(job('x')).to!(kafka('out')) as unknown as { build(): unknown })
  expect(error.message).toContain('is not valid:\n  - ')
  expect(error.message).not.toMatch(/[ \n](\n|$)/)
})

test('a job file may export a complete stage or a compiled job, and nothing else', () => {
  const compiled: CompiledJob = runningSum.build()
  expect(compiledJobOf(runningSum, 'job.ts')).toEqual(compiled)
  expect(compiledJobOf(compiled, 'job.ts')).toBe(compiled)
  for (const other of [undefined, null, 1, {}, { plan: null, functions: [] }, () => runningSum]) {
    expect(() => compiledJobOf(other, 'job.ts')).toThrow(/MR1001 .*job\.ts/)
  }
})
