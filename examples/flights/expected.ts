// What the job must give, worked out from the file alone, the plain way: Maps, one flight after the other. It shares
// nothing with the job or the engine but the hash of keys (librdkafka places the records by a murmur2 of its own). Pure.
//
//   of each partition, flights in the order of date + delay:
//     dead      date is over 2 h after date + delay: it would have arrived over 2 h too early; it moves no time
//     late      its hour ended at or before (greatest date so far - 3 h)
//     accepted  otherwise
import { partitionOfKey } from '../../src/core/murmur2.ts'
import type { Flights } from './flight-file.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const OUT_OF_ORDER_MS = 3 * HOUR_MS
const TOO_EARLY_MINUTES = -120
const DELAYED_ABOVE_MINUTES = 15

/** An hour of an airport. */
export interface HourRow {
  readonly origin: string
  readonly windowStart: number
  readonly windowEnd: number
  readonly flights: number
  readonly meanDelay: number
  readonly maxDelay: number
  readonly delayedShare: number
}

/** A flight that came too late; times in ms. */
export interface LateFlight {
  readonly row: number
  readonly windowStart: number
  readonly watermark: number
}

export interface Expected {
  readonly records: number
  readonly accepted: number
  /** By origin and start of the hour: `ORD 978310800000`. */
  readonly hours: ReadonlyMap<string, HourRow>
  /** By partition and offset: `2/17`. */
  readonly late: ReadonlyMap<string, LateFlight>
  /** Rows of the file, by partition and offset. */
  readonly dead: ReadonlyMap<string, number>
}

interface OpenHour {
  origin: string
  start: number
  flights: number
  delaySum: number
  maxDelay: number
  delayedCount: number
}

/**
 * The rows, late flights and dead ones that a topic of `partitionCount` partitions must lead to.
 *
 * @example
 * const { hours, late } = expectedOf(await readFlights(), 4)
 * hours.get('ORD 978310800000')?.flights
 */
export function expectedOf(flights: Flights, partitionCount: number): Expected {
  const open = new Map<string, OpenHour>()
  const late = new Map<string, LateFlight>()
  const dead = new Map<string, number>()
  partitionsOf(flights, partitionCount).forEach((rows, partition) => {
    let greatestMs = Number.NEGATIVE_INFINITY
    rows.forEach((row, offset) => {
      const dateMs = flights.dateMs[row]!
      const start = Math.floor(dateMs / HOUR_MS) * HOUR_MS
      const watermark = greatestMs - OUT_OF_ORDER_MS
      if (flights.delay[row]! < TOO_EARLY_MINUTES) {
        dead.set(`${partition}/${offset}`, row)
        return
      }
      greatestMs = Math.max(greatestMs, dateMs)
      if (start + HOUR_MS <= watermark) late.set(`${partition}/${offset}`, { row, windowStart: start, watermark })
      else count(open, flights, row, start)
    })
  })
  const hours = new Map([...open].map(([id, hour]) => [id, rowOf(hour)]))
  const records = flights.count
  return { records, accepted: records - late.size - dead.size, hours, late, dead }
}

/** The rows of the file in each partition, in the order of their offsets. */
function partitionsOf(flights: Flights, partitionCount: number): number[][] {
  const knownMs = (row: number): number => flights.dateMs[row]! + flights.delay[row]! * MINUTE_MS
  const partitionByOrigin = new Map<string, number>()
  const partitions: number[][] = Array.from({ length: partitionCount }, () => [])
  for (let row = 0; row < flights.count; row++) {
    const origin = flights.origin[row]!
    let partition = partitionByOrigin.get(origin)
    if (partition === undefined) {
      partition = partitionOfKey(new TextEncoder().encode(origin), partitionCount)
      partitionByOrigin.set(origin, partition)
    }
    partitions[partition]!.push(row)
  }
  // A sort that keeps the order of equals: that of the file.
  for (const rows of partitions) rows.sort((a, b) => knownMs(a) - knownMs(b))
  return partitions
}

function count(open: Map<string, OpenHour>, flights: Flights, row: number, start: number): void {
  const origin = flights.origin[row]!
  const delay = flights.delay[row]!
  const id = `${origin} ${start}`
  let hour = open.get(id)
  if (hour === undefined) {
    hour = { origin, start, flights: 0, delaySum: 0, maxDelay: delay, delayedCount: 0 }
    open.set(id, hour)
  }
  hour.flights++
  hour.delaySum += delay
  hour.maxDelay = Math.max(hour.maxDelay, delay)
  if (delay > DELAYED_ABOVE_MINUTES) hour.delayedCount++
}

function rowOf({ origin, start, flights, delaySum, maxDelay, delayedCount }: OpenHour): HourRow {
  return {
    origin,
    windowStart: start,
    windowEnd: start + HOUR_MS,
    flights,
    meanDelay: delaySum / flights,
    maxDelay,
    delayedShare: delayedCount / flights,
  }
}

/** Hours of fewer flights say little. */
const FLIGHTS_MIN = 30
const WORST_COUNT = 5

/** The 5 hours with the greatest share of delayed flights, then mean delay, among those of at least 30 flights. */
export function worstHours({ hours }: Pick<Expected, 'hours'>): HourRow[] {
  return [...hours.values()]
    .filter(({ flights }) => flights >= FLIGHTS_MIN)
    .sort((a, b) => b.delayedShare - a.delayedShare || b.meanDelay - a.meanDelay)
    .slice(0, WORST_COUNT)
}

/** An hour as a row of the table in the README beside this file. */
export function hourCells({ origin, windowStart, flights, meanDelay, maxDelay, delayedShare }: HourRow): string[] {
  const hour = new Date(windowStart).toISOString().slice(0, 16).replace('T', ' ')
  return [origin, hour, String(flights), meanDelay.toFixed(1), String(maxDelay), `${(100 * delayedShare).toFixed(1)} %`]
}
