// q17, statistics of an auction and day: bids of all prices and of three ranks, least, greatest, mean and total price.
// Run: millrace run examples/nexmark/jobs/q17.ts
import { count, kafka, max, min, msgpack, sum } from 'millrace'
import { dayOf } from '../clock.ts'
import { rankOf } from '../statistics.ts'
import { bids } from '../streams.ts'

export default bids('nexmark-q17')
  .map(['auction', 'price', 'dateTime'], (auction, price, dateTime) => {
    const rank = rankOf(price)
    const ranks = { rank1: rank === 1 ? 1 : 0, rank2: rank === 2 ? 1 : 0, rank3: rank === 3 ? 1 : 0 }
    return { auctionDay: `${auction} ${dayOf(dateTime)}`, price, ...ranks }
  })
  .keyBy('auctionDay')
  .aggregate({
    ...{ totalBids: count(), rank1Bids: sum('rank1'), rank2Bids: sum('rank2'), rank3Bids: sum('rank3') },
    ...{ minPrice: min('price'), maxPrice: max('price'), sumPrice: sum('price') },
  })
  .map(({ auctionDay, ...row }) => {
    const [auction, day] = auctionDay.split(' ')
    return { auction: Number(auction), day, ...row, avgPrice: Math.trunc(row.sumPrice / row.totalBids) }
  })
  .to(kafka('nexmark-q17', { value: msgpack() }), { emit: 'updates' })
