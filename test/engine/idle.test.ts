// Quiet inputs in a running job: the engine tells how long they have been quiet, the lane closes their windows.
// Holds SPEC: R5.
import { count, job, json, kafka as topic, tumbling } from 'millrace'
import { expect, test } from 'vitest'
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
