// q7, highest bids: those with the greatest price of 10 s. Run: millrace run examples/nexmark/jobs/q7.ts
import { custom, kafka, msgpack, tumbling } from 'millrace'
import { bids } from '../streams.ts'

const SIZE_MS = 10_000

interface Offer {
  auction: number
  bidder: number
  price: number
  dateTime: number
  extra: string
}

/** The bids with the greatest price. */
const highest = custom({
  init: (): Offer[] => [],
  add: (most, { auction, bidder, price, dateTime, extra }: Offer) => {
    const best = most[0]?.price ?? 0
    if (price < best) return most
    const bid = { auction, bidder, price, dateTime, extra }
    return price === best ? [...most, bid] : [bid]
  },
  result: (most) => most,
})

export default bids('nexmark-q7')
  .map(['auction', 'bidder', 'price', 'dateTime', 'extra'], (auction, bidder, price, dateTime, extra) => {
    return { ofWindow: Math.floor(dateTime / SIZE_MS), auction, bidder, price, dateTime, extra }
  })
  // All bids of a window meet in one partition, those of the next one in another.
  .keyBy('ofWindow')
  .window('10s', tumbling('10s'))
  .aggregate({ highest })
  .keyBy('ofWindow')
  .flatMap(({ highest }) => highest)
  .to(kafka('nexmark-q7', { value: msgpack() }))
