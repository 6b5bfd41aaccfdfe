// How the jobs begin: the topic of all events, of which they keep those of a kind.
import { job, kafka, msgpack, processingTime, stream } from 'millrace'
import type { Auction, Bid, NexmarkEvent, Person } from './events.ts'

/** Topic of people, auctions and bids, without keys. */
export const TOPIC = 'nexmark'
/** How far behind the newest event one may be: what the suite allows. */
const OUT_OF_ORDER = '4s'

type Kind = NexmarkEvent['kind']
/** The fields of all three: `kind` says which of them an event has. */
type AnyEvent = { kind: Kind } & Omit<Person, 'kind'> & Omit<Auction, 'kind'> & Omit<Bid, 'kind'>

/** In one constant, so that a job that takes several streams of it reads the topic once. */
const events = kafka(TOPIC, { value: msgpack<AnyEvent>(), eventTime: 'dateTime', outOfOrder: OUT_OF_ORDER })

const isBid = (kind: Kind): boolean => kind === 'bid'

/** A job on the bids, by the time of their own. */
export function bids(name: string) {
  return job(name).from(events).filter(['kind'], isBid)
}

/** A job on the bids, by the time at which they are read. */
export function bidsAsRead(name: string) {
  const asRead = kafka(TOPIC, { value: msgpack<AnyEvent>(), eventTime: processingTime() })
  return job(name).from(asRead).filter(['kind'], isBid)
}

/** A job on the auctions. */
export function auctions(name: string) {
  return job(name)
    .from(events)
    .filter(['kind'], (kind) => kind === 'auction')
}

/** A job on the people. */
export function people(name: string) {
  return job(name)
    .from(events)
    .filter(['kind'], (kind) => kind === 'person')
}

/** A job on people and auctions: an event has the fields of its kind. */
export function peopleAndAuctions(name: string) {
  return job(name)
    .from(events)
    .filter(['kind'], (kind) => kind !== 'bid')
}

/** The auctions beside the events that a job is on. */
export function auctionStream() {
  return stream(events).filter(['kind'], (kind) => kind === 'auction')
}

/** The bids beside the events that a job is on. */
export function bidStream() {
  return stream(events).filter(['kind'], isBid)
}
