// The oracles on a few events written by hand, and against plain loops on generated ones. Run: npx vitest run examples/nexmark
import { describe, expect, test } from 'vitest'
import type { Auction, Bid, NexmarkEvent, Person } from './events.ts'
import { nexmarkEvents, sideInput } from './generator.ts'
import * as joins from './oracles/joins.ts'
import { naive } from './oracles/naive.ts'
import { canonical, type Oracle } from './oracles/oracle.ts'
import * as reports from './oracles/reports.ts'
import * as selections from './oracles/selections.ts'
import * as windows from './oracles/windows.ts'
import * as winners from './oracles/winners.ts'

function person(id: number, fields: Partial<Person> = {}): Person {
  return {
    ...{ kind: 'person', id, name: `name ${id}`, emailAddress: 'a@b.com', creditCard: '0000 0000 0000 0000' },
    ...{ city: 'Boise', state: 'ID', dateTime: 0, extra: '' },
    ...fields,
  }
}

function auction(id: number, fields: Partial<Auction> = {}): Auction {
  return {
    ...{ kind: 'auction', id, itemName: `item ${id}`, description: 'd', initialBid: 1, reserve: 2 },
    ...{ dateTime: 0, expires: 1_000, seller: 1, category: 10, extra: `x${id}` },
    ...fields,
  }
}

function bid(auction: number, bidder: number, price: number, dateTime = 0, fields: Partial<Bid> = {}): Bid {
  const url = 'https://www.nexmark.com/ab/cd/ef/item.htm?query=1'
  return { kind: 'bid', auction, bidder, price, channel: 'Google', url, dateTime, extra: '', ...fields }
}

const readMs = (place: number): number => place * 1_000

/** Rows of an oracle; the hand-written events are given in an order that shows it. */
function rowsOf(oracle: Oracle, ...events: NexmarkEvent[]) {
  return [...oracle(events, readMs)]
}

/** The values of some columns. */
function columns(oracle: Oracle, names: string[], ...events: NexmarkEvent[]) {
  return rowsOf(oracle, ...events).map((row) => names.map((name) => row[name]))
}

describe('selections', () => {
  test('q0 and q1 give all bids, q1 in euros', () => {
    const events = [person(1), auction(2), bid(2, 1, 1_234, 5, { extra: 'e' }), bid(2, 1, 1_000)]
    expect(rowsOf(selections.q0, ...events)[0]).toEqual({
      ...{ auction: 2, bidder: 1, price: 1_234, dateTime: 5, extra: 'e' },
    })
    expect(columns(selections.q0, ['price'], ...events)).toEqual([[1_234], [1_000]])
    expect(rowsOf(selections.q1, ...events)[0]).toEqual({
      ...{ auction: 2, bidder: 1, price: 1_120.472, dateTime: 5, extra: 'e' },
    })
  })

  test('q2 gives the bids for every 123rd auction', () => {
    expect(rowsOf(selections.q2, bid(1_106, 1, 5), bid(1_107, 1, 6), bid(1_230, 1, 7))).toEqual([
      { auction: 1_107, price: 6 },
      { auction: 1_230, price: 7 },
    ])
  })

  test('q14 takes prices between its bounds, both left out', () => {
    // 1,101,321 * 0.908 is 999,999.468, and 55,066,080 * 0.908 is 50,000,000.64.
    const prices = [1_101_321, 1_101_322, 55_066_079, 55_066_080]
    expect(columns(selections.q14, ['price'], ...prices.map((price) => bid(1, 1, price)))).toEqual([
      [1_000_000.376],
      [49_999_999.732],
    ])
  })

  test('q14 tells day, night and what lies between by the hour, and counts each c', () => {
    const types = Array.from({ length: 24 }, (_, hour) => bid(1, 1, 2_000_000, hour * 3_600_000 + 3_599_999))
    const letters = columns(selections.q14, ['bidTimeType'], ...types).map(([type]) => String(type)[0])
    expect(letters.join('')).toBe('nnnnnnnodddddddddddonnnn')
    const extras = ['', 'abc', 'ccC', 'cabcc'].map((extra) => bid(1, 1, 2_000_000, 0, { extra }))
    expect(columns(selections.q14, ['cCounts'], ...extras)).toEqual([[0], [1], [2], [3]])
  })

  test('q21 knows four channels, and finds the id of others in their url', () => {
    const urls: [channel: string, url: string][] = [
      ['Apple', 'https://x/?query=1'],
      ['GOOGLE', 'https://x/?query=1&channel_id=9'],
      ['facebook', 'https://x/'],
      ['Baidu', 'https://x/'],
      ['channel-1', 'https://x/?query=1&channel_id=42'],
      ['channel-2', 'https://x/?query=1&channel_id=43&z=1'],
      ['channel-3', 'channel_id=44'],
      ['channel-4', 'https://x/?query=1'],
      ['channel-5', 'https://x/?channel_id=45'],
    ]
    const bids = urls.map(([channel, url]) => bid(1, 1, 1, 0, { channel, url }))
    expect(columns(selections.q21, ['channel', 'channelId'], ...bids)).toEqual([
      ...[
        ['Apple', '0'],
        ['GOOGLE', '1'],
        ['facebook', '2'],
        ['Baidu', '3'],
      ],
      ...[
        ['channel-1', '42'],
        ['channel-2', '43'],
        ['channel-3', '44'],
      ],
    ])
  })

  test('q22 gives the directories of the url', () => {
    expect(rowsOf(selections.q22, bid(1, 2, 3))).toEqual([
      { auction: 1, bidder: 2, price: 3, channel: 'Google', dir1: 'ab', dir2: 'cd', dir3: 'ef' },
    ])
  })
})

describe('windows', () => {
  test('q5 gives the auctions with the most bids of each window, all of several', () => {
    const bids = [bid(1, 1, 1, 500), bid(1, 1, 1, 1_000), bid(2, 1, 1, 2_000), bid(2, 1, 1, 10_000)]
    expect(
      columns(windows.q5, ['windowStart', 'auction', 'num'], ...bids).sort((a, b) => Number(a[0]) - Number(b[0])),
    ).toEqual([
      ...[
        [-8_000, 1, 2],
        [-6_000, 1, 2],
        [-4_000, 1, 2],
        [-2_000, 1, 2],
      ],
      ...[
        [0, 1, 2],
        [2_000, 2, 2],
        [4_000, 2, 1],
        [6_000, 2, 1],
        [8_000, 2, 1],
        [10_000, 2, 1],
      ],
    ])
    expect(columns(windows.q5, ['auction', 'windowEnd'], bid(1, 1, 1, 9_000), bid(2, 1, 1, 9_001))).toContainEqual([
      1, 10_000,
    ])
    expect(rowsOf(windows.q5, bid(1, 1, 1, 9_000), bid(2, 1, 1, 9_001))).toHaveLength(10)
  })

  test('q7 gives the bids with the greatest price of their window, all of several', () => {
    const bids = [bid(1, 1, 5, 0), bid(2, 1, 7, 9_999), bid(3, 1, 7, 1), bid(4, 1, 6, 10_000)]
    expect(columns(windows.q7, ['auction', 'price'], ...bids)).toEqual([
      [2, 7],
      [3, 7],
      [4, 6],
    ])
  })

  test('q8 gives people who joined and sold in one window, once', () => {
    const events = [
      ...[person(1, { dateTime: 10_000 }), person(2, { dateTime: 19_999 }), person(3, { dateTime: 9_999 })],
      ...[auction(1, { seller: 1, dateTime: 19_999 }), auction(2, { seller: 1, dateTime: 10_001 })],
      ...[auction(3, { seller: 2, dateTime: 20_000 }), auction(4, { seller: 3, dateTime: 0 })],
    ]
    expect(rowsOf(windows.q8, ...events)).toEqual([
      { id: 1, name: 'name 1', startTime: 10_000 },
      { id: 3, name: 'name 3', startTime: 0 },
    ])
  })

  test('q11 ends a session with a pause of more than 10 s', () => {
    const bids = [bid(1, 7, 1, 20_001), bid(1, 7, 1, 0), bid(1, 7, 1, 10_000), bid(1, 8, 1, 5_000)]
    expect(rowsOf(windows.q11, ...bids)).toEqual([
      { bidder: 7, bidCount: 2, startTime: 0, endTime: 20_000 },
      { bidder: 7, bidCount: 1, startTime: 20_001, endTime: 30_001 },
      { bidder: 8, bidCount: 1, startTime: 5_000, endTime: 15_000 },
    ])
  })

  test('q12 counts by the time of reading, whatever the bids say', () => {
    // Read a second apart: the first ten in one window, people too.
    const bids = Array.from({ length: 9 }, () => bid(1, 7, 1, 99_000))
    expect(rowsOf(windows.q12, person(1), ...bids, bid(1, 7, 1), bid(1, 8, 1))).toEqual([
      { bidder: 7, bidCount: 9, startTime: 0, endTime: 10_000 },
      { bidder: 7, bidCount: 1, startTime: 10_000, endTime: 20_000 },
      { bidder: 8, bidCount: 1, startTime: 10_000, endTime: 20_000 },
    ])
  })
})

describe('joins', () => {
  test('q3 gives auctions of category 10 by sellers of three states, whichever came first', () => {
    const events = [
      ...[
        auction(1, { seller: 5 }),
        person(5, { state: 'OR' }),
        person(6, { state: 'WA' }),
        person(7, { state: 'CA' }),
      ],
      ...[auction(2, { seller: 5 }), auction(3, { seller: 5, category: 11 }), auction(4, { seller: 6 })],
      ...[auction(5, { seller: 7 }), auction(6, { seller: 8 })],
    ]
    expect(rowsOf(joins.q3, ...events)).toEqual([
      { name: 'name 5', city: 'Boise', state: 'OR', id: 1 },
      { name: 'name 5', city: 'Boise', state: 'OR', id: 2 },
      { name: 'name 7', city: 'Boise', state: 'CA', id: 5 },
    ])
  })

  test('q13 gives bids with the value of their auction modulo 10,000', () => {
    const oracle = joins.q13([
      { key: 1, value: 'one' },
      { key: 9_999, value: 'last' },
    ])
    expect(rowsOf(oracle, bid(10_001, 2, 3, 4), bid(10_002, 2, 3), bid(9_999, 5, 6))).toEqual([
      { auction: 10_001, bidder: 2, price: 3, dateTime: 4, value: 'one' },
      { auction: 9_999, bidder: 5, price: 6, dateTime: 0, value: 'last' },
    ])
    expect(rowsOf(joins.q13(sideInput(1)), bid(123_456, 1, 1))[0]!.value).toBe(sideInput(1)[3_456]!.value)
  })

  test('q20 gives bids for auctions of category 10, whichever came first', () => {
    const events = [
      bid(1, 2, 3, 4),
      auction(1, { dateTime: 9 }),
      bid(2, 2, 3),
      auction(2, { category: 11 }),
      bid(3, 2, 3),
    ]
    expect(rowsOf(joins.q20, ...events)).toEqual([
      {
        ...{ auction: 1, bidder: 2, price: 3, channel: 'Google', url: bid(1, 2, 3).url, bidDateTime: 4, bidExtra: '' },
        ...{ itemName: 'item 1', description: 'd', initialBid: 1, reserve: 2, auctionDateTime: 9, expires: 1_000 },
        ...{ seller: 1, category: 10, auctionExtra: 'x1' },
      },
    ])
  })
})

describe('winning bids', () => {
  test('lie within their auction, both ends included; of equal prices the earliest wins, then the first that came', () => {
    const events = [
      ...[bid(1, 1, 50, 99), bid(1, 2, 10, 100), bid(1, 3, 20, 200), bid(1, 4, 60, 201)],
      ...[auction(1, { dateTime: 100, expires: 200 }), auction(2), bid(2, 5, 7, 9), bid(2, 6, 7, 8), bid(2, 7, 7, 8)],
      ...[auction(3), bid(4, 1, 1)],
    ]
    expect(columns(winners.q9, ['id', 'auction', 'bidder', 'price', 'bidDateTime'], ...events)).toEqual([
      [1, 1, 3, 20, 200],
      [2, 2, 6, 7, 8],
    ])
    expect(rowsOf(winners.q9, auction(1), bid(1, 2, 3, 4, { extra: 'y' }))).toEqual([
      {
        ...{ id: 1, itemName: 'item 1', description: 'd', initialBid: 1, reserve: 2, dateTime: 0, expires: 1_000 },
        ...{ seller: 1, category: 10, extra: 'x1', auction: 1, bidder: 2, price: 3, bidDateTime: 4, bidExtra: 'y' },
      },
    ])
  })

  test('q4 gives their whole mean by category', () => {
    const events = [
      ...[auction(1), auction(2), auction(3, { category: 11 }), auction(4)],
      ...[bid(1, 1, 10), bid(1, 1, 9), bid(2, 1, 15), bid(3, 1, 4)],
    ]
    expect(rowsOf(winners.q4, ...events)).toEqual([
      { id: 10, final: 12 },
      { id: 11, final: 4 },
    ])
  })

  test('q6 gives the whole mean of the last ten of each seller', () => {
    // The first two in time fall out of the last ten: of equal times the lower price, then the lower id.
    const bids = [
      [3, 5, 0],
      [1, 1_000, 0],
      [2, 1_000, 0],
    ].map(([id, price, time]) => bid(id!, 1, price!, time))
    const later = Array.from({ length: 8 }, (_, i) => bid(10 + i, 1, i, 1 + i))
    const sold = [...later, ...bids].map((each) => auction(each.auction, { seller: 5 }))
    expect(rowsOf(winners.q6, ...sold, auction(99, { seller: 6 }), ...bids, bid(99, 1, 7), ...later)).toEqual([
      { seller: 5, avgPrice: Math.trunc((1_000 + 1_000 + 28) / 10) },
      { seller: 6, avgPrice: 7 },
    ])
  })
})

const DAY_MS = 86_400_000

describe('reports', () => {
  test('q15 counts bids, bidders and auctions of each day and rank', () => {
    const bids = [bid(1, 1, 9_999), bid(1, 2, 10_000), bid(2, 2, 999_999), bid(3, 2, 1_000_000), bid(1, 2, 10_001)]
    expect(rowsOf(reports.q15, ...bids, bid(1, 1, 1, DAY_MS))).toEqual([
      {
        ...{ day: '1970-01-01', totalBids: 5, rank1Bids: 1, rank2Bids: 3, rank3Bids: 1 },
        ...{ totalBidders: 2, rank1Bidders: 1, rank2Bidders: 1, rank3Bidders: 1 },
        ...{ totalAuctions: 3, rank1Auctions: 1, rank2Auctions: 2, rank3Auctions: 1 },
      },
      {
        ...{ day: '1970-01-02', totalBids: 1, rank1Bids: 1, rank2Bids: 0, rank3Bids: 0 },
        ...{ totalBidders: 1, rank1Bidders: 1, rank2Bidders: 0, rank3Bidders: 0 },
        ...{ totalAuctions: 1, rank1Auctions: 1, rank2Auctions: 0, rank3Auctions: 0 },
      },
    ])
  })

  test('q16 does so for each channel, with the last minute', () => {
    const apple = { channel: 'Apple store' }
    const bids = [
      bid(1, 1, 1, 7_260_000, apple),
      bid(1, 1, 1, 60_000, apple),
      bid(1, 1, 1),
      bid(1, 1, 1, DAY_MS, apple),
    ]
    expect(columns(reports.q16, ['channel', 'day', 'minute', 'totalBids', 'totalBidders'], ...bids)).toEqual([
      ['Apple store', '1970-01-01', '02:01', 2, 1],
      ['Google', '1970-01-01', '00:00', 1, 1],
      ['Apple store', '1970-01-02', '00:00', 1, 1],
    ])
  })

  test('q17 sums up the prices of each auction and day', () => {
    const bids = [bid(7, 1, 9_999), bid(7, 1, 10_000), bid(7, 1, 1_000_001), bid(7, 1, 5, DAY_MS), bid(8, 1, 6)]
    expect(rowsOf(reports.q17, ...bids)).toEqual([
      {
        ...{ auction: 7, day: '1970-01-01', totalBids: 3, rank1Bids: 1, rank2Bids: 1, rank3Bids: 1 },
        ...{ minPrice: 9_999, maxPrice: 1_000_001, avgPrice: 340_000, sumPrice: 1_020_000 },
      },
      {
        ...{ auction: 7, day: '1970-01-02', totalBids: 1, rank1Bids: 1, rank2Bids: 0, rank3Bids: 0 },
        ...{ minPrice: 5, maxPrice: 5, avgPrice: 5, sumPrice: 5 },
      },
      {
        ...{ auction: 8, day: '1970-01-01', totalBids: 1, rank1Bids: 1, rank2Bids: 0, rank3Bids: 0 },
        ...{ minPrice: 6, maxPrice: 6, avgPrice: 6, sumPrice: 6 },
      },
    ])
    expect(columns(reports.q17, ['avgPrice'], bid(1, 1, 1), bid(1, 1, 2))).toEqual([[1]])
  })

  test('q18 keeps the last bid of each bidder for each auction, of equal times the one that came last', () => {
    const bids = [bid(1, 1, 10, 5), bid(1, 1, 11, 5), bid(1, 1, 12, 4), bid(1, 2, 13, 0), bid(2, 1, 14, 0)]
    expect(columns(reports.q18, ['auction', 'bidder', 'price'], ...bids)).toEqual([
      [1, 1, 11],
      [1, 2, 13],
      [2, 1, 14],
    ])
    const { kind: _, ...columnsOfBid } = bids[0]!
    expect(rowsOf(reports.q18, bids[0]!)).toEqual([columnsOfBid])
  })

  test('q19 ranks the ten best bids of each auction, of equal prices the first before the others', () => {
    const bids = Array.from({ length: 11 }, (_, i) => bid(1, i, 100 - i))
    const rows = columns(reports.q19, ['bidder', 'price', 'rankNumber'], ...bids, bid(1, 50, 95), bid(2, 1, 1))
    expect(rows.slice(4, 8)).toEqual([
      [4, 96, 5],
      [5, 95, 6],
      [50, 95, 7],
      [6, 94, 8],
    ])
    expect(rows.slice(9)).toEqual([
      [8, 92, 10],
      [1, 1, 1],
    ])
  })
})

const { q3, q20 } = joins
const looked: Record<string, Oracle> = { q3, q20, ...winners, ...windows, ...reports }
/** In and out of order; few auctions are open at a time, so that many bids are for one, and prices are equal at times. */
const samples = [
  { seed: 1, count: 1_500, eventsPerSecond: 50, openAuctions: 5 },
  { seed: 2, count: 1_500, eventsPerSecond: 5, outOfOrderGroup: 100 },
]

test.each(Object.keys(naive))('%s is what nested loops give', (name) => {
  for (const sample of samples) {
    const events = [...nexmarkEvents(sample)].map((event) =>
      event.kind === 'bid' ? { ...event, price: event.price % 50 } : event,
    )
    const rows = [...looked[name]!(events, readMs)].map(canonical)
    expect(rows.sort()).toEqual(naive[name]!(events).map(canonical).sort())
    expect(rows.length).toBeGreaterThan(0)
  }
})
