// q12, processing time: how many bids of a bidder are read in 10 s by the clock. Run: millrace run examples/nexmark/jobs/q12.ts
import { count, kafka, msgpack, tumbling } from 'millrace'
import { bidsAsRead } from '../streams.ts'

export default bidsAsRead('nexmark-q12')
  .map(['bidder'], (bidder) => ({ bidder }))
  .keyBy('bidder')
  // Partitions come to the end of a window at slightly different times.
  .window('10s', tumbling('10s', { grace: '1s' }))
  .aggregate({ bidCount: count() })
  .map(({ bidder, bidCount, windowStart, windowEnd }) => {
    return { bidder: Number(bidder), bidCount, startTime: windowStart, endTime: windowEnd }
  })
  .to(kafka('nexmark-q12', { value: msgpack() }))
