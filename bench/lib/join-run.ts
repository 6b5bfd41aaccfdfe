// One round of the join bench: a lane of its own reads both topics in turn, sealed, committed and flushed as a job would. Main thread.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { setImmediate as nextEvent } from 'node:timers/promises'
import { unpack } from 'msgpackr'
import { sinkRecords } from '../../src/core/frame.ts'
import type { LaneLimits, LaneProcessed } from '../../src/core/message.ts'
import { type Duration, job, kafka, msgpack, stream } from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { Lane } from '../../src/lane/lane.ts'
import { boundsOf, type Entry, type JoinLoad, OUT_OF_ORDER_MS, type Pairs, pairHash, SideOf } from './join-load.ts'

export interface JoinRun {
  cpuMicrosPerRecord: number
  recordsPerSecond: number
  /** Records that wait, of both sides, on average of the second half. */
  liveRecords: number
  pairs: Pairs
}

const FRAME_RECORDS = 2_500
/** While input lags an epoch is 250 ms long, and each second is flushed (`commit.catchUpMs`, `flush.everyMs`): of 300,000 records. */
const FRAMES_PER_SEAL = 30
const FRAMES_PER_FLUSH = 120
/** Records that wait are counted at each so many frames of the second half. */
const LIVE_EVERY = 20
const LIMITS: LaneLimits = {
  stateMemoryBytesMax: 512 << 20,
  unflushedBytesMax: 64 << 20,
  valueBytesMax: 1 << 20,
  keyBytesMax: 1024,
  decodeDepthMax: 32,
  decodeNodesMax: 100_000,
}
const TASKS = [
  { taskId: '0_0', attempt: 0 },
  { taskId: '1_0', attempt: 0 },
] as const

function jobOf(load: JoinLoad): CompiledJob {
  const { withinMs, graceMs } = boundsOf(load)
  const ms = (n: number): Duration => `${n}ms` as Duration
  const topic = (name: string) =>
    kafka(name, { value: msgpack<Entry>(), key: 'key', eventTime: 'ts', outOfOrder: ms(OUT_OF_ORDER_MS) })
  const options = { within: ms(withinMs), grace: ms(graceMs) }
  return job('joins')
    .from(topic('orders'))
    .keyBy('key')
    .join('paid', stream(topic('payments')).keyBy('key'), options, (left, right) => ({
      left: left.id,
      right: right.id,
      amount: left.amount + right.amount,
    }))
    .to(kafka('out', { value: msgpack() }))
    .build()
}

/** Making frames, and reading rows back, is not timed. */
export async function runJoin(load: JoinLoad, isOnDisk: boolean): Promise<JoinRun> {
  const folder = isOnDisk ? mkdtempSync(joinPath(tmpdir(), 'millrace-joins-')) : undefined
  const setup = {
    lane: 0,
    jobUrl: '',
    stateDir: folder,
    instanceId: 'bench',
    limits: LIMITS,
    messageBytesMax: [],
    writtenPartitions: [],
  }
  const lane = new Lane(jobOf(load), { ...setup, partitionCounts: [1, 1] }, { nowMs: () => 0 })
  try {
    for (const [sub, task] of TASKS.entries()) {
      await ask(lane, { op: 'open', sub, ...task, partition: 0, changelogTopicId: 't', changelogLow: 0 })
      await ask(lane, { op: 'ready', ...task, position: undefined, inputOffset: 0 })
    }
    return await read(lane, load)
  } finally {
    for (const task of TASKS) await ask(lane, { op: 'close', ...task })
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}

/** All frames, and how many records wait after some of them. All are made before the lane gets the first one. */
function framesOf(load: JoinLoad): { frames: ArrayBuffer[]; live: number[] } {
  const sides = [new SideOf(load, 0), new SideOf(load, 1)] as const
  const frames: ArrayBuffer[] = []
  const live: number[] = []
  const count = Math.ceil(load.records / FRAME_RECORDS)
  for (let number = 1; number <= count; number++) {
    frames.push(sides[number % 2]!.frame(FRAME_RECORDS))
    if (number > count / 2 && number % LIVE_EVERY === 0) live.push(liveRecords(sides))
  }
  return { frames, live }
}

async function read(lane: Lane, load: JoinLoad): Promise<JoinRun> {
  const { frames, live } = framesOf(load)
  const pairs: Pairs = { count: 0, hash: 0 }
  /** Looked at in the end: on another core, as it is in a job. */
  const answers: unknown[] = []
  const spent = { cpuMicros: 0, wallMs: 0 }
  const commits = new Commits(lane)
  for (const [i, frame] of frames.entries()) {
    const number = i + 1
    const answer = await timed(spent, async () => {
      // A lane gets each frame as an event: what writes to disk goes on in between.
      await nextEvent()
      const processed = lane.handle({ op: 'frame', ...TASKS[number % 2 === 0 ? 0 : 1], epoch: number, frame })
      if (number % FRAMES_PER_SEAL === 0) await commits.commit(number)
      return processed
    })
    answers.push(answer)
  }
  for (const task of TASKS)
    answers.push(await timed(spent, async () => lane.handle({ op: 'end', ...task, epoch: frames.length })))
  await timed(spent, () => commits.end())
  for (const answer of answers) look(answer, pairs)
  return {
    cpuMicrosPerRecord: spent.cpuMicros / load.records,
    recordsPerSecond: (load.records / spent.wallMs) * 1_000,
    liveRecords: live.reduce((total, count) => total + count, 0) / Math.max(1, live.length),
    pairs,
  }
}

async function timed<T>(spent: { cpuMicros: number; wallMs: number }, act: () => Promise<T>): Promise<T> {
  const before = process.cpuUsage()
  const startMs = performance.now()
  const result = await act()
  spent.wallMs += performance.now() - startMs
  const { user, system } = process.cpuUsage(before)
  spent.cpuMicros += user + system
  return result
}

async function ask(lane: Lane, request: Parameters<Lane['handle']>[0]): Promise<unknown> {
  const answer = await lane.handle(request)
  if (answer.op === 'failed') throw new Error(JSON.stringify(answer.error))
  return answer
}

/** A flush is under way while the lane goes on with frames, as in a job; there is one at a time. */
class Commits {
  readonly #lane: Lane
  #flush: Promise<unknown> = Promise.resolve()

  constructor(lane: Lane) {
    this.#lane = lane
  }

  async commit(epoch: number): Promise<void> {
    const lane = this.#lane
    await ask(lane, { op: 'seal', epoch, attempt: 0 })
    await ask(lane, { op: 'committed', epoch, attempt: 0 })
    if (epoch % FRAMES_PER_FLUSH !== 0) return
    await this.#flush
    this.#flush = ask(lane, { op: 'flush', ...TASKS[0], changelogOffset: 0, changelogTopicId: 't' })
  }

  async end(): Promise<void> {
    await this.#flush
  }
}

/** Records that wait, of both sides. */
function liveRecords([left, right]: readonly [SideOf, SideOf]): number {
  const watermarkMs = Math.min(left.watermarkMs, right.watermarkMs)
  return left.liveAt(watermarkMs) + right.liveAt(watermarkMs)
}

function look(answer: unknown, pairs: Pairs): void {
  const processed = answer as LaneProcessed
  if (processed.op !== 'frame' && processed.op !== 'end') throw new Error(JSON.stringify(answer))
  if (processed.counts.late + processed.counts.dead > 0) throw new Error(JSON.stringify(processed.counts))
  if (processed.out === undefined) return
  for (const { value } of sinkRecords(processed.out)) {
    const { left, right } = unpack(value!) as { left: number; right: number }
    pairs.count++
    pairs.hash += pairHash(left, right)
  }
}
