// How the jobs about bids begin: the topic of all events, of which they keep the bids.
import { job, kafka, msgpack, processingTime } from 'millrace'
import type { Bid } from './events.ts'

/** Topic of people, auctions and bids, without keys. */
export const TOPIC = 'nexmark'
/** How far behind the newest event one may be: what the suite allows. */
const OUT_OF_ORDER = '4s'

/** A record is a bid from here on; before the filter it may be a person or an auction, of which `kind` alone is read. */
const isBid = (kind: string): boolean => kind === 'bid'

/** A job on the bids, by the time of their own. */
export function bids(name: string) {
  return job(name)
    .from(kafka(TOPIC, { value: msgpack<Bid>(), eventTime: 'dateTime', outOfOrder: OUT_OF_ORDER }))
    .filter(['kind'], isBid)
}

/** A job on the bids, by the time at which they are read. */
export function bidsAsRead(name: string) {
  return job(name)
    .from(kafka(TOPIC, { value: msgpack<Bid>(), eventTime: processingTime() }))
    .filter(['kind'], isBid)
}
