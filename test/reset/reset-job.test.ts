// A reset and the runs before and after it, on memory-kafka. Holds SPEC: RESET-1, RESET-2, RESET-3, RESET-4, RESET-5.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type MemoryJob, startMemoryJob } from '../harness/memory-job.ts'
import {
  CHANGELOG,
  committedOffsets,
  lastMarkers,
  liveKeys,
  partitions,
  reset,
  resettableJob,
  SumFeed,
  VIEW_TOPIC,
} from '../harness/reset-in-memory.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-reset-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const job = resettableJob()
const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

/** Runs to the end of the input, or (`until: 'caught up'`) until all is committed; then its member is gone. */
async function run(feed: SumFeed, until: 'end' | 'caught up', stateDir?: string, compiled = job): Promise<void> {
  const { kafka } = feed
  const state = stateDir === undefined ? {} : { stateDir }
  const started = await startMemoryJob({ kafka, job: compiled, untilEnd: until === 'end', ...state })
  if (until === 'caught up') {
    const isThere = () => partitions.every((p) => committedOffsets(kafka)[p] === kafka.offsets('trades', p).high)
    while (!isThere()) await turn()
    started.engine.stop()
  }
  await started.done
}

describe.each([
  ['warm state folder', 'warm'],
  ['state folder that was lost', 'lost'],
  ['state in memory', 'memory'],
] as const)('with a %s', (_, kind) => {
  test('a job that is reset to the earliest record gives every row again, from state that is empty', async () => {
    const feed = new SumFeed(1)
    const stateDir = kind === 'memory' ? undefined : join(folder, `earliest-${kind}`)
    feed.append(500)
    await run(feed, 'caught up', stateDir)
    expect(liveKeys(feed.kafka, CHANGELOG).length).toBeGreaterThan(5)
    const stood = committedOffsets(feed.kafka)
    const report = await reset(feed.kafka, 'earliest')
    expect(report.partitions).toEqual(
      partitions.map((partition) => {
        const rows = { stateRows: expect.any(Number) }
        const offset = stood[partition]
        return {
          topic: 'trades',
          partition,
          fromOffset: offset,
          toOffset: 0,
          recordsAgain: offset,
          recordsSkipped: 0,
          ...rows,
        }
      }),
    )
    expect(report.partitions.reduce((sum, { stateRows }) => sum + stateRows, 0)).toBeGreaterThan(5)
    expect(liveKeys(feed.kafka, CHANGELOG)).toEqual([])
    expect(committedOffsets(feed.kafka)).toEqual([0, 0, 0])
    feed.append(100)
    const from = feed.sinkEnds()
    if (kind === 'lost') await rm(stateDir!, { recursive: true })
    await run(feed, 'end', stateDir)
    expect(feed.rows(from)).toEqual(feed.expected())
  })
})

test('a reset to the latest record reads nothing again and begins with empty state', async () => {
  const feed = new SumFeed(2)
  feed.append(300)
  await run(feed, 'caught up')
  const ends = partitions.map((partition) => feed.kafka.offsets('trades', partition).high)
  const from = feed.sinkEnds()
  await reset(feed.kafka, 'latest')
  feed.append(300)
  await run(feed, 'end')
  expect(feed.rows(from)).toEqual(feed.expected((partition) => ends[partition]!))
})

test('a reset to a time reads from the first record of that time on', async () => {
  const feed = new SumFeed(3)
  feed.append(200)
  const timestampMs = feed.nowMs + 1
  const starts = partitions.map((partition) => feed.kafka.offsets('trades', partition).high)
  feed.append(200)
  await run(feed, 'end')
  const from = feed.sinkEnds()
  const report = await reset(feed.kafka, new Date(timestampMs).toISOString())
  expect(report.partitions.map(({ toOffset }) => toOffset)).toEqual(starts)
  await run(feed, 'end')
  expect(feed.rows(from)).toEqual(feed.expected((partition) => starts[partition]!))
})

test('after --until-end the input is open again, watermarks and counts begin anew, and the epoch is above all before', async () => {
  const feed = new SumFeed(4)
  feed.append(200)
  await run(feed, 'end')
  const before = lastMarkers(feed.kafka)
  expect(before.every((marker) => marker!.isEnded)).toBe(true)
  const { epoch } = await reset(feed.kafka, 'earliest')
  expect(epoch).toBeGreaterThan(Math.max(...before.map((marker) => marker!.epoch)))
  for (const marker of lastMarkers(feed.kafka)) {
    expect(marker).toMatchObject({ epoch, inputOffset: 0, isEnded: false, watermarkMs: Number.NEGATIVE_INFINITY })
    expect(marker!.counts.in).toBe(0)
  }
})

test('partitions that are not named keep their place and their state', async () => {
  const feed = new SumFeed(5)
  feed.append(300)
  await run(feed, 'caught up')
  const stood = committedOffsets(feed.kafka)
  const kept = liveKeys(feed.kafka, CHANGELOG).filter((name) => !name.startsWith('1 '))
  const viewRows = liveKeys(feed.kafka, VIEW_TOPIC)
  const report = await reset(feed.kafka, '1:7')
  expect(report.partitions).toMatchObject([{ partition: 1, fromOffset: stood[1], toOffset: 7 }])
  expect(liveKeys(feed.kafka, CHANGELOG)).toEqual(kept)
  expect(committedOffsets(feed.kafka)).toEqual([stood[0], 7, stood[2]])
  // Nobody can say which rows of a view come from which partition.
  expect(liveKeys(feed.kafka, VIEW_TOPIC)).toEqual(viewRows)
  const from = feed.sinkEnds()
  await run(feed, 'end')
  const seventh = new Set(feed.expected((partition) => (partition === 1 ? 7 : Number.POSITIVE_INFINITY)))
  expect(feed.rows(from).filter((row) => /^S[14] /.test(row))).toEqual([...seventh].sort())
})

test('rows of views are deleted, so that a view never shows what the job does not give any more', async () => {
  const feed = new SumFeed(6)
  feed.append(300)
  await run(feed, 'caught up')
  const shown = liveKeys(feed.kafka, VIEW_TOPIC).length
  expect(shown).toBe(7)
  const kept = await reset(feed.kafka, 'earliest', { keepsViews: true })
  expect(kept.views).toEqual([{ view: 'now', topic: VIEW_TOPIC, rows: 0 }])
  expect(liveKeys(feed.kafka, VIEW_TOPIC)).toHaveLength(shown)
  const { views } = await reset(feed.kafka, 'latest')
  expect(views).toEqual([{ view: 'now', topic: VIEW_TOPIC, rows: shown }])
  expect(liveKeys(feed.kafka, VIEW_TOPIC)).toEqual([])
})

test('more keys than fit in memory are deleted all the same', async () => {
  const feed = new SumFeed(7)
  feed.append(400)
  await run(feed, 'caught up')
  const limits = { callMs: 1_000, connectMs: 1_000, pollRecordsMax: 20, pollBytesMax: 1 << 16, keysBytesMax: 64 }
  await reset(feed.kafka, 'earliest', { limits })
  expect(liveKeys(feed.kafka, CHANGELOG)).toEqual([])
  expect(liveKeys(feed.kafka, VIEW_TOPIC)).toEqual([])
  const from = feed.sinkEnds()
  await run(feed, 'end')
  expect(feed.rows(from)).toEqual(feed.expected())
})

describe('a dry run', () => {
  test('says what a reset then does, and changes nothing', async () => {
    const feed = new SumFeed(8)
    feed.append(300)
    await run(feed, 'caught up')
    const state = () => ({
      ends: [CHANGELOG, VIEW_TOPIC].map((name) => feed.kafka.offsets(name, 0)),
      at: committedOffsets(feed.kafka),
    })
    const before = state()
    const dry = await reset(feed.kafka, 'earliest', { isDryRun: true })
    expect(state()).toEqual(before)
    expect(dry.members).toEqual([])
    expect(await reset(feed.kafka, 'earliest')).toEqual(dry)
  })

  test('works beside a running job, and names who runs', async () => {
    const feed = new SumFeed(9)
    feed.append(300)
    const started = await startMemoryJob({ kafka: feed.kafka, job, untilEnd: false })
    while (committedOffsets(feed.kafka).some((offset) => offset === undefined)) await turn()
    const dry = await reset(feed.kafka, 'earliest', { isDryRun: true })
    expect(dry.members).toEqual(['one at memory'])
    started.engine.stop()
    await started.done
    expect(feed.rows().length).toBeGreaterThan(10)
  })

  test('of a job that never ran shows its beginning', async () => {
    const feed = new SumFeed(10)
    feed.append(50)
    const dry = await reset(feed.kafka, 'latest', { isDryRun: true })
    expect(dry.epoch).toBe(1)
    for (const { fromOffset, recordsSkipped, toOffset } of dry.partitions) {
      expect({ fromOffset, recordsSkipped }).toEqual({ fromOffset: undefined, recordsSkipped: toOffset })
    }
    const admin = await feed.kafka.openAdmin()
    expect(await admin.describe([CHANGELOG], 1_000)).toEqual([])
  })
})

test('a job that never ran can be sent to its place before its first start', async () => {
  const feed = new SumFeed(11)
  feed.append(300)
  await reset(feed.kafka, '0:10,1:20,2:30')
  await run(feed, 'end')
  expect(feed.rows()).toEqual(feed.expected((partition) => 10 * (partition + 1)))
})

describe('a running job', () => {
  test('is refused with the names of its members, and does not notice', async () => {
    const feed = new SumFeed(12)
    feed.append(300)
    const started = await startMemoryJob({ kafka: feed.kafka, job, untilEnd: false })
    await expect(reset(feed.kafka, 'earliest')).rejects.toMatchObject({
      code: 'MR4021',
      details: { job: 'candles', members: 'one at memory' },
    })
    started.engine.stop()
    await started.done
    expect(started.rebuilds).toEqual([])
  })

  test('that was stopped is waited for until its session ends', async () => {
    const feed = new SumFeed(13)
    feed.append(100)
    await (await startMemoryJob({ kafka: feed.kafka, job, leavesOnStop: false })).done
    const lines: string[] = []
    const waiting = reset(feed.kafka, 'earliest', { waitMs: 10_000, say: (line) => lines.push(line) })
    while (lines.length === 0) await turn()
    expect(lines[0]).toContain('one at memory')
    feed.kafka.expireSession('candles', 'one')
    await waiting
    expect(committedOffsets(feed.kafka)).toEqual([0, 0, 0])
  })

  test('that got the group because the reset hung makes the reset void, and goes on where it stood', async () => {
    const feed = new SumFeed(14)
    feed.append(300)
    await run(feed, 'caught up')
    const stood = committedOffsets(feed.kafka)
    let started: Promise<MemoryJob> | undefined
    feed.kafka.faults.before = async ({ call, client }) => {
      if (call !== 'sendOffsets' || client !== 'candles-reset') return undefined
      feed.kafka.expireSession('candles', '')
      started = startMemoryJob({ kafka: feed.kafka, job, untilEnd: true })
      while (!(await started).engine.isRunning) await turn()
      return undefined
    }
    await expect(reset(feed.kafka, 'earliest')).rejects.toMatchObject({ code: expect.stringMatching(/^MR402[12]$/) })
    await (await started!).done
    expect(committedOffsets(feed.kafka)).toEqual(stood)
    expect(feed.rows()).toEqual(feed.expected())
  })

  test('that starts during the commit waits for it, and begins at the new place', async () => {
    const feed = new SumFeed(15)
    feed.append(300)
    await run(feed, 'caught up')
    const from = feed.sinkEnds()
    let started: Promise<MemoryJob> | undefined
    feed.kafka.faults.before = async ({ call, client }) => {
      if (call !== 'commit' || client !== 'candles-reset') return undefined
      started = startMemoryJob({ kafka: feed.kafka, job, untilEnd: true })
      while ((await (await feed.kafka.openAdmin()).groupMembers('candles', 1_000)).length < 2) await turn()
      return undefined
    }
    await reset(feed.kafka, 'earliest')
    await (await started!).done
    expect(feed.rows(from)).toEqual(feed.expected())
  })
})

describe('a job that would not start', () => {
  test('because its operator has another meaning starts after a reset', async () => {
    const feed = new SumFeed(16)
    feed.append(300)
    await run(feed, 'caught up')
    const changed = resettableJob('1s', 'high')
    const refused = await startMemoryJob({ kafka: feed.kafka, job: changed })
    await expect(refused.done).rejects.toMatchObject({ code: 'MR1004' })
    await reset(feed.kafka, 'earliest', { plan: changed.plan })
    const from = feed.sinkEnds()
    await run(feed, 'end', undefined, changed)
    expect(feed.rows(from)).toEqual(feed.expected())
  })

  test('because its source is another topic starts after a reset', async () => {
    const feed = new SumFeed(17)
    feed.append(300)
    await run(feed, 'caught up')
    const other = resettableJob('1s', 'none', 'others')
    feed.kafka.createTopic('others', 3)
    const refused = await startMemoryJob({ kafka: feed.kafka, job: other })
    await expect(refused.done).rejects.toMatchObject({ code: 'MR1006' })
    const { partitions: moved } = await reset(feed.kafka, 'earliest', { plan: other.plan })
    expect(moved.map(({ fromOffset }) => fromOffset)).toEqual([undefined, undefined, undefined])
    await (await startMemoryJob({ kafka: feed.kafka, job: other })).done
  })

  test('because its input was made anew or lost its beginning starts after a reset', async () => {
    const feed = new SumFeed(18)
    feed.append(300)
    await run(feed, 'caught up')
    feed.append(30)
    for (const partition of partitions) {
      feed.kafka.deleteRecordsBefore('trades', partition, feed.kafka.offsets('trades', partition).high - 1)
    }
    const refused = await startMemoryJob({ kafka: feed.kafka, job })
    await expect(refused.done).rejects.toMatchObject({ code: 'MR4010' })
    await reset(feed.kafka, 'earliest')
    const from = feed.sinkEnds()
    await run(feed, 'end')
    const lows = partitions.map((partition) => feed.kafka.offsets('trades', partition).low)
    expect(feed.rows(from)).toEqual(feed.expected((partition) => lows[partition]!))
  })

  test('because its changelog lost its rows starts after a reset', async () => {
    const feed = new SumFeed(19)
    feed.append(300)
    await run(feed, 'caught up')
    for (const partition of partitions) {
      feed.kafka.deleteRecordsBefore(CHANGELOG, partition, feed.kafka.offsets(CHANGELOG, partition).high)
    }
    await reset(feed.kafka, 'earliest')
    const from = feed.sinkEnds()
    await run(feed, 'end')
    expect(feed.rows(from)).toEqual(feed.expected())
  })
})

test('a place that is not there is refused, and nothing has changed', async () => {
  const feed = new SumFeed(20)
  feed.append(100)
  await run(feed, 'caught up')
  const stood = committedOffsets(feed.kafka)
  await expect(reset(feed.kafka, '0:1000')).rejects.toMatchObject({ code: 'MR3002' })
  await expect(reset(feed.kafka, '3:0')).rejects.toMatchObject({ code: 'MR3002' })
  expect(committedOffsets(feed.kafka)).toEqual(stood)
})

test('one that is interrupted has changed nothing', async () => {
  const feed = new SumFeed(21)
  feed.append(100)
  await run(feed, 'caught up')
  const stood = committedOffsets(feed.kafka)
  await expect(reset(feed.kafka, 'earliest', { isStopped: () => true })).rejects.toMatchObject({ code: 'MR4022' })
  expect(committedOffsets(feed.kafka)).toEqual(stood)
  expect(feed.kafka.openTransactions()).toEqual([])
})
