// q19, the ten best bids of each auction. Run: millrace run examples/nexmark/jobs/q19.ts
import { kafka, msgpack } from 'millrace'
import { bids } from '../streams.ts'

export default bids('nexmark-q19')
  .map(
    ['auction', 'bidder', 'price', 'channel', 'url', 'dateTime', 'extra'],
    (auction, bidder, price, channel, url, dateTime, extra) => {
      return { id: `${bidder} ${dateTime} ${extra}`, auction, bidder, price, channel, url, dateTime, extra }
    },
  )
  .keyBy('auction')
  // A bid never gets worse: what is pushed out need not be kept.
  .topN('best', { n: 10, by: 'price', rowKey: 'id', keep: 10 })
  .map(({ id: _, rank, ...bid }) => ({ ...bid, rankNumber: rank }))
  .to(kafka('nexmark-q19', { value: msgpack() }))
