// The aggregate of q15 and q16: bids, different bidders and different auctions, of all prices and of three ranks. Exact, so it is
// an accumulator of its own: sets of ids, of which each keeps its size.
import { custom } from 'millrace'
import { addId, emptyIdSet, type IdSet } from './id-set.ts'

const RANK_2_FROM = 10_000
const RANK_3_FROM = 1_000_000

interface Group {
  bids: number
  bidders: IdSet
  auctions: IdSet
}

/** Of all bids, then of each rank. */
type State = Group[]

/** 1 to 3. */
export function rankOf(price: number): number {
  return price < RANK_2_FROM ? 1 : price < RANK_3_FROM ? 2 : 3
}

function addBid(group: Group, bidder: number, auction: number): void {
  group.bids++
  addId(group.bidders, bidder)
  addId(group.auctions, auction)
}

function columns(groups: State) {
  const [all, rank1, rank2, rank3] = groups as [Group, Group, Group, Group]
  // One by one: for each bid this is called, and spread objects are slow to make.
  return {
    totalBids: all.bids,
    rank1Bids: rank1.bids,
    rank2Bids: rank2.bids,
    rank3Bids: rank3.bids,
    totalBidders: all.bidders.size,
    rank1Bidders: rank1.bidders.size,
    rank2Bidders: rank2.bidders.size,
    rank3Bidders: rank3.bidders.size,
    totalAuctions: all.auctions.size,
    rank1Auctions: rank1.auctions.size,
    rank2Auctions: rank2.auctions.size,
    rank3Auctions: rank3.auctions.size,
  }
}

/** What a bid must have to be counted. */
export interface Counted {
  bidder: number
  auction: number
  price: number
}

/** The statistics of a group of bids, as one object. */
export function bidStatistics() {
  return custom({
    init: (): State => [0, 1, 2, 3].map(() => ({ bids: 0, bidders: emptyIdSet(), auctions: emptyIdSet() })),
    add: (groups: State, { bidder, auction, price }: Counted) => {
      addBid(groups[0]!, bidder, auction)
      addBid(groups[rankOf(price)]!, bidder, auction)
      return groups
    },
    result: columns,
  })
}
