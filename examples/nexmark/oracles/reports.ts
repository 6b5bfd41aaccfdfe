// Oracles of the queries that sum up bids, or keep the last or best ones: q15 to q19.
import type { Bid } from '../events.ts'
import { bidsOf, dayOf, grouped, type Oracle, type Row } from './oracle.ts'

/** The price ranks: below 10,000, from there to below 1,000,000, and from there on. */
const RANK_2_FROM = 10_000
const RANK_3_FROM = 1_000_000
const TOP_BIDS = 10

/** A count of all bids and one of each rank. */
type Counts = [all: number, rank1: number, rank2: number, rank3: number]

function rankOf(price: number): number {
  return price < RANK_2_FROM ? 1 : price < RANK_3_FROM ? 2 : 3
}

/** Bids, different bidders and different auctions: of all bids and of each rank. */
class Statistics {
  readonly bids: Counts = [0, 0, 0, 0]
  readonly bidders = [0, 1, 2, 3].map(() => new Set<number>())
  readonly auctions = [0, 1, 2, 3].map(() => new Set<number>())
  lastMinute = ''

  add({ bidder, auction, price, dateTime }: Bid): void {
    for (const place of [0, rankOf(price)]) {
      this.bids[place]!++
      this.bidders[place]!.add(bidder)
      this.auctions[place]!.add(auction)
    }
    const minute = new Date(dateTime).toISOString().slice(11, 16)
    if (minute > this.lastMinute) this.lastMinute = minute
  }

  columns(): Row {
    return {
      ...namedCounts('Bids', this.bids),
      ...namedCounts('Bidders', this.bidders.map(({ size }) => size) as Counts),
      ...namedCounts('Auctions', this.auctions.map(({ size }) => size) as Counts),
    }
  }
}

function namedCounts(name: string, [all, rank1, rank2, rank3]: Counts): Row {
  return { [`total${name}`]: all, [`rank1${name}`]: rank1, [`rank2${name}`]: rank2, [`rank3${name}`]: rank3 }
}

function statisticsBy(bids: Iterable<Bid>, keyOf: (bid: Bid) => string): Map<string, Statistics> {
  const groups = new Map<string, Statistics>()
  for (const bid of bids) {
    const key = keyOf(bid)
    const statistics = groups.get(key) ?? new Statistics()
    groups.set(key, statistics)
    statistics.add(bid)
  }
  return groups
}

/** Of each day in UTC: bids, different bidders and different auctions, of all prices and of each rank. */
export const q15: Oracle = function* (events) {
  const byDay = statisticsBy(bidsOf(events), ({ dateTime }) => dayOf(dateTime))
  for (const [day, statistics] of byDay) yield { day, ...statistics.columns() }
}

/** The same of each channel and day, with the last minute of the day that had a bid. */
export const q16: Oracle = function* (events) {
  const byChannel = statisticsBy(bidsOf(events), ({ channel, dateTime }) => `${dayOf(dateTime)} ${channel}`)
  for (const [key, statistics] of byChannel) {
    const [day, channel] = [key.slice(0, 10), key.slice(11)]
    yield { channel, day, minute: statistics.lastMinute, ...statistics.columns() }
  }
}

/** Of each auction and day: bids, of all prices and of each rank, and the least, greatest, mean (whole) and total price. */
export const q17: Oracle = function* (events) {
  const prices = grouped(
    bidsOf(events),
    ({ auction, dateTime }) => `${auction} ${dayOf(dateTime)}`,
    ({ price }) => price,
  )
  for (const [key, ofDay] of prices) {
    const [auction, day] = key.split(' ') as [string, string]
    const counts: Counts = [ofDay.length, 0, 0, 0]
    const [minPrice, maxPrice] = [ofDay.reduce((a, b) => Math.min(a, b)), ofDay.reduce((a, b) => Math.max(a, b))]
    const sumPrice = ofDay.reduce((sum, price) => sum + price, 0)
    for (const price of ofDay) counts[rankOf(price)]!++
    const avgPrice = Math.trunc(sumPrice / ofDay.length)
    yield { auction: Number(auction), day, ...namedCounts('Bids', counts), minPrice, maxPrice, avgPrice, sumPrice }
  }
}

/** The last bid of each bidder for each auction: by its time, of equal times the one that came last. */
export const q18: Oracle = function* (events) {
  const last = new Map<string, Bid>()
  for (const bid of bidsOf(events)) {
    const key = `${bid.bidder} ${bid.auction}`
    const known = last.get(key)
    if (known === undefined || bid.dateTime >= known.dateTime) last.set(key, bid)
  }
  for (const { kind: _, ...columns } of last.values()) yield columns
}

/** The ten bids with the greatest prices of each auction, with their rank; of equal prices the one that came first is before. */
export const q19: Oracle = function* (events) {
  const tops = new Map<number, Bid[]>()
  for (const bid of bidsOf(events)) {
    const top = tops.get(bid.auction)
    if (top === undefined) {
      tops.set(bid.auction, [bid])
      continue
    }
    let at = top.length
    while (at > 0 && top[at - 1]!.price < bid.price) at--
    top.splice(at, 0, bid)
    if (top.length > TOP_BIDS) top.pop()
  }
  for (const top of tops.values()) {
    for (const [i, { kind: _, ...columns }] of top.entries()) yield { ...columns, rankNumber: i + 1 }
  }
}
