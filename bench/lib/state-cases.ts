// More keys than fit into the memory that a lane has for state: what each operator is asked, and what its rows must hold. Pure.
import { unpack } from 'msgpackr'
import { sinkRecords } from '../../src/core/frame.ts'
import { count, job, kafka, max, msgpack, session, sum } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { type KeyedRecord, keyNumber, type RecordNumbers } from './keyed-records.ts'

/** Each key has a record in each pass over all of them. */
export const PASSES = 2
const RECORDS_PER_MS = 100
const OUT_OF_ORDER_MS = 500
const FIRST_MS = 1_760_000_000_000

/** Event time that a pass takes, in whole ms. */
function passMs(keys: number): number {
  return Math.ceil(keys / RECORDS_PER_MS)
}

/** From a record of a key to its next there are less than two passes. */
function gapMs(keys: number): number {
  return PASSES * passMs(keys) + 1_000
}

/** What comes in, record by record. */
export interface StateLoad {
  records: number
  fill(n: number, record: RecordNumbers): void
}

export interface StateCase {
  name: string
  job: CompiledJob
  load: StateLoad
  /** Records of the frame that begins with record `n`, and how many keys it may touch. */
  frameAt(n: number): { records: number; keys: number }
  /** Sends the end of the input. */
  isEnded: boolean
  /** Takes rows that came out. */
  take(frame: ArrayBuffer): void
  /** What is wrong with all rows that were taken, undefined: nothing. */
  problem(): string | undefined
}

const FULL_FRAME = { records: 5_000, keys: 5_000 }
/** Records of the clock are 1 ms apart: what came in that time is due, or looked at and due later. */
const CLOCK_FRAME = { records: 50, keys: 50 * RECORDS_PER_MS }

export function stateCases(keys: number): StateCase[] {
  return [runningCase(keys), sessionCase(keys)]
}

const keyed = () =>
  job('state')
    .from(
      kafka('in', {
        value: msgpack<KeyedRecord>(),
        key: 'key',
        eventTime: 'ts',
        outOfOrder: `${OUT_OF_ORDER_MS}ms`,
      }),
    )
    .keyBy('key')
const AGGREGATES = { n: count(), total: sum('value'), high: max('value') }
type Results = { n: number; total: number; high: number }

/** Each pass goes over the keys in an order of its own. Keys are counted from 0. */
function passes(keys: number): StateLoad {
  return {
    records: keys * PASSES,
    fill(n, record) {
      const pass = Math.floor(n / keys)
      record.key = keyAt(n % keys, pass, keys)
      record.ts = FIRST_MS + Math.floor(n / RECORDS_PER_MS)
      record.value = amountOf(record.key, pass)
    },
  }
}

/** A large prime has no factor in common with fewer keys: every key comes once. */
const STRIDE = 2_147_483_647

function keyAt(i: number, pass: number, keys: number): number {
  return pass === 0 ? i : Number((BigInt(i) * BigInt(STRIDE)) % BigInt(keys))
}

function amountOf(key: number, pass: number): number {
  return ((key * 31 + pass * 17) % 1_000) - 500
}

/** The results of a key after so many passes. */
function resultsOf(key: number, passCount: number): Results {
  const values = Array.from({ length: passCount }, (_, pass) => amountOf(key, pass))
  return { n: passCount, total: values.reduce((a, b) => a + b, 0), high: Math.max(...values) }
}

function isSame(row: Results, expected: Results): boolean {
  return row.n === expected.n && row.total === expected.total && row.high === expected.high
}

/** A row for each record, and state that never goes. */
function runningCase(keys: number): StateCase {
  const rowsOf = new Uint8Array(keys)
  let wrong = 0
  return {
    name: 'running aggregate',
    job: keyed()
      .aggregate(AGGREGATES)
      .to(kafka('out', { value: msgpack() }), { emit: 'updates' })
      .build(),
    load: passes(keys),
    frameAt: () => FULL_FRAME,
    isEnded: false,
    take(frame) {
      for (const { key, value } of sinkRecords(frame)) {
        const number = keyNumber(key!)
        const passCount = ++rowsOf[number]!
        if (!isSame(unpack(value!) as Results, resultsOf(number, passCount))) wrong++
      }
    },
    problem: () => problemOf(wrong, rowsOf, PASSES),
  }
}

/** One session a key. When the passes are over, the clock goes on by the records of one more key, and closes them little by little. */
function sessionCase(keys: number): StateCase {
  const own = passes(keys)
  const gap = gapMs(keys)
  const rowsOf = new Uint8Array(keys + 1)
  const passedMs = FIRST_MS + PASSES * passMs(keys)
  const tailRecords = gap + OUT_OF_ORDER_MS + 2
  let wrong = 0
  return {
    name: 'session windows',
    job: keyed()
      .window('w', session(`${gap}ms`))
      .aggregate(AGGREGATES)
      .to(kafka('out', { value: msgpack() }))
      .build(),
    load: {
      records: own.records + tailRecords,
      fill(n, record) {
        if (n < own.records) return own.fill(n, record)
        record.key = keys
        record.ts = passedMs + n - own.records
        record.value = 0
      },
    },
    frameAt: (n) => (n < own.records ? FULL_FRAME : CLOCK_FRAME),
    isEnded: true,
    take(frame) {
      for (const { key, value } of sinkRecords(frame)) {
        const number = keyNumber(key!)
        const row = unpack(value!) as Results & { windowStart: number; windowEnd: number }
        rowsOf[number]!++
        if (number < keys && !(isSame(row, resultsOf(number, PASSES)) && row.windowStart < row.windowEnd)) wrong++
      }
    },
    problem: () => problemOf(wrong, rowsOf, 1),
  }
}

function problemOf(wrong: number, rowsOf: Uint8Array, rowsOfEach: number): string | undefined {
  const others = rowsOf.reduce((sum, rows) => sum + (rows === rowsOfEach ? 0 : 1), 0)
  if (wrong === 0 && others === 0) return undefined
  return `${wrong} rows are wrong, ${others} of ${rowsOf.length} keys do not have ${rowsOfEach} of them`
}
