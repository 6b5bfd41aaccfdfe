// q5, hot items: the auctions with the most bids in 10 s, every 2 s. Run: millrace run examples/nexmark/jobs/q5.ts
import { count, custom, hopping, kafka, msgpack, tumbling } from 'millrace'
import { bids } from '../streams.ts'

const SIZE_MS = 10_000

/** The auctions with the most bids of those so far. */
const hottest = custom({
  init: (): { num: number; auctions: number[] } => ({ num: 0, auctions: [] }),
  add: (most, { auction, num }: { auction: number; num: number }) => {
    if (num < most.num) return most
    return { num, auctions: num === most.num ? [...most.auctions, auction] : [auction] }
  },
  result: (most) => most,
})

export default bids('nexmark-q5')
  .map(['auction'], (auction) => ({ auction }))
  .keyBy('auction')
  .window('10s', hopping('10s', '2s'))
  .aggregate({ num: count() })
  .map(({ auction, num, windowEnd }) => ({ endTime: windowEnd, auction: Number(auction), num }))
  // The rows of a window meet in one partition. They have the time of its last moment: the 2 s around it are theirs alone.
  .keyBy('endTime')
  .window('hottest', tumbling('2s'))
  .aggregate({ hottest })
  .keyBy('endTime')
  .flatMap(({ hottest: { num, auctions }, windowEnd }) =>
    auctions.map((auction) => ({ auction, num, windowStart: windowEnd - SIZE_MS, windowEnd })),
  )
  .to(kafka('nexmark-q5', { value: msgpack() }))
