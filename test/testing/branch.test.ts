// branch: each record goes one way, whatever the ways are made of.
// Holds SPEC: BRANCH-1, COUNT-1.
import { afterEach, expect, test } from 'vitest'
import { count, job, kafka, msgpack, stream, sum, tumbling } from '../../src/index.ts'
import { operatorPaths } from '../../src/job/paths.ts'
import { renderPlan } from '../../src/job/render.ts'
import type { Stream } from '../../src/job/stages.ts'
import { type TestJob, testJob } from '../../src/testing/index.ts'

interface Order {
  id: string
  user: string
  ts: number
  amount: number
}
const orders = kafka('orders', { value: msgpack<Order>(), key: 'id', eventTime: 'ts' })
const opened: TestJob[] = []
afterEach(async () => {
  for (const t of opened.splice(0)) await t.close()
})
function open(built: Parameters<typeof testJob>[0], options: Parameters<typeof testJob>[1] = {}): TestJob {
  const t = testJob(built, options)
  opened.push(t)
  return t
}
const order = (n: number, amount: number): { value: Order } => ({
  value: { id: `o${n}`, user: `u${n % 2}`, ts: n * 100, amount },
})
const ids = (t: TestJob, topic: string) => t.outputs<Order>(topic).map(({ value }) => value.id)

test('a record goes the way of the first branch that is for it; one that is for none is filtered', async () => {
  const t = open(
    job('sorted')
      .from(orders)
      .filter(['amount'], (amount) => amount !== 13)
      .to(kafka('all'))
      .branch(
        { when: ({ amount }) => amount > 100, into: (large) => large.to(kafka('large')) },
        { when: ({ amount }) => amount > 10, into: (medium) => medium.map(({ id }) => ({ id })).to(kafka('medium')) },
        { when: ({ amount }) => amount < 0, into: (negative) => negative.to(kafka('negative')) },
      ),
  )
  t.send('orders', order(1, 500), order(2, 50), order(3, 5), order(4, -5), order(5, 13), order(6, 101))
  await t.flush()
  expect(['all', 'large', 'medium', 'negative'].map((topic) => ids(t, topic))).toEqual([
    ['o1', 'o2', 'o3', 'o4', 'o6'],
    ['o1', 'o6'],
    ['o2'],
    ['o4'],
  ])
  expect(t.counts).toMatchObject({ in: 6, expanded: 12, accepted: 4, filtered: 14, results: 9 })
})

test('branches may be anything: windows, other keys, branches of their own; after restarts and a crash they are the same', async () => {
  const built = job('ways')
    .from(orders)
    .branch(
      {
        when: ({ amount }) => amount >= 10,
        into: (large) =>
          large
            .keyBy('user')
            .window('1s', tumbling('1s'))
            .aggregate({ n: count(), total: sum('amount') })
            .to(kafka('totals')),
      },
      {
        into: (rest) =>
          rest.branch(
            { when: ({ amount }) => amount < 0, into: (negative) => negative.to(kafka('negative')) },
            { into: (small) => small.keyBy('id').aggregate({ n: count() }).to(kafka('small')) },
          ),
      },
    )
  const t = open(built, { partitions: 2, store: 'lmdb' })
  for (let n = 0; n < 40; n++) {
    t.send('orders', order(n, n % 4 === 0 ? -1 : n % 4 === 1 ? 1 : 20))
    if (n === 15) await t.restart()
    if (n === 25) t.crashAt('after-marker')
  }
  await t.end()
  expect(ids(t, 'negative').sort()).toEqual(Array.from({ length: 10 }, (_, i) => `o${i * 4}`).sort())
  expect(t.outputs('small')).toHaveLength(10 * 2)
  const totals = t.outputs<{ n: number; total: number }>('totals').map(({ value }) => value)
  expect(totals.reduce((all, { n }) => all + n, 0)).toBe(20)
  expect(totals.reduce((all, { total }) => all + total, 0)).toBe(400)
  expect(t.counts).toMatchObject({ in: 40, late: 0, dead: 0 })
})

test('a record that cannot be read, or on which a function throws, is dead once', async () => {
  const t = open(
    job('broken')
      .from(orders)
      .map((one) => {
        if (one.amount === 7) throw new Error('seven')
        return one
      })
      .branch(
        {
          when: ({ amount }) => {
            if (amount === 0) throw new Error('no amount')
            return amount > 0
          },
          into: (some) => some.to(kafka('some')),
        },
        { when: () => true, into: (rest) => rest.to(kafka('rest')) },
      ),
  )
  t.send('orders', order(1, 1), order(2, 0), order(3, -1), order(4, 7))
  t.send('orders', { key: 'o5', value: Uint8Array.of(0xc1) })
  await t.flush()
  expect([ids(t, 'some'), ids(t, 'rest')]).toEqual([['o1'], ['o3']])
  expect(t.dead().map(({ code }) => code)).toEqual(['MR2008', 'MR2008', 'MR2001'])
})

/** Branches behind some steps: what is large, and the rest. */
const waysOf = (steps: unknown) =>
  (steps as Stream<Order, never>).branch(
    { when: ({ amount }) => amount > 100, into: (large) => large.to(kafka('large')) },
    { into: (rest) => rest.to(kafka('rest')) },
  )

test('whatever step before the branches a record is dead in, it is dead once', async () => {
  const other = stream(kafka('others', { value: msgpack<Order>(), key: 'id', eventTime: 'ts' })).map((one) => {
    if (one.amount === 7) throw new Error('seven')
    return one
  })
  const flat = open(
    waysOf(
      job('flat')
        .from(orders)
        .flatMap((one) => (one.amount === 7 ? (undefined as never) : [one])),
    ),
  )
  const keyed = open(waysOf(job('keyed').from(orders).keyBy('user')), { partitions: 2 })
  const merged = open(waysOf(job('merged').from(orders).merge(other)))
  const noUser = { value: { ...order(7, 7).value, user: { name: 'u' } } }
  for (const t of [flat, keyed, merged]) {
    t.send('orders', order(1, 1), order(2, 500))
    t.send(t === merged ? 'others' : 'orders', t === keyed ? noUser : order(7, 7))
    await t.flush()
    expect([ids(t, 'large'), ids(t, 'rest')]).toEqual([['o2'], ['o1']])
    expect(t.dead()).toHaveLength(1)
  }
})

test('what is no record has fields for a map in every branch', async () => {
  const t = open(
    waysOf(
      job('none')
        .from(orders)
        .map((one) => (one.amount === 7 ? (undefined as never) : one))
        .map(['amount', 'id'], (amount = 0, id = 'none') => ({ id, amount, user: '', ts: 0 })),
    ),
  )
  t.send('orders', order(1, 7), order(2, 5), order(3, 500))
  await t.flush()
  expect([ids(t, 'large'), ids(t, 'rest'), t.dead()]).toEqual([['o3'], ['none', 'o2'], []])
})

test('a branch without when is the last one', () => {
  const wrong = job('wrong')
    .from(orders)
    .branch({ into: (all) => all.to(kafka('all')) }, { when: () => true, into: (none) => none.to(kafka('none')) })
  expect(() => wrong.build()).toThrow(/branch 1 has no when, so it takes all that is left: it has to be the last one/)
})

test('the plan shows each branch, and says what a branch may not be', () => {
  const { plan } = job('shown')
    .from(orders)
    .branch({ when: () => true, into: (s) => s.to(kafka('a')) }, { into: (s) => s.to(kafka('b')) })
    .build()
  const text = renderPlan(plan, operatorPaths(plan))
  expect(text.match(/from orders/g)).toHaveLength(2)
  expect(text).toMatch(/to a .*\n.*from orders[\s\S]*to b /)
  const wrong = job('wrong').from(orders).keyBy('id').dedup('id', { within: '1s' }) as unknown as {
    branch(...branches: unknown[]): { build(): unknown }
  }
  expect(() =>
    wrong.branch({ when: 1, into: (s: { to(sink: unknown): unknown }) => s.to(kafka('a')) }, {}).build(),
  ).toThrow(/branch comes after dedup[\s\S]*branch 1: when must be a function[\s\S]*branch 2: into must be a function/)
  expect(() => wrong.branch().build()).toThrow(/branch needs at least one branch/)
})
