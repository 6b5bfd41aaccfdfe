// q18, the last bid of each bidder for each auction. Run: millrace run examples/nexmark/jobs/q18.ts
import { kafka, last, msgpack } from 'millrace'
import { bids } from '../streams.ts'

export default bids('nexmark-q18')
  .map(
    ['auction', 'bidder', 'price', 'channel', 'url', 'dateTime', 'extra'],
    (auction, bidder, price, channel, url, dateTime, extra) => {
      return { pair: `${bidder} ${auction}`, price, channel, url, dateTime, extra }
    },
  )
  .keyBy('pair')
  .aggregate({
    ...{ price: last('price'), channel: last('channel'), url: last('url') },
    ...{ dateTime: last('dateTime'), extra: last('extra') },
  })
  .map(({ pair, ...bid }) => {
    const [bidder, auction] = pair.split(' ')
    return { auction: Number(auction), bidder: Number(bidder), ...bid }
  })
  .to(kafka('nexmark-q18', { value: msgpack() }), { emit: 'updates' })
