// How a view is fed, told to clients over real sockets while the clock is moved by hand. Holds SPEC: PUSH-36.
import { afterEach, describe, expect, it } from 'vitest'
import { FrameWriter } from '../../src/core/frame.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { MSGPACK_PROTOCOL, type ServerMessage, type Subscribe } from '../../src/protocol/messages.ts'
import type { PushLimits } from '../../src/push/limits.ts'
import type { ServedView } from '../../src/push/view-feed.ts'
import { VirtualTime } from '../../src/testing/virtual-time.ts'
import { eventually, type Rig, startRig, TOPIC, Watcher } from './push-fixture.ts'

const START_MS = Date.UTC(2026, 0, 5, 9)
const LIMITS: Partial<PushLimits> = { staleAfterMs: 30_000, behindAfterMs: 10_000 }
const VIEWS: ServedView[] = [
  { name: 'candles', topic: TOPIC, group: 'job' },
  { name: 'past', topic: TOPIC, group: 'job', history: true },
]

let time: VirtualTime
let kafka: MemoryKafka
let rig: Rig | undefined
let watchers: Watcher[] = []

afterEach(async () => {
  kafka.faults.before = undefined
  for (const watcher of watchers) watcher.socket.close()
  watchers = []
  const closing = rig?.push.close()
  await time.pass(5_000)
  await closing
  rig = undefined
})

async function start(limits: Partial<PushLimits> = {}): Promise<void> {
  time = new VirtualTime(START_MS)
  kafka = createMemoryKafka({ topics: { [TOPIC]: 2 }, clock: time, scheduler: time })
  rig = await startRig(
    { clock: time, scheduler: time, limits: { ...LIMITS, ...limits }, views: VIEWS, callMs: 1_000 },
    2,
    kafka,
  )
  await time.until(() => rig!.push.isReady(), 10_000)
}

async function watch(headers: Record<string, string> = {}, more: Partial<Subscribe> = {}): Promise<Watcher> {
  const watcher = new Watcher(rig!.wsUrl, more.history === undefined ? 'candles' : 'past', more, headers)
  watchers.push(watcher)
  await watcher.until(() => watcher.isLoaded)
  return watcher
}

type FeedMessage = ServerMessage & { type: 'feed' }

function feeds({ messages }: Watcher): FeedMessage[] {
  return messages.filter((message) => message.type === 'feed')
}

function states(watcher: Watcher): string[] {
  return feeds(watcher).map(({ state, job }) => (job === undefined ? state : `${state} ${job}`))
}

/** Until a watcher has it; time goes on a little meanwhile, since what is sent to many has a rest behind it. */
async function until(watcher: Watcher, isMet: () => boolean): Promise<void> {
  await eventually(async () => {
    await time.pass(1)
    return isMet()
  })
  await watcher.until(isMet)
}

async function put(close: number, timestampMs = time.wallMs()): Promise<void> {
  kafka.append(TOPIC, { key: 'A', value: JSON.stringify({ close }), timestampMs })
  await time.settle()
}

function noBroker(): KafkaError {
  const failure = { code: -195, name: '_TRANSPORT', message: 'injected', isFatal: false, isRetriable: true }
  return new KafkaError({ ...failure, requiresAbort: false })
}

async function listed(): Promise<{ feed: { state: string; sinceMs: number; lagRecords: number; lagMs: number } }> {
  const answer = await fetch(`${rig!.push.urls.views}`)
  return ((await answer.json()) as { views: never[] }).views[0]!
}

describe('a quiet view', () => {
  it('is told as such once it is silent for long enough, with the time of its last record, and as live with the next row', async () => {
    await start()
    const watcher = await watch()
    await put(1)
    await time.pass(29_000)
    await until(watcher, () => watcher.latest('A') !== undefined)
    expect(feeds(watcher)).toEqual([])
    await time.pass(3_000)
    await until(watcher, () => feeds(watcher).length === 1)
    expect(feeds(watcher)[0]).toEqual({
      ...{ type: 'feed', id: 1, state: 'quiet', sinceMs: START_MS, lagRecords: 0, job: 'absent' },
      lagMs: expect.any(Number),
    })
    await put(2)
    await until(watcher, () => states(watcher).at(-1) === 'live' && watcher.rows.length === 2)
    expect(states(watcher)).toEqual(['quiet absent', 'live'])
  })

  it('is told to one who comes later, before the rows; one who comes to a live view is told nothing', async () => {
    await start()
    await put(1)
    const first = await watch()
    expect(feeds(first)).toEqual([])
    await time.pass(32_000)
    const packed = await watch({ 'sec-websocket-protocol': MSGPACK_PROTOCOL })
    expect(packed.messages.map(({ type }) => type)).toEqual(['feed', 'snapshot'])
    expect(states(packed)).toEqual(states(first))
  })

  it('says whether the job that writes it runs, by the members of its group', async () => {
    await start()
    const watcher = await watch()
    const listener = { onAssign: () => {}, onRevoke: () => {} }
    const member = await kafka.openConsumer({ groupId: 'job', instanceId: '', topics: [TOPIC], listener })
    await time.pass(32_000)
    await until(watcher, () => states(watcher).at(-1) === 'quiet running')
    await member.close()
    await time.pass(31_000)
    await until(watcher, () => states(watcher).at(-1) === 'quiet absent')
  })

  it('does not guess where the group may not be asked', async () => {
    await start()
    kafka.faults.before = ({ call }) => {
      if (call === 'groupMembers') throw noBroker()
      return undefined
    }
    const watcher = await watch()
    await time.pass(32_000)
    await until(watcher, () => feeds(watcher).length > 0)
    expect(states(watcher)).toEqual(['quiet'])
  })
})

describe('a view that is behind', () => {
  it('is one whose records are there and may not be read: a transaction hangs', async () => {
    await start({ staleAfterMs: 2_000, behindAfterMs: 3_000 })
    await put(1)
    const watcher = await watch()
    const producer = await kafka.openProducer({ transactionalId: 'hangs' })
    await producer.initTransactions(1_000)
    await producer.begin()
    await producer.produce(oneRow(), [TOPIC])
    await time.pass(3_100)
    // At first it is only known to be silent; the open records are seen when Kafka is asked, and have to stay for a while.
    await until(watcher, () => states(watcher).at(-1) === 'quiet absent')
    await time.pass(3_000)
    await until(watcher, () => states(watcher).at(-1)?.startsWith('behind') === true)
    expect(feeds(watcher).at(-1)!.lagRecords).toBeGreaterThan(0)
    expect((await listed()).feed).toMatchObject({ state: 'behind', lagMs: expect.any(Number) })
    await producer.commit(1_000)
    await time.settle()
    await until(watcher, () => states(watcher).at(-1) === 'live' && watcher.rows.some(({ key }) => key === 'Z'))
    await producer.close()
  })

  it('is one whose newest row is too old, where that is asked for', async () => {
    await start({ rowLagMsMax: 5_000 })
    const watcher = await watch()
    for (let i = 0; i < 4; i++) {
      await put(i, START_MS - 60_000)
      await time.pass(1_000)
    }
    await until(watcher, () => states(watcher).at(-1) === 'behind absent')
    expect(feeds(watcher).at(-1)!.lagMs).toBeGreaterThanOrEqual(60_000)
    await put(9)
    await until(watcher, () => states(watcher).at(-1) === 'live')
  })
})

describe('a view that is cut off', () => {
  it('is told at once when Kafka cannot be read, and as live when it answers again', async () => {
    await start()
    await put(1)
    const watcher = await watch()
    let isDown = true
    kafka.faults.before = ({ call }) => {
      if (isDown && (call === 'poll' || call === 'watermarks')) throw noBroker()
      return undefined
    }
    // The poll that is out comes back first.
    await time.pass(2_000)
    await until(watcher, () => states(watcher).at(-1) === 'cut')
    await time.pass(10_000)
    expect(states(watcher)).toEqual(['cut'])
    expect(rig!.metrics.text()).toContain('millrace_push_feed{state="cut",view="candles"} 1')
    isDown = false
    await time.pass(4_000)
    await until(watcher, () => states(watcher).at(-1) === 'live')
    expect(rig!.metrics.text()).toContain('millrace_push_feed{state="cut",view="candles"} 0')
  })
})

it('those who follow a history are told too', async () => {
  await start()
  const watcher = await watch({}, { key: 'A', history: 10 })
  await time.pass(33_000)
  await until(watcher, () => states(watcher).at(-1) === 'quiet absent')
  kafka.append(TOPIC, { key: 'A:1', value: '{"close":1}', timestampMs: time.wallMs() })
  await time.settle()
  await until(watcher, () => states(watcher).at(-1) === 'live')
})

it('is cut off too where a question does not come back, and quiet when it does', async () => {
  await start()
  const watcher = await watch()
  let answer = (): void => {}
  const answered = new Promise<undefined>((resolve) => {
    answer = () => resolve(undefined)
  })
  kafka.faults.before = ({ call }) => (call === 'watermarks' ? answered : undefined)
  await time.pass(35_000)
  await until(watcher, () => states(watcher).at(-1) === 'cut')
  answer()
  await until(watcher, () => states(watcher).at(-1) === 'quiet absent')
  expect(states(watcher)).toEqual(['cut', 'quiet absent'])
})

it('GET /views and SSE say the same', async () => {
  await start()
  await put(1)
  await time.pass(33_000)
  await eventually(async () => (await listed()).feed.state === 'quiet')
  expect((await listed()).feed).toMatchObject({ sinceMs: START_MS, lagRecords: 0, job: 'absent' })
  const stream = await fetch(`http://127.0.0.1:${rig!.push.port}/events/candles`)
  const reader = stream.body!.getReader()
  const first = new TextDecoder().decode((await reader.read()).value)
  expect(first).toMatch(/^data: \{"type":"feed","id":0,"state":"quiet"/)
  await reader.cancel()
})

function oneRow(): ArrayBuffer {
  const writer = new FrameWriter()
  writer.append(0, -1, time.wallMs(), Buffer.from('Z'), Buffer.from('{"close":7}'))
  return writer.take()!
}
