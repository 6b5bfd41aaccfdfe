// Records of tables that are not as the others: without a key, without a value, too late, not to be encoded.
// Holds SPEC: TABLE-2, TABLE-4, TABLE-5, ERR-3, DLQ-1, COUNT-1.
import { afterEach, describe, expect, test } from 'vitest'
import { count, globalTable, job, json, kafka, msgpack, stream, table, tumbling } from '../../src/index.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Click {
  user: string
  ts: number
  n: number
}
interface User {
  id: string
  name: string
}

const clicks = kafka('clicks', { value: msgpack<Click>(), key: 'user', eventTime: 'ts' })
const users = kafka('users', { value: msgpack<User>(), key: 'id' })
const cities = kafka('cities', { value: msgpack<{ id: string; city: string }>(), key: 'id' })
/** Beyond what msgpack can hold. */
const HUGE = 2n ** 70n

const opened: TestJob[] = []
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})
function open(built: Parameters<typeof testJob>[0], options: Parameters<typeof testJob>[1] = {}): TestJob {
  const t = testJob(built, options)
  opened.push(t)
  return t
}
function user(t: TestJob, name: string | undefined, timestampMs: number, id = 'a'): void {
  t.send('users', { key: id, value: name === undefined ? undefined : { id, name }, timestampMs })
}
const codes = (t: TestJob) => t.dead().map(({ code }) => code)

const visits = (rows: typeof users, asOf: object | undefined) =>
  job('visits')
    .from(clicks)
    .keyBy('user')
    .joinTable('who', table(rows), { type: 'left', ...(asOf === undefined ? {} : { asOf }) }, (one, who) => ({
      n: one.n,
      name: who?.name ?? null,
    }))

describe('a record of a table has a key that state can have, or it is dead', () => {
  const sources = {
    'a declared key': users,
    'no declared key': kafka('users', { value: msgpack<User>() }) as unknown as typeof users,
    'JSON, no declared key': kafka('users', { value: json<User>() }) as unknown as typeof users,
  }
  test.each(Object.entries(sources))('%s', async (_, source) => {
    for (const asOf of [undefined, {}]) {
      const t = open(visits(source, asOf).to(kafka('out')), { store: 'lmdb' })
      t.send('users', { key: null, value: { id: 'a', name: 'Ada' } }, { key: null, value: undefined })
      const long = 'k'.repeat(4_000)
      t.send('users', { key: long, value: { id: long, name: 'Ada' } }, { key: long, value: undefined })
      t.send('users', { key: '', value: { id: '', name: 'Bob' } })
      t.send('clicks', { value: { user: 'a', ts: 0, n: 1 } })
      await t.flush()
      expect(codes(t)).toEqual(['MR2013', 'MR2013', 'MR2007', 'MR2007'])
      expect(t.counts).toMatchObject({ in: 6, dead: 4 })
      expect(t.state().who!.map(({ key }) => key)).toEqual(asOf === undefined ? [''] : ['', 'a'])
      await t.close()
    }
  })

  test('of a view too, whose topic takes no record without one', async () => {
    const t = open(
      job('v')
        .table(kafka('users', { value: json<User>() }))
        .toView('users'),
    )
    t.send('users', { key: null, value: { id: 'a', name: 'Ada' } })
    t.send('users', { key: 'b', value: { id: 'b', name: 'Bob' } }, { key: 'c', value: { id: 'c', name: 'Cyd' } })
    t.send('users', { key: 'b', value: undefined })
    await t.flush()
    expect(codes(t)).toEqual(['MR2013'])
    expect([...t.view('users')].map(([key, { value }]) => [key, value])).toEqual([['c', { id: 'c', name: 'Cyd' }]])
  })
})

test.each(['msgpack', 'json'] as const)(
  'a topic of a table goes on as it is: values, none, headers, %s to both formats',
  async (format) => {
    const source = kafka('users', { value: format === 'json' ? json<User>() : msgpack<User>(), key: 'id' })
    const t = open(
      job('copy')
        .table(source)
        .to(kafka('out'))
        .to(kafka('text', { value: json() })),
    )
    t.send('users', { key: 'a', value: { id: 'a', name: 'Ada' }, headers: { from: 'x' }, timestampMs: 5 })
    t.send('users', { key: 'a', value: undefined, headers: { from: 'y' }, timestampMs: 6 })
    await t.flush()
    for (const topic of ['out', 'text']) {
      const rows = t.outputs(topic).map(({ key, value, timestampMs, headers }) => [key, value, timestampMs, headers])
      expect(rows).toEqual([
        ['a', { id: 'a', name: 'Ada' }, 5, { from: 'x' }],
        ['a', undefined, 6, { from: 'y' }],
      ])
    }
  },
)

test('a schema and an event time function see rows alone, and what they refuse leaves the row as it was', async () => {
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) =>
        (value as User).name === 'bad' ? { issues: [{ message: 'bad' }] } : { value: value as User },
    },
  }
  const source = kafka('users', { value: json<User>(), key: 'id', schema, eventTime: (row: User) => row.name.length })
  const t = open(visits(source as unknown as typeof users, undefined).to(kafka('out')))
  user(t, 'Ada', 3)
  user(t, 'bad', 3)
  t.send('clicks', { value: { user: 'a', ts: 1, n: 1 } })
  user(t, undefined, 3)
  t.send('clicks', { value: { user: 'a', ts: 2, n: 2 } })
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([
    { n: 1, name: 'Ada' },
    { n: 2, name: null },
  ])
  expect(codes(t)).toEqual(['MR2001'])
})

describe('late', () => {
  test('what deletes a row is late without a value', async () => {
    const t = open(visits(users, {}).late(kafka('late')).to(kafka('out')))
    user(t, 'Ada', 1_000)
    user(t, 'Bob', 5_000)
    t.send('clicks', { value: { user: 'a', ts: 5_001, n: 1 } })
    user(t, undefined, 900)
    await t.end()
    expect(t.late()).toMatchObject([{ key: 'a', value: undefined, timestampMs: 900, windowStartMs: 900 }])
    expect(t.outputs('out').map(({ value }) => value)).toEqual([{ n: 1, name: 'Bob' }])
  })

  test('of a join of tables as well', async () => {
    const both = table(users).join('both', table(cities), {}, (who, where) => ({ name: `${who.name} ${where.city}` }))
    const t = open(
      job('visits')
        .from(clicks)
        .keyBy('user')
        .joinTable('who', both, { asOf: {} }, (one, who) => ({ n: one.n, name: who.name }))
        .late(kafka('late'))
        .to(kafka('out')),
    )
    t.send('cities', { value: { id: 'a', city: 'Rome' }, timestampMs: 100 })
    user(t, 'Ada', 1_000)
    user(t, 'Bob', 5_000)
    t.send('cities', { value: { id: 'z', city: 'Oslo' }, timestampMs: 9_000 })
    t.send('clicks', { value: { user: 'a', ts: 9_001, n: 1 } })
    user(t, 'Cyd', 800)
    user(t, undefined, 900)
    await t.end()
    const late = t.late().map(({ value, timestampMs, headers }) => [value, timestampMs, headers['millrace-operator']])
    expect(late).toEqual([
      [{ name: 'Cyd Rome' }, 800, 'both'],
      [undefined, 900, 'both'],
    ])
  })

  test('is of the operator before it: that of a join is not that of the windows behind it', async () => {
    const t = open(
      visits(users, {})
        .late(kafka('late-clicks'))
        .window('w', tumbling('1s'))
        .aggregate({ n: count() })
        .late(kafka('late-rows'))
        .to(kafka('out')),
    )
    const silent = open(
      visits(users, {}).window('w', tumbling('1s')).aggregate({ n: count() }).late(kafka('late-rows')).to(kafka('out')),
    )
    for (const one of [t, silent]) {
      one.send('clicks', { value: { user: 'a', ts: 5_000, n: 1 } })
      user(one, 'Ada', 5_000)
      one.send('clicks', { value: { user: 'a', ts: 1_000, n: 2 } })
      await one.end()
      expect(one.counts).toMatchObject({ late: 1, dead: 0 })
    }
    expect(t.late().map(({ topic }) => topic)).toEqual(['late-clicks'])
    expect(silent.late()).toEqual([])
  })
})

describe('what cannot be encoded is dead, and the job goes on', () => {
  const emptied = { key: 'a', code: 'MR2008' }

  test.each(['as it is', 'as of'] as const)('a row of a table, %s', async (how) => {
    const rows = table(users).map((row) => ({ name: row.name === 'huge' ? HUGE : row.name }))
    const t = open(
      job('visits')
        .from(clicks)
        .keyBy('user')
        .joinTable('who', rows, how === 'as of' ? { asOf: {} } : {}, (one, who) => ({ n: one.n, name: who.name }))
        .to(kafka('out')),
    )
    user(t, 'Ada', 0)
    user(t, 'huge', 0)
    t.send('clicks', { value: { user: 'a', ts: 1, n: 1 } })
    await t.end()
    expect(t.dead()).toMatchObject([{ ...emptied, value: { id: 'a', name: 'huge' } }])
    expect(t.outputs('out').map(({ value }) => value)).toEqual([{ n: 1, name: 'Ada' }])
    expect(t.counts).toMatchObject({ in: 3, dead: 1 })
  })

  test('a row of a table that is joined with a table', async () => {
    const t = open(
      job('both')
        .table(users)
        .map((row) => ({ name: row.name === 'huge' ? HUGE : row.name }))
        .join('both', table(cities), { type: 'left' }, (who, where) => ({ name: who.name, city: where?.city ?? null }))
        .to(kafka('out')),
    )
    user(t, 'huge', 0)
    user(t, 'Ada', 1)
    await t.flush()
    expect(t.dead()).toMatchObject([{ ...emptied, value: { id: 'a', name: 'huge' } }])
    expect(t.outputs('out').map(({ value }) => value)).toEqual([{ name: 'Ada', city: null }])
  })

  test('a record that would wait for a table, or for another stream', async () => {
    const mapped = job('waits')
      .from(clicks)
      .keyBy('user')
      .map((one) => ({ ...one, huge: one.n === 2 ? HUGE : 0n }))
    const other = stream(kafka('others', { value: msgpack<Click>(), key: 'user', eventTime: 'ts' })).keyBy('user')
    const jobs = [
      mapped.joinTable('who', table(users), { type: 'left', asOf: {} }, ({ n }) => ({ n })),
      mapped.join('with', other, { within: '1s', type: 'left' }, ({ n }) => ({ n })),
    ]
    for (const one of jobs) {
      const t = open(one.to(kafka('out')))
      for (const n of [1, 2, 3]) t.send('clicks', { value: { user: 'a', ts: n, n } })
      await t.end()
      expect(t.dead()).toMatchObject([{ ...emptied, value: { user: 'a', ts: 2, n: 2 } }])
      expect(t.outputs('out').map(({ value }) => value)).toEqual([{ n: 1 }, { n: 3 }])
      expect(t.counts).toMatchObject({ in: 3, dead: 1, late: 0 })
    }
  })

  test('a result, and one whose function threw on what has no bytes: the letter has no value', async () => {
    const t = open(
      job('visits')
        .from(clicks)
        .keyBy('user')
        .map((one) => ({ ...one, huge: HUGE }))
        .joinTable('who', table(users), { type: 'left' }, (one) => {
          if (one.n === 1) throw new Error('no row of 1')
          return { n: one.n, huge: one.n === 2 ? HUGE : 0 }
        })
        .to(kafka('out')),
    )
    for (const n of [1, 2, 3]) t.send('clicks', { value: { user: 'a', ts: n, n } })
    await t.flush()
    const dead = t.dead().map(({ key, value, headers }) => [key ?? null, value, headers['millrace-operator']])
    expect(dead).toEqual([
      ['a', undefined, 'who'],
      ['a', undefined, 'who'],
    ])
    expect(t.outputs('out').map(({ value }) => value)).toEqual([{ n: 3, huge: 0 }])
  })
})

test('a row of a global table that a function throws on, or that cannot be kept, leaves the row as it was', async () => {
  const t = open(
    job('named')
      .from(clicks)
      .joinTable(
        'who',
        globalTable(users).map(({ name }) => {
          if (name === 'bad') throw new Error('no such name')
          return { name: name === 'huge' ? HUGE : name }
        }),
        { on: 'user' },
        ({ n }, who) => (n === 3 ? (undefined as never) : { n, name: who.name }),
      )
      .to(kafka('out', { value: json() })),
  )
  user(t, 'Ada', 1)
  for (const [i, name] of ['bad', 'huge'].entries()) {
    user(t, name, 2)
    t.send('clicks', { value: { user: 'a', ts: i, n: i } })
    await t.flush()
  }
  t.send('clicks', { value: { user: 'a', ts: 3, n: 3 } })
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([
    { n: 0, name: 'Ada' },
    { n: 1, name: 'Ada' },
  ])
  expect(codes(t)).toEqual(['MR2008'])
})
