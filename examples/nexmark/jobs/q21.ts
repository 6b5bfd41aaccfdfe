// q21, channel ids: bids with the id of their channel, known or from the url. Run: millrace run examples/nexmark/jobs/q21.ts
import { kafka, msgpack } from 'millrace'
import { bids } from '../streams.ts'

const CHANNEL_IDS = new Map([
  ['apple', '0'],
  ['google', '1'],
  ['facebook', '2'],
  ['baidu', '3'],
])
const ID_IN_URL = /(?:&|^)channel_id=([^&]*)/

export default bids('nexmark-q21')
  .map(['auction', 'bidder', 'price', 'channel', 'url'], (auction, bidder, price, channel, url) => {
    return { auction, bidder, price, channel, channelId: channelIdOf(channel, url) }
  })
  .filter(['channelId'], (channelId) => channelId !== undefined)
  .to(kafka('nexmark-q21', { value: msgpack() }))

function channelIdOf(channel: string, url: string): string | undefined {
  return CHANNEL_IDS.get(channel.toLowerCase()) ?? ID_IN_URL.exec(url)?.[1]
}
