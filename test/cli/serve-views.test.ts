// Topics that views wait for, and the memory of views that are served alone. Holds SPEC: PUSH-22, MEMORY-1.
import { expect, test } from 'vitest'
import { servingLine } from '../../src/cli/commands/serve.ts'
import { untilThere } from '../../src/cli/serve-views.ts'
import { topicViewOf } from '../../src/cli/view-argument.ts'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { loadConfig } from '../../src/ops/config.ts'
import { VirtualTime } from '../../src/testing/virtual-time.ts'

const MIB = 1 << 20

function waiting(waitMs: number) {
  const kafka = createMemoryKafka({ topics: { here: 1 } })
  const time = new VirtualTime(0)
  const stop = new AbortController()
  const told: string[][] = []
  const times = { waitMs, callMs: 1_000, clock: time, scheduler: time, stopping: stop.signal }
  const done = untilThere(kafka, ['here', 'a', 'b'], times, (missing) => void told.push([...missing]))
  done.catch(() => {})
  return { kafka, time, stop, told, done }
}

test('topics that are missing are waited for, and told when they change', async () => {
  const { kafka, time, told, done } = waiting(10_000)
  const admin = await kafka.openAdmin()
  await time.pass(2_000)
  await admin.create([{ name: 'a', partitionCount: 1, replicationFactor: 1, config: {} }], 1_000)
  await time.pass(2_000)
  await admin.create([{ name: 'b', partitionCount: 1, replicationFactor: 1, config: {} }], 1_000)
  await time.pass(2_000)
  await done
  expect(told).toEqual([['a', 'b'], ['b']])
})

test('after the time they are an error, and a stop ends the wait', async () => {
  const late = waiting(3_000)
  await late.time.pass(4_000)
  await expect(late.done).rejects.toMatchObject({ code: 'MR4002', details: { topic: 'a and no topic b' } })
  const stopped = waiting(1e9)
  await stopped.time.pass(1_000)
  stopped.stop.abort()
  await stopped.time.pass(1_000)
  await stopped.done
})

test('a view on the command line is name=topic, with a format where it is not JSON', () => {
  expect(topicViewOf('prices=market-prices')).toEqual({ name: 'prices', topic: 'market-prices', format: 'json' })
  expect(topicViewOf('p.1=t_x:msgpack')).toEqual({ name: 'p.1', topic: 't_x', format: 'msgpack' })
  for (const text of ['prices', '=t', 'p=', 'p=t:xml', 'p/q=t', 'p=t u'])
    expect(() => topicViewOf(text), text).toThrow('MR3002')
})

test('views alone have the memory that lanes would take, and too little is refused', () => {
  const viewBytes = (memoryBytes: number, memoryOf: 'job' | 'views') =>
    loadConfig({ env: {}, memoryBytes, memoryOf, flags: { lanes: '2' } }).limits.viewBytesMax
  expect(viewBytes(1024 * MIB, 'views')).toBe(512 * MIB)
  expect(viewBytes(1024 * MIB, 'job')).toBeLessThan(256 * MIB)
  // Of 90 % of 512 MiB, 160 are the process's and 16 or less those of the fetcher.
  expect(viewBytes(512 * MIB, 'views')).toBeGreaterThan(270 * MIB)
  expect(viewBytes(512 * MIB, 'views')).toBeLessThan(300 * MIB)
  expect(() => viewBytes(150 * MIB, 'views')).toThrow('the views need at least')
})

test('the status line counts what came and went in the second', () => {
  const before = { clients: 1, subscriptions: 1, rowsRead: 100, rowsPushed: 10 }
  const now = { clients: 2, subscriptions: 3, rowsRead: 1_300, rowsPushed: 2_010 }
  expect(servingLine(before, now)).toBe('2 clients · 3 subscriptions · 1,200 rows/s read · 2,000 rows/s pushed')
})
