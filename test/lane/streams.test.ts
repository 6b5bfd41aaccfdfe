// What a lane keeps of streams that meet, where something goes wrong or stands still. Holds SPEC: LANE-1, JOIN-1, JOIN-4, R1.
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { count, job, json, kafka, last, msgpack, stream, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { StreamsDriver } from './streams-driver.ts'

interface Event {
  key: string
  ts: number
  n: number
  text?: string
  seen?: number
}

const topic = (name: string) => kafka(name, { value: msgpack<Event>(), key: 'key', eventTime: 'ts' })
const event = (topicName: string, ts: number, n: number, more: Partial<Event> = {}) => ({
  topic: topicName,
  key: 'a',
  timestampMs: ts,
  value: { key: 'a', ts, n, ...more },
})

async function opened(compiled: CompiledJob, options = {}): Promise<StreamsDriver> {
  const driver = new StreamsDriver(compiled, options)
  await driver.open()
  return driver
}
const valuesOf = (driver: StreamsDriver, name: string): unknown[] =>
  driver.rows.filter((row) => row.topic === name).map(({ value }) => unpack(value!))

test('rows that were on their way when a request failed are not those of a later attempt', async () => {
  const compiled = job('j')
    .from(topic('l'))
    .keyBy('key')
    .join('j', stream(topic('r')).keyBy('key'), { within: '10ms' }, (left, right) => ({
      n: left.n,
      text: right.text ?? '',
    }))
    .window('w', tumbling('10ms'))
    .aggregate({ n: count(), text: last('text') })
    .to(kafka('out', { value: msgpack() }), { emit: 'updates' })
    .build()
  const driver = await opened(compiled, { messageBytesMax: [500] })
  await driver.send([event('l', 1_000, 1), event('l', 1_000, 2)])
  await driver.commit()
  const long = event('r', 1_000, 3, { text: 'x'.repeat(500) })
  await expect(driver.send([long])).rejects.toMatchObject({ code: 'MR4008' })
  await driver.reopen()
  await driver.send([event('r', 1_000, 3, { text: 'short' })])
  await driver.end()
  expect(valuesOf(driver, 'out').map((row) => (row as { n: number }).n)).toEqual([1, 2, 2])
  await driver.dispose()
})

describe('the function of a join may change what it is given', () => {
  const join = (format: typeof msgpack<Event> | typeof json<Event>, isMapped: boolean): CompiledJob => {
    const source = (name: string) => kafka(name, { value: format(), key: 'key', eventTime: 'ts' })
    const keyed = stream(source('r')).keyBy('key')
    const right = isMapped ? keyed.filter((record) => record.n >= 0) : keyed
    return job('j')
      .from(source('l'))
      .keyBy('key')
      .join('j', right, { within: '10ms' }, (one, other) => {
        one.seen = (one.seen ?? 0) + 1
        other.seen = (other.seen ?? 0) + 1
        return Object.assign(other, { left: one.n, leftSeen: one.seen })
      })
      .to(kafka('out', { value: msgpack() }))
      .build()
  }
  test.each([
    ['msgpack', msgpack<Event>, false],
    ['msgpack, looked at before', msgpack<Event>, true],
    ['JSON', json<Event>, false],
  ] as const)('%s', async (name, format, isMapped) => {
    const driver = await opened(join(format, isMapped))
    const encode = (record: ReturnType<typeof event>) =>
      name === 'JSON' ? { ...record, value: new TextEncoder().encode(JSON.stringify(record.value)) } : record
    await driver.send([encode(event('l', 1_000, 1)), encode(event('l', 1_000, 2))])
    await driver.send([encode(event('r', 1_000, 3)), encode(event('r', 1_000, 4))])
    await driver.send([encode(event('l', 1_000, 5))])
    await driver.end()
    const rows = valuesOf(driver, 'out') as { n: number; left: number; seen: number; leftSeen: number }[]
    expect(rows.map(({ n, left, seen, leftSeen }) => [left, n, seen, leftSeen])).toEqual([
      [1, 3, 1, 1],
      [2, 3, 1, 1],
      [1, 4, 1, 1],
      [2, 4, 1, 1],
      [5, 3, 1, 1],
      [5, 4, 1, 1],
    ])
    await driver.dispose()
  })
})

test.each([
  ['0s', '1m'],
  ['1m', '0s'],
] as const)(
  'what waits in a join is found after a start with another outOfOrder: %s, then %s',
  async (before, after) => {
    const compiled = (outOfOrder: '0s' | '1m'): CompiledJob => {
      const source = (name: string) => kafka(name, { value: msgpack<Event>(), key: 'key', eventTime: 'ts', outOfOrder })
      return job('j')
        .from(source('l'))
        .keyBy('key')
        .join('j', stream(source('r')).keyBy('key'), { within: '10s', type: 'outer' }, (left, right) => ({
          n: `${left?.n} ${right?.n}`,
        }))
        .to(kafka('out', { value: msgpack() }))
        .build()
    }
    const driver = await opened(compiled(before))
    await driver.send([event('l', 1_000_000, 1), event('l', 1_003_000, 2), event('l', 1_006_000, 3)])
    await driver.commit()
    await driver.restart('changelog', compiled(after))
    await driver.send([event('r', 1_004_000, 4)])
    await driver.end()
    expect(valuesOf(driver, 'out').map((row) => (row as { n: string }).n)).toEqual(['1 4', '2 4', '3 4'])
    await driver.dispose()
  },
)

test('a stream that is windowed before it meets another keeps its clock over restarts, and its end', async () => {
  const compiled = job('j')
    .from(topic('l'))
    .keyBy('key')
    .join(
      'j',
      stream(topic('r')).keyBy('key').window('w', tumbling('10ms')).aggregate({ n: count() }).keyBy('key'),
      { within: '100ms' },
      (left, right) => ({ left: left.n, n: right.n }),
    )
    .to(kafka('out', { value: msgpack() }))
    .build()
  const driver = await opened(compiled)
  await driver.send([event('l', 1_000, 1)])
  await driver.send([event('r', 1_000, 2), event('r', 1_050, 3)])
  await driver.commit()
  expect(valuesOf(driver, 'out')).toEqual([{ left: 1, n: 1 }])
  await driver.restart('changelog')
  // Its window gave its row.
  await driver.send([event('r', 1_001, 4)])
  await driver.commit()
  expect(driver.counts.late).toBe(1)
  await driver.end(['r'])
  await driver.commit()
  await driver.restart('changelog')
  await driver.send([event('r', 1_060, 5)])
  expect(driver.counts.late).toBe(2)
  await driver.dispose()
})
