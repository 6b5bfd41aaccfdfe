// q13, side input: bids with the value that a table has for their auction's id modulo its 10,000 rows. Fill the table first: a
// bid gets the row that is there when it is read. Run: millrace run examples/nexmark/jobs/q13.ts
import { kafka, msgpack, table } from 'millrace'
import { SIDE_INPUT_ROWS, type SideRow } from '../generator.ts'
import { bids } from '../streams.ts'

/** The topic of the table, keyed by `key`. */
export const SIDE_TOPIC = 'nexmark-side'

const side = table(kafka(SIDE_TOPIC, { value: msgpack<SideRow>(), key: 'key' }))

export default bids('nexmark-q13')
  .map(['auction', 'bidder', 'price', 'dateTime'], (auction, bidder, price, dateTime) => {
    return { key: auction % SIDE_INPUT_ROWS, auction, bidder, price, dateTime }
  })
  .keyBy('key')
  .joinTable('side', side, {}, ({ auction, bidder, price, dateTime }, { value }) => {
    return { auction, bidder, price, dateTime, value }
  })
  .to(kafka('nexmark-q13', { value: msgpack() }))
