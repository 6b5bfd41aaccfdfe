// The generator of Nexmark's events: an event is a function of the seed and its number, so that a job and what judges it can
// read the same events without keeping them.
import type { Auction, Bid, NexmarkEvent, Person } from './events.ts'
import { Random } from './random.ts'
import { Texts } from './texts.ts'

/*
 * Of each 50 events the first is a person, the next three are auctions, then come 46 bids:
 *
 *   number  0 | 1 2 3 | 4 ............ 49 | 50 | 51 52 53 | 54 ...
 *           P | A A A | B B B ... B B B B | P  | A  A  A  | B ...
 *
 * Ids count up from 1000. Who is hot changes with every hundredth id: the hot auction is the newest whose id ends with 00, the
 * hot seller the newest such person, the hot bidder the one after that.
 */
const FIRST_ID = 1_000
const FIRST_CATEGORY = 10
const CATEGORY_COUNT = 5
const HOT_EVERY = 100
/** Sellers, bidders and auctions of bids may be as many ids ahead of the newest one: events that overtook each other. */
const ID_LEAD = 10
const HOT_CHANNEL_RATIO = 2
/** Out of order, event n of a group is number n times this, modulo the size of the group. */
const SHUFFLE_STEP = 953
/** 2025-10-09T08:53:20Z. */
const START_MS = 1_760_000_000_000

export interface NexmarkOptions {
  seed: number
  count: number
  /** Event time of the first event, ms since the epoch. Default 1,760,000,000,000. */
  startMs?: number
  /** Default 10,000. */
  eventsPerSecond?: number
  /** Of so many events each. Default 1, 3 and 46. */
  personShare?: number
  auctionShare?: number
  bidShare?: number
  /** Of so many auctions, all but one are of the hot seller. Default 4. */
  hotSellerRatio?: number
  /** Of so many bids, all but one are for the hot auction. Default 2. */
  hotAuctionRatio?: number
  /** Of so many bids, all but one are by the hot bidder. Default 4. */
  hotBidderRatio?: number
  /** The newest people, so many, sell and bid. Default 1,000. */
  activePeople?: number
  /** About as many auctions are open at a time. Default 100. */
  openAuctions?: number
  /** Mean sizes: 8 for a number, 1 for a character. Channel and url of a bid are not counted, as in the suite. */
  personBytes?: number
  auctionBytes?: number
  bidBytes?: number
  /** Events come out of order within groups of so many. No multiple of 953. Default 1: in order. */
  outOfOrderGroup?: number
}

const DEFAULTS = {
  ...{ startMs: START_MS, eventsPerSecond: 10_000, personShare: 1, auctionShare: 3, bidShare: 46 },
  ...{ hotSellerRatio: 4, hotAuctionRatio: 2, hotBidderRatio: 4, activePeople: 1_000, openAuctions: 100 },
  ...{ personBytes: 200, auctionBytes: 500, bidBytes: 100, outOfOrderGroup: 1 },
}

/**
 * The events of a seed. They can be gone through again and again.
 *
 * @example
 * const events = nexmarkEvents({ seed: 1, count: 1_000 })
 * events.at(4) // { kind: 'bid', auction: 1000, bidder: 1001, ... }
 * [...events].length // 1000
 */
export function nexmarkEvents(options: NexmarkOptions): NexmarkEvents {
  return new NexmarkEvents(options)
}

export class NexmarkEvents implements Iterable<NexmarkEvent> {
  readonly count: number
  readonly #options: Required<NexmarkOptions>
  readonly #random: Random
  readonly #texts: Texts
  /** Events of a round: a person or more, auctions, bids. */
  readonly #round: number

  constructor(options: NexmarkOptions) {
    this.#options = { ...DEFAULTS, ...options }
    const { seed, count, personShare, auctionShare, bidShare, outOfOrderGroup } = this.#options
    if (outOfOrderGroup % SHUFFLE_STEP === 0) throw new RangeError(`a group of ${outOfOrderGroup} events has no order`)
    this.count = count
    this.#round = personShare + auctionShare + bidShare
    this.#random = new Random(seed)
    this.#texts = new Texts(this.#random)
  }

  *[Symbol.iterator](): Iterator<NexmarkEvent> {
    for (let i = 0; i < this.count; i++) yield this.at(i)
  }

  /** The event in place `i`, from 0. Throws RangeError beyond the last. */
  at(i: number): NexmarkEvent {
    if (!(i >= 0 && i < this.count)) throw new RangeError(`there are ${this.count} events, none with number ${i}`)
    const { outOfOrderGroup, personShare, auctionShare } = this.#options
    const inGroup = i % outOfOrderGroup
    const number = i - inGroup + ((inGroup * SHUFFLE_STEP) % outOfOrderGroup)
    this.#random.goTo(number)
    const inRound = number % this.#round
    if (inRound < personShare) return this.#person(number)
    return inRound < personShare + auctionShare ? this.#auction(number) : this.#bid(number)
  }

  #person(number: number): Person {
    const texts = this.#texts
    const [name, emailAddress, creditCard] = [texts.personName(), texts.emailAddress(), texts.creditCard()]
    const [city, state] = [texts.city(), texts.state()]
    const bytes = 16 + name.length + emailAddress.length + creditCard.length + city.length + state.length
    return {
      ...{ kind: 'person', id: FIRST_ID + this.#newestPerson(number), name, emailAddress, creditCard, city, state },
      ...{ dateTime: this.#timeMs(number), extra: texts.padding(bytes, this.#options.personBytes) },
    }
  }

  #auction(number: number): Auction {
    const [random, texts] = [this.#random, this.#texts]
    const { hotSellerRatio, auctionBytes } = this.#options
    const isHot = random.below(hotSellerRatio) > 0
    const seller = FIRST_ID + (isHot ? hot(this.#newestPerson(number)) : this.#activePerson(number))
    const category = FIRST_CATEGORY + random.below(CATEGORY_COUNT)
    const initialBid = this.#price()
    const dateTime = this.#timeMs(number)
    const expires = dateTime + this.#lengthMs(number)
    const [itemName, description] = [texts.text(20), texts.text(100)]
    const reserve = initialBid + this.#price()
    const extra = texts.padding(56 + itemName.length + description.length, auctionBytes)
    return {
      ...{ kind: 'auction', id: FIRST_ID + this.#newestAuction(number), itemName, description, initialBid, reserve },
      ...{ dateTime, expires, seller, category, extra },
    }
  }

  #bid(number: number): Bid {
    const [random, texts] = [this.#random, this.#texts]
    const { hotAuctionRatio, hotBidderRatio, bidBytes } = this.#options
    const isHotAuction = random.below(hotAuctionRatio) > 0
    const auction = FIRST_ID + (isHotAuction ? hot(this.#newestAuction(number)) : this.#openAuction(number))
    const isHotBidder = random.below(hotBidderRatio) > 0
    const bidder = FIRST_ID + (isHotBidder ? hot(this.#newestPerson(number)) + 1 : this.#activePerson(number))
    const price = this.#price()
    const { channel, url } = random.below(HOT_CHANNEL_RATIO) > 0 ? texts.hotSite() : texts.site()
    const extra = texts.padding(32, bidBytes)
    return { kind: 'bid', auction, bidder, price, channel, url, dateTime: this.#timeMs(number), extra }
  }

  #timeMs(number: number): number {
    const { startMs, eventsPerSecond } = this.#options
    return startMs + Math.floor((number * 1_000) / eventsPerSecond)
  }

  /** 1.00 to 1,000,000.00 in cents, as many of each length. */
  #price(): number {
    return Math.round(10 ** (this.#random.fraction() * 6) * 100)
  }

  /** Persons there are at an event, less one: the number of the newest. */
  #newestPerson(number: number): number {
    const { personShare } = this.#options
    const inRound = number % this.#round
    return Math.floor(number / this.#round) * personShare + Math.min(inRound, personShare - 1)
  }

  /** The same of auctions; -1 before the first. */
  #newestAuction(number: number): number {
    const { personShare, auctionShare } = this.#options
    const inRound = number % this.#round
    const ofRound = Math.min(inRound - personShare, auctionShare - 1)
    return Math.floor(number / this.#round) * auctionShare + (ofRound < 0 ? -1 : ofRound)
  }

  #activePerson(number: number): number {
    const people = this.#newestPerson(number) + 1
    const active = Math.min(people, this.#options.activePeople)
    return people - active + this.#random.below(active + ID_LEAD)
  }

  #openAuction(number: number): number {
    const newest = this.#newestAuction(number)
    const oldest = Math.max(newest - this.#options.openAuctions, 0)
    return oldest + this.#random.below(newest - oldest + 1 + ID_LEAD)
  }

  /** How long an auction is open: on average until as many others have begun as are open at a time. */
  #lengthMs(number: number): number {
    const { openAuctions, auctionShare } = this.#options
    const meanMs = this.#timeMs(number + Math.floor((openAuctions * this.#round) / auctionShare)) - this.#timeMs(number)
    return 1 + this.#random.below(Math.max(2 * meanMs, 1))
  }
}

function hot(newest: number): number {
  return newest - (newest % HOT_EVERY)
}

/** Rows of the side input that query 13 joins bids with. */
export const SIDE_INPUT_ROWS = 10_000

export interface SideRow {
  key: number
  value: string
}

/** A row for each key from 0, its value drawn by the seed. */
export function sideInput(seed: number, count = SIDE_INPUT_ROWS): SideRow[] {
  const random = new Random(seed)
  return Array.from({ length: count }, (_, key) => ({ key, value: `value-${random.goTo(key).below(2 ** 31)}` }))
}
