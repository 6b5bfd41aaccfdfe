// The keys of a view that has history: a row of each key and time, so each is a record key of its own. Pure; any thread.
// Keeps SPEC: VIEW-3 (whose row a record is, and of which time, is in its key).

/*
 *   AAPL:1767603600000       the key of the view, a colon, the time in ms since the epoch as a whole number
 *
 * The time is what is behind the last colon: the key may have colons of its own.
 */
export interface HistoryPlace {
  key: string
  /** Of the row, ms since the epoch. */
  timeMs: number
}

export const HISTORY_COLON = 0x3a

/**
 * @example
 * historyKey({ key: 'AAPL', timeMs: 60_000 }) // 'AAPL:60000'
 */
export function historyKey({ key, timeMs }: HistoryPlace): string {
  return `${key}:${timeMs}`
}

/** Whose row a record of this key is; undefined: the key is none of a history. */
export function historyPlace(recordKey: string): HistoryPlace | undefined {
  const colon = recordKey.lastIndexOf(':')
  const time = recordKey.slice(colon + 1)
  if (colon < 0 || !/^(?:0|-?[1-9]\d{0,15})$/.test(time)) return undefined
  const timeMs = Number(time)
  return Number.isSafeInteger(timeMs) ? { key: recordKey.slice(0, colon), timeMs } : undefined
}
