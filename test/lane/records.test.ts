// Records on their way through a job: what becomes of them, and what dead letters say.
import { pack, unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { count, envelope, job, json, kafka, msgpack, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { drive, type InputRecord, LIMITS, type Row } from './lane-driver.ts'

interface Order {
  user: string
  amount: number
  ts: number
}

const source = kafka('orders', { value: msgpack<Order>(), key: 'user', eventTime: 'ts' })
const order = (user: string, amount: unknown, ts: unknown = 5): InputRecord => ({
  key: user,
  value: { user, amount, ts },
})

function sums(): CompiledJob {
  return job('sums')
    .from(source)
    .keyBy('user')
    .window('w', tumbling('10ms'))
    .aggregate({ total: sum('amount') })
    .to(kafka('out'))
    .build()
}

const lettersOf = (rows: Row[]): Row[] => rows.filter(({ topic }) => topic.endsWith('-dlq'))
const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])

describe('dead letters', () => {
  const cases: [name: string, record: InputRecord, code: string, text: RegExp][] = [
    ['no value', { key: 'A' }, 'MR2011', /no value/],
    ['no msgpack', { key: 'A', value: Uint8Array.of(0xc1) }, 'MR2001', /not a map|begins no value/],
    ['a cut value', { key: 'A', value: pack({ user: 'A', amount: 1 }).subarray(0, 8) }, 'MR2001', /middle of a value/],
    ['no map', { key: 'A', value: [1, 2] }, 'MR2001', /not a map/],
    [
      'a value too large',
      { key: 'A', value: new Uint8Array(LIMITS.valueBytesMax + 1) },
      'MR2002',
      /100001 bytes, over the limit of 100000/,
    ],
    ['too deep', { key: 'A', value: { user: 'A', amount: 1, ts: 1, x: nested(20) } }, 'MR2003', /deeper than 16/],
    [
      'no event time',
      { key: 'A', value: { user: 'A', amount: 1 } },
      'MR2006',
      /field ts is missing or is not a number/,
    ],
    [
      'an event time too far ahead',
      { ...order('A', 1, 86_400_001 + 1_000), timestampMs: 1_000 },
      'MR2004',
      /86401001 is more than 86400000 ms away/,
    ],
    ['another key, much later', { ...order('A', 1, 5_000), key: 'B' }, 'MR2005', /not the declared key field user/],
    ['no key', { value: { user: 'A', amount: 1, ts: 1 } }, 'MR2005', /not the declared key field user/],
    [
      'no key field',
      { key: 'A', value: { amount: 1, ts: 1 } },
      'MR2006',
      /field user is missing or is not a string or whole number/,
    ],
    ['a key too long', order('A'.repeat(101), 1), 'MR2007', /101 bytes, over the limit of 100/],
    ['no amount', { key: 'A', value: { user: 'A', ts: 1 } }, 'MR2006', /field amount is missing or is not a number/],
    ['an amount that is text', order('A', '5'), 'MR2006', /field amount/],
    ['an amount that is infinite', order('A', Number.POSITIVE_INFINITY), 'MR2006', /field amount/],
    ['an amount beyond 2^53', order('A', 2n ** 53n + 1n), 'MR2009', /integer in amount is outside/],
  ]

  test.each(cases)('%s', async (_name, record, code, text) => {
    const headers = [{ name: 'own', value: Uint8Array.of(0x31) }]
    const driven = await drive(sums(), [
      order('A', 1),
      { ...record, headers, timestampMs: record.timestampMs ?? 7 },
      order('A', 2),
    ])
    const [letter, ...more] = lettersOf(driven.rows)
    expect(more).toEqual([])
    expect(letter!.headers).toMatchObject({
      'millrace-error-code': code,
      'millrace-error-text': expect.stringMatching(text),
      'millrace-job': 'sums',
      'millrace-source-topic': 'orders',
      'millrace-source-partition': '3',
      'millrace-source-offset': '1',
      own: '1',
    })
    expect(letter!.key).toBe(record.key)
    expect(letter!.timestampMs).toBe(record.timestampMs ?? 7)
    expect(letter!.value).toEqual(
      record.value === undefined || record.value instanceof Uint8Array
        ? record.value && Uint8Array.from(record.value)
        : Uint8Array.from(pack(record.value)),
    )
    expect(driven.counts).toMatchObject({ in: 3, accepted: 2, dead: 1, late: 0, filtered: 0 })
    expect(driven.frames[0]!.lastDead).toMatchObject({ code })
    // The dead record has added nothing and closed nothing.
    expect(driven.rows.filter(({ topic }) => topic === 'out').map(({ value }) => unpack(value!).total)).toEqual([3])
  })

  test('come in the order of the partition, whichever step found them', async () => {
    const compiled = job('sums')
      .from(source)
      .filter((record) => {
        if (record.amount === 13) throw new Error('unlucky')
        return true
      })
      .keyBy('user')
      .aggregate({ total: sum('amount') })
      .to(kafka('out'))
      .build()
    const records = [order('A', 'x'), order('A', 13), { key: 'A' }, order('A', 1), order('A', 13)]
    for (const frameRecords of [1, 2, 5]) {
      const { rows } = await drive(compiled, records, { frameRecords })
      expect(lettersOf(rows).map(({ headers: h }) => [h['millrace-source-offset'], h['millrace-error-code']])).toEqual([
        ['0', 'MR2006'],
        ['1', 'MR2008'],
        ['2', 'MR2011'],
        ['4', 'MR2008'],
      ])
      expect(lettersOf(rows)[1]!.headers['millrace-error-text']).toContain('unlucky')
    }
  })

  test('that would not fit their topic are cut and say so', async () => {
    const value = { user: 'A', ts: 1, amount: 'x'.repeat(5_000) }
    // Topics: out, dlq, changelog.
    const { rows } = await drive(sums(), [{ key: 'A', value }], { messageBytesMax: [1e6, 2_000, 1e6] })
    const [letter] = lettersOf(rows)
    expect(letter!.headers).toMatchObject({ 'millrace-truncated': 'true', 'millrace-source-offset': '0' })
    expect(letter!.value!.length).toBeGreaterThan(1_000)
    expect(letter!.value).toEqual(Uint8Array.from(pack(value)).subarray(0, letter!.value!.length))
    const size =
      letter!.value!.length + 1 + Object.entries(letter!.headers).reduce((n, [k, v]) => n + k.length + v.length + 6, 0)
    expect(size).toBeLessThanOrEqual(2_000 - 128)
  })
})

describe('records without an aggregate', () => {
  test('go on byte for byte, with their headers and timestamps', async () => {
    const compiled = job('pass')
      .from(source)
      .filter(['amount'], (amount) => amount > 1)
      .to(kafka('out'))
      .build()
    const headers = [{ name: 'h', value: Uint8Array.of(0x31) }]
    const { rows, counts } = await drive(compiled, [order('A', 1), { ...order('B', 2), timestampMs: 9, headers }], {
      isEnded: false,
    })
    expect(rows).toEqual([
      {
        topic: 'out',
        partition: -1,
        timestampMs: 9,
        key: 'B',
        value: Uint8Array.from(pack({ user: 'B', amount: 2, ts: 5 })),
        headers: { h: '1' },
      },
    ])
    expect(counts).toMatchObject({ in: 2, accepted: 1, filtered: 1, refused: 0, results: 1 })
  })

  test('are mapped, multiplied, re-keyed and re-encoded', async () => {
    const compiled = job('change')
      .from(source)
      .map(['user', 'amount'], (user, amount) => ({ user, cents: amount * 100 }))
      .flatMap((row) => (row.cents > 100 ? [row, { ...row, cents: -row.cents }] : []))
      .to(kafka('out', { value: json(), key: (row) => `k${row.cents}`, headers: (row) => ({ user: row.user }) }))
      .build()
    const { rows, counts } = await drive(compiled, [order('A', 1), order('B', 2), order('C', 3)], { isEnded: false })
    expect(
      rows.map(({ key, value, headers: h }) => [key, JSON.parse(new TextDecoder().decode(value)), h.user]),
    ).toEqual([
      ['k200', { user: 'B', cents: 200 }, 'B'],
      ['k-200', { user: 'B', cents: -200 }, 'B'],
      ['k300', { user: 'C', cents: 300 }, 'C'],
      ['k-300', { user: 'C', cents: -300 }, 'C'],
    ])
    expect(counts).toEqual({ in: 3, expanded: 2, accepted: 4, late: 0, dead: 0, filtered: 1, refused: 0, results: 4 })
  })

  test('are dead when their result is too large for its topic', async () => {
    const compiled = job('grow')
      .from(source)
      .map((r) => ({ text: 'x'.repeat(r.amount) }))
      .to(kafka('out'))
      .build()
    const { rows, counts } = await drive(compiled, [order('A', 5_000), order('B', 1)], {
      isEnded: false,
      messageBytesMax: [1_000, 1e6],
    })
    expect(counts).toMatchObject({ accepted: 1, dead: 1, results: 1 })
    expect(lettersOf(rows)[0]!.headers['millrace-error-text']).toMatch(
      /MR2010 .* is 50\d\d bytes, over max.message.bytes 1000 of topic out/,
    )
  })

  test('of a function that throws or gives no array are dead, and nothing else is', async () => {
    const compiled = job('throw')
      .from(source)
      .flatMap((r) => (r.amount === 1 ? (5 as never) : [r]))
      .to(kafka('out'))
      .build()
    const { counts, rows } = await drive(compiled, [order('A', 1), order('B', 2)], { isEnded: false })
    expect(counts).toMatchObject({ accepted: 1, dead: 1 })
    expect(lettersOf(rows)[0]!.headers['millrace-error-text']).toContain('flatMap must give an array')
  })

  test('expand beyond a chunk in their order', async () => {
    const compiled = job('many')
      .from(source)
      .flatMap((r) => Array.from({ length: r.amount }, (_, i) => ({ i })))
      .to(kafka('out'))
      .build()
    const { rows, counts } = await drive(compiled, [order('A', 5_000), order('B', 0), order('C', 2)], {
      isEnded: false,
    })
    expect(rows.map(({ value }) => unpack(value!).i)).toEqual([...Array.from({ length: 5_000 }, (_, i) => i), 0, 1])
    expect(counts).toMatchObject({ in: 3, expanded: 5_000, accepted: 5_002, filtered: 1 })
  })
})

describe.each(['msgpack', 'json'] as const)('envelopes of %s', (format) => {
  const encode = (value: unknown): Uint8Array =>
    format === 'json' ? new TextEncoder().encode(JSON.stringify(value)) : pack(value)
  const shape = format === 'json' ? envelope(json<Order>()) : envelope(msgpack<Order>())
  const compiled = (): CompiledJob =>
    job('many')
      .from(kafka('orders', { value: shape, key: 'user', eventTime: 'ts' }))
      .keyBy('user')
      .window('w', tumbling('10ms'))
      .aggregate({ total: sum('amount'), n: count() })
      .late(kafka('late'))
      .to(kafka('out'))
      .build()
  const event = (amount: unknown, ts = 5): unknown => ({ user: 'A', amount, ts })

  test('count each event as a record, and a dead one says which it was', async () => {
    const value = encode([event(1), event('x'), event(2)])
    const { rows, counts } = await drive(compiled(), [
      { key: 'A', value },
      { key: 'A', value: encode([]) },
      { key: 'A', value: encode([event(4)]) },
    ])
    expect(rows.filter(({ topic }) => topic === 'out').map((row) => unpack(row.value!))).toEqual([
      { user: 'A', windowStart: 0, windowEnd: 10, total: 7, n: 3 },
    ])
    expect(counts).toMatchObject({ in: 4, accepted: 3, dead: 1 })
    const [letter] = lettersOf(rows)
    expect(letter!.headers).toMatchObject({ 'millrace-event-index': '1', 'millrace-source-offset': '0' })
    expect(letter!.value).toEqual(Uint8Array.from(value))
  })

  test('that cannot be read are one dead record', async () => {
    const { rows, counts } = await drive(compiled(), [
      { key: 'A', value: encode(event(1)) },
      { key: 'A', value: encode([event(1)]).subarray(0, 5) },
    ])
    expect(counts).toMatchObject({ in: 2, dead: 2 })
    expect(lettersOf(rows).map(({ headers: h }) => h['millrace-event-index'])).toEqual([undefined, undefined])
  })

  test('give a late event alone', async () => {
    const { rows, counts } = await drive(compiled(), [{ key: 'A', value: encode([event(1, 50), event(2, 5)]) }])
    expect(counts).toMatchObject({ in: 2, accepted: 1, late: 1 })
    const late = rows.find(({ topic }) => topic === 'late')!
    expect(late.headers['millrace-event-index']).toBe('1')
    expect(format === 'json' ? JSON.parse(new TextDecoder().decode(late.value)) : unpack(late.value!)).toEqual(
      event(2, 5),
    )
  })

  test('of more events than a chunk holds are read whole', async () => {
    const value = encode(Array.from({ length: 300 }, () => event(1)))
    const { counts, rows } = await drive(
      compiled(),
      Array.from({ length: 20 }, () => ({ key: 'A', value })),
      {
        limits: { decodeNodesMax: 10_000 },
      },
    )
    expect(counts).toMatchObject({ in: 6_000, accepted: 6_000 })
    expect(unpack(rows.at(-1)!.value!)).toMatchObject({ n: 6_000 })
  })
})

test('JSON integers that have lost digits are dead, and so are numbers that are none, as in msgpack', async () => {
  const compiled = job('sums')
    .from(kafka('orders', { value: json<Order>(), key: 'user', eventTime: 'ts' }))
    .keyBy('user')
    .aggregate({ total: sum('amount') })
    .to(kafka('out'))
    .build()
  const text = (amount: string): InputRecord => ({
    key: 'A',
    value: new TextEncoder().encode(`{"user":"A","ts":1,"amount":${amount}}`),
  })
  const { counts, rows } = await drive(compiled, [
    text('9007199254740993'),
    text('9007199254740991'),
    text('1e999'),
    text('-1e999'),
  ])
  expect(counts).toMatchObject({ accepted: 1, dead: 3 })
  expect(lettersOf(rows).map(({ headers }) => headers['millrace-error-code'])).toEqual(['MR2009', 'MR2006', 'MR2006'])
})

test('a schema refuses and transforms values', async () => {
  const schema = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value: unknown) => {
        const { user, amount, ts } = value as { user: string; amount: string; ts: number }
        return amount === 'bad'
          ? { issues: [{ message: 'no amount', path: ['amount'] }] }
          : { value: { user, amount: Number(amount), ts } }
      },
    },
  } as const
  const compiled = job('sums')
    .from(kafka('orders', { value: msgpack<Order>(), key: 'user', eventTime: 'ts', schema: schema as never }))
    .keyBy('user')
    .aggregate({ total: sum('amount') })
    .to(kafka('out'))
    .build()
  const { counts, rows } = await drive(compiled, [order('A', '5'), order('A', 'bad'), order('A', '6')])
  expect(counts).toMatchObject({ accepted: 2, dead: 1 })
  expect(lettersOf(rows)[0]!.headers['millrace-error-text']).toContain('amount: no amount')
  expect(rows.filter(({ topic }) => topic === 'out').map(({ value }) => unpack(value!).total)).toEqual([5, 11, 11])
})
