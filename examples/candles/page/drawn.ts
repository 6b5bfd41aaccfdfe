// What the chart shows, as it is told to tests. Types only.

/** What the series of the chart hold, read back from them; times are the starts of windows, ms since the epoch. */
export interface Drawn {
  candles: { time: number; open: number; high: number; low: number; close: number; isOpen: boolean }[]
  volumes: { time: number; value: number }[]
  vwaps: { time: number; value: number }[]
}
