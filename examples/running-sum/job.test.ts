// Tests of the running sum: what it gives is the same wherever its process dies. Run: npx vitest run examples/running-sum
import { CRASH_STEPS, testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import job from './job.ts'

const order = (user: string, amount: number) => ({ value: { user, amount } })

test('every order gives the sum so far of its user', async () => {
  const t = testJob(job)
  t.send('orders', order('u', 5), order('v', 1), order('u', 2.5))
  await t.flush()
  expect(t.outputs('running-sums').map(({ value }) => value)).toEqual([
    { user: 'u', total: 5, orders: 1 },
    { user: 'v', total: 1, orders: 1 },
    { user: 'u', total: 7.5, orders: 2 },
  ])
})

test.each(CRASH_STEPS)('no order is lost or counted twice when the process dies: %s', async (step) => {
  const t = testJob(job, { store: 'lmdb' })
  t.send('orders', order('u', 5))
  await t.flush()
  t.crashAt(step)
  t.send('orders', order('u', 2.5), order('u', 1))
  await t.flush()
  t.send('orders', order('u', 10))
  await t.flush()
  expect(t.outputs('running-sums').map(({ value }) => value.total)).toEqual([5, 7.5, 8.5, 18.5])
  await t.close()
})
