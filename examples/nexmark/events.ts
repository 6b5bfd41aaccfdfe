// The events of Nexmark, an auction house: people join, open auctions and bid. All are records of one topic.

export interface Person {
  kind: 'person'
  id: number
  name: string
  emailAddress: string
  creditCard: string
  city: string
  state: string
  /** Event time, ms since the epoch, as in the other two. */
  dateTime: number
  /** Text that nobody reads: it makes events as large as they would be. */
  extra: string
}

export interface Auction {
  kind: 'auction'
  id: number
  itemName: string
  description: string
  /** Prices are whole cents. */
  initialBid: number
  reserve: number
  dateTime: number
  /** The last moment at which a bid counts, ms since the epoch. */
  expires: number
  /** The id of a person. */
  seller: number
  category: number
  extra: string
}

export interface Bid {
  kind: 'bid'
  /** The id of an auction. */
  auction: number
  /** The id of a person. */
  bidder: number
  price: number
  /** The site that the bid came from, and its page. */
  channel: string
  url: string
  dateTime: number
  extra: string
}

export type NexmarkEvent = Person | Auction | Bid
