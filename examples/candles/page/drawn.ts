// What the chart shows, as it is told to tests. Types only.

export interface DrawnCandle {
  time: number
  open: number
  high: number
  low: number
  close: number
  /** It may still change, as those may that are not committed. */
  isOpen: boolean
  isProvisional?: true
}

/** What the series of the chart hold, read back from them; times are the starts of windows, ms since the epoch. */
export interface Drawn {
  candles: DrawnCandle[]
  volumes: { time: number; value: number }[]
  vwaps: { time: number; value: number }[]
}
