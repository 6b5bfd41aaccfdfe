// What an oracle is: the rows that a query must give for all of the events, worked out without Millrace.
import type { Auction, Bid, NexmarkEvent } from '../events.ts'

export type Row = Record<string, string | number>

/**
 * Works out the rows of a query, in any order: those that are true at the end, where rows change on the way. `events` may be
 * gone through more than once. `readMs` gives the time at which an event was read, by its place; only processing time needs it.
 */
export type Oracle = (events: Iterable<NexmarkEvent>, readMs: (place: number) => number) => Iterable<Row>

/** A row as text: equal for equal rows, in whatever order their columns come. */
export function canonical(row: Row): string {
  return JSON.stringify(
    Object.keys(row)
      .sort()
      .map((column) => [column, row[column]]),
  )
}

export function* bidsOf(events: Iterable<NexmarkEvent>): Iterable<Bid> {
  for (const event of events) if (event.kind === 'bid') yield event
}

/** The auctions by id. */
export function auctionsOf(events: Iterable<NexmarkEvent>): Map<number, Auction> {
  const auctions = new Map<number, Auction>()
  for (const event of events) if (event.kind === 'auction') auctions.set(event.id, event)
  return auctions
}

/** The values of some items in groups, each in the order of the items. */
export function grouped<T, K, V>(items: Iterable<T>, keyOf: (item: T) => K, valueIn: (item: T) => V): Map<K, V[]> {
  const groups = new Map<K, V[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [valueIn(item)])
    else group.push(valueIn(item))
  }
  return groups
}

/** `2025-10-09`, in UTC. */
export function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}
