// q15, statistics of a day: bids, different bidders and different auctions, of all prices and of three ranks.
// Run: millrace run examples/nexmark/jobs/q15.ts
import { kafka, msgpack } from 'millrace'
import { dayOf } from '../clock.ts'
import { bidStatistics } from '../statistics.ts'
import { bids } from '../streams.ts'

export default bids('nexmark-q15')
  .map(['auction', 'bidder', 'price', 'dateTime'], (auction, bidder, price, dateTime) => {
    return { day: dayOf(dateTime), auction, bidder, price }
  })
  .keyBy('day')
  .aggregate({ statistics: bidStatistics() })
  .map(({ day, statistics }) => ({ day, ...statistics }))
  .to(kafka('nexmark-q15', { value: msgpack() }), { emit: 'updates' })
