// Compares the three topics that the job writes with what it must give: every row, every late flight, every dead letter,
// with key, Kafka timestamp and headers. Main thread.
import { unpack } from 'msgpackr'
import { partitionsOf, readCommitted } from '../../bench/lib/topic-reader.ts'
import type { FrameRecord } from '../../src/core/frame.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import type { Expected } from './expected.ts'
import type { Flights } from './flight-file.ts'
import { flightAt } from './play.ts'

const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
const EXAMPLES_MAX = 10
const textDecoder = new TextDecoder()

type Fields = Readonly<Record<string, unknown>>

/** How a topic differs from what it must hold. `lost`, `duplicated` and `wrong` 0: not at all. */
export interface Difference {
  records: number
  lost: number
  duplicated: number
  wrong: number
  /** The first ones in words. */
  examples: string[]
}

/** By topic: result rows, late flights, dead letters. */
export interface Differences {
  hours: Difference
  late: Difference
  dead: Difference
}

export interface CheckedTopics {
  kafka: Kafka
  /** Name of the job, which is the stem of its topics. */
  job: string
  partitionCount: number
}

/** Reads all that the job committed and compares it. */
export async function checkTopics(topics: CheckedTopics, flights: Flights, expected: Expected): Promise<Differences> {
  const { kafka, job, partitionCount } = topics
  const check = async (
    topic: string,
    ids: Iterable<string>,
    expectedFields: (id: string) => Fields,
    read: (record: FrameRecord) => { id: string; fields: Fields },
  ) => {
    const comparison = new Comparison(ids, expectedFields)
    await readCommitted(kafka, partitionsOf(topic, partitionCount), (record, partition) =>
      comparison.add(read(record), `${topic}/${partition} at ${record.offset}`),
    )
    return comparison.finish()
  }
  const source = { flights, expected, topic: job }
  return {
    hours: await check(`${job}-by-hour`, expected.hours.keys(), (id) => hourFields(expected, id), readHour),
    late: await check(`${job}-late`, expected.late.keys(), (id) => lateFields(source, id), readFlight),
    dead: await check(`${job}-dlq`, expected.dead.keys(), (id) => deadFields(source, id), readFlight),
  }
}

/** Ids and fields that must be there, against those that come, in whatever order. */
export class Comparison {
  readonly #missing: Set<string>
  readonly #seen = new Set<string>()
  readonly #expectedFields: (id: string) => Fields
  readonly #difference: Difference = { records: 0, lost: 0, duplicated: 0, wrong: 0, examples: [] }

  constructor(ids: Iterable<string>, expectedFields: (id: string) => Fields) {
    this.#missing = new Set(ids)
    this.#expectedFields = expectedFields
  }

  add({ id, fields }: { id: string; fields: Fields }, place: string): void {
    this.#difference.records++
    if (this.#seen.has(id)) {
      this.#difference.duplicated++
      this.#tell(`${place}: ${id} came again`)
      return
    }
    if (!this.#missing.delete(id)) {
      this.#difference.wrong++
      this.#tell(`${place}: ${id} must not be there: ${JSON.stringify(fields)}`)
      return
    }
    this.#seen.add(id)
    const expected = this.#expectedFields(id)
    const names = new Set([...Object.keys(expected), ...Object.keys(fields)])
    const differing = [...names].filter((name) => !Object.is(fields[name], expected[name]))
    if (differing.length === 0) return
    this.#difference.wrong++
    const words = differing.map((name) => `${name} ${String(fields[name])} instead of ${String(expected[name])}`)
    this.#tell(`${place}: ${id}: ${words.join(', ')}`)
  }

  finish(): Difference {
    this.#difference.lost = this.#missing.size
    for (const id of this.#missing) this.#tell(`${id} is lost`)
    return this.#difference
  }

  #tell(text: string): void {
    if (this.#difference.examples.length < EXAMPLES_MAX) this.#difference.examples.push(text)
  }
}

/** A result row: its own fields, the Kafka key, the Kafka timestamp and the headers. */
function readHour(record: FrameRecord): { id: string; fields: Fields } {
  const row = fieldsOf(record)
  return { id: `${String(row.origin)} ${String(row.windowStart)}`, fields: { ...row, ...envelopeOf(record) } }
}

function hourFields({ hours }: Expected, id: string): Fields {
  const row = hours.get(id)!
  return {
    ...row,
    '@key': row.origin,
    '@timestampMs': row.windowEnd - 1,
    'millrace-id': `1h-aggregate:${row.origin}:${row.windowStart}`,
    'millrace-rev': '1',
    'millrace-phase': 'final',
  }
}

/** A flight that the job passed on, late or dead, by the place where it was read. */
function readFlight(record: FrameRecord): { id: string; fields: Fields } {
  const envelope = envelopeOf(record)
  const {
    'millrace-source-partition': partition,
    'millrace-source-offset': offset,
    'millrace-error-text': _,
    ...rest
  } = envelope
  return { id: `${String(partition)}/${String(offset)}`, fields: { ...fieldsOf(record), ...rest } }
}

interface FlightSource {
  flights: Flights
  expected: Expected
  topic: string
}

function lateFields({ flights, expected, topic }: FlightSource, id: string): Fields {
  const { row, windowStart, watermark } = expected.late.get(id)!
  const windowEnd = windowStart + HOUR_MS
  return {
    ...passedOnFields(flights, row, topic),
    'millrace-late-window-start': String(windowStart),
    'millrace-late-window-end': String(windowEnd),
    'millrace-late-watermark': String(watermark),
    'millrace-late-by': String(watermark - windowEnd),
  }
}

function deadFields({ flights, expected, topic }: FlightSource, id: string): Fields {
  return {
    ...passedOnFields(flights, expected.dead.get(id)!, topic),
    'millrace-error-code': 'MR2004',
    'millrace-job': topic,
  }
}

function passedOnFields(flights: Flights, row: number, topic: string): Fields {
  const flight = flightAt(flights, row)
  return {
    ...flight,
    '@key': flight.origin,
    '@timestampMs': flight.date + flight.delay * MINUTE_MS,
    'millrace-source-topic': topic,
  }
}

function fieldsOf({ value }: FrameRecord): Fields {
  return value === undefined ? { '@value': 'none' } : (unpack(value) as Fields)
}

function envelopeOf({ key, timestampMs, headers }: FrameRecord): Fields {
  return {
    '@key': textDecoder.decode(key),
    '@timestampMs': timestampMs,
    ...Object.fromEntries(headers.map(({ name, value }) => [name, textDecoder.decode(value)])),
  }
}
