// Oracles of the queries that join events, or bids with a table: q3, q13, q20.
import type { Person } from '../events.ts'
import type { SideRow } from '../generator.ts'
import { auctionsOf, bidsOf, type Oracle } from './oracle.ts'

const STATES = ['OR', 'ID', 'CA']
const CATEGORY = 10

/** Local items: name and place of the sellers in Oregon, Idaho and California, with each of their auctions in category 10. */
export const q3: Oracle = function* (events) {
  const people = new Map<number, Person>()
  for (const event of events) if (event.kind === 'person') people.set(event.id, event)
  for (const { id, seller, category } of auctionsOf(events).values()) {
    const person = people.get(seller)
    if (category !== CATEGORY || person === undefined || !STATES.includes(person.state)) continue
    yield { name: person.name, city: person.city, state: person.state, id }
  }
}

/** Bids with the value that a table has for their auction's id modulo its 10,000 rows; those without one are left out. */
export function q13(side: readonly SideRow[]): Oracle {
  const values = new Map(side.map(({ key, value }) => [key, value]))
  return function* (events) {
    for (const { auction, bidder, price, dateTime } of bidsOf(events)) {
      const value = values.get(auction % 10_000)
      if (value !== undefined) yield { auction, bidder, price, dateTime, value }
    }
  }
}

/** Bids for auctions in category 10, with all of the auction; whichever of the two came first. */
export const q20: Oracle = function* (events) {
  const auctions = auctionsOf(events)
  for (const { auction, bidder, price, channel, url, dateTime, extra } of bidsOf(events)) {
    const found = auctions.get(auction)
    if (found?.category !== CATEGORY) continue
    const { itemName, description, initialBid, reserve, expires, seller, category } = found
    yield {
      ...{ auction, bidder, price, channel, url, bidDateTime: dateTime, bidExtra: extra },
      ...{ itemName, description, initialBid, reserve, auctionDateTime: found.dateTime, expires, seller, category },
      ...{ auctionExtra: found.extra },
    }
  }
}
