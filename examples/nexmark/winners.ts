// Winning bids, as q4, q6 and q9 begin: a bid counts from the begin to the end of its auction, and the greatest price wins.
import { argMax, session } from 'millrace'
import { auctions, bidStream } from './streams.ts'

/**
 * No auction is open for longer; one that says so is dead. Two valid bids for an auction are at most so far apart, so that a session
 * of this gap has them all, and ends when no other can come.
 */
export const LONGEST = '1m'

/** Of each auction, when it is over, its winning bid: of equal prices the earliest, and of those the first that came. */
export function winningBids(name: string) {
  return auctions(name)
    .map(['id', 'category', 'seller', 'expires'], (id, category, seller, expires) => ({
      id,
      category,
      seller,
      expires,
    }))
    .keyBy('id')
    .join(
      'valid-bids',
      bidStream()
        .map(['auction', 'price', 'dateTime'], (auction, price, dateTime) => ({ auction, price, dateTime }))
        .keyBy('auction'),
      { within: { after: { field: 'expires', max: LONGEST } } },
      ({ id, category, seller }, { price, dateTime }) => ({ price, won: { id, category, seller, price, dateTime } }),
    )
    .window('auction', session(LONGEST))
    .aggregate({ won: argMax('won', 'price') })
    .map(({ won }) => won)
}
