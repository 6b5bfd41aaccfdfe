// Candles of one second, one minute and one hour per symbol, with volume, VWAP and the number of trades, and what each symbol has
// done today. The page beside it (page/) shows them. Run: npx millrace run examples/candles/job.ts
import { count, first, job, kafka, last, max, min, msgpack, sum, tumbling, weightedMean } from 'millrace'

interface Trade {
  sym: string
  price: number
  qty: number
  /** Event time, ms since the epoch. */
  ts: number
}

const DAY_MS = 86_400_000
const dayOf = (timeMs: number): number => Math.floor(timeMs / DAY_MS) * DAY_MS

/** A row whose volumes add up to 0 has no VWAP; the filter lets none such through, but the type cannot know. */
const priced = <C extends { vwap: number | null; close: number }>(candle: C): C & { vwap: number } => ({
  ...candle,
  vwap: candle.vwap ?? candle.close,
})

/** A candle of several: the minute's from its seconds, the hour's from its minutes. */
const merged = {
  open: first('open'),
  high: max('high'),
  low: min('low'),
  close: last('close'),
  volume: sum('volume'),
  vwap: weightedMean('vwap', 'volume'),
  n: sum('n'),
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
  .toView('candles', { history: '2m', provisional: true })

  // The day of a symbol so far (UTC), second by second; each second goes on with it.
  .keyBy('sym')
  .map((second) => ({
    ...priced(second),
    dayStart: dayOf(second.windowStart),
    dayOpen: second.open,
    dayHigh: second.high,
    dayLow: second.low,
    dayVolume: second.volume,
  }))
  .reduce('day', (before, second) =>
    before.dayStart !== second.dayStart
      ? second
      : {
          ...second,
          dayOpen: before.dayOpen,
          dayHigh: Math.max(before.dayHigh, second.dayHigh),
          dayLow: Math.min(before.dayLow, second.dayLow),
          dayVolume: before.dayVolume + second.dayVolume,
        },
  )
  .toView('movers')

  .keyBy('sym')
  .window('1m', tumbling('1m'))
  .aggregate(merged)
  .toView('candles-1m', { history: '2h', provisional: true })
  .keyBy('sym')
  .map((minute) => priced(minute))
  .window('1h', tumbling('1h'))
  .aggregate(merged)
  .toView('candles-1h', { history: '3d', provisional: true })
