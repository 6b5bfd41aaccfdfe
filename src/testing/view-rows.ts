// What a view shows of the rows that a job wrote: the latest of each key, and its history. Test processes, main thread.
// Keeps SPEC: TEST-8 (the same as the push server shows).

import { historyPlace } from '../core/history-key.ts'
import type { OutputRow } from './decoded.ts'

/** A row of a view's history. */
export interface HistoryRow<T = Record<string, unknown>> extends OutputRow<T> {
  /** The start of its window, without one the time of its record; ms since the epoch. */
  timeMs: number
}

/** The latest row of each key; `written`: in the order in which they were produced. */
export function latestRows<T>(written: readonly OutputRow<T>[], hasHistory: boolean): Map<string, OutputRow<T>> {
  if (!hasHistory) return rowsBy(written, ({ key }) => key ?? '')
  const latest = new Map<string, HistoryRow<T>>()
  for (const row of historyRows(written)) {
    const known = latest.get(row.key!)
    if (known === undefined || known.timeMs < row.timeMs) latest.set(row.key!, row)
  }
  return new Map([...latest].map(([key, { timeMs: _, ...row }]) => [key, row]))
}

/** The rows of all keys of a view with history, by time. */
export function historyRows<T>(written: readonly OutputRow<T>[]): HistoryRow<T>[] {
  const rows = [...rowsBy(written, ({ key }) => key ?? '')].flatMap(([recordKey, row]) => {
    const place = historyPlace(recordKey)
    return place === undefined ? [] : [{ ...row, ...place }]
  })
  return rows.sort((a, b) => a.timeMs - b.timeMs)
}

function rowsBy<T>(written: readonly OutputRow<T>[], keyOf: (row: OutputRow<T>) => string): Map<string, OutputRow<T>> {
  const rows = new Map<string, OutputRow<T>>()
  for (const row of written) {
    if (row.value === undefined) rows.delete(keyOf(row))
    else rows.set(keyOf(row), row)
  }
  return rows
}
