// What a lane answers: positions, attempts, idle, restores of another plan, sizes, and the same on a real worker thread.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Piscina } from 'piscina'
import { describe, expect, test } from 'vitest'
import { CARRIED_IDLE, CARRIED_MARKER, CarriedPrefix } from '../../src/core/carried.ts'
import { sinkRecords } from '../../src/core/frame.ts'
import type { LaneAnswer, LaneRequest, LaneSetup } from '../../src/core/message.ts'
import { count, job, kafka, last, msgpack, sum, tumbling } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { planHash } from '../../src/job/plan-hash.ts'
import { planTopics } from '../../src/job/plan-topics.ts'
import { Lane } from '../../src/lane/lane.ts'
import { type InputRecord, LaneDriver, LIMITS, sourceFrame } from './lane-driver.ts'

interface Order {
  user: string
  amount: number
  ts: number
}

const source = kafka('orders', {
  value: msgpack<Order>(),
  key: 'user',
  eventTime: 'ts',
  outOfOrder: '5ms',
  closeOnIdle: { maxDelay: '3ms' },
})
const order = (user: string, ts: number, amount: unknown = 1): InputRecord => ({
  key: user,
  value: { user, ts, amount },
  timestampMs: ts + 1_000,
})

function windowed(name = 'w'): CompiledJob {
  return job('j')
    .from(source)
    .keyBy('user')
    .window(name, tumbling('10ms'))
    .aggregate({ total: sum('amount') })
    .to(kafka('out'))
    .build()
}

async function opened(compiled: CompiledJob, options = {}): Promise<LaneDriver> {
  const driver = new LaneDriver(compiled, options)
  await driver.open()
  return driver
}

describe('a lane', () => {
  test('answers a frame with its offset, watermark, counts, bytes and samples, and gives the buffer back', async () => {
    const driver = await opened(windowed())
    const records = Array.from({ length: 100 }, (_, i) => order('A', i))
    const frame = sourceFrame(records, 0)
    const answer = await driver.ask({ op: 'frame', ...driver.request(), frame })
    expect(answer).toMatchObject({
      op: 'frame',
      taskId: '0_0',
      isDropped: false,
      frameBytes: frame.byteLength,
      inputOffset: 100,
      watermarkMs: 94,
      counts: { in: 100, accepted: 100, results: 9 },
      lastDead: undefined,
    })
    if (answer.op !== 'frame') throw new Error(answer.op)
    expect(answer.recycled).toBe(frame)
    expect(answer.sampleTimestampsMs).toHaveLength(16)
    expect(answer.sampleTimestampsMs[0]).toBe(1_000)
    expect(answer.sampleTimestampsMs.length * answer.sampleWeight).toBe(100)
    await driver.close()
  })

  test('seals what was touched: rows and one marker with the position, to the partition of the task', async () => {
    const compiled = windowed()
    const driver = await opened(compiled)
    await driver.send([order('A', 1), order('B', 2)])
    const sealed = await driver.ask({ op: 'seal', epoch: 7, attempt: 0 })
    if (sealed.op !== 'seal') throw new Error(sealed.op)
    const position = {
      taskId: '0_0',
      epoch: 7,
      instanceId: 'test',
      inputOffset: 2,
      watermarkMs: -3,
      eventTimeMsMax: 2,
      isEnded: false,
      source: compiled.plan.source.topic,
      planHash: planHash(compiled.plan),
      counts: { in: 2, expanded: 0, accepted: 2, late: 0, dead: 0, filtered: 0, refused: 0, results: 0 },
    }
    expect(sealed.tasks).toEqual([{ taskId: '0_0', partition: 3, position }])
    const rows = sinkRecords(sealed.out!)
    expect(rows).toHaveLength(3)
    expect(
      rows.every(
        ({ topicIndex, partition }) => topicIndex === planTopics(compiled.plan).changelogs[0] && partition === 3,
      ),
    ).toBe(true)
    // Nothing has happened since: nothing to seal.
    expect(await driver.ask({ op: 'seal', epoch: 8, attempt: 0 })).toMatchObject({ out: undefined, tasks: [] })
    await driver.close()
  })

  test('of a stateless job reports positions and writes no changelog', async () => {
    const driver = await opened(
      job('s')
        .from(source)
        .filter(['amount'], (amount) => amount > 0)
        .to(kafka('out'))
        .build(),
    )
    await driver.send([order('A', 1)])
    expect(await driver.commit()).toMatchObject([{ inputOffset: 1, counts: { in: 1, accepted: 1 } }])
    await driver.restart('store')
    await driver.close()
  })

  test('drops work of an older attempt and of tasks that are gone', async () => {
    const driver = await opened(windowed())
    await driver.restart('changelog')
    const frame = sourceFrame([order('A', 1)], 0)
    const old = { ...driver.request(), attempt: 0 }
    expect(await driver.ask({ op: 'frame', ...old, frame })).toMatchObject({
      isDropped: true,
      out: undefined,
      recycled: frame,
      counts: { in: 0 },
    })
    expect(await driver.ask({ op: 'end', ...old })).toMatchObject({ isDropped: true })
    expect(await driver.ask({ op: 'seal', epoch: 0, attempt: 0 })).toMatchObject({ tasks: [] })
    await driver.ask({ op: 'close', taskId: '0_0', attempt: 0 })
    expect(await driver.send([order('A', 1)])).toMatchObject({ isDropped: false })
    expect(await driver.ask({ op: 'frame', ...driver.request(), taskId: '0_9', frame })).toMatchObject({
      isDropped: true,
    })
    await driver.close()
  })

  test('fails a frame that begins before its position, and a task that is not ready', async () => {
    const driver = await opened(windowed())
    await driver.send([order('A', 1)])
    const again = sourceFrame([order('A', 1)], 0)
    await expect(driver.ask({ op: 'frame', ...driver.request(), frame: again })).rejects.toMatchObject({
      code: 'MR6004',
    })
    await driver.ask({
      op: 'open',
      sub: 0,
      taskId: '0_1',
      partition: 1,
      attempt: 0,
      changelogTopicId: 'c',
      changelogLow: 0,
    })
    const early = { op: 'frame', ...driver.request(), taskId: '0_1', frame: again } as const
    await expect(driver.ask(early)).rejects.toMatchObject({ code: 'MR6004' })
    await driver.ask({ op: 'close', taskId: '0_1', attempt: 0 })
    await driver.close()
  })

  test('closes windows of a quiet input, and a restart keeps the moved watermark', async () => {
    const driver = await opened(windowed())
    await driver.send([order('A', 4)])
    expect(await driver.idle(8)).toMatchObject({ watermarkMs: 9, out: undefined })
    expect(await driver.idle(9)).toMatchObject({ watermarkMs: 10, counts: { in: 0, results: 1 } })
    await driver.commit()
    await driver.restart('changelog')
    expect(await driver.send([order('A', 5)])).toMatchObject({ watermarkMs: 10, counts: { late: 1 } })
    // Less time than before does not move it back.
    expect(await driver.idle(1)).toMatchObject({ watermarkMs: 10 })
    await driver.close()
  })

  test('does not move a quiet input before its first record', async () => {
    const driver = await opened(windowed())
    expect(await driver.idle(1e9)).toMatchObject({ watermarkMs: Number.NEGATIVE_INFINITY })
    expect(await driver.commit()).toEqual([])
    await driver.close()
  })

  test('stops on a final row that is too large for its topic', async () => {
    const driver = await opened(windowed(), { messageBytesMax: [100, 1e6, 1e6] })
    await driver.send([order('A', 1)])
    await expect(driver.end()).rejects.toMatchObject({ code: 'MR4008', details: { topic: 'out' } })
    await driver.close()
  })

  test('stops on a state row that is too large for the changelog', async () => {
    const compiled = job('j')
      .from(source)
      .keyBy('user')
      .aggregate({ text: last('amount') })
      .to(kafka('out'))
      .build()
    const driver = await opened(compiled, { messageBytesMax: [1e6, 1e6, 2_000] })
    await driver.send([order('A', 1, 'x'.repeat(3_000))])
    await expect(driver.commit()).rejects.toMatchObject({ code: 'MR4008', details: { topic: 'j-changelog' } })
    await driver.close()
  })

  test('tells keys, rows and bytes of its tasks', async () => {
    const driver = await opened(windowed())
    await driver.send([order('A', 1), order('B', 1), order('A', 11)])
    await driver.commit()
    const stats = await driver.stats()
    expect(stats).toMatchObject({ taskId: '0_0', keyCount: 2, rowCount: 3, evictedRowCount: 0 })
    expect(stats.stateBytes).toBeGreaterThan(0)
    expect(stats.unflushedBytes).toBeGreaterThan(0)
    await driver.close()
  })

  test('refuses a plan whose functions are not those of its module', () => {
    const compiled = windowed()
    const setup: LaneSetup = {
      lane: 0,
      jobUrl: '',
      stateDir: undefined,
      instanceId: 'i',
      limits: LIMITS,
      messageBytesMax: [],
      writtenPartitions: [],
      partitionCounts: [1],
    }
    const wrong = { plan: { ...compiled.plan, functionCount: 5 }, functions: compiled.functions }
    expect(() => new Lane(wrong, setup, { nowMs: () => 0 })).toThrow(expect.objectContaining({ code: 'MR1002' }))
  })
})

describe('an older attempt', () => {
  test('cannot open, restore or make ready the task of a newer one', async () => {
    const driver = await opened(windowed())
    const newer = { taskId: '0_0', attempt: 5 }
    const open = { op: 'open' as const, sub: 0, partition: 3, changelogTopicId: 'c', changelogLow: 0 }
    const ready = { op: 'ready' as const, position: undefined, inputOffset: 0 }
    await driver.ask({ ...open, ...newer })
    const older = { taskId: '0_0', attempt: 4 }
    const empty = sourceFrame([], 0)
    for (const request of [
      { ...open, ...older },
      { op: 'restore' as const, ...older, frame: empty },
      { ...ready, ...older },
    ]) {
      await expect(driver.ask(request)).rejects.toMatchObject({ code: 'MR6004' })
    }
    await driver.ask({ ...ready, ...newer })
    const frame = sourceFrame([order('A', 1)], 0)
    expect(await driver.ask({ op: 'frame', ...newer, epoch: 0, frame })).toMatchObject({
      isDropped: false,
      inputOffset: 1,
    })
    await driver.close()
  })
})

describe('a task before a repartition topic', () => {
  const moved = job('j').from(source).keyBy('amount').aggregate({ n: count() }).to(kafka('out')).build()
  const task = { taskId: '0_0', attempt: 0 }

  /** What the partitions of the repartition topic are told at the next seal: kind and watermark, one a partition. */
  async function told(lane: Lane, epoch: number): Promise<[kind: number, watermarkMs: number][]> {
    const sealed = await lane.handle({ op: 'seal', epoch, attempt: 9 })
    if (sealed.op !== 'seal') throw new Error(sealed.op)
    const prefix = new CarriedPrefix()
    return (sealed.out === undefined ? [] : sinkRecords(sealed.out)).map(({ value }) => {
      prefix.read(new DataView(value!.buffer, value!.byteOffset), 0, value!.length)
      return [prefix.kind, prefix.watermarkMs]
    })
  }

  async function ready(more: Partial<Extract<LaneRequest, { op: 'ready' }>> = {}): Promise<Lane> {
    const setup = {
      lane: 0,
      jobUrl: '',
      stateDir: undefined,
      instanceId: 'i',
      limits: LIMITS,
      messageBytesMax: [],
      writtenPartitions: [],
    }
    const lane = new Lane(moved, { ...setup, partitionCounts: [1, 2] }, { nowMs: () => 0 })
    await lane.handle({ op: 'open', sub: 0, ...task, partition: 0, changelogTopicId: undefined, changelogLow: 0 })
    await lane.handle({ op: 'ready', ...task, position: undefined, inputOffset: 0, ...more })
    return lane
  }

  test('tells nothing before its first record, and nothing twice', async () => {
    const lane = await ready()
    expect(await told(lane, 0)).toEqual([])
    await lane.handle({ op: 'frame', ...task, epoch: 1, frame: sourceFrame([order('A', 100)], 0) })
    expect((await told(lane, 1)).filter(([kind]) => kind === CARRIED_MARKER)).toHaveLength(2)
    expect(await told(lane, 2)).toEqual([])
  })

  test('goes on from the clock that was kept with its offset, which it does not tell again', async () => {
    const lane = await ready({ inputOffset: 4, clock: { watermarkMs: 95, eventTimeMsMax: 100 } })
    expect(await told(lane, 0)).toEqual([])
    await lane.handle({ op: 'idle', ...task, epoch: 1, elapsedMs: 1_003 })
    expect(await told(lane, 1)).toEqual([
      [CARRIED_IDLE, 1_100],
      [CARRIED_IDLE, 1_100],
    ])
  })

  test('that is announced tells where it stands once more, though nothing of it moved', async () => {
    const lane = await ready({ inputOffset: 4, clock: { watermarkMs: 95, eventTimeMsMax: 100 } })
    await lane.handle({ op: 'announce', ...task })
    expect(await told(lane, 0)).toEqual([
      [CARRIED_MARKER, 95],
      [CARRIED_MARKER, 95],
    ])
    expect(await told(lane, 1)).toEqual([])
    await lane.handle({ op: 'end', ...task, epoch: 2 })
    const ended = [CARRIED_MARKER, Number.POSITIVE_INFINITY]
    expect(await told(lane, 2)).toEqual([ended, ended])
    await lane.handle({ op: 'committed', epoch: 2, attempt: 0 })
    await lane.handle({ op: 'resume', taskId: '0_0', attempt: 1 })
    await lane.handle({ op: 'announce', taskId: '0_0', attempt: 1 })
    expect(await told(lane, 3)).toEqual([ended, ended])
  })
})

describe('a changed plan', () => {
  /** A changelog written by one job, restored by another. */
  async function restoreInto(compiled: CompiledJob): Promise<LaneAnswer> {
    const before = await opened(windowed())
    await before.send([order('A', 1)])
    const sealed = await before.ask({ op: 'seal', epoch: 0, attempt: 0 })
    if (sealed.op !== 'seal') throw new Error(sealed.op)
    const setup: LaneSetup = {
      lane: 0,
      jobUrl: '',
      stateDir: undefined,
      instanceId: 'i',
      limits: LIMITS,
      messageBytesMax: [],
      writtenPartitions: [],
      partitionCounts: [1],
    }
    const lane = new Lane(compiled, setup, { nowMs: () => 0 })
    const task = { taskId: '0_0', attempt: 1 }
    await lane.handle({ op: 'open', sub: 0, ...task, partition: 3, changelogTopicId: 'c', changelogLow: 0 })
    const frame = sourceFrame(
      sinkRecords(sealed.out!).map(({ key, value }) => ({ key: key!, value })),
      0,
    )
    const restored = await lane.handle({ op: 'restore', ...task, frame })
    expect(restored).toMatchObject({ op: 'restore', position: { inputOffset: 1 } })
    await before.close()
    return lane.handle({ op: 'ready', ...task, position: sealed.tasks[0]!.position, inputOffset: 1 })
  }

  test('under an old name is refused', async () => {
    const changed = job('j')
      .from(source)
      .keyBy('user')
      .window('w', tumbling('20ms'))
      .aggregate({ total: sum('amount') })
      .to(kafka('out'))
      .build()
    expect(await restoreInto(changed)).toMatchObject({
      op: 'failed',
      error: { code: 'MR1004', details: { operator: 'w-aggregate' } },
    })
  })

  test('under a new name begins with empty state', async () => {
    expect(await restoreInto(windowed('other'))).toMatchObject({ op: 'ready' })
  })

  test('of sinks alone keeps its state', async () => {
    const moreSinks = job('j')
      .from(source)
      .keyBy('user')
      .window('w', tumbling('10ms'))
      .aggregate({ sum: sum('amount') })
      .to(kafka('out'), { emit: { every: '1s' } })
      .toView('v')
      .build()
    expect(await restoreInto(moreSinks)).toMatchObject({ op: 'ready' })
  })
})

describe('a lane on a worker thread', () => {
  function pool(jobUrl: string): Piscina<LaneRequest, LaneAnswer> {
    const setup: LaneSetup = {
      lane: 0,
      jobUrl,
      stateDir: undefined,
      instanceId: 'i',
      limits: LIMITS,
      messageBytesMax: [],
      writtenPartitions: [],
      partitionCounts: [1],
    }
    return new Piscina({
      filename: new URL('../../dist/workers/lane.js', import.meta.url).href,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 100,
      atomics: 'disabled',
      workerData: setup,
    })
  }

  test('starts requests in the order they were sent and hands buffers over', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-job-'))
    const compiled = job('j')
      .from(source)
      .keyBy('user')
      .window('w', tumbling('10ms'))
      .aggregate({ n: count() })
      .to(kafka('out'))
      .build()
    // The job has no functions, so its plan is all there is.
    writeFileSync(join(folder, 'job.mjs'), `export default ${JSON.stringify(compiled)}`)
    const worker = pool(pathToFileURL(join(folder, 'job.mjs')).href)
    const task = { taskId: '0_0', attempt: 0 }
    try {
      await worker.run({ op: 'open', sub: 0, ...task, partition: 0, changelogTopicId: undefined, changelogLow: 0 })
      await worker.run({ op: 'ready', ...task, position: undefined, inputOffset: 0 })
      const sent = Array.from({ length: 20 }, (_, i) => {
        const frame = sourceFrame([order('A', i * 10)], i)
        const answer = worker.run({ op: 'frame', ...task, epoch: 0, frame }, { transferList: [frame] })
        expect(frame.byteLength).toBe(0)
        return answer
      })
      const answers = await Promise.all([
        ...sent,
        worker.run({ op: 'end', ...task, epoch: 0 }),
        worker.run({ op: 'seal', epoch: 0, attempt: 0 }),
      ])
      expect(answers.slice(0, 20).map((answer) => 'inputOffset' in answer && answer.inputOffset)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 1),
      )
      const rows = answers.flatMap((answer) =>
        answer.op !== 'seal' && 'out' in answer && answer.out ? sinkRecords(answer.out) : [],
      )
      expect(rows).toHaveLength(20)
      expect(answers.at(-1)).toMatchObject({ op: 'seal', tasks: [{ position: { inputOffset: 20, isEnded: true } }] })
    } finally {
      await worker.destroy()
      rmSync(folder, { recursive: true })
    }
  })

  test('answers every request with the reason when the job module gives no job', async () => {
    const worker = pool('data:text/javascript,export default 5')
    try {
      expect(await worker.run({ op: 'stats' })).toMatchObject({ op: 'failed', error: { code: 'MR1001' } })
      expect(await worker.run({ op: 'stats' })).toMatchObject({ op: 'failed', error: { code: 'MR1001' } })
    } finally {
      await worker.destroy()
    }
  })

  test('answers with the reason when the job module does not load', async () => {
    const worker = pool('data:text/javascript,throw new Error("broken")')
    try {
      expect(await worker.run({ op: 'stats' })).toMatchObject({
        op: 'failed',
        error: { code: 'MR1005', details: { reason: expect.stringContaining('broken') } },
      })
    } finally {
      await worker.destroy()
    }
  })
})
