// Oracles of the queries about windows: q5, q7, q8, q11, q12.
import type { Bid } from '../events.ts'
import { bidsOf, grouped, type Oracle, type Row } from './oracle.ts'

const SECOND_MS = 1_000
const WINDOW_MS = 10 * SECOND_MS
const HOP_MS = 2 * SECOND_MS

function startOf(timeMs: number, sizeMs: number): number {
  return Math.floor(timeMs / sizeMs) * sizeMs
}

/**
 * Hot items: for each window of 10 s, one every 2 s, the auctions with the most bids in it and how many those are. Of several
 * with the most, all.
 */
export const q5: Oracle = function* (events) {
  const counts = new Map<number, Map<number, number>>()
  for (const { auction, dateTime } of bidsOf(events)) {
    for (let start = startOf(dateTime, HOP_MS); start > dateTime - WINDOW_MS; start -= HOP_MS) {
      const ofWindow = counts.get(start) ?? new Map<number, number>()
      ofWindow.set(auction, (ofWindow.get(auction) ?? 0) + 1)
      counts.set(start, ofWindow)
    }
  }
  for (const [windowStart, ofWindow] of counts) {
    let most = 0
    for (const num of ofWindow.values()) most = Math.max(most, num)
    for (const [auction, num] of ofWindow) {
      if (num === most) yield { auction, num, windowStart, windowEnd: windowStart + WINDOW_MS }
    }
  }
}

/** Highest bids: those with the greatest price of their window of 10 s. Of several with that price, all. */
export const q7: Oracle = function* (events) {
  const highest = new Map<number, Bid[]>()
  for (const bid of bidsOf(events)) {
    const start = startOf(bid.dateTime, WINDOW_MS)
    const known = highest.get(start)
    if (known === undefined || bid.price > known[0]!.price) highest.set(start, [bid])
    else if (bid.price === known[0]!.price) known.push(bid)
  }
  for (const bids of highest.values()) {
    for (const { auction, bidder, price, dateTime, extra } of bids) yield { auction, bidder, price, dateTime, extra }
  }
}

/** New sellers: people who joined and opened an auction or more in the same window of 10 s, with its start. Each once. */
export const q8: Oracle = function* (events) {
  const sellers = new Set<string>()
  for (const event of events) {
    if (event.kind === 'auction') sellers.add(`${event.seller} ${startOf(event.dateTime, WINDOW_MS)}`)
  }
  for (const event of events) {
    if (event.kind !== 'person') continue
    const startTime = startOf(event.dateTime, WINDOW_MS)
    if (sellers.has(`${event.id} ${startTime}`)) yield { id: event.id, name: event.name, startTime }
  }
}

/**
 * Sessions of bidders: how many bids one made with no more than 10 s between one and the next. A session ends 10 s after its last
 * bid.
 */
export const q11: Oracle = function* (events) {
  const times = grouped(
    bidsOf(events),
    ({ bidder }) => bidder,
    ({ dateTime }) => dateTime,
  )
  for (const [bidder, unsorted] of times) {
    const sorted = Float64Array.from(unsorted).sort()
    let from = 0
    for (let to = 1; to <= sorted.length; to++) {
      if (to < sorted.length && sorted[to]! - sorted[to - 1]! <= WINDOW_MS) continue
      yield { bidder, bidCount: to - from, startTime: sorted[from]!, endTime: sorted[to - 1]! + WINDOW_MS }
      from = to
    }
  }
}

/** Bids of each bidder in windows of 10 s of the time at which they are read. */
export const q12: Oracle = function* (events, readMs) {
  const rows = new Map<string, Row & { bidCount: number }>()
  let place = 0
  for (const event of events) {
    const startTime = startOf(readMs(place++), WINDOW_MS)
    if (event.kind !== 'bid') continue
    const { bidder } = event
    const row = rows.get(`${bidder} ${startTime}`)
    if (row !== undefined) row.bidCount++
    else rows.set(`${bidder} ${startTime}`, { bidder, bidCount: 1, startTime, endTime: startTime + WINDOW_MS })
  }
  yield* rows.values()
}
