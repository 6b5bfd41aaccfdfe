// A view that is still being read at the start. Holds SPEC: PUSH-11.
import { expect, test } from 'vitest'
import { createMemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { createLog } from '../../src/ops/log.ts'
import { systemClock } from '../../src/ops/system-clock.ts'
import { startPush } from '../../src/push/server.ts'
import { TOPIC, Watcher } from './push-fixture.ts'

test('a client that comes while the view is being read gets nothing until it is read to its end', async () => {
  const kafka = createMemoryKafka({ topics: { [TOPIC]: 1 } })
  for (let i = 0; i < 40; i++) kafka.append(TOPIC, { key: `K${i % 4}`, value: JSON.stringify({ close: i }) })
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  let polls = 0
  kafka.faults.before = async ({ call }) => {
    // Ten records a poll: the view stands in the middle of its topic now.
    if (call === 'poll' && ++polls > 2) await gate
    return undefined
  }
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  const views = [{ name: 'candles', topic: TOPIC }]
  const push = await startPush({ kafka, views, port: 0, log, limits: { pollRecordsMax: 10, pingMs: 1 } })
  const watcher = new Watcher(`ws://127.0.0.1:${push.port}`, 'candles')
  try {
    // A ping comes after whatever the server had to say at first.
    await watcher.until(() => polls > 2 && watcher.messages.some(({ type }) => type === 'ping'))
    expect(push.isReady()).toBe(false)
    expect(watcher.messages.filter(({ type }) => type !== 'ping')).toEqual([])
    release()
    await watcher.until(() => watcher.isLoaded)
    expect(push.isReady()).toBe(true)
    expect(watcher.rows.map(({ key, row }) => [key, row]).sort()).toEqual(
      [36, 37, 38, 39].map((i) => [`K${i % 4}`, { close: i }]),
    )
  } finally {
    release()
    watcher.socket.close()
    await push.close()
  }
})

function notLeader(): KafkaError {
  const failure = { code: 6, name: 'NOT_LEADER_FOR_PARTITION', message: 'injected', isFatal: false, isRetriable: false }
  return new KafkaError({ ...failure, requiresAbort: false })
}

test('a view whose topic was made a moment ago waits for its leader, but not longer than for one call', async () => {
  const kafka = createMemoryKafka({ topics: { [TOPIC]: 1 } })
  kafka.append(TOPIC, { key: 'K', value: JSON.stringify({ close: 1 }) })
  let asked = 0
  kafka.faults.before = ({ call }) => {
    if (call === 'watermarks' && ++asked < 3) throw notLeader()
    return undefined
  }
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  const options = { kafka, views: [{ name: 'candles', topic: TOPIC }], port: 0, log, callMs: 200 }
  const push = await startPush(options)
  await push.close()
  expect(asked).toBe(3)
  kafka.faults.before = ({ call }) => {
    if (call === 'watermarks') throw notLeader()
    return undefined
  }
  await expect(startPush(options)).rejects.toMatchObject({ failure: { name: 'NOT_LEADER_FOR_PARTITION' } })
})

test('a view whose topic never rests is served once it was read to an end that was seen not long ago', async () => {
  const kafka = createMemoryKafka({ topics: { [TOPIC]: 1 } })
  const append = (i: number): unknown => kafka.append(TOPIC, { key: 'K', value: JSON.stringify({ close: i }) })
  for (let i = 0; i < 10; i++) append(i)
  let count = 10
  let skippedMs = 0
  const waiting: (() => void)[] = []
  kafka.faults.before = async ({ call }) => {
    if (call !== 'poll') return undefined
    // As much comes as is read: the reader is never at the end.
    append(count++)
    await new Promise<void>((resolve) => waiting.push(resolve))
    return undefined
  }
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs }
  const limits = { pollRecordsMax: 1, behindAfterMs: 600_000 }
  const push = await startPush({ kafka, views: [{ name: 'candles', topic: TOPIC }], port: 0, log, clock, limits })
  const readOne = async (): Promise<void> => {
    await expect.poll(() => waiting.length).toBe(1)
    waiting.pop()!()
    await expect.poll(() => waiting.length).toBe(1)
  }
  try {
    for (let i = 0; i < 5; i++) await readOne()
    // The end of the start is old when it is reached.
    skippedMs = 600_000
    for (let i = 5; i < 10; i++) await readOne()
    expect(push.isReady()).toBe(false)
    // That of now is the next one; the record that waits for its poll came since.
    const end = count
    for (let i = 10; !push.isReady(); i++) {
      expect(i).toBeLessThan(end)
      await readOne()
    }
    const watcher = new Watcher(`ws://127.0.0.1:${push.port}`, 'candles')
    await watcher.until(() => watcher.isLoaded)
    expect(watcher.rows.map(({ row }) => row)).toEqual([{ close: end - 2 }])
    watcher.socket.close()
  } finally {
    kafka.faults.before = undefined
    for (const go of waiting) go()
    await push.close()
  }
})
