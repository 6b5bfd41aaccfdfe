// Quiet inputs in a running job: the engine tells how long they have been quiet, the lane closes their windows.
// Holds SPEC: R5.
import { count, job, json, kafka as topic, tumbling } from 'millrace'
import { expect, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { kafkaError } from '../../src/kafka/memory-kafka/failure.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { startMemoryJob } from '../harness/memory-job.ts'

interface Click {
  user: string
  ts: number
}

const clicks = (idleAfter: '20ms' | '1h') =>
  job('clicks')
    .from(
      topic('in', { value: json<Click>(), key: 'user', eventTime: 'ts', idleAfter, closeOnIdle: { maxDelay: '0ms' } }),
    )
    .keyBy('user')
    .window('w', tumbling('100ms'))
    .aggregate({ n: count() })
    .late(topic('late'))
    .to(topic('out', { value: json() }))
    .build()

const append = (kafka: MemoryKafka, ts: number): number =>
  kafka.append('in', { key: 'A', value: JSON.stringify({ user: 'A', ts }), partition: 0, timestampMs: ts })
const rows = (kafka: MemoryKafka): unknown[] =>
  kafka.log('out', 0).map(({ value }) => JSON.parse(new TextDecoder().decode(value)))
const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

test('the windows of a quiet input close by the clock, are committed with the move, and stay closed after a restart', async () => {
  const kafka = createMemoryKafka({ topics: { in: 1 } })
  append(kafka, 1_000)
  append(kafka, 1_050)
  const quiet = await startMemoryJob({ kafka, job: clicks('20ms'), untilEnd: false })
  while (rows(kafka).length === 0) await turn()
  expect(rows(kafka)).toEqual([{ user: 'A', windowStart: 1_000, windowEnd: 1_100, n: 2 }])
  quiet.engine.stop()
  await quiet.done
  // The journaled watermark judges it, though its event time alone would not have closed its window.
  append(kafka, 1_060)
  const again = await startMemoryJob({ kafka, job: clicks('1h') })
  await again.done
  expect(again.counts).toMatchObject({ in: 1, late: 1, accepted: 0 })
  expect(rows(kafka)).toHaveLength(1)
  expect(kafka.log('late', 0)).toHaveLength(1)
})

test('an input that has not been quiet for long enough keeps its windows open', async () => {
  const kafka = createMemoryKafka({ topics: { in: 1 } })
  append(kafka, 1_000)
  const run = await startMemoryJob({ kafka, job: clicks('1h'), untilEnd: false })
  while (kafka.committedOffset('clicks', 'in', 0).offset !== 1) await turn()
  const startMs = performance.now()
  // Several looks at idle inputs later.
  while (performance.now() - startMs < 350) await turn()
  expect(rows(kafka)).toEqual([])
  run.engine.stop()
  await run.done
})

test('a commit that fails under the move of a quiet input leaves nothing behind: the windows close again, once', async () => {
  const kafka = createMemoryKafka({ topics: { in: 1 } })
  append(kafka, 1_000)
  append(kafka, 1_050)
  let failures = 0
  kafka.faults.before = ({ call }) => {
    // The records are committed, so this is the commit of the move.
    if (call !== 'commit' || failures > 0 || kafka.committedOffset('clicks', 'in', 0).offset !== 2) return undefined
    failures++
    throw kafkaError('_TIMED_OUT', 'injected', { requiresAbort: true })
  }
  const run = await startMemoryJob({ kafka, job: clicks('20ms'), untilEnd: false })
  while (rows(kafka).length === 0) await turn()
  run.engine.stop()
  await run.done
  expect(run.rebuilds).toHaveLength(1)
  expect(rows(kafka)).toEqual([{ user: 'A', windowStart: 1_000, windowEnd: 1_100, n: 2 }])
  // Restarted, it is still closed.
  await (await startMemoryJob({ kafka, job: clicks('20ms') })).done
  expect(rows(kafka)).toHaveLength(1)
})

test('an input whose records are behind an open transaction is not quiet: they are in time when it ends', async () => {
  const kafka = createMemoryKafka({ topics: { in: 1 } })
  append(kafka, 1_000)
  const producer = await kafka.openProducer({ transactionalId: 'clicker' })
  await producer.initTransactions(1_000)
  await producer.begin()
  const writer = new FrameWriter()
  const text = (value: string): Uint8Array => new TextEncoder().encode(value)
  writer.append(0, 0, 1_050, text('A'), text(JSON.stringify({ user: 'A', ts: 1_050 })))
  await producer.produce(writer.take()!, ['in'])
  let looks = 0
  kafka.faults.before = ({ call, client }) => {
    if (call === 'watermarks' && client === 'one' && kafka.committedOffset('clicks', 'in', 0).offset === 1) looks++
    return undefined
  }
  const run = await startMemoryJob({ kafka, job: clicks('20ms'), untilEnd: false })
  while (looks < 3 && rows(kafka).length === 0) await turn()
  expect(rows(kafka)).toEqual([])
  await producer.commit(1_000)
  while (rows(kafka).length === 0) await turn()
  expect(rows(kafka)).toEqual([{ user: 'A', windowStart: 1_000, windowEnd: 1_100, n: 2 }])
  run.engine.stop()
  await run.done
  expect(run.counts).toMatchObject({ in: 2, late: 0 })
  await producer.close()
})
