// Reads the flights of early 2001 from the Parquet file in the npm package vega-datasets, column by column. Main thread.
//
// Of the file: `date` is the departure, to the minute, on the clocks of the airport and without a zone (Parquet:
// TIMESTAMP, not adjusted to UTC); here it is read as if it were UTC, so that an hour is an hour of the airport's day.
// `delay` is the delay at arrival, in minutes. Rows are sorted by `date`; no value is missing.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { parquetMetadata, parquetRead } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

/** Rows of the file. */
export const FLIGHT_COUNT = 3_000_000

/** Flights as columns: row i of each is one flight. */
export interface Flights {
  readonly count: number
  /** Departure, ms. */
  readonly dateMs: Float64Array
  /** Minutes; below 0: early. */
  readonly delay: Int32Array
  /** Miles. */
  readonly distance: Int32Array
  readonly origin: readonly string[]
  readonly destination: readonly string[]
}

/**
 * Reads the first `count` flights of the file.
 *
 * @throws RangeError when the file has fewer, TypeError when a value is missing or of another type
 * @example
 * const flights = await readFlights(100_000)
 * flights.origin[0] // 'LAS'
 */
export async function readFlights(count = FLIGHT_COUNT): Promise<Flights> {
  const { buffer, byteOffset, byteLength } = await readFile(flightFile())
  const file = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
  const metadata = parquetMetadata(file)
  if (count > metadata.num_rows) throw new RangeError(`the file has ${metadata.num_rows} flights, not ${count}`)
  const flights = {
    count,
    dateMs: new Float64Array(count),
    delay: new Int32Array(count),
    distance: new Int32Array(count),
    origin: new Array<string>(count),
    destination: new Array<string>(count),
  }
  const columns: Record<string, (row: number, value: unknown) => void> = {
    date: (row, value) => {
      flights.dateMs[row] = Number(bigint(value)) / 1000
    },
    delay: (row, value) => {
      flights.delay[row] = Number(bigint(value))
    },
    distance: (row, value) => {
      flights.distance[row] = Number(bigint(value))
    },
    origin: (row, value) => {
      flights.origin[row] = text(value)
    },
    destination: (row, value) => {
      flights.destination[row] = text(value)
    },
  }
  await parquetRead({
    file,
    metadata,
    compressors,
    columns: Object.keys(columns),
    rowEnd: count,
    parsers: { timestampFromMicroseconds: (micros) => micros },
    onChunk({ columnName, columnData, rowStart }) {
      const set = columns[columnName]!
      const length = Math.min(columnData.length, count - rowStart)
      for (let i = 0; i < length; i++) set(rowStart + i, columnData[i])
    },
  })
  return flights
}

/** The package exports no files, so its folder is found from its entry. */
function flightFile(): string {
  const entry = createRequire(import.meta.url).resolve('vega-datasets')
  return join(dirname(entry), '../data/flights-3m.parquet')
}

function bigint(value: unknown): bigint {
  if (typeof value === 'bigint') return value
  throw new TypeError(`a whole number was expected, not ${String(value)}`)
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new TypeError(`a text was expected, not ${String(value)}`)
}
