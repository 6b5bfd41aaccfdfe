// How a view is fed, on a real Kafka behind a wire that can be cut: quiet and whose job runs, behind an open transaction, cut off and back.
// Holds SPEC: PUSH-36.
import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import type { Kafka } from '../../src/kafka/port.ts'
import { openRdKafka } from '../../src/kafka/rdkafka/rdkafka.ts'
import { createLog } from '../../src/ops/log.ts'
import { type PushServer, startPush } from '../../src/push/server.ts'
import { type Broker, freePort, startBroker } from '../harness/broker.ts'
import { startTcpProxy, type TcpProxy } from '../harness/tcp-proxy.ts'
import { Watcher } from '../push/push-fixture.ts'

const CALL_MS = 30_000
const WAIT = { timeout: 30_000 }
const LIMITS = { staleAfterMs: 1_000, behindAfterMs: 2_000 }

let proxy: TcpProxy
let broker: Broker
let kafka: Kafka
let topic: string
let push: PushServer
let watcher: Watcher

beforeAll(async () => {
  const port = await freePort()
  proxy = await startTcpProxy(() => port)
  const brokers = `127.0.0.1:${proxy.port}`
  broker = await startBroker({ port, settings: { 'advertised.listeners': `PLAINTEXT://${brokers}` } })
  kafka = openRdKafka({ brokers })
})
afterAll(async () => {
  await proxy.close()
  await broker.stop()
})
beforeEach(async () => {
  topic = `feed-${randomUUID()}`
  const admin = await kafka.openAdmin()
  await admin.create([{ name: topic, partitionCount: 2, replicationFactor: 1, config: {} }], CALL_MS)
  await admin.close()
  const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
  push = await startPush({ kafka, views: [{ name: 'v', topic, group: topic }], port: 0, log, limits: LIMITS })
  watcher = new Watcher(`ws://127.0.0.1:${push.port}`, 'v')
  await expect.poll(() => watcher.isLoaded, WAIT).toBe(true)
})
afterEach(async () => {
  proxy.forward()
  watcher.socket.close()
  await push.close()
})

/** State and job, as told last. */
function told(): string | undefined {
  const feed = watcher.messages.findLast((message) => message.type === 'feed')
  return feed && [feed.state, feed.job].filter((one) => one !== undefined).join(' ')
}

function rows(n: number): ArrayBuffer {
  const writer = new FrameWriter()
  for (let i = 0; i < n; i++) writer.append(0, i % 2, Date.now(), Buffer.from(`K${i}`), Buffer.from(`{"i":${i}}`))
  return writer.take()!
}

test('a silent view is quiet, and whether its job runs is what the group says; one behind an open transaction is behind', async () => {
  await expect.poll(told, WAIT).toBe('quiet absent')
  const producer = await kafka.openProducer({ transactionalId: topic })
  await producer.initTransactions(CALL_MS)
  await producer.begin()
  await producer.produce(rows(6), [topic])
  await producer.flush(CALL_MS)
  await expect.poll(told, WAIT).toBe('behind absent')
  expect(watcher.rows).toEqual([])
  await producer.commit(CALL_MS)
  await expect.poll(() => watcher.rows.length, WAIT).toBe(6)
  await expect.poll(told, WAIT).toBe('quiet absent')
  const listener = { onAssign: () => {}, onRevoke: () => {} }
  const member = await kafka.openConsumer({ groupId: topic, instanceId: '', topics: [topic], listener })
  const joined = async (): Promise<string | undefined> => {
    await member.poll({ recordsMax: 1, bytesMax: 1_000, waitMs: 50 })
    return told()
  }
  await expect.poll(joined, WAIT).toBe('quiet running')
  await member.close()
  await producer.close()
})

test('a server that Kafka does not answer says that it is cut off, and goes on where it was when it answers again', async () => {
  proxy.swallow()
  await expect.poll(told, WAIT).toBe('cut')
  proxy.forward()
  await expect.poll(told, WAIT).toMatch(/^quiet/)
  const producer = await kafka.openProducer({})
  await producer.produce(rows(2), [topic])
  await producer.flush(CALL_MS)
  await expect.poll(() => watcher.rows.length, WAIT).toBe(2)
  expect(watcher.messages.findLast((message) => message.type === 'feed')).toMatchObject({ state: 'live' })
  await producer.close()
})
