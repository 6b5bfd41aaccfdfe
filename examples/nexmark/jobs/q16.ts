// q16, statistics of a channel and day: those of q15, and the last minute that had a bid.
// Run: millrace run examples/nexmark/jobs/q16.ts
import { kafka, max, msgpack } from 'millrace'
import { dayOf, minuteOf, minuteText } from '../clock.ts'
import { bidStatistics } from '../statistics.ts'
import { bids } from '../streams.ts'

const DAY_LETTERS = 10

export default bids('nexmark-q16')
  .map(['channel', 'auction', 'bidder', 'price', 'dateTime'], (channel, auction, bidder, price, dateTime) => {
    return { dayChannel: `${dayOf(dateTime)} ${channel}`, auction, bidder, price, minute: minuteOf(dateTime) }
  })
  .keyBy('dayChannel')
  .aggregate({ statistics: bidStatistics(), lastMinute: max('minute') })
  .map(({ dayChannel, statistics, lastMinute }) => {
    const [day, channel] = [dayChannel.slice(0, DAY_LETTERS), dayChannel.slice(DAY_LETTERS + 1)]
    return { channel, day, minute: minuteText(lastMinute), ...statistics }
  })
  .to(kafka('nexmark-q16', { value: msgpack() }), { emit: 'updates' })
