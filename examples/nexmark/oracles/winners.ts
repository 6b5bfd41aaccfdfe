// Oracles of the queries about winning bids: q4, q6, q9.
import type { Auction, Bid, NexmarkEvent } from '../events.ts'
import { auctionsOf, bidsOf, grouped, type Oracle } from './oracle.ts'

/** How many auctions of a seller q6 looks at. */
const LAST_AUCTIONS = 10

interface Won {
  auction: Auction
  bid: Bid
}

/**
 * The winning bid of each auction that has one: of the bids from its begin to its end, both included, the one with the greatest
 * price; of several the earliest, and of those the first that came. The reserve plays no part.
 */
function winningBids(events: Iterable<NexmarkEvent>): Won[] {
  const auctions = auctionsOf(events)
  const winners = new Map<number, Bid>()
  for (const bid of bidsOf(events)) {
    const auction = auctions.get(bid.auction)
    if (auction === undefined || bid.dateTime < auction.dateTime || bid.dateTime > auction.expires) continue
    const best = winners.get(bid.auction)
    const isBetter =
      best === undefined || bid.price > best.price || (bid.price === best.price && bid.dateTime < best.dateTime)
    if (isBetter) winners.set(bid.auction, bid)
  }
  return [...winners].map(([id, bid]) => ({ auction: auctions.get(id)!, bid }))
}

/** The mean of whole numbers, without what is behind the point. */
function wholeMean(values: readonly number[]): number {
  return Math.trunc(values.reduce((sum, value) => sum + value, 0) / values.length)
}

/** The mean price of the winning bids of each category. */
export const q4: Oracle = function* (events) {
  const prices = grouped(
    winningBids(events),
    ({ auction }) => auction.category,
    ({ bid }) => bid.price,
  )
  for (const [id, ofCategory] of prices) yield { id, final: wholeMean(ofCategory) }
}

/**
 * The mean price of the last ten winning bids of each seller: the last by the time of the bid, of equal times by their price, then by
 * the id of the auction. At the end of the events all auctions are closed.
 */
export const q6: Oracle = function* (events) {
  const bids = grouped(
    winningBids(events),
    ({ auction }) => auction.seller,
    ({ bid }) => bid,
  )
  for (const [seller, ofSeller] of bids) {
    ofSeller.sort((a, b) => a.dateTime - b.dateTime || a.price - b.price || a.auction - b.auction)
    yield { seller, avgPrice: wholeMean(ofSeller.slice(-LAST_AUCTIONS).map(({ price }) => price)) }
  }
}

/** Each auction that has a winning bid, with that bid. */
export const q9: Oracle = function* (events) {
  for (const { auction, bid } of winningBids(events)) {
    const { kind: _, ...ofAuction } = auction
    const { bidder, price, dateTime: bidDateTime, extra: bidExtra } = bid
    yield { ...ofAuction, auction: bid.auction, bidder, price, bidDateTime, bidExtra }
  }
}
