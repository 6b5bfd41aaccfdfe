// Candles of one second per symbol, with volume, VWAP and the number of trades.
// Run: npx millrace run examples/candles/job.ts
import { count, first, job, kafka, last, max, min, msgpack, sum, tumbling, weightedMean } from 'millrace'

interface Trade {
  sym: string
  price: number
  qty: number
  /** Event time, ms since the epoch. */
  ts: number
}

export default job('candles')
  .from(kafka('trades', { value: msgpack<Trade>(), key: 'sym', eventTime: 'ts', outOfOrder: '2s', idleAfter: '10s' }))
  .filter(['qty'], (qty) => qty > 0)
  .keyBy('sym')
  .window('1s', tumbling('1s', { grace: '500ms' }))
  .aggregate({
    open: first('price'),
    high: max('price'),
    low: min('price'),
    close: last('price'),
    volume: sum('qty'),
    vwap: weightedMean('price', 'qty'),
    n: count(),
  })
  .late(kafka('candles-late'))
  .to(kafka('candles-1s', { value: msgpack() }), { emit: 'final' })
  .toView('candles', { emit: 'updates' })
