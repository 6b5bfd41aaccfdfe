// The job of the end-to-end bench and of the chaos proof: candles of one second per symbol, final rows only.
// Its name and topics come from the environment, so that each run has its own, and whether values are envelopes.
import { count, envelope, first, job, kafka, last, max, min, msgpack, sum, tumbling, weightedMean } from 'millrace'

interface Trade {
  sym: string
  price: number
  qty: number
  /** Event time, ms since the epoch. */
  ts: number
  id: number
}

const { BENCH_JOB = 'bench-candles', BENCH_SOURCE = 'bench-trades', BENCH_SINK = 'bench-candles-1s' } = process.env

const value = process.env.BENCH_ENVELOPES === '1' ? envelope(msgpack<Trade>()) : msgpack<Trade>()

export default job(BENCH_JOB)
  .from(kafka(BENCH_SOURCE, { value, key: 'sym', eventTime: 'ts', outOfOrder: '500ms' }))
  .keyBy('sym')
  .window('1s', tumbling('1s'))
  .aggregate({
    open: first('price'),
    high: max('price'),
    low: min('price'),
    close: last('price'),
    volume: sum('qty'),
    vwap: weightedMean('price', 'qty'),
    n: count(),
  })
  .to(kafka(BENCH_SINK, { value: msgpack() }), { emit: 'final' })
