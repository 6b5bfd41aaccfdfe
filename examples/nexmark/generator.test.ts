// The events of the generator: what there are, how they hang together, and what is hot. Run: npx vitest run examples/nexmark
import { expect, test } from 'vitest'
import type { Auction, Bid, NexmarkEvent, Person } from './events.ts'
import { type NexmarkOptions, nexmarkEvents, sideInput } from './generator.ts'
import { CHANNEL_COUNT, HOT_CHANNELS } from './texts.ts'

const COUNT = 20_000
const ROUND = 50
const options: NexmarkOptions = { seed: 1, count: COUNT }
const events = [...nexmarkEvents(options)]

function ofKind<K extends NexmarkEvent['kind']>(kind: K, from: readonly NexmarkEvent[] = events) {
  return from.filter((event): event is Extract<NexmarkEvent, { kind: K }> => event.kind === kind)
}

const people: Person[] = ofKind('person')
const auctions: Auction[] = ofKind('auction')
const bids: Bid[] = ofKind('bid')

function share<T>(items: readonly T[], has: (item: T) => boolean): number {
  return items.filter(has).length / items.length
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

test('an event is a function of seed and number', () => {
  expect([...nexmarkEvents(options)]).toEqual(events)
  const again = nexmarkEvents({ ...options, count: 10 * COUNT })
  for (const place of [19_999, 7, 4_242, 0]) expect(again.at(place)).toEqual(events[place])
  expect([...nexmarkEvents({ ...options, seed: 2 })].filter((event, i) => event.extra === events[i]!.extra)).toEqual([])
  expect(() => nexmarkEvents(options).at(COUNT)).toThrow('none with number 20000')
})

test('of each 50 events the first is a person, three are auctions, 46 are bids', () => {
  const round = ['person', ...Array(3).fill('auction'), ...Array(46).fill('bid')]
  expect(events.map(({ kind }) => kind)).toEqual(events.map((_, i) => round[i % ROUND]))
  const other = [...nexmarkEvents({ ...options, count: 10, personShare: 2, auctionShare: 1, bidShare: 2 })]
  expect(other.map(({ kind }) => kind[0]).join('')).toBe('ppabbppabb')
  expect(ofKind('person', other).map(({ id }) => id)).toEqual([1000, 1001, 1002, 1003])
})

test('ids count up from 1000, event times by the rate', () => {
  expect(people.map(({ id }) => id)).toEqual(people.map((_, i) => 1_000 + i))
  expect(auctions.map(({ id }) => id)).toEqual(auctions.map((_, i) => 1_000 + i))
  expect(events.map(({ dateTime }) => dateTime)).toEqual(events.map((_, i) => 1_760_000_000_000 + Math.floor(i / 10)))
  const slow = nexmarkEvents({ ...options, startMs: 500, eventsPerSecond: 4 })
  expect([slow.at(0).dateTime, slow.at(1).dateTime, slow.at(9).dateTime]).toEqual([500, 750, 2_750])
})

test('out of order, events are in other places of their group alone', () => {
  const shuffled = [...nexmarkEvents({ ...options, outOfOrderGroup: 100 })]
  expect(shuffled.slice(0, 100)).not.toEqual(events.slice(0, 100))
  const byPadding = (a: NexmarkEvent, b: NexmarkEvent) => a.dateTime - b.dateTime || (a.extra < b.extra ? -1 : 1)
  for (let from = 0; from < COUNT; from += 5_000) {
    const group = [from, from + 100] as const
    expect(shuffled.slice(...group).sort(byPadding)).toEqual(events.slice(...group).sort(byPadding))
  }
  expect(() => nexmarkEvents({ ...options, outOfOrderGroup: 953 })).toThrow('has no order')
})

/** The newest id of a kind whose place ends with 00, at an event. */
function hotId(place: number, perRound: number): number {
  const newest =
    Math.floor(place / ROUND) * perRound + Math.min((place % ROUND) - (perRound === 1 ? 0 : 1), perRound - 1)
  return 1_000 + newest - (newest % 100)
}

test('three auctions of four are of the hot seller, half of the bids for the hot auction, three of four by the hot bidder', () => {
  const places = events.map((event, place) => ({ event, place }))
  const auctionPlaces = places.flatMap(({ event, place }) => (event.kind === 'auction' ? [{ event, place }] : []))
  const bidPlaces = places.flatMap(({ event, place }) => (event.kind === 'bid' ? [{ event, place }] : []))
  expect(share(auctionPlaces, ({ event, place }) => event.seller === hotId(place, 1))).toBeCloseTo(0.75, 1)
  expect(share(bidPlaces, ({ event, place }) => event.auction === hotId(place, 3))).toBeCloseTo(0.505, 1)
  expect(share(bidPlaces, ({ event, place }) => event.bidder === hotId(place, 1) + 1)).toBeCloseTo(0.75, 1)
})

test('the others are among the newest people and auctions, or ten ids ahead of them', () => {
  let [newestPerson, newestAuction] = [999, 999]
  const leads = { seller: 0, bidder: 0, auction: 0 }
  let farthest = 0
  for (const event of events) {
    if (event.kind === 'person') newestPerson = event.id
    else if (event.kind === 'auction') {
      newestAuction = event.id
      leads.seller = Math.max(leads.seller, event.seller - newestPerson)
    } else {
      leads.bidder = Math.max(leads.bidder, event.bidder - newestPerson)
      leads.auction = Math.max(leads.auction, event.auction - newestAuction)
      farthest = Math.max(farthest, newestAuction - event.auction)
    }
  }
  expect(leads).toEqual({ seller: 10, bidder: 10, auction: 10 })
  expect(farthest).toBe(100)
  expect(bids.filter(({ auction, bidder }) => auction < 1_000 || bidder < 1_000)).toEqual([])
  const few = [...nexmarkEvents({ ...options, activePeople: 5, hotBidderRatio: 1 })]
  expect(new Set(ofKind('bid', few.slice(-46)).map(({ bidder }) => bidder)).size).toBeLessThanOrEqual(15)
})

test('half of the bids come from four channels, of the others nine of ten have an id in their url', () => {
  const hot = bids.filter(({ channel }) => HOT_CHANNELS.includes(channel))
  const others = bids.filter(({ channel }) => !HOT_CHANNELS.includes(channel))
  expect(hot.length / bids.length).toBeCloseTo(0.5, 1)
  for (const name of HOT_CHANNELS) expect(share(hot, ({ channel }) => channel === name)).toBeCloseTo(0.25, 1)
  expect(share(hot, ({ url }) => url.includes('channel_id'))).toBe(0)
  expect(share(others, ({ url }) => /&channel_id=\d+$/.test(url))).toBeCloseTo(0.9, 1)
  const pages = new Map(bids.map(({ channel, url }) => [channel, url]))
  expect(bids.every(({ channel, url }) => pages.get(channel) === url)).toBe(true)
  expect(pages.size).toBeGreaterThan(CHANNEL_COUNT / 2)
  const page =
    /^https:\/\/www\.nexmark\.com\/[a-z_]{3,4}\/[a-z_]{3,4}\/[a-z_]{3,4}\/item\.htm\?query=1(&channel_id=\d+)?$/
  expect(bids.filter(({ url }) => !page.test(url))).toEqual([])
})

test('people and auctions are what queries look for', () => {
  expect(new Set(people.map(({ state }) => state))).toEqual(new Set(['AZ', 'CA', 'ID', 'OR', 'WA', 'WY']))
  expect(new Set(people.map(({ city }) => city)).size).toBe(10)
  expect(people.every(({ creditCard }) => /^\d{4} \d{4} \d{4} \d{4}$/.test(creditCard))).toBe(true)
  expect(people.every(({ name }) => /^[A-Z][a-z]+ [A-Z][a-z]+$/.test(name))).toBe(true)
  expect(new Set(auctions.map(({ category }) => category))).toEqual(new Set([10, 11, 12, 13, 14]))
  expect(auctions.every(({ initialBid, reserve }) => initialBid >= 100 && reserve > initialBid)).toBe(true)
})

test('prices are as often of each length, from 1.00 to 1,000,000.00', () => {
  for (let digits = 3; digits < 9; digits++) {
    expect(share(bids, ({ price }) => String(price).length === digits)).toBeCloseTo(1 / 6, 1)
  }
  expect(bids.every(({ price }) => Number.isInteger(price) && price >= 100 && price <= 100_000_000)).toBe(true)
})

test('auctions are open until about a hundred others have begun', () => {
  // A hundred auctions come with 1,666 events, in 166 ms.
  const lengths = auctions.map(({ dateTime, expires }) => expires - dateTime)
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(1)
  expect(Math.max(...lengths)).toBeLessThanOrEqual(2 * 167)
  expect(mean(lengths)).toBeGreaterThan(150)
  expect(mean(lengths)).toBeLessThan(183)
})

/** 8 for a number, 1 for a character; not counted: channel and url of a bid. */
function sizeOf({ kind: _, ...fields }: NexmarkEvent): number {
  const { channel, url, ...counted } = fields as Omit<Bid, 'kind'>
  return Object.values(counted)
    .map((value) => (typeof value === 'string' ? value.length : 8))
    .reduce((sum, bytes) => sum + bytes)
}

test('padding makes events as large as they are to be, on average', () => {
  expect(Math.abs(mean(people.map(sizeOf)) - 200)).toBeLessThan(5)
  expect(Math.abs(mean(auctions.map(sizeOf)) - 500)).toBeLessThan(5)
  expect(Math.abs(mean(bids.map(sizeOf)) - 100)).toBeLessThan(2)
  const sizes = { personBytes: 20, auctionBytes: 1_000, bidBytes: 300 }
  const other = [...nexmarkEvents({ ...options, ...sizes })]
  expect(ofKind('person', other).every(({ extra }) => extra === '')).toBe(true)
  expect(Math.abs(mean(ofKind('auction', other).map(sizeOf)) - 1_000)).toBeLessThan(10)
  expect(Math.abs(mean(ofKind('bid', other).map(sizeOf)) - 300)).toBeLessThan(3)
})

test('the side input has a value for each key', () => {
  const rows = sideInput(1)
  expect(rows.map(({ key }) => key)).toEqual(Array.from({ length: 10_000 }, (_, key) => key))
  expect(new Set(rows.map(({ value }) => value)).size).toBeGreaterThan(9_990)
  expect(sideInput(1, 3)).toEqual(rows.slice(0, 3))
  expect(sideInput(2, 3)).not.toEqual(rows.slice(0, 3))
})
