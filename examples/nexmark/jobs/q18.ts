// q18, the last bid of each bidder for each auction. Run: millrace run examples/nexmark/jobs/q18.ts
import { kafka, last, msgpack } from 'millrace'
import { bids } from '../streams.ts'

export default bids('nexmark-q18')
  .map(
    ['auction', 'bidder', 'price', 'channel', 'url', 'dateTime', 'extra'],
    (auction, bidder, price, channel, url, dateTime, extra) => {
      return { pair: `${bidder} ${auction}`, bid: { auction, bidder, price, channel, url, dateTime, extra } }
    },
  )
  .keyBy('pair')
  // The bid as one value: cheaper than seven that change together.
  .aggregate({ bid: last('bid') })
  .map(({ bid }) => bid)
  .to(kafka('nexmark-q18', { value: msgpack() }), { emit: 'updates' })
