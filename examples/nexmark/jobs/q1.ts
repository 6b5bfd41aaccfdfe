// q1, currency: the bids with their price in euros. Run: millrace run examples/nexmark/jobs/q1.ts
import { kafka, msgpack } from 'millrace'
import { euros } from '../euros.ts'
import { bids } from '../streams.ts'

export default bids('nexmark-q1')
  .map(['auction', 'bidder', 'price', 'dateTime', 'extra'], (auction, bidder, price, dateTime, extra) => {
    return { auction, bidder, price: euros(price), dateTime, extra }
  })
  .to(kafka('nexmark-q1', { value: msgpack() }))
