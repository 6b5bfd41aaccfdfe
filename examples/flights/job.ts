// How late planes were: flights, mean and greatest delay and the share delayed, per airport and hour of departure.
// Run: npm run example -- flights, or millrace run examples/flights/job.ts
import { avg, count, job, kafka, max, msgpack, tumbling } from 'millrace'

interface Flight {
  origin: string
  destination: string
  /** Departure, ms since the epoch. */
  date: number
  /** Delay at arrival, minutes; below 0: early. */
  delay: number
  /** Miles. */
  distance: number
}

/** Later than this, a flight counts as delayed; minutes. */
const DELAYED_ABOVE = 15

const name = process.env.FLIGHTS_JOB ?? 'flights'

export default job(name)
  .from(kafka(name, { value: msgpack<Flight>(), key: 'origin', eventTime: 'date', outOfOrder: '3h', maxFuture: '2h' }))
  .keyBy('origin')
  .map(['delay'], (delay) => ({ delay, delayed: delay > DELAYED_ABOVE ? 1 : 0 }))
  .window('1h', tumbling('1h'))
  .aggregate({
    flights: count(),
    meanDelay: avg('delay'),
    maxDelay: max('delay'),
    delayedShare: avg('delayed'),
  })
  .late(kafka(`${name}-late`))
  .to(kafka(`${name}-by-hour`, { value: msgpack() }))
