// q4, prices of categories: the mean of the winning bids. Run: millrace run examples/nexmark/jobs/q4.ts
import { count, kafka, msgpack, sum } from 'millrace'
import { winningBids } from '../winners.ts'

export default winningBids('nexmark-q4')
  .keyBy('category')
  .aggregate({ total: sum('price'), auctions: count() })
  .map(({ category, total, auctions }) => ({ id: Number(category), final: Math.trunc(total / auctions) }))
  .to(kafka('nexmark-q4', { value: msgpack() }), { emit: 'updates' })
