// A running total per user: one row for each order, without windows.
// Run: npx millrace run examples/running-sum/job.ts
import { count, job, kafka, msgpack, sum } from 'millrace'

interface Order {
  user: string
  amount: number
}

export default job('running-sum')
  .from(kafka('orders', { value: msgpack<Order>(), key: 'user' }))
  .keyBy('user')
  .aggregate({ total: sum('amount'), orders: count() })
  .to(kafka('running-sums', { value: msgpack() }), { emit: 'updates' })
