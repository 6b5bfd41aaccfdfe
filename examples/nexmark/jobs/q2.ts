// q2, selection: auction and price of the bids for every 123rd auction. Run: millrace run examples/nexmark/jobs/q2.ts
import { kafka, msgpack } from 'millrace'
import { bids } from '../streams.ts'

export default bids('nexmark-q2')
  .filter(['auction'], (auction) => auction % 123 === 0)
  .map(['auction', 'price'], (auction, price) => ({ auction, price }))
  .to(kafka('nexmark-q2', { value: msgpack() }))
