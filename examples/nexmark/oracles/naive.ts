// The oracles that look things up once more, by nested loops straight from the definitions: too slow for many events, plain
// enough to be read as the definitions. Tests compare the two.
import type { Auction, Bid, NexmarkEvent, Person } from '../events.ts'
import type { Row } from './oracle.ts'

const WINDOW_MS = 10_000
const HOP_MS = 2_000

function split(events: readonly NexmarkEvent[]): { people: Person[]; auctions: Auction[]; bids: Bid[] } {
  return {
    people: events.filter((event) => event.kind === 'person'),
    auctions: events.filter((event) => event.kind === 'auction'),
    bids: events.filter((event) => event.kind === 'bid'),
  }
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)]
}

function wholeMean(values: readonly number[]): number {
  return Math.floor(values.reduce((sum, value) => sum + value, 0) / values.length)
}

/** The valid bids for an auction, the best first. */
function ranked({ id, dateTime, expires }: Auction, bids: readonly Bid[]): Bid[] {
  const valid = bids.filter((bid) => bid.auction === id && bid.dateTime >= dateTime && bid.dateTime <= expires)
  return valid.sort((a, b) => b.price - a.price || a.dateTime - b.dateTime)
}

function winners(events: readonly NexmarkEvent[]): { auction: Auction; bid: Bid }[] {
  const { auctions, bids } = split(events)
  return auctions.flatMap((auction) =>
    ranked(auction, bids)
      .slice(0, 1)
      .map((bid) => ({ auction, bid })),
  )
}

/** By the name of the query. */
export const naive: Readonly<Record<string, (events: readonly NexmarkEvent[]) => Row[]>> = {
  q3(events) {
    const { people, auctions } = split(events)
    return people
      .filter(({ state }) => state === 'OR' || state === 'ID' || state === 'CA')
      .flatMap(({ id: seller, name, city, state }) =>
        auctions
          .filter((auction) => auction.category === 10 && auction.seller === seller)
          .map(({ id }) => ({ name, city, state, id })),
      )
  },

  q4(events) {
    const won = winners(events)
    return distinct(won.map(({ auction }) => auction.category)).map((id) => {
      const prices = won.filter(({ auction }) => auction.category === id).map(({ bid }) => bid.price)
      return { id, final: wholeMean(prices) }
    })
  },

  q5(events) {
    const { bids } = split(events)
    const times = bids.map(({ dateTime }) => dateTime)
    const rows: Row[] = []
    const from = Math.floor(Math.min(...times) / HOP_MS) * HOP_MS - WINDOW_MS
    for (let start = from; start <= Math.max(...times); start += HOP_MS) {
      const ofWindow = bids.filter(({ dateTime }) => dateTime >= start && dateTime < start + WINDOW_MS)
      const num = (id: number) => ofWindow.filter(({ auction }) => auction === id).length
      const ids = distinct(ofWindow.map(({ auction }) => auction))
      const hottest = ids.filter((id) => ids.every((other) => num(other) <= num(id)))
      rows.push(...hottest.map((auction) => rowOfWindow(auction, num(auction), start)))
    }
    return rows
  },

  q6(events) {
    const won = winners(events)
    return distinct(won.map(({ auction }) => auction.seller)).map((seller) => {
      const bids = won.filter(({ auction }) => auction.seller === seller).map(({ bid }) => bid)
      bids.sort((a, b) => b.dateTime - a.dateTime || b.price - a.price || b.auction - a.auction)
      return { seller, avgPrice: wholeMean(bids.slice(0, 10).map(({ price }) => price)) }
    })
  },

  q7(events) {
    const { bids } = split(events)
    const windowOf = ({ dateTime }: Bid) => Math.floor(dateTime / WINDOW_MS)
    const highest = bids.filter((bid) =>
      bids.every((other) => windowOf(other) !== windowOf(bid) || other.price <= bid.price),
    )
    return highest.map(({ auction, bidder, price, dateTime, extra }) => ({ auction, bidder, price, dateTime, extra }))
  },

  q8(events) {
    const { people, auctions } = split(events)
    return people.flatMap(({ id, name, dateTime }) => {
      const startTime = dateTime - (dateTime % WINDOW_MS)
      const isIn = (auction: Auction) => auction.dateTime >= startTime && auction.dateTime < startTime + WINDOW_MS
      return auctions.some((auction) => auction.seller === id && isIn(auction)) ? [{ id, name, startTime }] : []
    })
  },

  q9(events) {
    return winners(events).map(({ auction: { kind: _, ...auction }, bid }) => {
      const { bidder, price, dateTime: bidDateTime, extra: bidExtra } = bid
      return { ...auction, auction: bid.auction, bidder, price, bidDateTime, bidExtra }
    })
  },

  q11(events) {
    const { bids } = split(events)
    const isNear = (a: number, b: number) => Math.abs(a - b) <= WINDOW_MS
    return distinct(bids.map(({ bidder }) => bidder)).flatMap((bidder) => {
      const times = bids.filter((bid) => bid.bidder === bidder).map(({ dateTime }) => dateTime)
      times.sort((a, b) => a - b)
      const starts = times.filter((time, i) => i === 0 || !isNear(time, times[i - 1]!))
      return starts.map((startTime, i) => {
        const inSession = times.filter(
          (time) => time >= startTime && time < (starts[i + 1] ?? Number.POSITIVE_INFINITY),
        )
        return { bidder, bidCount: inSession.length, startTime, endTime: inSession.at(-1)! + WINDOW_MS }
      })
    })
  },

  q18(events) {
    const { bids } = split(events)
    const isLater = (a: Bid, at: number, b: Bid, than: number) =>
      a.dateTime > b.dateTime || (a.dateTime === b.dateTime && at > than)
    const last = bids.filter((bid, i) =>
      bids.every(
        (other, j) => other.auction !== bid.auction || other.bidder !== bid.bidder || !isLater(other, j, bid, i),
      ),
    )
    return last.map(({ kind: _, ...columns }) => columns)
  },

  q19(events) {
    const { bids } = split(events)
    return distinct(bids.map(({ auction }) => auction)).flatMap((auction) => {
      const ofAuction = bids.filter((bid) => bid.auction === auction).sort((a, b) => b.price - a.price)
      return ofAuction.slice(0, 10).map(({ kind: _, ...columns }, i) => ({ ...columns, rankNumber: i + 1 }))
    })
  },

  q20(events) {
    const { auctions, bids } = split(events)
    return bids.flatMap(({ kind: _, dateTime: bidDateTime, extra: bidExtra, ...bid }) =>
      auctions
        .filter(({ id, category }) => id === bid.auction && category === 10)
        .map(({ kind: _, id: __, dateTime: auctionDateTime, extra: auctionExtra, ...auction }) => {
          return { ...bid, bidDateTime, bidExtra, ...auction, auctionDateTime, auctionExtra }
        }),
    )
  },
}

function rowOfWindow(auction: number, num: number, windowStart: number): Row {
  return { auction, num, windowStart, windowEnd: windowStart + WINDOW_MS }
}
