// The windows of docs/guide/windows.md, on a few payments each. Run: npx vitest run examples/windows
import {
  calendar,
  count,
  countWindow,
  cumulate,
  globalWindow,
  hopping,
  job,
  json,
  kafka,
  session,
  sliding,
  sum,
  tumbling,
  type WindowSpec,
} from 'millrace'
import { testJob } from 'millrace/test'
import { expect, test } from 'vitest'

interface Payment {
  account: string
  amount: number
  /** Seconds, to be read easily. */
  at: number
}

const payments = job('payments')
  .from(kafka('payments', { value: json<Payment>(), key: 'account', eventTime: (payment) => payment.at * 1_000 }))
  .keyBy('account')

/** What a window makes of payments, as `[first second, last second) total`. */
async function totals(window: WindowSpec, ...given: [at: number, amount: number][]): Promise<string[]> {
  const totalled = payments
    .window('w', window)
    .aggregate({ n: count(), total: sum('amount') })
    .to(kafka('totals', { value: json() }))
  const t = testJob(totalled)
  t.send(
    'payments',
    ...given.map(([at, amount]) => ({ value: { account: 'ann', amount, at }, timestampMs: at * 1_000 })),
  )
  await t.end()
  return t
    .outputs<{ windowStart: number; windowEnd: number; total: number }>('totals')
    .map(({ value: { windowStart, windowEnd, total } }) => `${windowStart / 1_000} to ${windowEnd / 1_000}: ${total}`)
}

test('tumbling', async () => {
  const window = tumbling('10s')
  expect(await totals(window, [3, 1], [7, 2], [12, 4])).toEqual(['0 to 10: 3', '10 to 20: 4'])
})

test('hopping', async () => {
  const window = hopping('10s', '5s')
  expect(await totals(window, [3, 1], [7, 2], [12, 4])).toEqual([
    '-5 to 5: 1', // the first window that holds second 3
    '0 to 10: 3',
    '5 to 15: 6',
    '10 to 20: 4',
  ])
})

test('cumulate', async () => {
  const window = cumulate('15s', '5s')
  expect(await totals(window, [3, 1], [7, 2], [12, 4], [16, 8])).toEqual([
    '0 to 5: 1',
    '0 to 10: 3',
    '0 to 15: 7',
    '15 to 20: 8',
    '15 to 25: 8',
    '15 to 30: 8',
  ])
})

test('calendar', async () => {
  const window = calendar('day', { timeZone: 'Europe/Berlin' })
  const noon = Date.UTC(2026, 2, 29, 10) / 1_000 // of the Sunday on which summer time begins
  const [start, end] = [noon - 11 * 3_600, noon + 12 * 3_600]
  expect(await totals(window, [noon, 1], [end - 1, 2], [end, 4])).toEqual([
    `${start} to ${end}: 3`, // 23 hours
    `${end} to ${end + 24 * 3_600}: 4`,
  ])
})

test('session', async () => {
  const window = session('5s')
  expect(await totals(window, [3, 1], [7, 2], [13, 4])).toEqual(['3 to 7: 3', '13 to 13: 4'])
})

test('sliding', async () => {
  const window = sliding('5s')
  expect(await totals(window, [3, 1], [7, 2], [13, 4])).toEqual([
    '-2 to 3: 1', // ends with 3
    '2 to 7: 3', // ends with 7
    '3.001 to 8.001: 2', // begins right after 3
    '8 to 13: 4', // ends with 13; the one that begins right after 7 would hold nothing
  ])
})

test('count', async () => {
  const window = countWindow(2)
  expect(await totals(window, [3, 1], [7, 2], [5, 4])).toEqual(['3 to 7: 3', '5 to 5: 4'])
})

test('global', async () => {
  const t = testJob(
    payments
      .window('w', globalWindow())
      .aggregate({ total: sum('amount') })
      .to(kafka('totals', { value: json() })),
  )
  t.send('payments', { value: { account: 'ann', amount: 1, at: 3 } }, { value: { account: 'ann', amount: 2, at: 7 } })
  await t.end()
  expect(t.outputs('totals')).toMatchObject([{ value: { account: 'ann', total: 3 } }])
})
