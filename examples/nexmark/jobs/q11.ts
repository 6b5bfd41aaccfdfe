// q11, sessions: how many bids a bidder made without a pause of more than 10 s. Run: millrace run examples/nexmark/jobs/q11.ts
import { count, kafka, msgpack, session } from 'millrace'
import { bids } from '../streams.ts'

const GAP_MS = 10_000

export default bids('nexmark-q11')
  // Less to move to the bidder's partition.
  .map(['bidder'], (bidder) => ({ bidder }))
  .keyBy('bidder')
  .window('session', session('10s'))
  .aggregate({ bidCount: count() })
  .map(({ bidder, bidCount, windowStart, windowEnd }) => {
    return { bidder: Number(bidder), bidCount, startTime: windowStart, endTime: windowEnd + GAP_MS }
  })
  .to(kafka('nexmark-q11', { value: msgpack() }))
