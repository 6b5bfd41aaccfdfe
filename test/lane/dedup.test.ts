// Records dropped by their id: what an id is, when it is forgotten, and what of it is kept. Holds SPEC: DEDUP-1, DEDUP-2, ERR-3.
import { count, job, json, kafka, msgpack, tumbling } from 'millrace'
import { testJob } from 'millrace/test'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { drive, type InputRecord } from './lane-driver.ts'

interface Payment {
  account: string
  id: string | number
  ts: number
}
const payments = kafka('in', { value: msgpack<Payment>(), key: 'account', eventTime: 'ts', outOfOrder: '5ms' })
const once = job('d').from(payments).keyBy('account').dedup('id', { within: '10ms' }).to(kafka('out')).build()
const payment = (id: unknown, ts: number, account = 'ann'): InputRecord => ({
  key: account,
  value: { account, id, ts },
})

async function taken(...input: InputRecord[]): Promise<unknown[]> {
  const { rows } = await drive(once, input)
  return rows.filter(({ topic }) => topic === 'out').map(({ value }) => (unpack(value!) as Payment).id)
}

/*
 *   id x at 10: remembered until the watermark is past 20, which the record of time 26 makes it (5 out of order)
 */
describe('an id', () => {
  test('is remembered until the watermark is past the time of its record and within', async () => {
    expect(await taken(payment('x', 10), payment('x', 12), payment('y', 25), payment('x', 20))).toEqual(['x', 'y'])
    expect(await taken(payment('x', 10), payment('x', 12), payment('y', 26), payment('x', 20))).toEqual(['x', 'y', 'x'])
  })

  test('is one of its key, and text is no number', async () => {
    expect(await taken(payment('1', 1), payment(1, 1), payment('1', 1, 'bob'), payment(1, 2), payment('1', 2))).toEqual(
      ['1', 1, '1'],
    )
    // Key and id do not run into each other.
    expect(await taken(payment('bc', 1, 'a'), payment('c', 1, 'ab'))).toEqual(['bc', 'c'])
  })

  test.each([
    ['missing', undefined],
    ['null', null],
    ['a fraction', 1.5],
    ['an integer beyond 2^53', 2n ** 60n],
    ['a map', { a: 1 }],
    ['too long', 'é'.repeat(129)],
  ])('that is %s makes its record dead', async (_, id) => {
    const { counts, rows } = await drive(once, [payment(id, 1), payment('ok', 2)])
    expect(counts).toMatchObject({ accepted: 1, dead: 1, filtered: 0 })
    expect(rows.find(({ topic }) => topic === 'd-dlq')!.headers['millrace-error-text']).toMatch(
      / id .*(whole number, or text|2\^53)/,
    )
  })

  test('of 256 bytes is the longest', async () => {
    expect(await taken(payment('é'.repeat(128), 1), payment('é'.repeat(128), 2))).toHaveLength(1)
  })
})

test('records that move to another key are told apart there, and the state is seen by its names', async () => {
  const moved = job('d')
    .from(
      kafka('orders', {
        value: json<{ order: string; user: string; id: string; ts: number }>(),
        key: 'order',
        eventTime: 'ts',
      }),
    )
    .keyBy('user')
    .dedup('id', { within: '1h', name: 'orders-once' })
    .window('w', tumbling('1s'))
    .aggregate({ n: count() })
    .to(kafka('out', { value: json() }))
  const t = testJob(moved, { partitions: 3 })
  const order = (name: string, user: string, id: string) => ({ value: { order: name, user, id, ts: 1 } })
  t.send('orders', order('o1', 'ann', 'x'), order('o2', 'ann', 'x'), order('o3', 'bob', 'x'), order('o4', 'ann', 'y'))
  await t.restart()
  t.send('orders', order('o5', 'bob', 'x'))
  await t.end()
  const rows = t.outputs<{ user: string; n: number }>('out').map(({ value }) => `${value.user} ${value.n}`)
  expect(rows.sort()).toEqual(['ann 2', 'bob 1'])
  expect(t.counts).toMatchObject({ in: 5, accepted: 3, filtered: 2 })
  expect(t.state()).toEqual({ 'orders-once': [], 'w-aggregate': [] })
})
