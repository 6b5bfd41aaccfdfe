// The stages as types: what a job may say, in which order, and what its rows are.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import {
  approxDistinctCount,
  argMax,
  argMin,
  avg,
  type Collected,
  collect,
  correlation,
  count,
  countWindow,
  covariance,
  custom,
  decimalSum,
  distinctCount,
  envelope,
  first,
  globalWindow,
  histogram,
  job,
  json,
  kafka,
  last,
  max,
  min,
  msgpack,
  type ProcessContext,
  quantile,
  quantiles,
  recordTime,
  stddev,
  stddevSample,
  sum,
  type TopValue,
  topK,
  tumbling,
  variance,
  varianceSample,
  type WindowSpec,
  weightedMean,
} from 'millrace'
import { expectTypeOf, test } from 'vitest'
import type { Complete } from '../../src/job/stages.ts'

interface Trade {
  sym: string
  price: number
  qty: number
  ts: number
  side: 'buy' | 'sell'
  note?: string
}

const trades = kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '2s' })
const stream = job('candles').from(trades)
const keyed = stream.keyBy('sym')
const windowed = keyed.window('1s', tumbling('1s'))

test('the row of a window has the key, the bounds and the inferred results', () => {
  windowed
    .aggregate({
      open: first('price'),
      side: last('side'),
      volume: sum('qty'),
      vwap: weightedMean('price', 'qty'),
      spread: variance('price'),
      n: count(),
    })
    .map((row) => {
      expectTypeOf(row).toEqualTypeOf<{
        sym: string
        windowStart: number
        windowEnd: number
        open: number
        side: 'buy' | 'sell'
        volume: number
        vwap: number | null
        spread: number
        n: number
      }>()
      return row
    })
})

test('results of a filled window may be null where no value is said for them', () => {
  keyed
    .window('w', tumbling('1s'))
    .aggregate(
      { open: first('price'), close: last('price'), n: count() },
      { gapFill: { for: '1h', fill: { close: 'last', n: 'zero' } } },
    )
    .map((row) => {
      expectTypeOf(row).toEqualTypeOf<{
        sym: string
        windowStart: number
        windowEnd: number
        open: number | null
        close: number
        n: number
      }>()
      return row
    })
  // @ts-expect-error there is no such result
  keyed.window('w', tumbling('1s')).aggregate({ n: count() }, { gapFill: { for: '1h', fill: { m: 'last' } } })
})

test('the row of a running aggregate has the key and the results, and no window', () => {
  keyed.aggregate({ total: sum('qty'), mean: avg('price') }).map((row) => {
    expectTypeOf(row).toEqualTypeOf<{ sym: string; total: number; mean: number }>()
    return row
  })
})

test('windows by count have bounds, the global window has none; both have final rows and late records', () => {
  keyed
    .window('w', countWindow(10, { hop: 5 }))
    .aggregate({ n: count() })
    .late(kafka('x'))
    .map((row) => {
      expectTypeOf(row).toEqualTypeOf<{ sym: string; windowStart: number; windowEnd: number; n: number }>()
      return row
    })
    .to(kafka('x'), { emit: 'final' })
  keyed
    .window('w', globalWindow())
    .aggregate({ n: count() })
    .late(kafka('x'))
    .map((row) => {
      expectTypeOf(row).toEqualTypeOf<{ sym: string; n: number }>()
      return row
    })
    .to(kafka('x'), { emit: 'final' })
  // @ts-expect-error records are counted, not timed
  countWindow('10s')
  // @ts-expect-error it has no grace: no record is late before the end of the input
  countWindow(10, { grace: '1s' })
})

test('a window that may be of any kind gives rows that may have no bounds', () => {
  keyed
    .window('w', globalWindow() as WindowSpec)
    .aggregate({ n: count() })
    .map((row) => {
      // @ts-expect-error rows of the global window have none
      row.windowStart
      return row.n
    })
})

test('a number key is text in results, since it is read back from the Kafka key', () => {
  job('users')
    .from(kafka('orders', { value: json<{ user: number; amount: number }>(), key: 'user' }))
    .keyBy('user')
    .aggregate({ n: count() })
    .map((row) => {
      expectTypeOf(row).toEqualTypeOf<{ user: string; n: number }>()
      return row
    })
})

test('functions over named fields get just those values, typed', () => {
  stream.filter(['qty', 'side'], (qty, side) => {
    expectTypeOf(qty).toEqualTypeOf<number>()
    expectTypeOf(side).toEqualTypeOf<'buy' | 'sell'>()
    return qty > 0
  })
  const mapped = stream.map(['price', 'qty'], (price, qty) => ({ value: price * qty }))
  mapped.filter((row) => {
    expectTypeOf(row).toEqualTypeOf<{ value: number }>()
    return true
  })
  stream.filter((trade) => {
    expectTypeOf(trade).toEqualTypeOf<Trade>()
    return true
  })
  stream
    .flatMap((trade) => [trade.sym, trade.side])
    .filter((text) => {
      expectTypeOf(text).toEqualTypeOf<string>()
      return true
    })
})

test('custom accumulators infer state, values and result', () => {
  windowed
    .aggregate({
      range: custom({
        fields: ['price', 'side'],
        init: () => ({ low: 0, high: 0 }),
        add: (state, price, side) => {
          expectTypeOf(state).toEqualTypeOf<{ low: number; high: number }>()
          expectTypeOf(price).toEqualTypeOf<number>()
          expectTypeOf(side).toEqualTypeOf<'buy' | 'sell'>()
          return { low: Math.min(state.low, price), high: Math.max(state.high, price) }
        },
        result: (state) => state.high - state.low,
      }),
      notes: custom({
        init: (): string[] => [],
        add: (state, trade) => {
          expectTypeOf(trade).toEqualTypeOf<Trade>()
          return [...state, trade.note ?? '']
        },
        result: (state) => state.join(),
      }),
    })
    .map((row) => {
      expectTypeOf(row.range).toEqualTypeOf<number>()
      expectTypeOf(row.notes).toEqualTypeOf<string>()
      return row
    })
  windowed.aggregate({
    // @ts-expect-error there is no field prise
    bad: custom({ fields: ['prise'], init: () => 0, add: (state: number) => state, result: (state: number) => state }),
  })
})

test('every aggregate has the type of its result', () => {
  windowed
    .aggregate({
      deviation: stddev('price'),
      sample: varianceSample('price'),
      sampleDeviation: stddevSample('price'),
      together: covariance('price', 'qty'),
      alike: correlation('price', 'qty'),
      dearest: argMax('side', 'price'),
      cheapest: argMin('ts', 'price'),
      median: quantile('price', 0.5),
      spread: quantiles('price', [0.1, 0.9], { accuracy: 0.02 }),
      sizes: histogram('qty', [1, 10]),
      sides: distinctCount('side', { limit: 2 }),
      syms: approxDistinctCount('sym', { precision: 10 }),
      top: topK('side', 2, { capacity: 10 }),
      sideList: collect('side', { limit: 2 }),
      total: decimalSum('sym'),
    })
    .map((row) => {
      expectTypeOf(row).toEqualTypeOf<{
        sym: string
        windowStart: number
        windowEnd: number
        deviation: number
        sample: number | null
        sampleDeviation: number | null
        together: number
        alike: number | null
        dearest: 'buy' | 'sell'
        cheapest: number
        median: number
        spread: number[]
        sizes: number[]
        sides: number | null
        syms: number
        top: TopValue<'buy' | 'sell'>[]
        sideList: Collected<'buy' | 'sell'>
        total: string
      }>()
      expectTypeOf(row.top).toEqualTypeOf<{ value: 'buy' | 'sell'; count: number; error: number }[]>()
      expectTypeOf(row.sideList).toEqualTypeOf<{ values: ('buy' | 'sell')[]; dropped: number }>()
      return row
    })
})

test('aggregates take only fields that they can work with', () => {
  // @ts-expect-error numbers
  windowed.aggregate({ a: stddev('side') })
  // @ts-expect-error numbers
  windowed.aggregate({ a: covariance('price', 'side') })
  // @ts-expect-error the value is always there
  windowed.aggregate({ a: argMax('note', 'price') })
  // @ts-expect-error compared by a number
  windowed.aggregate({ a: argMin('price', 'side') })
  // @ts-expect-error numbers
  windowed.aggregate({ a: quantile('side', 0.5) })
  // @ts-expect-error numbers
  windowed.aggregate({ a: quantiles('note', [0.5]) })
  // @ts-expect-error numbers
  windowed.aggregate({ a: histogram('side', [1]) })
  // @ts-expect-error always there
  windowed.aggregate({ a: distinctCount('note') })
  // @ts-expect-error no such field
  windowed.aggregate({ a: approxDistinctCount('sides') })
  // @ts-expect-error always there
  windowed.aggregate({ a: topK('note', 1) })
  // @ts-expect-error always there
  windowed.aggregate({ a: collect('note', { limit: 1 }) })
  // @ts-expect-error decimals are text
  windowed.aggregate({ a: decimalSum('price') })
  // @ts-expect-error a list has a limit
  collect('side', {})
  // @ts-expect-error no such option
  topK('side', 1, { limit: 1 })
  const lists = job('x')
    .from(kafka('in', { value: json<{ user: string; tags: string[] }>(), key: 'user' }))
    .keyBy('user')
  lists.aggregate({ tags: collect('tags', { limit: 5 }) }).map((row) => {
    expectTypeOf(row.tags).toEqualTypeOf<{ values: string[][]; dropped: number }>()
    return row
  })
  // @ts-expect-error lists cannot be told apart
  lists.aggregate({ tags: distinctCount('tags') })
})

test('a stage out of order does not compile', () => {
  // @ts-expect-error a window needs keyBy
  stream.window('1s', tumbling('1s'))
  // @ts-expect-error an aggregate needs keyBy
  stream.aggregate({ n: count() })
  // @ts-expect-error a window must be aggregated
  windowed.to(kafka('x'))
  // @ts-expect-error no late before a window
  keyed.late(kafka('x'))
  // @ts-expect-error a running result is never late
  keyed.aggregate({ n: count() }).late(kafka('x'))
  // @ts-expect-error late is said once
  windowed.aggregate({ n: count() }).late(kafka('x')).late(kafka('y'))
  // @ts-expect-error a view needs an aggregate
  stream.toView('x')
  // @ts-expect-error rows are no records before keyBy
  windowed.aggregate({ n: count() }).window('2s', tumbling('2s'))
  // @ts-expect-error no build before a sink
  windowed.aggregate({ n: count() }).build
  // @ts-expect-error an operator after the last sink goes nowhere
  stream.to(kafka('x')).filter(() => true).build
  // @ts-expect-error a job begins with from
  job('x').to(kafka('x'))
})

test('keyBy takes any field of the record, and the rows have it as their key', () => {
  const unkeyed = job('x').from(kafka('trades', { value: msgpack<Trade>() }))
  for (const keyedBySide of [stream.keyBy('side'), unkeyed.keyBy('side'), stream.map((trade) => trade).keyBy('side')]) {
    keyedBySide.aggregate({ n: count() }).map((row) => {
      expectTypeOf(row).toEqualTypeOf<{ side: 'buy' | 'sell'; n: number }>()
      return row
    })
  }
  // @ts-expect-error there is no such field
  stream.keyBy('sides')
  // @ts-expect-error the map has made records without it
  stream.map(({ sym }) => ({ sym })).keyBy('side')
})

test('field names are checked against the record', () => {
  // @ts-expect-error no such field
  stream.filter(['quantity'], () => true)
  // @ts-expect-error no such field
  kafka('trades', { value: msgpack<Trade>(), key: 'symbol' })
  // @ts-expect-error event time must be a number field
  kafka('trades', { value: msgpack<Trade>(), eventTime: 'side' })
  // @ts-expect-error a sum needs numbers
  windowed.aggregate({ total: sum('side') })
  // @ts-expect-error a minimum needs a number that is always there
  windowed.aggregate({ low: min('note') })
  // @ts-expect-error no such field
  windowed.aggregate({ high: max('prices') })
  // @ts-expect-error no such field
  windowed.aggregate({ open: first('prices') })
  // @ts-expect-error a record without the field would be dead
  windowed.aggregate({ note: last('note') })
  // @ts-expect-error the weight needs a number
  windowed.aggregate({ vwap: weightedMean('price', 'side') })
})

test('a running result has no final, a plain stream no emit', () => {
  const running = keyed.aggregate({ n: count() })
  expectTypeOf(running.to(kafka('x'), { emit: 'updates' })).toExtend<Complete>()
  running.to(kafka('x'), { emit: { every: '250ms' } })
  // @ts-expect-error no end, no final
  running.to(kafka('x'), { emit: 'final' })
  // @ts-expect-error no end, no final
  running.toView('x', { emit: 'final' })
  // @ts-expect-error records are written as they come
  stream.to(kafka('x'), { emit: 'updates' })
  // @ts-expect-error not a duration
  running.to(kafka('x'), { emit: { every: '250' } })
})

test('sink functions get the row', () => {
  const rows = windowed.aggregate({ n: count() })
  rows.to(
    kafka('x', {
      value: msgpack(),
      key: (row) => {
        expectTypeOf(row).toEqualTypeOf<{ sym: string; windowStart: number; windowEnd: number; n: number }>()
        return row.sym
      },
      headers: (row) => ({ start: String(row.windowStart) }),
      resultTime: 'max',
    }),
  )
  rows.toView('x', { key: (row) => `${row.sym}@${row.windowStart}`, value: json() })
  rows.to(kafka('x', { value: json<{ sym: string; n: number }>() }))
  // @ts-expect-error the topic's type has a field that the row has not
  rows.to(kafka('x', { value: json<{ sym: string; total: number }>() }))
  // @ts-expect-error a sink declares no key field
  rows.to(kafka('x', { value: msgpack<{ sym: string; n: number }>(), key: 'sym' }))
  // @ts-expect-error a key function is for sinks
  job('x').from(kafka('trades', { value: msgpack<Trade>(), key: (trade) => trade.sym }))
  // @ts-expect-error a key is text
  rows.to(kafka('x', { key: (row) => row.n }))
})

test('sources take envelopes, schemas, functions and the record time', () => {
  const schema = {} as StandardSchemaV1<{ id: string; at: string }, { id: string; at: number }>
  job('a')
    .from(kafka('a', { value: json(), schema, key: 'id', eventTime: 'at' }))
    .filter((event) => {
      expectTypeOf(event).toEqualTypeOf<{ id: string; at: number }>()
      return true
    })
  job('b')
    .from(kafka('b', { value: envelope(msgpack<Trade>()), key: 'sym', eventTime: (trade) => trade.ts * 1000 }))
    .filter((trade) => {
      expectTypeOf(trade).toEqualTypeOf<Trade>()
      return true
    })
  job('c')
    .from(kafka('c', { value: msgpack<Trade>({ shape: 'envelope' }), eventTime: recordTime() }))
    .filter(['qty'], (qty) => qty > 0)
    .to(kafka('d'))
  job('e')
    .from(kafka('e'))
    .filter((value) => {
      expectTypeOf(value).toEqualTypeOf<unknown>()
      return true
    })
})

test('reduce makes a record of two of its kind, with the emission of an aggregate', () => {
  keyed.reduce((a, b) => {
    expectTypeOf(a).toEqualTypeOf<Trade>()
    expectTypeOf(b).toEqualTypeOf<Trade>()
    return a
  })
  keyed
    .reduce('latest', (_, trade) => trade)
    .filter((row) => {
      expectTypeOf(row).toEqualTypeOf<Trade>()
      return true
    })
  windowed
    .reduce((a) => a)
    .late(kafka('late'))
    .to(kafka('x'), { emit: 'final' })
  // @ts-expect-error a running result has no end
  keyed.reduce((a) => a).to(kafka('x'), { emit: 'final' })
  // @ts-expect-error it makes another kind of record
  keyed.reduce((a) => a.qty)
  // @ts-expect-error records have no key yet
  stream.reduce((a) => a)
})

test('a process has the types of state and rows that its context names', () => {
  const processed = keyed.process('p', {
    state: () => ({ n: 0 }),
    onRecord(trade, ctx: ProcessContext<{ n: number }, { total: number }>) {
      expectTypeOf(trade).toEqualTypeOf<Trade>()
      expectTypeOf(ctx.state.get()).toEqualTypeOf<{ n: number }>()
      ctx.emit({ total: 1 })
      // @ts-expect-error a row of another type
      ctx.emit({ n: 1 })
      // @ts-expect-error a state of another type
      ctx.state.set(7)
    },
    onTimer(timer, ctx) {
      expectTypeOf(timer.clock).toEqualTypeOf<'event' | 'wall'>()
      expectTypeOf(ctx.state.get()).toEqualTypeOf<{ n: number }>()
    },
  })
  processed.filter((row) => {
    expectTypeOf(row).toEqualTypeOf<{ total: number }>()
    return true
  })
  processed.window('w', tumbling('1s')).aggregate({ n: count() })
  // @ts-expect-error records have no key yet
  stream.process('p', { onRecord() {} })
  // @ts-expect-error it needs onRecord
  keyed.process('p', { onTimer() {} })
})

test('rows of topN have a rank, and go into topics and views', () => {
  const ranked = keyed.topN('t', { n: 3, by: ['price', 'qty'], rowKey: 'side' })
  ranked.filter((row) => {
    expectTypeOf(row.rank).toEqualTypeOf<number>()
    expectTypeOf(row.side).toEqualTypeOf<'buy' | 'sell'>()
    return true
  })
  ranked.map(({ rank }) => ({ rank })).toView('v', { key: (row) => String(row.rank) })
  // @ts-expect-error a view needs a key that tells the rows apart
  ranked.toView('v', {})
  // @ts-expect-error no such field
  keyed.topN('t', { n: 3, by: 'prize', rowKey: 'side' })
  // @ts-expect-error rows that come and go are no records
  ranked.keyBy('side')
  // @ts-expect-error records have no key yet
  stream.topN('t', { n: 3, by: 'price', rowKey: 'side' })
})
