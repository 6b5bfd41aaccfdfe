// The keyed logic of docs/guide/keyed.md, on a few payments each. Run: npx vitest run examples/keyed
import { job, json, kafka, last, type ProcessContext, sum } from 'millrace'
import { testJob } from 'millrace/test'
import { expect, test } from 'vitest'

interface Payment {
  account: string
  amount: number
  country: string
  /** Event time, ms since the epoch. */
  ts: number
}

const payments = job('payments')
  .from(kafka('payments', { value: json<Payment>(), key: 'account', eventTime: 'ts' }))
  .keyBy('account')
const out = kafka('out', { value: json<unknown>() })
const paid = (account: string, ts: number, amount: number) => ({ value: { account, ts, amount, country: 'de' } })

test('the largest payment of each account', async () => {
  const largest = payments.reduce((before, payment) => (payment.amount > before.amount ? payment : before))
  const t = testJob(largest.to(out))
  t.send('payments', paid('ann', 1_000, 5), paid('ann', 2_000, 9), paid('bob', 3_000, 2), paid('ann', 4_000, 1))
  await t.flush()
  expect(t.outputs<Payment>('out').map(({ value }) => `${value.account} ${value.amount} of ${value.ts}`)).toEqual([
    'ann 5 of 1000',
    'ann 9 of 2000',
    'bob 2 of 3000',
    'ann 9 of 2000',
  ])
})

test('an account that has been quiet for an hour', async () => {
  const HOUR_MS = 3_600_000
  const quiet = payments.process('quiet', {
    onRecord(payment, ctx: ProcessContext<number | undefined, { account: string; sinceMs: number }>) {
      const lastMs = ctx.state.get()
      if (lastMs !== undefined) ctx.timers.cancel(lastMs + HOUR_MS)
      ctx.state.set(payment.ts)
      ctx.timers.at(payment.ts + HOUR_MS)
    },
    onTimer(timer, ctx) {
      ctx.emit({ account: ctx.key, sinceMs: timer.timeMs - HOUR_MS })
      ctx.state.delete()
    },
  })
  const t = testJob(quiet.to(out))
  t.send('payments', paid('ann', 0, 5), paid('ann', 10_000, 5), paid('bob', HOUR_MS + 20_000, 5))
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value)).toEqual([{ account: 'ann', sinceMs: 10_000 }])
  await t.end()
  expect(t.state()).toEqual({ quiet: [] })
})

test('every third payment, forgetting accounts after a day', async () => {
  const third = payments.process('third', {
    state: () => 0,
    ttl: '1d',
    onRecord(payment, ctx: ProcessContext<number, Payment>) {
      const n = ctx.state.get() + 1
      ctx.state.set(n % 3)
      if (n === 3) ctx.emit(payment)
    },
  })
  const t = testJob(third.to(out))
  t.send('payments', paid('ann', 0, 1), paid('ann', 1_000, 2), paid('ann', 2_000, 3), paid('ann', 3_000, 4))
  t.send('payments', paid('bob', 172_800_000, 1))
  await t.flush()
  expect(t.outputs('out').map(({ value }) => value.amount)).toEqual([3])
  expect(t.state().third!.map(({ key }) => key)).toContain('bob')
  expect(t.state().third!.map(({ key }) => key)).not.toContain('ann')
})

test('the two accounts of each country with the highest totals', async () => {
  const best = payments
    .aggregate({ total: sum('amount'), country: last('country') })
    .keyBy('country')
    .topN('best', { n: 2, by: 'total', rowKey: 'account' })
  const t = testJob(best.to(out).toView('best', { key: ({ country, rank }) => `${country} ${rank}` }))
  t.send('payments', paid('ann', 1_000, 5), paid('bob', 1_000, 7), paid('cid', 1_000, 6))
  await t.flush()
  const rows = t.outputs<{ account: string; rank: number }>('out')
  expect(rows.map(({ value, headers }) => `${headers['millrace-phase']} ${value.rank} ${value.account}`)).toEqual([
    'early 1 ann',
    'retracted 1 ann',
    'early 1 bob',
    'early 2 ann',
    'retracted 2 ann',
    'early 2 cid',
  ])
  expect([...t.view('best')].map(([place, { value }]) => `${place}: ${value.account}`)).toEqual([
    'de 1: bob',
    'de 2: cid',
  ])
})

test('a reminder when nothing has come for ten minutes, by the clock', async () => {
  const reminded = payments.process('reminder', {
    onRecord(_, ctx: ProcessContext<number | undefined, string>) {
      const dueMs = ctx.state.get()
      if (dueMs !== undefined) ctx.timers.cancelWall(dueMs)
      ctx.state.set(ctx.wallMs + 600_000)
      ctx.timers.atWall(ctx.wallMs + 600_000)
    },
    onTimer(_, ctx) {
      ctx.emit(`nothing more from ${ctx.key}`)
      ctx.state.delete()
    },
  })
  const t = testJob(reminded.to(out))
  t.send('payments', paid('ann', 1_000, 5))
  await t.advanceWall(300_000)
  t.send('payments', paid('ann', 2_000, 5))
  await t.advanceWall(599_000)
  expect(t.outputs('out')).toEqual([])
  await t.advanceWall(2_000)
  expect(t.outputs('out').map(({ value }) => value)).toEqual(['nothing more from ann'])
})
