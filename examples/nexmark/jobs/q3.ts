// q3, local items: sellers in three states with each of their auctions in category 10.
// Run: millrace run examples/nexmark/jobs/q3.ts
import { kafka, msgpack } from 'millrace'
import { auctionStream, people } from '../streams.ts'

const STATES = ['OR', 'ID', 'CA']
const CATEGORY = 10

const auctions = auctionStream()
  .filter(['category'], (category) => category === CATEGORY)
  .map(['id', 'seller'], (id, seller) => ({ id, seller }))
  .keyBy('seller')

export default people('nexmark-q3')
  .filter(['state'], (state) => STATES.includes(state))
  .map(['id', 'name', 'city', 'state'], (id, name, city, state) => ({ id, name, city, state }))
  .keyBy('id')
  // The suite lets them wait for each other for ever. Here it is a day, whichever of the two comes first.
  .join('items', auctions, { within: '1d' }, ({ name, city, state }, { id }) => ({ name, city, state, id }))
  .to(kafka('nexmark-q3', { value: msgpack() }))
