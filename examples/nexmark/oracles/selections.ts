// Oracles of the queries that give a row for a bid or leave it out: q0, q1, q2, q14, q21, q22.
import { bidsOf, type Oracle } from './oracle.ts'

/** Thousandths of a euro in a dollar. */
const EURO_THOUSANDTHS = 908

/** All bids as they are, without channel and url. */
export const q0: Oracle = function* (events) {
  for (const { auction, bidder, price, dateTime, extra } of bidsOf(events)) {
    yield { auction, bidder, price, dateTime, extra }
  }
}

/** All bids with their price in euros, at 0.908 a dollar: a decimal of three digits, here the number next to it. */
export const q1: Oracle = function* (events) {
  for (const { auction, bidder, price, dateTime, extra } of bidsOf(events)) {
    yield { auction, bidder, price: (price * EURO_THOUSANDTHS) / 1_000, dateTime, extra }
  }
}

/** Auction and price of the bids whose auction's id is a multiple of 123. */
export const q2: Oracle = function* (events) {
  for (const { auction, price } of bidsOf(events)) if (auction % 123 === 0) yield { auction, price }
}

/**
 * Bids of more than 1,000,000 and less than 50,000,000 euro cents, with the time of day of their hour in UTC (8 to 18 is day, 20
 * to 6 is night, 7 and 19 are neither) and how often there is a `c` in their padding.
 */
export const q14: Oracle = function* (events) {
  for (const { auction, bidder, price, dateTime, extra } of bidsOf(events)) {
    const thousandths = price * EURO_THOUSANDTHS
    if (thousandths <= 1_000_000_000 || thousandths >= 50_000_000_000) continue
    const hour = new Date(dateTime).getUTCHours()
    const bidTimeType = hour >= 8 && hour <= 18 ? 'dayTime' : hour <= 6 || hour >= 20 ? 'nightTime' : 'otherTime'
    const cCounts = extra.split('c').length - 1
    yield { auction, bidder, price: thousandths / 1_000, bidTimeType, dateTime, extra, cCounts }
  }
}

const CHANNEL_IDS = new Map([
  ['apple', '0'],
  ['google', '1'],
  ['facebook', '2'],
  ['baidu', '3'],
])

/**
 * Bids with the id of their channel: 0 to 3 for Apple, Google, Facebook and Baidu in any case of letters, for others the
 * parameter `channel_id` of their url, up to the next `&`; where it is the url's whole beginning or comes behind an `&`. Bids
 * without either are left out.
 */
export const q21: Oracle = function* (events) {
  for (const { auction, bidder, price, channel, url } of bidsOf(events)) {
    const parameter = url.split('&').find((part) => part.startsWith('channel_id='))
    const channelId = CHANNEL_IDS.get(channel.toLowerCase()) ?? parameter?.slice('channel_id='.length)
    if (channelId !== undefined) yield { auction, bidder, price, channel, channelId }
  }
}

/** Bids with the three directories behind the host of their url. */
export const q22: Oracle = function* (events) {
  for (const { auction, bidder, price, channel, url } of bidsOf(events)) {
    const [, , , dir1 = '', dir2 = '', dir3 = ''] = url.split('/')
    yield { auction, bidder, price, channel, dir1, dir2, dir3 }
  }
}
