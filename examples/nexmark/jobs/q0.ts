// q0, pass through: every bid without its channel and url. Run: millrace run examples/nexmark/jobs/q0.ts
import { kafka, msgpack } from 'millrace'
import { bids } from '../streams.ts'

export default bids('nexmark-q0')
  .map(['auction', 'bidder', 'price', 'dateTime', 'extra'], (auction, bidder, price, dateTime, extra) => {
    return { auction, bidder, price, dateTime, extra }
  })
  .to(kafka('nexmark-q0', { value: msgpack() }))
