// q14, calculation: bids of a range of prices, with the time of day and the number of `c` in their padding.
// Run: millrace run examples/nexmark/jobs/q14.ts
import { kafka, msgpack } from 'millrace'
import { euros } from '../euros.ts'
import { bids } from '../streams.ts'

const HOUR_MS = 3_600_000
const PRICE_ABOVE = 1_000_000
const PRICE_BELOW = 50_000_000

export default bids('nexmark-q14')
  .filter(['price'], (price) => euros(price) > PRICE_ABOVE && euros(price) < PRICE_BELOW)
  .map(['auction', 'bidder', 'price', 'dateTime', 'extra'], (auction, bidder, price, dateTime, extra) => {
    const bidTimeType = timeType(Math.floor(dateTime / HOUR_MS) % 24)
    return { auction, bidder, price: euros(price), bidTimeType, dateTime, extra, cCounts: countOfC(extra) }
  })
  .to(kafka('nexmark-q14', { value: msgpack() }))

/** Of an hour in UTC. */
function timeType(hour: number): string {
  if (hour >= 8 && hour <= 18) return 'dayTime'
  return hour <= 6 || hour >= 20 ? 'nightTime' : 'otherTime'
}

function countOfC(text: string): number {
  let count = 0
  for (let at = text.indexOf('c'); at >= 0; at = text.indexOf('c', at + 1)) count++
  return count
}
