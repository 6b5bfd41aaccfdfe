// Every job of Nexmark against its oracle, on the same events. Run: npx vitest run --project property examples/nexmark
import { testJob } from 'millrace/test'
import { expect, test } from 'vitest'
import { type NexmarkOptions, nexmarkEvents } from './generator.ts'
import { canonical, type Row } from './oracles/oracle.ts'
import { type Query, queries } from './queries.ts'

const COUNT = 5_000
const STEPS = 8
const STEP_MS = 3_000
/** Steps begin at seconds 5, 8, 11, ... so that none is at the end of a window of 10 s. */
const START_MS = 5_000

const readMs = (place: number): number => START_MS + Math.floor((place * STEPS) / COUNT) * STEP_MS

const MIDNIGHT_MS = Date.UTC(2025, 9, 10)
/** Two days, 100 events a second from 20 s before midnight; out of order within the 4 s that the source allows. */
const busy: NexmarkOptions = {
  ...{ seed: 1, count: COUNT, startMs: MIDNIGHT_MS - 20_000, eventsPerSecond: 100, outOfOrderGroup: 300 },
}
/** All hours of a day and some of the next: an event each 20 s. */
const hours: NexmarkOptions = { seed: 2, count: COUNT, startMs: MIDNIGHT_MS, eventsPerSecond: 0.05 }
/** Pauses as long as the gap of a session, and longer: an event each 10 s. */
const pauses: NexmarkOptions = { ...hours, eventsPerSecond: 0.1 }
/** What makes a difference to some queries beside. */
const others: Readonly<Record<string, NexmarkOptions>> = { q11: pauses, q14: hours, q16: hours, q19: hours }

/** Rows of a job in the end, in the middle of which it is started anew: of a result that changes the last one. */
async function rowsOf(
  { job, topic, side, isRetracted = false }: Query,
  options: NexmarkOptions,
  partitions = 1,
): Promise<Row[]> {
  const t = testJob(job, { startMs: START_MS, seed: options.seed, partitions, lanes: partitions })
  if (side !== undefined) t.send(side.topic, ...side.rows.map((value) => ({ value })))
  const events = [...nexmarkEvents(options)]
  for (let step = 0; step < STEPS; step++) {
    const part = events.slice((step * COUNT) / STEPS, ((step + 1) * COUNT) / STEPS)
    t.send('nexmark', ...part.map((value, i) => ({ value, timestampMs: value.dateTime, partition: i % partitions })))
    if (step === STEPS / 2) await t.restart()
    await t.advanceWall(STEP_MS)
  }
  await t.end()
  expect(t.counts).toMatchObject({ late: 0, dead: 0 })
  const rows = t.outputs<Row>(topic)
  if (isRetracted) return rowsLeft(rows)
  return rows.filter(({ headers }) => headers['millrace-phase'] !== 'early').map(({ value }) => value)
}

/** What was not taken back. */
function rowsLeft(rows: readonly { value: Row; headers: Record<string, string> }[]): Row[] {
  const left = new Map<string, Row>()
  for (const { value, headers } of rows) {
    const text = canonical(value)
    if (headers['millrace-phase'] !== 'retracted') left.set(text, value)
    else if (!left.delete(text)) throw new Error(`retracted, but never given: ${text}`)
  }
  return [...left.values()]
}

const cases = queries.flatMap((query) => {
  const other = others[query.name]
  const busyCase = { name: query.name, query, options: busy }
  return other === undefined ? [busyCase] : [busyCase, { name: `${query.name}, sparse`, query, options: other }]
})

test.each(cases)('$name', async ({ query, options }) => {
  const rows = await rowsOf(query, options)
  const expected = [...query.oracle(nexmarkEvents(options), readMs)]
  expect(rows.map(canonical).sort()).toEqual(expected.map(canonical).sort())
  expect(expected.length).toBeGreaterThan(0)
})

/** Those where records of several kinds, or rows of several keys, meet; among equal ones none is the first by its place. */
const meeting = ['q3', 'q4', 'q5', 'q6', 'q7', 'q8', 'q9', 'q13', 'q20']
test.each(queries.filter(({ name }) => meeting.includes(name)))('$name on three partitions', async (query) => {
  const rows = await rowsOf(query, busy, 3)
  expect(rows.map(canonical).sort()).toEqual([...query.oracle(nexmarkEvents(busy), readMs)].map(canonical).sort())
})
