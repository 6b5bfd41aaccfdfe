// Plays flights into a topic in the order in which they are known: at `date + delay`. A flight that arrived an hour late
// comes an hour after one that left with it and arrived in time. So event time (`date`) is out of order, by as much as
// planes are late. Main thread.
import { pack } from 'msgpackr'
import { openLoader } from '../../bench/lib/trade-load.ts'
import { FrameWriter } from '../../src/core/frame.ts'
import type { Kafka, Producer } from '../../src/kafka/port.ts'
import type { Flights } from './flight-file.ts'

const MINUTE_MS = 60_000
const FRAME_RECORDS = 2_000
const FRAME_BYTES = 1 << 18
const FLUSH_MS = 120_000

const textEncoder = new TextEncoder()

/**
 * Sends flights, keyed by their origin, with `date + delay` as Kafka timestamp.
 *
 * @example
 * const play = await FlightPlay.open(kafka, 'flights', await readFlights(1_000))
 * await play.sendTo(1_000)
 * await play.close()
 */
export class FlightPlay {
  readonly #flights: Flights
  readonly #topic: string
  readonly #producer: Producer
  readonly #order: Uint32Array
  readonly #keys = new Map<string, Uint8Array>()
  #sent = 0

  private constructor(producer: Producer, topic: string, flights: Flights) {
    this.#producer = producer
    this.#topic = topic
    this.#flights = flights
    this.#order = playOrder(flights)
  }

  static async open(kafka: Kafka, topic: string, flights: Flights): Promise<FlightPlay> {
    return new FlightPlay(await openLoader(kafka), topic, flights)
  }

  /** Sends on until `count` flights have been sent in all; resolves when they are delivered. */
  async sendTo(count: number): Promise<void> {
    const writer = new FrameWriter(FRAME_BYTES)
    while (this.#sent < count) {
      const to = Math.min(count, this.#sent + FRAME_RECORDS)
      for (; this.#sent < to; this.#sent++) this.#append(writer, this.#order[this.#sent]!)
      await this.#producer.produce(writer.take()!, [this.#topic])
    }
    await this.#producer.flush(FLUSH_MS)
  }

  close(): Promise<void> {
    return this.#producer.close()
  }

  #append(writer: FrameWriter, row: number): void {
    const origin = this.#flights.origin[row]!
    let key = this.#keys.get(origin)
    if (key === undefined) {
      key = textEncoder.encode(origin)
      this.#keys.set(origin, key)
    }
    writer.append(0, -1, knownMs(this.#flights, row), key, pack(flightAt(this.#flights, row)))
  }
}

/** The record of a flight, as the job reads it. */
export function flightAt({ origin, destination, dateMs, delay, distance }: Flights, row: number) {
  return {
    origin: origin[row]!,
    destination: destination[row]!,
    date: dateMs[row]!,
    delay: delay[row]!,
    distance: distance[row]!,
  }
}

/** Rows by the time at which they are known, of equal times in the order of the file. */
export function playOrder(flights: Flights): Uint32Array {
  const times = Float64Array.from({ length: flights.count }, (_, row) => knownMs(flights, row))
  return Uint32Array.from(times, (_, row) => row).sort((a, b) => times[a]! - times[b]! || a - b)
}

function knownMs({ dateMs, delay }: Flights, row: number): number {
  return dateMs[row]! + delay[row]! * MINUTE_MS
}
