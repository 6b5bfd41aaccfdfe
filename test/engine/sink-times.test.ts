// What topics allow about the times of rows, and rows that they refuse. Holds SPEC: TOPIC-2, TOPIC-3, SIZE-2.
import { count, job, json, kafka as topic, tumbling } from 'millrace'
import { expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { readOffsetMetadata } from '../../src/engine/offset-metadata.ts'
import { checkSinkTimes, sinkTimes, tooNearSinks } from '../../src/engine/sink-times.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { systemClock } from '../../src/ops/system-clock.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import { candlesJob, PARTITIONS } from '../harness/trades-in-memory.ts'

const DAY_MS = 86_400_000

interface Click {
  user: string
  ts: number
}

const ANY = Number.POSITIVE_INFINITY
const BEFORE = 'message.timestamp.before.max.ms'
const AFTER = 'message.timestamp.after.max.ms'

test.each([
  ['no retention keeps everything', { 'retention.ms': '-1' }, [ANY, ANY, ANY]],
  ['a topic that deletes has its retention', { 'retention.ms': '1000', 'cleanup.policy': 'delete' }, [1_000, ANY, ANY]],
  [
    'a topic that is only compacted keeps its rows',
    { 'retention.ms': '1000', 'cleanup.policy': 'compact' },
    [ANY, ANY, ANY],
  ],
  ['a topic that does both deletes', { 'retention.ms': '1000', 'cleanup.policy': 'compact,delete' }, [1_000, ANY, ANY]],
  ['a topic refuses what is too old or too far ahead', { [BEFORE]: '5', [AFTER]: '3600000' }, [ANY, 5, 3_600_000]],
  [
    'the greatest long is no limit',
    { [BEFORE]: '9223372036854775807', [AFTER]: '9223372036854775807' },
    [ANY, ANY, ANY],
  ],
  ['an older broker has one limit for both', { 'message.timestamp.difference.max.ms': '7' }, [ANY, 7, 7]],
  [
    'a topic with times of its own takes any',
    { 'retention.ms': '1', [BEFORE]: '1', [AFTER]: '1', 'message.timestamp.type': 'LogAppendTime' },
    [ANY, ANY, ANY],
  ],
  ['a broker that does not tell is not guessed at', {}, [ANY, ANY, ANY]],
] as [string, Record<string, string>, number[]][])('%s', (_, config, [retentionMs, behindMsMax, aheadMsMax]) => {
  const { plan } = candlesJob()
  const found = sinkTimes(plan, planTopics(plan), new Map([['rows', config]]))
  expect(found.find(({ topic }) => topic === 'rows')).toEqual({ topic: 'rows', retentionMs, behindMsMax, aheadMsMax })
})

test('rows just within the limits pass, older ones are refused by name', () => {
  const sink = { topic: 'rows', retentionMs: DAY_MS, behindMsMax: ANY, aheadMsMax: ANY }
  expect(() => checkSinkTimes([sink], 0, DAY_MS)).not.toThrow()
  expect(() => checkSinkTimes([sink], 0, DAY_MS + 1)).toThrow(/MR4009.*rows/)
  expect(() => checkSinkTimes([sink], Number.NEGATIVE_INFINITY, DAY_MS)).not.toThrow()
  const refusing = { ...sink, behindMsMax: 1_000 }
  expect(() => checkSinkTimes([refusing], 0, 1_000)).not.toThrow()
  expect(() => checkSinkTimes([refusing], 0, 1_001)).toThrow(/MR4016.*rows/)
})

test('topics that take less ahead than the source lets through are named', () => {
  const { plan } = candlesJob()
  const sink = { topic: 'rows', retentionMs: ANY, behindMsMax: ANY }
  const { maxFutureMs } = plan.source
  const near = { ...sink, aheadMsMax: maxFutureMs - 1 }
  expect(tooNearSinks(plan, [near, { ...sink, aheadMsMax: maxFutureMs }])).toEqual([near])
})

test.each(['flush', 'produce', 'sendOffsets'] as const)(
  'a row that %s finds refused stops the job at the first attempt',
  async (call) => {
    const kafka = createMemoryKafka({ topics: { trades: PARTITIONS, rows: PARTITIONS } })
    const ts = Date.now()
    kafka.append('trades', {
      key: 'S0',
      value: JSON.stringify({ sym: 'S0', price: 1, qty: 1, ts }),
      partition: 0,
      timestampMs: ts,
    })
    kafka.faults.before = (at) => {
      if (at.call !== call) return undefined
      const failure = { code: 32, name: 'INVALID_TIMESTAMP', message: 'injected', isFatal: false, isRetriable: false }
      throw new KafkaError({ ...failure, requiresAbort: true, topic: 'rows' })
    }
    const run = await startMemoryJob({ kafka, job: candlesJob() })
    await expect(run.done).rejects.toMatchObject({ code: 'MR4015', details: { topic: 'rows' } })
    expect(run.rebuilds).toEqual([])
  },
)

test('a job over records of 2001 stops before it commits rows that would be deleted at once', async () => {
  const kafka = createMemoryKafka({
    topics: {
      trades: PARTITIONS,
      rows: { partitionCount: PARTITIONS, config: { 'retention.ms': String(7 * DAY_MS) } },
    },
  })
  const ts = Date.parse('2001-01-01')
  const trade = { sym: 'S0', price: 1, qty: 1, ts }
  kafka.append('trades', { key: 'S0', value: JSON.stringify(trade), partition: 0, timestampMs: ts })
  const run = await startMemoryJob({ kafka, job: candlesJob() })
  await expect(run.done).rejects.toMatchObject({ code: 'MR4009' })
  expect(kafka.log('rows', 0)).toEqual([])
  expect(kafka.committedOffset('candles', 'trades', 0).offset).toBeUndefined()
})

test('a quiet input goes on moving its watermark when its last record has grown older than the retention', async () => {
  const HOUR_MS = 3_600_000
  const kafka = createMemoryKafka({
    topics: { in: 1, out: { partitionCount: 1, config: { 'retention.ms': String(HOUR_MS) } } },
  })
  const compiled = job('clicks')
    .from(
      topic('in', {
        value: json<Click>(),
        key: 'user',
        eventTime: 'ts',
        idleAfter: '1ms',
        closeOnIdle: { maxDelay: '0ms' },
      }),
    )
    .keyBy('user')
    .window('w', tumbling('100ms'))
    .aggregate({ n: count() })
    .to(topic('out', { value: json() }))
    .build()
  let laterMs = 0
  const clock: Clock = { monotonicMs: () => systemClock.monotonicMs(), wallMs: () => systemClock.wallMs() + laterMs }
  const ts = Date.now()
  kafka.append('in', { key: 'A', value: JSON.stringify({ user: 'A', ts }), partition: 0, timestampMs: ts })
  const run = await startMemoryJob({ kafka, job: compiled, untilEnd: false, clock })
  const epochNow = (): number => readOffsetMetadata(kafka.committedOffset('clicks', 'in', 0).metadata)?.epoch ?? 0
  await expect.poll(epochNow).toBeGreaterThan(0)
  laterMs = 2 * HOUR_MS
  const epoch = epochNow()
  // Each move is an epoch of its own: one of them is behind the change of the clock for sure.
  await expect.poll(epochNow, { timeout: 5_000 }).toBeGreaterThan(epoch + 1)
  run.engine.stop()
  await run.done
})
