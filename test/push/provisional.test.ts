// Rows before their commit: a job on memory-kafka and the push server of its process, to clients over real sockets. Holds SPEC: PROV-1,
// PROV-2, PROV-3, PROV-4.
import { count, job, json, kafka as topic } from 'millrace'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import type { Lanes } from '../../src/engine/lanes.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import { createMemoryKafka, type MemoryKafka } from '../../src/kafka/memory-kafka/memory-kafka.ts'
import { KafkaError } from '../../src/kafka/port.ts'
import { MSGPACK_PROTOCOL, type ServerMessage, type Subscribe, type WireRow } from '../../src/protocol/messages.ts'
import { ProvisionalHub } from '../../src/push/provisional-hub.ts'
import type { PushOptions } from '../../src/push/server.ts'
import { lanesOf, type MemoryJob, type MemoryJobOptions, startMemoryJob } from '../harness/memory-job.ts'
import { eventually, type Rig, startRig, Watcher } from './push-fixture.ts'

const VIEW_TOPIC = 'counts-view-counts'
const PARTITIONS = 2
const counts = job('counts')
  .from(topic('trades', { value: json<{ sym: string }>(), key: 'sym' }))
  .keyBy('sym')
  .aggregate({ n: count() })
  .toView('counts', { value: json(), provisional: true })
  .build()
const TOPIC_INDEX = planTopics(counts.plan).names.indexOf(VIEW_TOPIC)

let kafka: MemoryKafka
let gate: { open(): void; passed: Promise<void> } | undefined
let jobs: MemoryJob[]
let rigs: Rig[]
let watchers: Watcher[]

beforeEach(() => {
  kafka = createMemoryKafka({ topics: { trades: PARTITIONS, [VIEW_TOPIC]: PARTITIONS } })
  jobs = []
  rigs = []
  watchers = []
  gate = undefined
})

afterEach(async () => {
  gate?.open()
  kafka.faults.before = undefined
  for (const watcher of watchers) watcher.socket.close()
  for (const { engine } of jobs) engine.stop()
  await Promise.allSettled(jobs.map(({ done }) => done))
  for (const { push } of rigs) await push.close()
})

/** A process: a job with its push server. */
async function start(
  jobOptions: Partial<MemoryJobOptions> = {},
  pushOptions: Partial<PushOptions> = {},
): Promise<{ job: MemoryJob; rig: Rig }> {
  const hub = new ProvisionalHub(new Map([[TOPIC_INDEX, VIEW_TOPIC]]))
  const views = [{ name: 'counts', topic: VIEW_TOPIC }]
  const rig = await startRig({ views, provisional: hub, ...pushOptions }, PARTITIONS, kafka)
  rigs.push(rig)
  const started = await startMemoryJob({ kafka, job: counts, untilEnd: false, provisional: hub, ...jobOptions })
  jobs.push(started)
  await eventually(() => started.engine.isRunning && rig.push.isReady())
  return { job: started, rig }
}

async function watch({ wsUrl }: Rig, more: Partial<Subscribe> = {}, headers = {}): Promise<Watcher> {
  const watcher = new Watcher(wsUrl, 'counts', { provisional: true, ...more }, headers)
  watchers.push(watcher)
  await watcher.until(() => watcher.isLoaded)
  return watcher
}

function trade(sym: string): void {
  kafka.append('trades', { key: sym, value: JSON.stringify({ sym }) })
}

/** Commits of instances wait from now on, until the gate opens. */
function holdCommits(): void {
  let open = (): void => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  gate = { open, passed }
  kafka.faults.before = async ({ call }) => {
    if (call === 'commit') await passed
    return undefined
  }
}

function fault(name: string): KafkaError {
  const flags = { isFatal: false, isRetriable: false, requiresAbort: true }
  return new KafkaError({ code: -1, name, message: 'injected', ...flags })
}

/** What was told of a key, in order: its `n`, `~` before one that is not committed. */
function story(watcher: Watcher, key: string): string[] {
  return watcher.rows.filter((row) => row.key === key).map((row) => `${row.isProvisional ? '~' : ''}${numberOf(row)}`)
}

function numberOf({ row }: WireRow): string {
  return row === null ? 'none' : String((row as { n: number }).n)
}

function tells(watcher: Watcher, key: string, last: string): Promise<void> {
  return watcher.until(() => story(watcher, key).at(-1) === last)
}

/** It was told `before`, and later `after` in its place. */
function takenBack(watcher: Watcher, key: string, before: string, after: string): Promise<void> {
  return watcher.until(() => {
    const told = story(watcher, key)
    const at = told.indexOf(before)
    return at >= 0 && told.indexOf(after, at) > at
  })
}

/** Positions of all messages with rows of a key that are not committed. */
function provisionalUpdates({ messages }: Watcher): (ServerMessage & { type: 'update' })[] {
  return messages.filter(
    (message): message is ServerMessage & { type: 'update' } =>
      message.type === 'update' && message.rows.some((row) => row.isProvisional),
  )
}

describe('a row before its commit', () => {
  it.each([{}, { 'sec-websocket-protocol': MSGPACK_PROTOCOL }])(
    'is told to those who ask, marked, and once more when it is committed (%o)',
    async (headers) => {
      const { rig } = await start()
      const watcher = await watch(rig, {}, headers)
      const other = await watch(rig, { provisional: false })
      holdCommits()
      trade('A')
      await tells(watcher, 'A', '~1')
      expect(kafka.log(VIEW_TOPIC, 0).concat(kafka.log(VIEW_TOPIC, 1))).toEqual([])
      trade('A')
      await tells(watcher, 'A', '~2')
      const [first, second] = watcher.rows
      expect(first).toMatchObject({ key: 'A', offset: -1, isProvisional: true, row: { sym: 'A', n: 1 } })
      expect(second!.rev).toBeGreaterThan(first!.rev!)
      expect(second!.attempt).toBe(first!.attempt)
      expect(story(other, 'A')).toEqual([])
      expect(await (await fetch(`${rig.push.urls.views}/counts`)).json()).toMatchObject({ rows: [] })
      gate!.open()
      await tells(watcher, 'A', '2')
      await tells(other, 'A', '2')
      const last = watcher.rows.at(-1)!
      expect(last).toEqual(other.rows.at(-1))
      expect(last.partition).toBe(first!.partition)
    },
  )

  it('moves no position: one who goes on at what it was told gets the committed rows', async () => {
    const { rig } = await start()
    const watcher = await watch(rig)
    const { position } = watcher
    holdCommits()
    trade('A')
    await tells(watcher, 'A', '~1')
    for (const update of provisionalUpdates(watcher))
      expect([update.prev, update.position]).toEqual([position, position])
    watcher.socket.close()
    gate!.open()
    const resumed = new Watcher(rig.wsUrl, 'counts', { resume: watcher.position })
    watchers.push(resumed)
    await tells(resumed, 'A', '1')
    expect(resumed.messages[0]).toMatchObject({ type: 'update', prev: position })
  })

  it('is no event with an id over SSE', async () => {
    const { rig } = await start()
    holdCommits()
    trade('A')
    const stream = await fetch(`http://127.0.0.1:${rig.push.port}/events/counts?provisional=true`)
    const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    let count = 1
    const readTo = async (part: string): Promise<void> => {
      while (!text.includes(part)) {
        // Rows that were given before anybody asked are not shown.
        if (!text.includes('isProvisional') && text.includes('snapshot') && count++ < 50) trade('A')
        text += (await reader.read()).value ?? ''
      }
    }
    await readTo('"isProvisional":true')
    const events = text.split('\n\n').filter((event) => event.includes('isProvisional'))
    expect(events.every((event) => !event.startsWith('id:'))).toBe(true)
    await reader.cancel()
  })

  it('is selected as others are', async () => {
    const { rig } = await start()
    const keyed = await watch(rig, { key: 'B' })
    const where = await watch(rig, { where: { n: { lt: 2 } } })
    const fields = await watch(rig, { fields: ['sym'], minGapMs: 1 })
    holdCommits()
    for (const sym of ['A', 'B', 'B']) trade(sym)
    await tells(keyed, 'B', '~2')
    // Its second row is not selected: what it shows of the key is told as gone.
    await tells(where, 'A', '~1')
    await where.until(() => ['none', undefined].includes(story(where, 'B').at(-1)?.slice(1)))
    await fields.until(() => fields.rows.some((row) => row.key === 'B'))
    expect(fields.rows.every((row) => Object.keys(row.row as object).join() === 'sym')).toBe(true)
    expect(keyed.rows.every(({ key }) => key === 'B')).toBe(true)
    gate!.open()
    await tells(keyed, 'B', '2')
    await tells(where, 'A', '1')
  })

  it('is not kept for further keys beyond the limit; they are shown when they are committed', async () => {
    const { rig } = await start({}, { limits: { provisionalRowsMax: 1 } })
    const watcher = await watch(rig)
    holdCommits()
    trade('A')
    await tells(watcher, 'A', '~1')
    trade('B')
    trade('A')
    await tells(watcher, 'A', '~2')
    gate!.open()
    await tells(watcher, 'B', '1')
    await tells(watcher, 'A', '2')
    expect(story(watcher, 'B')).not.toContain('~1')
    expect(rig.metrics.text()).toMatch(/millrace_push_provisional_total\{outcome="left_out",view="counts"\} [1-9]/)
  })
})

describe('a row that is not committed is taken back', () => {
  async function committedOne(more: Partial<MemoryJobOptions> = {}): Promise<{ job: MemoryJob; watcher: Watcher }> {
    const { job: started, rig } = await start(more)
    const watcher = await watch(rig)
    trade('A')
    await tells(watcher, 'A', '1')
    return { job: started, watcher }
  }

  it('when its transaction is aborted: the committed row again, none for a key that had none', async () => {
    const { watcher } = await committedOne()
    let initCount = 0
    holdCommits()
    const { passed } = gate!
    kafka.faults.before = async ({ call }) => {
      if (call === 'initTransactions' && initCount++ === 0) await passed
      if (call === 'commit' && initCount === 0) {
        await bothTold
        throw fault('_TIMED_OUT')
      }
      return undefined
    }
    const bothTold = watcher.until(() => ['~2', '~1'].every((n, i) => story(watcher, 'AB'[i]!).includes(n)))
    trade('A')
    trade('B')
    await bothTold
    await takenBack(watcher, 'A', '~2', '1')
    await takenBack(watcher, 'B', '~1', 'none')
    gate!.open()
    await tells(watcher, 'A', '2')
    await tells(watcher, 'B', '1')
    const attempts = watcher.rows.flatMap(({ attempt }) => (attempt === undefined ? [] : [attempt]))
    expect([...attempts].sort()).toEqual(attempts)
  })

  it('at once when a lane dies, though the commit is still out', async () => {
    let isDead = false
    const dying = (lanes: Lanes): Lanes => ({
      ...lanes,
      send: (lane, request) =>
        isDead && request.op === 'frame'
          ? Promise.reject(new MillraceError('MR6004', { lane, reason: 'it died' }))
          : lanes.send(lane, request),
    })
    const { watcher } = await committedOne({ makeLanes: (setups) => dying(lanesOf(counts, setups)) })
    holdCommits()
    trade('A')
    await tells(watcher, 'A', '~2')
    isDead = true
    trade('A')
    await takenBack(watcher, 'A', '~2', '1')
    await watcher.until(() => watcher.messages.some((m) => m.type === 'feed' && m.provisional === false))
    isDead = false
    gate!.open()
    await tells(watcher, 'A', '3')
  })

  it('when the partitions are lost to the group', async () => {
    const { watcher } = await committedOne()
    holdCommits()
    trade('A')
    await tells(watcher, 'A', '~2')
    kafka.expireSession('counts', 'one')
    await takenBack(watcher, 'A', '~2', '1')
    gate!.open()
    await tells(watcher, 'A', '2')
  })

  it('when somebody else ended the transaction: a zombie shows nothing of its own for long', async () => {
    const { watcher } = await committedOne()
    holdCommits()
    trade('A')
    await tells(watcher, 'A', '~2')
    const taker = await kafka.openProducer({ transactionalId: 'counts-one' })
    await taker.initTransactions(1_000)
    await taker.close()
    gate!.open()
    await takenBack(watcher, 'A', '~2', '1')
    await tells(watcher, 'A', '2')
  })

  it('when the job ends', async () => {
    const { watcher, job: started } = await committedOne()
    holdCommits()
    const { passed } = gate!
    kafka.faults.before = async ({ call }) => {
      if (call !== 'commit') return undefined
      await passed
      throw fault('TOPIC_AUTHORIZATION_FAILED')
    }
    trade('A')
    await tells(watcher, 'A', '~2')
    gate!.open()
    await expect(started.done).rejects.toThrow()
    await takenBack(watcher, 'A', '~2', '1')
  })

  it('not when a rebalance moves its partition: it is committed first, and its new owner goes on', async () => {
    const { watcher } = await committedOne()
    const second = await start({ instanceId: 'two' })
    const there = await watch(second.rig)
    for (let i = 0; i < 20; i++) for (const sym of ['A', 'B', 'C']) trade(sym)
    for (const one of [watcher, there]) {
      await tells(one, 'A', '21')
      for (const sym of ['B', 'C']) await tells(one, sym, '20')
    }
    jobs[1]!.engine.stop()
    await jobs[1]!.done
    for (const sym of ['A', 'B', 'C']) trade(sym)
    await tells(watcher, 'A', '22')
    await tells(there, 'A', '22')
    for (const one of [watcher, there]) {
      // What is committed never goes back.
      const committed = story(one, 'A').filter((n) => !n.startsWith('~'))
      expect(committed.map(Number)).toEqual([...committed.map(Number)].sort((a, b) => a - b))
    }
  })
})

describe('of a view with history', () => {
  const past = job('counts')
    .from(topic('trades', { value: json<{ sym: string }>(), key: 'sym' }))
    .keyBy('sym')
    .aggregate({ n: count() })
    .toView('counts', { value: json(), history: true, provisional: true })
    .build()

  it.each([{}, { 'sec-websocket-protocol': MSGPACK_PROTOCOL }])(
    'each row by time has them, told to those who follow the history of its key (%o)',
    async (headers) => {
      const views = [{ name: 'counts', topic: VIEW_TOPIC, history: true }]
      const { rig } = await start({ job: past }, { views })
      kafka.append('trades', { key: 'A', value: '{"sym":"A"}', timestampMs: 1_000 })
      const follower = await watch(rig, { key: 'A', history: 5 }, headers)
      const newest = await watch(rig, {}, headers)
      expect(follower.messages[0]).toMatchObject({ type: 'feed', provisional: true })
      expect(newest.messages[0]).toMatchObject({ type: 'feed', provisional: false })
      await tells(follower, 'A', '1')
      holdCommits()
      const from = follower.rows.length
      for (const [i, sym] of ['A', 'B', 'A'].entries()) {
        kafka.append('trades', { key: sym, value: JSON.stringify({ sym }), timestampMs: 2_000 + i })
        if (sym === 'A') await tells(follower, 'A', `~${2 + i / 2}`)
      }
      const early = follower.rows.slice(from).filter(({ isProvisional }) => isProvisional)
      expect(early.map(({ key, timeMs, row, offset }) => [key, timeMs, (row as { n: number }).n, offset])).toEqual([
        ['A', 2_000, 2, -1],
        ['A', 2_002, 3, -1],
      ])
      expect(story(newest, 'A')).toEqual(['1'])
      gate!.open()
      await tells(newest, 'B', '1')
      await tells(newest, 'A', '3')
      await follower.until(() => story(follower, 'A').slice(-2).join() === '2,3')
      expect(
        story(newest, 'A')
          .concat(story(newest, 'B'))
          .filter((n) => n.startsWith('~')),
      ).toEqual([])
    },
  )
})

describe('who gives them', () => {
  it('is said to those who ask: a server without a job has committed rows alone', async () => {
    const { rig } = await start()
    const views = [{ name: 'counts', topic: VIEW_TOPIC }]
    const serving = await startRig({ views }, PARTITIONS, kafka)
    rigs.push(serving)
    const [mine, other] = [await watch(rig), await watch(serving)]
    const plain = await watch(rig, { provisional: undefined as never })
    expect(mine.messages[0]).toMatchObject({ type: 'feed', state: 'live', provisional: true })
    expect(other.messages[0]).toMatchObject({ type: 'feed', state: 'live', provisional: false })
    expect(plain.messages[0]).toMatchObject({ type: 'snapshot' })
    holdCommits()
    trade('A')
    await tells(mine, 'A', '~1')
    expect(story(other, 'A')).toEqual([])
    gate!.open()
    await tells(other, 'A', '1')
  })

  it('looks at no row while nobody asks', async () => {
    const { rig } = await start()
    const watcher = await watch(rig, { provisional: false })
    for (let i = 0; i < 50; i++) trade('A')
    await tells(watcher, 'A', '50')
    expect(rig.metrics.text()).not.toContain('millrace_push_provisional_total{')
  })
})
