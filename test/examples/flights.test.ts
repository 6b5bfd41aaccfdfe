// The flights example without a broker: the computation that it is judged by, the job against that computation on real
// flights, and what the judge finds. Holds SPEC: EXAMPLE-1 (the answer is that of a computation of its own).
import { testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import { Comparison } from '../../examples/flights/check.ts'
import { expectedOf, type HourRow, hourCells, worstHours } from '../../examples/flights/expected.ts'
import { type Flights, readFlights } from '../../examples/flights/flight-file.ts'
import job from '../../examples/flights/job.ts'
import { flightAt, playOrder } from '../../examples/flights/play.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Flights of one airport: minutes after midnight, delay. */
function flightsOf(...rows: [minutes: number, delay: number][]): Flights {
  return {
    count: rows.length,
    dateMs: Float64Array.from(rows, ([minutes]) => minutes * MINUTE_MS),
    delay: Int32Array.from(rows, ([, delay]) => delay),
    distance: new Int32Array(rows.length),
    origin: rows.map(() => 'ORD'),
    destination: rows.map(() => 'LGA'),
  }
}

test('flights are read as the file has them: departures to the minute, delays at arrival, nothing missing', async () => {
  const flights = await readFlights(3)
  expect([0, 1, 2].map((row) => flightAt(flights, row))).toEqual([
    { origin: 'LAS', destination: 'PHL', date: Date.UTC(2001, 0, 1, 0, 1), delay: 33, distance: 2176 },
    { origin: 'ATL', destination: 'SAV', date: Date.UTC(2001, 0, 1, 0, 1), delay: 19, distance: 215 },
    { origin: 'MCI', destination: 'MDW', date: Date.UTC(2001, 0, 1, 0, 1), delay: 14, distance: 405 },
  ])
})

test('more flights than the file has are refused', async () => {
  await expect(readFlights(3_000_001)).rejects.toThrow('the file has 3000000 flights, not 3000001')
})

test('flights are played in the order of date and delay, equal ones in that of the file', () => {
  expect([...playOrder(flightsOf([0, 30], [10, 20], [20, -5]))]).toEqual([2, 0, 1])
})

test('an hour has its flights, mean and greatest delay, and the share over 15 minutes', () => {
  const { hours, accepted } = expectedOf(flightsOf([0, 15], [10, 16], [59, -4], [60, 0]), 1)
  expect(accepted).toBe(4)
  expect([...hours.values()]).toEqual([
    {
      origin: 'ORD',
      windowStart: 0,
      windowEnd: HOUR_MS,
      flights: 3,
      meanDelay: 9,
      maxDelay: 16,
      delayedShare: 1 / 3,
    },
    {
      origin: 'ORD',
      windowStart: HOUR_MS,
      windowEnd: 2 * HOUR_MS,
      flights: 1,
      meanDelay: 0,
      maxDelay: 0,
      delayedShare: 0,
    },
  ])
})

test('a flight is late when its hour ended 3 hours before the newest one so far, and not a minute earlier', () => {
  const inTime = expectedOf(flightsOf([30, 400], [239, 0]), 1)
  expect(inTime.late.size).toBe(0)
  const tooLate = expectedOf(flightsOf([30, 400], [240, 0]), 1)
  expect([...tooLate.late]).toEqual([['0/1', { row: 0, windowStart: 0, watermark: HOUR_MS }]])
})

test('a flight that arrived over 2 hours too early is dead and makes no other late', () => {
  const { dead, late, accepted } = expectedOf(flightsOf([30, 10], [900, -900], [200, -120]), 1)
  expect([...dead]).toEqual([['0/0', 1]])
  expect(late.size).toBe(0)
  expect(accepted).toBe(2)
})

test('the worst hours come by share, then by mean delay, and those of few flights not at all', () => {
  const hour = (windowStart: number, flights: number, delayedShare: number, meanDelay: number): [string, HourRow] => [
    `ORD ${windowStart}`,
    { origin: 'ORD', windowStart, windowEnd: windowStart + HOUR_MS, flights, meanDelay, maxDelay: 90, delayedShare },
  ]
  const hours = new Map([hour(0, 30, 0.5, 9), hour(1, 29, 1, 99), hour(2, 30, 1, 7), hour(3, 31, 1, 8)])
  const worst = worstHours({ hours })
  expect(worst.map(({ windowStart }) => windowStart)).toEqual([3, 2, 0])
  expect(hourCells(worst[2]!)).toEqual(['ORD', '1970-01-01 00:00', '30', '9.0', '90', '50.0 %'])
})

test('the job gives what the computation says on the first 60,000 flights, over a restart', async () => {
  const flights = await readFlights(60_000)
  const expected = expectedOf(flights, 1)
  const records = [...playOrder(flights)].map((row) => {
    const value = flightAt(flights, row)
    return { value, timestampMs: value.date + value.delay * MINUTE_MS }
  })
  const t = testJob(job)
  for (let from = 0; from < records.length; from += 20_000) {
    t.send('flights', ...records.slice(from, from + 20_000))
    await t.restart()
  }
  await t.end()
  const rows = t.outputs('flights-by-hour').map(({ value }) => value)
  const byId = new Map(rows.map((row) => [`${row.origin} ${row.windowStart}`, row]))
  expect(byId).toEqual(expected.hours)
  expect(rows.length).toBe(expected.hours.size)
  const late = t.late().map(({ value, windowStartMs, watermarkMs }) => ({ value, windowStartMs, watermarkMs }))
  expect(late.length).toBeGreaterThan(100)
  expect(late).toEqual(
    [...expected.late.values()].map(({ row, windowStart, watermark }) => ({
      value: flightAt(flights, row),
      windowStartMs: windowStart,
      watermarkMs: watermark,
    })),
  )
  expect(t.counts).toMatchObject({ in: 60_000, accepted: expected.accepted, late: expected.late.size, dead: 0 })
})

test('a comparison finds what is lost, what came twice, what is wrong and what must not be there', () => {
  const expected = new Map(['a', 'b', 'c'].map((id) => [id, { n: 1 }]))
  const comparison = new Comparison(expected.keys(), (id) => expected.get(id)!)
  comparison.add({ id: 'a', fields: { n: 1 } }, 'first')
  comparison.add({ id: 'a', fields: { n: 1 } }, 'second')
  comparison.add({ id: 'b', fields: { n: 2, m: 3 } }, 'third')
  comparison.add({ id: 'd', fields: { n: 1 } }, 'fourth')
  expect(comparison.finish()).toEqual({
    records: 4,
    lost: 1,
    duplicated: 1,
    wrong: 2,
    examples: [
      'second: a came again',
      'third: b: n 2 instead of 1, m 3 instead of undefined',
      'fourth: d must not be there: {"n":1}',
      'c is lost',
    ],
  })
})
