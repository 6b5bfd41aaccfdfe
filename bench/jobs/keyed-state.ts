// The job of the restore bench: one wide row of state a key, and hardly any results.
// Its name and topics come from the environment, so that each run has its own.
import { avg, count, job, kafka, max, min, msgpack, sum, variance, weightedMean } from 'millrace'

interface Reading {
  id: string
  a: number
  b: number
}

const { BENCH_JOB = 'bench-state', BENCH_SOURCE = 'bench-readings', BENCH_SINK = 'bench-readings-out' } = process.env

export default job(BENCH_JOB)
  .from(kafka(BENCH_SOURCE, { value: msgpack<Reading>(), key: 'id' }))
  .keyBy('id')
  .aggregate({
    n: count(),
    sumA: sum('a'),
    minA: min('a'),
    maxA: max('a'),
    meanA: avg('a'),
    varianceA: variance('a'),
    sumB: sum('b'),
    minB: min('b'),
    maxB: max('b'),
    weighted: weightedMean('a', 'b'),
  })
  .to(kafka(BENCH_SINK, { value: msgpack() }), { emit: { every: '1d' } })
