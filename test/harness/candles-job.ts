// One window, one topic, one view: the job with which docs/guide/jobs.md begins, for tests that look at a whole plan.
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
