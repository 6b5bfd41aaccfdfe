// q22, directories: bids with the three directories of their url. Run: millrace run examples/nexmark/jobs/q22.ts
import { kafka, msgpack } from 'millrace'
import { bids } from '../streams.ts'

export default bids('nexmark-q22')
  .map(['auction', 'bidder', 'price', 'channel', 'url'], (auction, bidder, price, channel, url) => {
    const [, , , dir1, dir2, dir3] = url.split('/')
    return { auction, bidder, price, channel, dir1, dir2, dir3 }
  })
  .to(kafka('nexmark-q22', { value: msgpack() }))
