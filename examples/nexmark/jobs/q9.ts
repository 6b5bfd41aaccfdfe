// q9, winning bids: each auction with its winning bid, when it is over. Run: millrace run examples/nexmark/jobs/q9.ts
import { argMax, kafka, msgpack, session } from 'millrace'
import { auctions, bidStream } from '../streams.ts'
import { LONGEST } from '../winners.ts'

const bids = bidStream()
  .map(['auction', 'bidder', 'price', 'dateTime', 'extra'], (auction, bidder, price, bidDateTime, bidExtra) => {
    return { auction, bidder, price, bidDateTime, bidExtra }
  })
  .keyBy('auction')

export default auctions('nexmark-q9')
  .map(
    ['id', 'itemName', 'description', 'initialBid', 'reserve', 'dateTime', 'expires', 'seller', 'category', 'extra'],
    (id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra) => {
      return { id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra }
    },
  )
  .keyBy('id')
  .join('valid-bids', bids, { within: { after: { field: 'expires', max: LONGEST } } }, (auction, bid) => {
    return { price: bid.price, won: { ...auction, ...bid } }
  })
  .window('auction', session(LONGEST))
  .aggregate({ won: argMax('won', 'price') })
  .map(({ won }) => won)
  .to(kafka('nexmark-q9', { value: msgpack() }))
