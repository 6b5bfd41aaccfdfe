// The client as types: the names of the views and their rows are those of the job. Holds SPEC: PUSH-17, PUSH-23.
import {
  type Complete,
  count,
  custom,
  globalTable,
  job,
  json,
  kafka,
  last,
  msgpack,
  stream,
  sum,
  table,
  tumbling,
} from 'millrace'
import {
  type ChangedRow,
  type Client,
  createClient,
  type HeldRow,
  type ViewsOf,
  type WebSocketClass,
} from 'millrace/client'
import { useView } from 'millrace/client/react'
import { expectTypeOf, test } from 'vitest'
import { WebSocket } from 'ws'

interface Trade {
  sym: string
  price: number
  qty: number
  ts: number
  side: 'buy' | 'sell'
}

const trades = kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts' })
const windowed = job('candles').from(trades).keyBy('sym').window('1s', tumbling('1s'))
const candles = windowed
  .aggregate({ close: last('price'), volume: sum('qty'), side: last('side'), n: count() })
  .to(kafka('out'))
  .toView('candles', { emit: 'updates', value: json() })

interface Candle {
  sym: string
  windowStart: number
  windowEnd: number
  close: number
  volume: number
  side: 'buy' | 'sell'
  n: number
}

/** The row of a view. */
type RowOf<C, N extends string> = C extends Client<infer V> ? (N extends keyof V ? V[N] : never) : never

test('a view of a client that knows its job has the row that the job writes', () => {
  const client = createClient<typeof candles>({ url: 'https://push.example' })
  const view = client.view('candles')
  const subscription = view.subscribe(
    { key: 'BTC' },
    {
      onSnapshot: (rows) => expectTypeOf(rows).toEqualTypeOf<readonly HeldRow<Candle>[]>(),
      onUpdate: (rows) => expectTypeOf(rows).toEqualTypeOf<readonly ChangedRow<Candle>[]>(),
    },
  )
  expectTypeOf(subscription.rows.get('BTC')!.row).toEqualTypeOf<Candle>()
  expectTypeOf(subscription.rows.get('BTC')!.state).toEqualTypeOf<'provisional' | 'open' | 'final'>()
  // @ts-expect-error there is no such view
  client.view('candle')
  // @ts-expect-error there is no such field
  subscription.rows.get('BTC')!.row.vwap
})

test('a client without a job is told it with the view, or takes any name and any field', () => {
  const client = createClient({ url: 'https://push.example' })
  const view = client.view<typeof candles, 'candles'>('candles')
  expectTypeOf(view.subscribe({ key: 'BTC' }).rows.get('BTC')!.row).toEqualTypeOf<Candle>()
  expectTypeOf(client.view('anything').subscribe().rows.get('a')!.row).toEqualTypeOf<Record<string, unknown>>()
  // @ts-expect-error there is no such view
  client.view<typeof candles, 'candle'>('candle')
  // @ts-expect-error what is built says its views, a number has none
  client.view<number, 'candles'>('candles')
})

test('what the job builds has the same views as the stage that it was built of', () => {
  const built = candles.build()
  expectTypeOf<ViewsOf<typeof built>>().toEqualTypeOf<ViewsOf<typeof candles>>()
  expectTypeOf<keyof ViewsOf<typeof candles>>().toEqualTypeOf<'candles'>()
  expectTypeOf<keyof ViewsOf<Complete>>().toEqualTypeOf<never>()
})

test('a field that the job renames breaks the page', () => {
  const renamed = windowed.aggregate({ last: last('price'), n: count() }).toView('candles')
  const before = createClient<typeof candles>().view('candles')
  before
    .subscribe({ fields: ['close'] })
    .rows.get('BTC')!
    .row.close.toFixed(2)
  const after = createClient<typeof renamed>().view('candles')
  // @ts-expect-error it has another name now
  after.subscribe().rows.get('BTC')!.row.close
  // @ts-expect-error among the fields too
  after.subscribe({ fields: ['close'] })
  // @ts-expect-error and in conditions
  after.subscribe({ where: { close: { gt: 1 } } })
})

test('a selection has fields and values of the row, and one way to say keys', () => {
  const view = createClient<typeof candles>().view('candles')
  const some = view.subscribe({ prefix: 'BTC', fields: ['close', 'side'], minGapMs: 100 })
  expectTypeOf(some.rows.get('BTC')!.row).toEqualTypeOf<Pick<Candle, 'close' | 'side'>>()
  view.subscribe({ keys: ['BTC', 'ETH'], where: { side: 'buy', volume: { gt: 10, lte: 20 }, sym: { in: ['BTC'] } } })
  // @ts-expect-error not a side
  view.subscribe({ where: { side: 'bought' } })
  // @ts-expect-error numbers are compared with numbers
  view.subscribe({ where: { volume: { gt: '10' } } })
  // @ts-expect-error no such condition
  view.subscribe({ where: { volume: { above: 10 } } })
  // @ts-expect-error no such field
  view.subscribe({ fields: ['vwap'] })
  // @ts-expect-error a key or a prefix
  view.subscribe({ key: 'BTC', prefix: 'B' })
})

test('events are told apart, and a row that is gone has none', async () => {
  for await (const event of createClient<typeof candles>().view('candles').subscribe()) {
    if (event.type === 'snapshot') expectTypeOf(event.rows).toEqualTypeOf<readonly HeldRow<Candle>[]>()
    else for (const { row } of event.rows) expectTypeOf(row).toEqualTypeOf<Candle | null>()
  }
})

test('a job carries the views of all its ways: several stages, lists, tables, branches, other streams', () => {
  const totals = job('totals')
    .from(trades)
    .keyBy('sym')
    .aggregate({ total: sum('qty'), side: last('side') })
  const ranked = totals
    .toView('totals')
    .filter((row) => row.total > 0)
    .map(['sym', 'total', 'side'], (sym, total, side) => ({ sym, total, side }))
    .keyBy('side')
    .topN('best', { n: 3, by: 'total', rowKey: 'sym' })
    .toView('best', { key: ({ side, rank }) => `${side} ${rank}` })
  expectTypeOf<ViewsOf<typeof ranked>['totals']>().toEqualTypeOf<{ sym: string; total: number; side: 'buy' | 'sell' }>()
  expectTypeOf<ViewsOf<typeof ranked>['best']['rank']>().toEqualTypeOf<number>()
  expectTypeOf<keyof ViewsOf<typeof ranked>>().toEqualTypeOf<'totals' | 'best'>()

  const users = table(kafka('users', { value: json<{ id: string; name: string }>(), key: 'id' })).toView('users')
  const tables = job('tables')
    .table(kafka('ages', { value: json<{ id: string; age: number }>(), key: 'id' }))
    .join('both', users, {}, (age, user) => ({ ...age, ...user }))
    .toView('people')
  expectTypeOf<ViewsOf<typeof tables>['people']>().toEqualTypeOf<{ id: string; age: number; name: string }>()
  expectTypeOf<keyof ViewsOf<typeof tables>>().toEqualTypeOf<'users' | 'people'>()

  const branched = job('branched')
    .from(trades)
    .branch(
      {
        when: (trade) => trade.side === 'buy',
        into: (bought) =>
          bought
            .keyBy('sym')
            .aggregate({ bought: sum('qty') })
            .toView('bought'),
      },
      { when: (trade) => trade.qty > 5, into: (large) => large.to(kafka('large')) },
      {
        into: (rest) => rest.branch({ into: (sold) => sold.keyBy('side').aggregate({ n: count() }).toView('sold') }),
      },
    )
  expectTypeOf<ViewsOf<typeof branched>['bought']>().toEqualTypeOf<{ sym: string; bought: number }>()
  expectTypeOf<ViewsOf<typeof branched>['sold']>().toEqualTypeOf<{ side: 'buy' | 'sell'; n: number }>()
  expectTypeOf<keyof ViewsOf<typeof branched>>().toEqualTypeOf<'bought' | 'sold'>()

  const paid = stream(trades)
    .keyBy('sym')
    .aggregate({ paid: sum('qty') })
    .toView('paid')
    .keyBy('sym')
  const rates = globalTable(kafka('rates', { value: json<{ sym: string; eur: number }>(), key: 'sym' }))
  const merged = job('merged')
    .from(trades)
    .joinTable('rate', rates, { on: 'sym' }, (trade, { eur }) => ({ sym: trade.sym, eur }))
    .keyBy('sym')
    .join('paid', paid, { within: '1s' }, (trade, { paid }) => ({ ...trade, paid }))
    .process('p', { onRecord(_record, _context) {} })
    .merge(paid)
    .reduce((before) => before)
    .toView('latest')
  expectTypeOf<keyof ViewsOf<typeof merged>>().toEqualTypeOf<'paid' | 'latest'>()
})

test('a component has the rows of the view, and the fields that it asks for', () => {
  const view = createClient<typeof candles>().view('candles')
  expectTypeOf(useView(view).rows).toEqualTypeOf<readonly HeldRow<Candle>[]>()
  const { byKey } = useView(view, { prefix: 'BTC', fields: ['close'] })
  expectTypeOf(byKey.get('BTC')!.row).toEqualTypeOf<Pick<Candle, 'close'>>()
  // @ts-expect-error no such field
  useView(view, { fields: ['vwap'] })
})

test('a row has the form that it has when it has travelled', () => {
  const typed = windowed
    .aggregate({
      all: custom({
        init: () => ({
          big: 1n,
          bytes: new Uint8Array(),
          at: new Date(),
          list: [1n],
          name: undefined as string | undefined,
        }),
        add: (state) => state,
        result: (state) => state,
      }),
    })
    .toView('typed')
  const client = createClient<typeof typed>()
  expectTypeOf(client.view('typed').subscribe().rows.get('a')!.row.all).toEqualTypeOf<{
    big: string
    bytes: string
    at: string
    list: string[]
    name: string | null | undefined
  }>()
  expectTypeOf<RowOf<typeof client, 'typed'>['all']['big']>().toEqualTypeOf<bigint>()
})

test('the WebSocket of the package ws is one that a client takes', () => {
  expectTypeOf(WebSocket).toExtend<WebSocketClass>()
})
