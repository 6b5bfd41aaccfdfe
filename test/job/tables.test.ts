// What a job may do with tables, and what it is told when it may not. Holds SPEC: JOB-4, JOIN-1, TABLE-1, TABLE-3, TABLE-6.
import { expect, test } from 'vitest'
import { count, job, json, kafka, msgpack, stream, table, tumbling } from '../../src/index.ts'
import { operatorPaths } from '../../src/job/paths.ts'
import { renderPlan } from '../../src/job/render.ts'
import type { Complete } from '../../src/job/stages.ts'

interface Order {
  buyer: string
  seller: string
  ts: number
}
interface User {
  id: string
  name: string
}

const orders = kafka('orders', { value: msgpack<Order>(), key: 'buyer', eventTime: 'ts' })
const users = kafka('users', { value: msgpack<User>(), key: 'id' })
const cities = kafka('cities', { value: json<{ id: string; city: string }>(), key: 'id' })
const out = kafka('out')

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript may call, in any order
type Untyped = any

/** The problems of a job whose types are passed over, as from JavaScript. */
function problems(steps: (start: Untyped) => unknown): string[] {
  try {
    ;(steps(job('j')) as Complete).build()
    return []
  } catch (error) {
    return (error as Error).message.split('\n  - ').slice(1)
  }
}

const ofStreams = (step: string): string => `${step} is for streams; a table takes filter, map, join, to and toView`

test.each<[step: string, steps: (start: Untyped) => unknown, told: string[]]>([
  ['keyBy', (j) => j.table(users).keyBy('id').to(out), [ofStreams('keyBy')]],
  [
    'flatMap',
    (j) =>
      j
        .table(users)
        .flatMap(() => [])
        .to(out),
    [ofStreams('flatMap')],
  ],
  ['dedup', (j) => j.table(users).dedup('id', { within: '1s' }).to(out), [ofStreams('dedup')]],
  ['merge', (j) => j.table(users).merge(stream(orders)).to(out), [ofStreams('merge')]],
  [
    'joinTable',
    (j) =>
      j
        .table(users)
        .joinTable('x', table(cities), {}, () => 1)
        .to(out),
    [ofStreams('joinTable')],
  ],
  ['late', (j) => j.table(users).late(kafka('late')).to(out), [ofStreams('late')]],
  [
    'windows',
    (j) => j.table(users).window('w', tumbling('1s')).aggregate({ n: count() }).to(out),
    [ofStreams('window'), ofStreams('aggregate')],
  ],
  [
    'key',
    (j) => j.table(users).to(kafka('out', { key: () => 'k' })),
    ["to 'out': the rows of a table are written with their own key"],
  ],
  [
    'envelopes',
    (j) => j.table(kafka('users', { value: { format: 'json', shape: 'envelope' } as never })).to(out),
    ["source 'users': a row of a table is one value; envelope formats are for streams"],
  ],
])('a table is no stream: %s', (_, steps, told) => {
  expect(problems(steps)).toEqual(told)
})

test.each<[what: string, steps: (start: Untyped) => unknown, told: string[]]>([
  [
    'a table merged',
    (j) => j.from(orders).merge(table(users)).to(out),
    ['merge takes another stream; a table is joined with joinTable'],
  ],
  [
    'a table joined as a stream',
    (j) =>
      j
        .from(orders)
        .keyBy('buyer')
        .join('x', table(users), { within: '1s' }, () => 1)
        .to(out),
    ["join 'x' takes another stream; a table is joined with joinTable"],
  ],
  [
    'a stream joined as a table',
    (j) =>
      j
        .from(orders)
        .keyBy('buyer')
        .joinTable('x', stream(users).keyBy('id'), {}, () => 1)
        .to(out),
    ["joinTable 'x' takes a table, e.g. table(kafka('users', {...})); streams are joined with join"],
  ],
  [
    'a table joined with a stream',
    (j) =>
      j
        .table(users)
        .join('x', stream(orders).keyBy('buyer'), {}, () => 1)
        .to(out),
    ["join 'x' takes another table, e.g. table(kafka('addresses', {...}))"],
  ],
  [
    'records without a key',
    (j) =>
      j
        .from(orders)
        .joinTable('x', table(users), { type: 'outer' }, () => 1)
        .to(out),
    [
      "joinTable 'x' needs keyed records: put keyBy before it",
      "joinTable 'x': type must be 'inner' or 'left', not 'outer'",
    ],
  ],
  [
    'late where nothing is',
    (j) =>
      j
        .from(orders)
        .keyBy('buyer')
        .joinTable('x', table(users), {}, () => 1)
        .late(kafka('late'))
        .to(out),
    ['late needs a window, a join of two streams or one as of a time: without one no record is late'],
  ],
])('streams and tables are told apart: %s', (_, steps, told) => {
  expect(problems(steps)).toEqual(told)
})

test('a topic is a stream or a table, and a table does not meet itself', () => {
  expect(
    problems((j) =>
      j
        .from(orders)
        .keyBy('buyer')
        .joinTable('x', table(orders), {}, () => 1)
        .to(out),
    ),
  ).toEqual([
    "the topic 'orders' is read as a stream and as a table: which of its records are rows already would depend on chance; two records of one topic meet in join, within a time",
  ])
  const both = table(users).join('a', table(cities), {}, (user, where) => ({ user, where }))
  for (const other of [table(users).filter(() => true), both]) {
    expect(
      problems((j) =>
        j
          .table(users)
          .join('x', other, {}, () => 1)
          .to(out),
      ),
    ).toEqual(["join 'x': both tables are of the topic 'users'; what a row and itself give is for map to say"])
  }
})

test('one table may stand beside several joins of a stream, but not behind a move of its records', () => {
  const named = (j: Untyped) =>
    j
      .from(orders)
      .keyBy('buyer')
      .joinTable('buyer', table(users), {}, (one: Order) => one)
  expect(
    problems((j) =>
      named(j)
        .joinTable('again', table(users), {}, (one: Order) => one)
        .to(out),
    ),
  ).toEqual([])
  expect(
    problems((j) =>
      named(j)
        .keyBy('seller')
        .joinTable('seller', table(users), {}, () => 1)
        .to(out),
    ),
  ).toEqual([
    "what moves through 'j-repartition' meets records of 'orders' or 'users' again, which are read before it: write it to a topic of its own with to, and let a second job go on from there",
  ])
  const bySeller = stream(orders).keyBy('seller')
  expect(
    problems((j) =>
      j
        .from(orders)
        .keyBy('buyer')
        .join('x', bySeller, { within: '1s' }, () => 1)
        .to(out),
    ),
  ).toEqual([
    "what moves through 'j-repartition' meets records of 'orders' again, which are read before it: write it to a topic of its own with to, and let a second job go on from there",
  ])
})

test('late may be said of a join and of the windows behind it, of each once', () => {
  const joined = (j: Untyped) =>
    j
      .from(orders)
      .keyBy('buyer')
      .joinTable('x', table(users), { asOf: {} }, (one: Order) => one)
  const windowed = (j: Untyped) => joined(j).late(kafka('l1')).window('w', tumbling('1s')).aggregate({ n: count() })
  expect(problems((j) => windowed(j).late(kafka('l2')).to(out))).toEqual([])
  expect(problems((j) => windowed(j).late(kafka('l2')).late(kafka('l3')).to(out))).toEqual(['late is said twice'])
  expect(problems((j) => joined(j).late(kafka('l1')).late(kafka('l2')).to(out))).toContain('late is said twice')
})

test('the plan shows tables, and what a join with one takes', () => {
  const { plan } = job('sold')
    .from(orders)
    .keyBy('buyer')
    .joinTable(
      'who',
      table(users)
        .filter((user) => user.name !== '')
        .join('where', table(cities), { type: 'left' }, (user, where) => ({ ...user, ...where })),
      { type: 'left', asOf: { grace: '1s' } },
      (order, user) => ({ ...order, user }),
    )
    .late(kafka('late'))
    .to(kafka('out', { value: json() }))
    .build()
  const tree = renderPlan(plan, operatorPaths(plan)).split('\n').slice(0, -3)
  expect(
    tree.map((line) => line.replace(/, out of order.*/, '').replace(/ {2,}(?=fast|free|-|json|msgpack)/, '  ')),
  ).toEqual([
    'job sold',
    'from orders  msgpack, key buyer, event time ts',
    '└─ keyBy buyer  fast  checks the Kafka key against buyer',
    "   └─ left join who as of the record's time, grace 1s, with  free  takes the records and the rows of the table",
    '      │  table users  msgpack, key id, event time the record time',
    '      │  └─ filter-1 (record)  free  its function takes the whole record',
    '      │     └─ left join where with  free  takes the rows of both tables',
    '      │        │  table cities  json, key id, event time the record time',
    '      ├─ late -> late  -     passes the original bytes on',
    '      └─ to out (json), updates  -     encodes the row of who',
  ])
})
