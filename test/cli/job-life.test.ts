// The life of a job, stopped at each of its moments. Keeps SPEC: STOP-1.
import { expect, test } from 'vitest'
import { type Closings, type LivingEngine, liveJob, type OpenedJob } from '../../src/cli/job-life.ts'
import type { JobSnapshot, RunningJob, RunSummary } from '../../src/cli/running-job.ts'
import { createLog } from '../../src/ops/log.ts'

const log = createLog({ level: 'silent', format: 'json', isTerminal: false, write: () => {} })
const SUMMARY = { records: 7 } as RunSummary
const STOP_MS = 50

function jobOf(open: (stopping: AbortSignal, closings: Closings) => Promise<OpenedJob>): RunningJob {
  return liveJob({ open, snapshot: () => SUMMARY as JobSnapshot, summary: () => SUMMARY, log, stopMs: STOP_MS })
}

/** An engine that runs until it is stopped or, when it `hangs`, for ever. */
function engineThat(manner: 'ends' | 'hangs'): LivingEngine {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return {
    status: 'restoring state',
    run: () => ended,
    stop: () => {
      if (manner === 'ends') end()
    },
    onRunning: (listener) => listener(),
  }
}

const opened = (engine: LivingEngine): OpenedJob => ({
  engine,
  info: { partitions: 4, lanes: 1, urls: { admin: 'http://localhost:1', push: undefined } },
})
const never = new Promise<never>(() => {})

test('a stop while it opens ends it at once: what was opened is closed, and what is opened later is closed too', async () => {
  const closed: string[] = []
  let goOn: (part: string) => void = () => {}
  let wasAborted = false
  const job = jobOf((stopping, closings) => {
    closings.add('folder', () => void closed.push('folder'))
    goOn = (part) => closings.add(part, () => void closed.push(part))
    stopping.addEventListener('abort', () => {
      wasAborted = true
    })
    return never
  })
  await job.stop('SIGTERM')
  expect(await job.done).toBe(SUMMARY)
  expect([wasAborted, closed]).toEqual([true, ['folder']])
  goOn('lanes')
  expect(closed).toEqual(['folder', 'lanes'])
})

test('an opening that fails after it was given up disturbs nobody, one that fails before fails the job', async () => {
  let fail: (error: Error) => void = () => {}
  const job = jobOf(() => new Promise((_, reject) => (fail = reject)))
  await job.stop('SIGTERM')
  fail(new Error('too late'))
  expect(await job.done).toBe(SUMMARY)
  const failing = jobOf(() => Promise.reject(new Error('no broker')))
  await expect(failing.done).rejects.toThrow('no broker')
  await expect(failing.ready).rejects.toThrow('no broker')
})

test('an engine that ends when it is told to ends the job cleanly, with everything closed in the opposite order', async () => {
  const closed: string[] = []
  const job = jobOf(async (_stopping, closings) => {
    for (const part of ['folder', 'lanes']) closings.add(part, () => void closed.push(part))
    return opened(engineThat('ends'))
  })
  expect(await job.ready).toMatchObject({ partitions: 4, lanes: 1 })
  await job.stop('SIGTERM')
  expect(await job.done).toBe(SUMMARY)
  expect(closed).toEqual(['lanes', 'folder'])
})

test('an engine that does not end within limits.stopMs is MR6003, which says what it was at', async () => {
  const job = jobOf(async () => opened(engineThat('hangs')))
  await job.ready
  await job.stop('SIGTERM')
  await expect(job.done).rejects.toMatchObject({
    code: 'MR6003',
    details: { limitMs: STOP_MS, waitingFor: 'the engine (restoring state)' },
  })
})

test('a part that does not close within limits.stopMs is MR6003, which names it', async () => {
  const job = jobOf(async (_stopping, closings) => {
    closings.add('push server', () => never)
    return opened(engineThat('ends'))
  })
  await job.ready
  await job.stop('SIGTERM')
  await expect(job.done).rejects.toMatchObject({ code: 'MR6003', details: { waitingFor: 'push server' } })
})
