// The job of the latency bench: a running sum by key, one row a record. The record's intended send time rides along.
// Its name and topics come from the environment, so that each run has its own.
import { count, job, kafka, last, msgpack, sum } from 'millrace'

interface Sent {
  sym: string
  qty: number
  id: number
  /** When the record was to be sent, milliseconds of the machine's monotonic clock. */
  sentMs: number
}

const { BENCH_JOB = 'bench-sum', BENCH_SOURCE = 'bench-sent', BENCH_SINK = 'bench-sums' } = process.env

export default job(BENCH_JOB)
  .from(kafka(BENCH_SOURCE, { value: msgpack<Sent>(), key: 'sym' }))
  .keyBy('sym')
  .aggregate({ total: sum('qty'), n: count(), id: last('id'), sentMs: last('sentMs') })
  .to(kafka(BENCH_SINK, { value: msgpack() }), { emit: 'updates' })
