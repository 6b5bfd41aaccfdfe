// What a restore tells of itself, and that what it read is on disk afterwards. Holds SPEC: RESTORE-1, RESTORE-2, LIMIT-1.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RestoreProgress, RestoreWatch } from '../../src/engine/restore-progress.ts'
import { startMemoryJob } from '../harness/memory-job.ts'
import {
  CHANGELOG,
  committedOffsets,
  liveKeys,
  partitions,
  resettableJob,
  SumFeed,
} from '../harness/reset-in-memory.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-restore-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const turn = () => new Promise((resolve) => setTimeout(resolve, 1))

describe('a restore', () => {
  const lines: [details: Record<string, unknown>, message: string][] = []
  const log = {
    info: (details: object, message: string) => void lines.push([details as Record<string, unknown>, message]),
    warn: () => {},
    error: () => {},
  }
  const now = { ms: 0 }
  const clock = { monotonicMs: () => now.ms, wallMs: () => now.ms }

  test('tells rows, bytes, what remains and how long it still takes, at its start, every 5 s and at its end', () => {
    lines.length = 0
    now.ms = 1_000
    const told: [RestoreProgress, boolean][] = []
    const watch = new RestoreWatch(clock, log, (...one) => told.push(one), [
      { taskId: '0_0', readOffset: 100, changelogEnd: 1_100 },
      { taskId: '0_1', readOffset: 0, changelogEnd: 3_000 },
    ])
    expect(told.at(-1)).toMatchObject([{ rows: 0, remainingOffsets: 4_000, share: 0, etaMs: undefined }, false])
    now.ms = 3_000
    watch.took('0_0', 900, 90_000, 1_100)
    expect(told.at(-1)![0]).toMatchObject({
      rows: 900,
      bytes: 90_000,
      remainingOffsets: 3_000,
      share: 0.25,
      etaMs: 6_000,
    })
    now.ms = 6_000
    watch.took('0_1', 1_000, 110_000, 1_000)
    expect(told.at(-1)![0]).toMatchObject({
      rows: 1_900,
      bytes: 200_000,
      remainingOffsets: 2_000,
      share: 0.5,
      etaMs: 5_000,
    })
    now.ms = 11_000
    watch.took('0_1', 2_900, 1_910_000, 2_999)
    watch.reached('0_1', 3_000)
    watch.end()
    expect(told.at(-1)).toMatchObject([{ rows: 3_800, bytes: 2_000_000, remainingOffsets: 0, share: 1 }, true])
    expect(lines).toEqual([
      [{ tasks: ['0_0', '0_1'], remainingOffsets: 4_000 }, 'restoring state from the changelog'],
      [{ rows: 1_900, megabytes: 0.2, remainingOffsets: 2_000, percent: 50, etaSeconds: 5 }, 'restoring state'],
      [{ rows: 3_800, megabytes: 2, remainingOffsets: 1, percent: 99, etaSeconds: 1 }, 'restoring state'],
      [{ rows: 3_800, megabytes: 2, seconds: 10, megabytesPerSecond: 0.2 }, 'state is restored'],
    ])
  })

  test('that is given up says so', () => {
    lines.length = 0
    const watch = new RestoreWatch(clock, log, () => {}, [{ taskId: '0_0', readOffset: 0, changelogEnd: 10 }])
    watch.took('0_0', 1, 10, 2)
    watch.end()
    expect(lines.at(-1)![1]).toBe('the restore was given up')
  })
})

/** Rows that a start reads back, by task. */
async function restoredBy(feed: SumFeed, stateDir: string): Promise<number> {
  const seen: RestoreProgress[] = []
  const started = await startMemoryJob({
    kafka: feed.kafka,
    job: resettableJob(),
    untilEnd: false,
    stateDir,
    onRestoring: (progress) => seen.push(progress),
  })
  while (!started.engine.isRunning) await turn()
  started.engine.stop()
  await started.done
  return seen.at(-1)?.rows ?? 0
}

test('rows that were read back are on disk with the first flush, without any record: the next start reads none', async () => {
  const feed = new SumFeed(41)
  feed.append(400)
  const first = await startMemoryJob({ kafka: feed.kafka, job: resettableJob(), untilEnd: false })
  while (!partitions.every((p) => committedOffsets(feed.kafka)[p] === feed.kafka.offsets('trades', p).high))
    await turn()
  first.engine.stop()
  await first.done
  const liveCount = liveKeys(feed.kafka, CHANGELOG).length
  expect(liveCount).toBeGreaterThan(0)
  expect(await restoredBy(feed, join(folder, 'cold'))).toBeGreaterThanOrEqual(liveCount)
  expect(await restoredBy(feed, join(folder, 'cold'))).toBe(0)
})
