// q6, prices of sellers: the mean of the last ten winning bids. Run: millrace run examples/nexmark/jobs/q6.ts
import { custom, kafka, msgpack } from 'millrace'
import { winningBids } from '../winners.ts'

const LAST_AUCTIONS = 10

interface Won {
  id: number
  price: number
  dateTime: number
}

function isBefore(a: Won, b: Won): boolean {
  return (a.dateTime - b.dateTime || a.price - b.price || a.id - b.id) < 0
}

/** The last ten by the time of the bid, then by price and auction, in this order: they may come in another. */
const lastTen = custom({
  init: (): Won[] => [],
  add: (last, { id, price, dateTime }: Won) => {
    const won = { id, price, dateTime }
    const at = last.findIndex((other) => isBefore(won, other))
    return last.toSpliced(at < 0 ? last.length : at, 0, won).slice(-LAST_AUCTIONS)
  },
  result: (last) => Math.trunc(last.reduce((total, { price }) => total + price, 0) / last.length),
})

export default winningBids('nexmark-q6')
  .keyBy('seller')
  .aggregate({ avgPrice: lastTen })
  .map(({ seller, avgPrice }) => ({ seller: Number(seller), avgPrice }))
  .to(kafka('nexmark-q6', { value: msgpack() }), { emit: 'updates' })
