// The joins of docs/guide/joins.md, on a few orders each. Run: npx vitest run examples/joins
import { count, job, json, kafka, stream, sum, table, tumbling } from 'millrace'
import { type TestJob, testJob } from 'millrace/test'
import { expect, test } from 'vitest'

interface Order {
  id: string
  customer: string
  amount: number
  at: number
}
interface Payment {
  order: string
  at: number
}
interface Customer {
  id: string
  tier: string
}

const orders = kafka('orders', { value: json<Order>(), key: 'id', eventTime: 'at' })
const payments = kafka('payments', { value: json<Payment>(), key: 'order', eventTime: 'at' })
const customers = kafka('customers', { value: json<Customer>(), key: 'id' })

/** An order at a second of event time. */
const ordered = (id: string, second: number, customer = 'ann', amount = 1) => ({
  value: { id, customer, amount, at: second * 1_000 },
})
const paid = (order: string, second: number) => ({ value: { order, at: second * 1_000 } })
/** What is known of a customer from a second on; without a tier nothing is. */
const known = (id: string, tier: string | undefined, second = 0) => ({
  key: id,
  value: tier === undefined ? undefined : { id, tier },
  timestampMs: second * 1_000,
})
const second = (ms: number): number => ms / 1_000
/** What a job has given so far: the texts of its rows. */
const texts = (t: TestJob): (string | undefined)[] => t.outputs<{ text: string }>('out').map(({ value }) => value?.text)
const out = kafka('out', { value: json<{ text: string }>() })

const paidInTime = job('paid')
  .from(orders)
  .keyBy('id')
  .join('paid', stream(payments).keyBy('order'), { within: { after: '10s' } }, (order, payment) => ({
    text: `${order.id} paid after ${second(payment.at - order.at)}`,
  }))
  .to(out)

test('an interval join gives a row for each pair of one key that is near enough in time', async () => {
  const t = testJob(paidInTime)
  t.send('orders', ordered('A', 3), ordered('B', 4))
  t.send('payments', paid('A', 7), paid('B', 15), paid('C', 5))
  await t.end()
  expect(texts(t)).toEqual(['A paid after 4']) // B paid after 11 seconds
})

test('both bounds are included, and it is all the same which of the two is read first', async () => {
  const around = job('around')
    .from(orders)
    .keyBy('id')
    .join('around', stream(payments).keyBy('order'), { within: { before: '2s', after: '10s' } }, (order, payment) => ({
      text: `${second(order.at)} and ${second(payment.at)}`,
    }))
    .to(out)
  const t = testJob(around)
  t.send('payments', paid('A', 17.999), paid('A', 18), paid('A', 30))
  t.send('orders', ordered('A', 20))
  t.send('payments', paid('A', 30.001))
  await t.end()
  expect(texts(t)).toEqual(['20 and 18', '20 and 30'])
})

test('a bound may be a field of the left record', async () => {
  const offers = kafka('offers', {
    value: json<{ id: string; at: number; validUntil: number }>(),
    key: 'id',
    eventTime: 'at',
  })
  const accepted = job('accepted')
    .from(offers)
    .keyBy('id')
    .join(
      'accepted',
      stream(orders).keyBy('id'),
      { within: { after: { field: 'validUntil', max: '1h' } } },
      (_offer, order) => ({ text: `ordered at ${second(order.at)}` }),
    )
    .to(out)
  const t = testJob(accepted)
  t.send('offers', { value: { id: 'A', at: 1_000, validUntil: 20_000 } })
  t.send('offers', { value: { id: 'B', at: 1_000, validUntil: 7_200_000 } }) // more than an hour away
  t.send('orders', ordered('A', 20), ordered('A', 21))
  await t.end()
  expect(texts(t)).toEqual(['ordered at 20'])
  expect(t.dead()).toMatchObject([{ code: 'MR2008', value: { id: 'B' } }])
})

const paidOrNot = job('paid-or-not')
  .from(orders)
  .keyBy('id')
  .join(
    'paid',
    stream(payments).keyBy('order'),
    { within: { after: '10s' }, grace: '5s', type: 'left' },
    (order, payment) => ({
      text: payment === undefined ? `${order.id} unpaid` : `${order.id} paid at ${second(payment.at)}`,
    }),
  )
  .late(kafka('orders-late'))
  .to(out)

test('the row of a record that met none comes once, when none can come any more', async () => {
  const t = testJob(paidOrNot)
  t.send('orders', ordered('A', 3), ordered('B', 4))
  t.send('payments', paid('A', 7))
  await t.flush()
  expect(texts(t)).toEqual(['A paid at 7'])
  t.send('orders', ordered('C', 30))
  await t.flush()
  expect(texts(t)).toEqual(['A paid at 7']) // orders have come to 30, payments to 7
  t.send('payments', paid('C', 19.001)) // 4 + 10 + 5 is past in both streams
  await t.flush()
  expect(texts(t)).toEqual(['A paid at 7', 'B unpaid'])
})

test('grace waits for what comes late, and what comes later than that is late', async () => {
  const t = testJob(paidOrNot)
  t.send('orders', ordered('A', 3))
  t.send('payments', paid('X', 18))
  t.send('orders', ordered('X', 18)) // both streams are at 18, and 3 + 10 + 5 is not past
  t.send('payments', paid('A', 12))
  await t.flush()
  expect(texts(t)).toEqual(['X paid at 18', 'A paid at 12'])
  t.send('payments', paid('X', 30))
  t.send('orders', ordered('X', 30), ordered('B', 14))
  await t.end()
  expect(t.late()).toMatchObject([{ key: 'B', watermarkMs: 30_000, lateByMs: 1_000 }])
  expect(texts(t)).not.toContain('B unpaid')
})

const tiers = job('tiers')
  .from(kafka('orders', { value: json<Order>(), key: 'customer', eventTime: 'at' }))
  .keyBy('customer')
  .joinTable('tier', table(customers), { type: 'left' }, (order, customer) => ({
    text: `${order.id} of ${customer?.tier ?? 'nobody'}`,
  }))
  .to(out)

test('joinTable takes the row that is there when the record is read', async () => {
  const t = testJob(tiers)
  t.send('orders', ordered('A', 10))
  t.send('customers', known('ann', 'gold', 99))
  t.send('orders', ordered('B', 11))
  t.send('customers', known('ann', 'silver', 1)) // the newest record, whatever its time
  t.send('orders', ordered('C', 12))
  t.send('customers', known('ann', undefined)) // no value: the row is no more
  t.send('orders', ordered('D', 13))
  await t.flush()
  expect(texts(t)).toEqual(['A of nobody', 'B of gold', 'C of silver', 'D of nobody'])
})

test('filter and map of a table are of its rows', async () => {
  const best = table(customers)
    .filter((customer) => customer.tier === 'gold')
    .map((customer) => ({ label: customer.tier.toUpperCase() }))
  const t = testJob(
    job('best')
      .from(kafka('orders', { value: json<Order>(), key: 'customer', eventTime: 'at' }))
      .keyBy('customer')
      .joinTable('best', best, {}, (order, row) => ({ text: `${order.id} ${row.label}` }))
      .to(out),
  )
  t.send('customers', known('ann', 'gold'))
  t.send('orders', ordered('A', 10))
  t.send('customers', known('ann', 'silver')) // dropped by the filter, and with it the row
  t.send('orders', ordered('B', 11))
  await t.flush()
  expect(texts(t)).toEqual(['A GOLD'])
  expect(t.counts).toMatchObject({ filtered: 1 }) // inner: B has no row
})

const tiersThen = job('tiers-then')
  .from(kafka('orders', { value: json<Order>(), key: 'customer', eventTime: 'at' }))
  .keyBy('customer')
  .joinTable('tier', table(customers), { type: 'left', asOf: { grace: '5s' } }, (order, customer) => ({
    text: `${order.id} of ${customer?.tier ?? 'nobody'}`,
  }))
  .late(kafka('tiers-late'))
  .to(out)

test('as of: the row as it was at the time of the record, whichever topic is read first', async () => {
  const rows = ['A of nobody', 'B of silver', 'C of gold', 'D of gold']
  const stays = [ordered('A', 9), ordered('B', 15), ordered('C', 20), ordered('D', 25)]
  const changes = [known('ann', 'silver', 10), known('ann', 'gold', 20)]
  const ordersFirst = testJob(tiersThen)
  ordersFirst.send('orders', ...stays)
  ordersFirst.send('customers', ...changes)
  await ordersFirst.end()
  expect(texts(ordersFirst)).toEqual(rows)
  const customersFirst = testJob(tiersThen)
  customersFirst.send('customers', ...changes)
  customersFirst.send('orders', ...stays)
  await customersFirst.end()
  expect(texts(customersFirst)).toEqual(rows)
})

test('as of: a record waits until both topics are past its time and the grace', async () => {
  const t = testJob(tiersThen)
  t.send('customers', known('ann', 'silver', 10))
  t.send('orders', ordered('A', 20), ordered('B', 40))
  t.send('customers', known('bob', 'gold', 25)) // 20 + 5 is reached, not past
  t.send('customers', known('ann', 'gold', 18)) // late, and within the grace
  await t.flush()
  expect(texts(t)).toEqual([])
  t.send('customers', known('bob', 'gold', 26))
  await t.flush()
  expect(texts(t)).toEqual(['A of gold'])
  t.send('orders', ordered('C', 20)) // 26 is past 20 + 5
  await t.end()
  expect(t.late()).toMatchObject([{ value: { id: 'C' } }])
})

test('two tables: a row for each change of either, and none any more where there was one', async () => {
  const addresses = kafka('addresses', { value: json<{ id: string; city: string }>(), key: 'id' })
  const profiles = job('profiles')
    .table(customers)
    .join('profile', table(addresses), { type: 'left' }, (customer, address) => ({
      text: `${customer.tier} in ${address?.city ?? 'no city'}`,
    }))
    .to(out)
    .toView('profiles')
  const t = testJob(profiles)
  t.send('customers', known('ann', 'gold'))
  t.send('addresses', { value: { id: 'ann', city: 'Rome' } }, { value: { id: 'bob', city: 'Oslo' } })
  t.send('customers', known('ann', 'silver'))
  await t.flush()
  expect(texts(t)).toEqual(['gold in no city', 'gold in Rome', 'silver in Rome'])
  expect([...t.view('profiles').keys()]).toEqual(['ann'])
  t.send('customers', known('ann', undefined))
  await t.flush()
  expect(texts(t).at(-1)).toBe(undefined) // a record without a value, for whoever reads the topic as a table
  expect([...t.view('profiles').keys()]).toEqual([])
})

test('merge makes two streams one', async () => {
  const web = kafka('web', { value: json<Order>(), key: 'id', eventTime: 'at' })
  const all = job('all')
    .from(web)
    .keyBy('id')
    .merge(stream(orders).keyBy('id'))
    .window('10s', tumbling('10s'))
    .aggregate({ orders: count() })
    .map((row) => ({ text: `${row.id}: ${row.orders}` }))
    .to(out)
  const t = testJob(all)
  t.send('web', ordered('A', 3), ordered('A', 60))
  await t.flush()
  expect(texts(t)).toEqual([]) // the other stream may still bring a record of before 10
  t.send('orders', ordered('A', 4), ordered('B', 10))
  await t.flush()
  expect(texts(t)).toEqual(['A: 2'])
})

test('a topic may be joined with itself, each side with a filter of its own', async () => {
  const again = job('again')
    .from(orders)
    .filter((order) => order.amount > 0)
    .keyBy('id')
    .join(
      'cancelled',
      stream(orders)
        .filter((order) => order.amount < 0)
        .keyBy('id'),
      { within: { after: '1m' } },
      (order, cancellation) => ({ text: `${order.id} cancelled after ${second(cancellation.at - order.at)}` }),
    )
    .to(out)
  const t = testJob(again)
  t.send('orders', ordered('A', 1, 'ann', 5), ordered('B', 2, 'ann', 5), ordered('A', 9, 'ann', -5))
  await t.end()
  expect(texts(t)).toEqual(['A cancelled after 8'])
})

test('a stream that is keyed otherwise moves to the key of the join first', async () => {
  const moved = job('moved')
    .from(orders) // by order
    .keyBy('customer') // moved
    .joinTable('tier', table(customers), {}, (order, customer) => ({ text: `${order.id} ${customer.tier}` }))
    .to(out)
  const t = testJob(moved, { partitions: 3 })
  t.send('customers', known('ann', 'gold'), known('bob', 'silver'))
  await t.flush()
  t.send('orders', ordered('A', 1, 'ann'), ordered('B', 2, 'bob'))
  await t.flush()
  expect(texts(t).sort()).toEqual(['A gold', 'B silver'])
})

test('rows of an aggregate are joined as records: keyBy after it makes them so', async () => {
  const spent = job('spent')
    .from(kafka('orders', { value: json<Order>(), key: 'customer', eventTime: 'at' }))
    .keyBy('customer')
    .window('10s', tumbling('10s'))
    .aggregate({ amount: sum('amount') })
    .keyBy('customer') // their own key: they stay
    .joinTable('tier', table(customers), {}, (row, customer) => ({ text: `${customer.tier} spent ${row.amount}` }))
    .to(out)
  const t = testJob(spent)
  t.send('customers', known('ann', 'gold'))
  t.send('orders', ordered('A', 1, 'ann', 5), ordered('B', 2, 'ann', 7), ordered('C', 11, 'ann', 1))
  await t.flush()
  expect(texts(t)).toEqual(['gold spent 12'])
})

test('a quiet topic holds the other one back for idleAfter, no longer', async () => {
  const t = testJob(paidOrNot)
  t.send('payments', paid('X', 1))
  t.send('orders', ordered('A', 3))
  await t.advanceWall(9_000)
  t.send('orders', ordered('B', 60))
  await t.flush()
  expect(texts(t)).toEqual([]) // payments may still come
  await t.advanceWall(1_100) // they have been quiet for more than 10 seconds
  expect(texts(t)).toEqual(['A unpaid'])
})

test('what can meet nothing any more is kept no longer; a table keeps its rows', async () => {
  const t = testJob(paidOrNot)
  t.send('orders', ordered('A', 3))
  await t.flush()
  expect(t.state().paid).toHaveLength(2) // the order, and that it met none so far
  t.send('payments', paid('X', 60))
  t.send('orders', ordered('X', 60))
  await t.flush()
  expect(new Set(t.state().paid!.map(({ key }) => key))).toEqual(new Set(['X']))
  const of = testJob(tiers)
  of.send('customers', known('ann', 'gold'), known('bob', 'gold'), known('bob', undefined))
  await of.flush()
  expect(of.state().tier!.map(({ key }) => key)).toEqual(['ann'])
})
