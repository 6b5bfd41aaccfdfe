// A lane with state on disk reads the load of a case: sealed, committed and flushed as an engine does it, one flush at a time
// beside the frames. Main thread.
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { FrameView } from '../../src/core/frame.ts'
import type {
  LaneAnswer,
  LaneLimits,
  LaneProcessed,
  LaneRequest,
  LaneSealed,
  LaneStats,
} from '../../src/core/message.ts'
import { Lane } from '../../src/lane/lane.ts'
import { KeyedRecords } from './keyed-records.ts'
import type { StateCase } from './state-cases.ts'

const STATUS = '/proc/self/status'
const TASK = { taskId: '0_0', attempt: 0 }
/** An epoch of a backlog is 250 ms. */
const FRAMES_PER_EPOCH = 5
/** A flush begins when this many have passed, or so much is committed and not on disk. */
const EPOCHS_PER_FLUSH = 4
/** What comes in while a flush is under way waits for the next one. With more than this flushes fall behind, each further. */
const UNFLUSHED_FACTOR_MAX = 16

export interface StateRun {
  name: string
  problem: string | undefined
  records: number
  seconds: number
  rows: number
  flushes: number
  evictedRows: number
  /** Resident memory, and the part of it that is no page of a file: LMDB maps its file several times, and each counts. */
  rssBytesMax: number
  anonymousBytesMax: number
  /** Of rows, keys and tombstones in memory: at any time, and right after a flush. */
  stateBytesMax: number
  flushedStateBytesMax: number
  unflushedBytesMax: number
  /** By how much state was over the limit and the rows that were not on disk yet; 0: never. */
  excessBytesMax: number
  /** Rows that were not on disk yet were never much more than the limit that they have. */
  isFlushedInTime: boolean
}

const NOTHING_YET: Omit<StateRun, 'name' | 'records'> = {
  problem: undefined,
  seconds: 0,
  rows: 0,
  flushes: 0,
  evictedRows: 0,
  rssBytesMax: 0,
  anonymousBytesMax: 0,
  stateBytesMax: 0,
  flushedStateBytesMax: 0,
  unflushedBytesMax: 0,
  excessBytesMax: 0,
  isFlushedInTime: true,
}

type ProcessedRequest = Extract<LaneRequest, { op: 'frame' | 'end' }>

/** One lane of one task, and what is measured of it. */
class MeasuredLane {
  readonly #lane: Lane
  readonly #limits: LaneLimits
  readonly #case: StateCase
  readonly #records = new KeyedRecords()
  readonly run: StateRun
  #epoch = 0
  #flushing: Promise<void> | undefined
  #sealedBytes = 0
  #epochsSinceFlush = 0
  /** Keys that were touched since the last flush began, and between that and the one before: their rows may have to stay. */
  #touchedKeys = 0
  #touchedBefore = 0
  /** Bytes of state of a key, at most. */
  #keyBytes = 0

  constructor(one: StateCase, limits: LaneLimits, stateDir: string) {
    const setup = { lane: 0, jobUrl: '', stateDir, instanceId: 'bench', limits }
    this.#lane = new Lane(
      one.job,
      { ...setup, messageBytesMax: [], writtenPartitions: [], partitionCounts: [1] },
      { nowMs: Date.now },
    )
    this.#limits = limits
    this.#case = one
    this.run = { ...NOTHING_YET, name: one.name, records: one.load.records }
  }

  async open(): Promise<void> {
    await this.#ask({ op: 'open', sub: 0, ...TASK, partition: 0, changelogTopicId: 'c', changelogLow: 0 })
    await this.#ask({ op: 'ready', ...TASK, position: undefined, inputOffset: 0 })
  }

  async readAll(): Promise<void> {
    const { load, frameAt } = this.#case
    let frames = 0
    for (let from = 0; from < load.records; ) {
      const { records, keys } = frameAt(from)
      const to = Math.min(load.records, from + records)
      const frame = this.#records.frame(from, to, load.fill)
      await this.#timed(async () => {
        this.#take(await this.#ask({ op: 'frame', ...TASK, epoch: this.#epoch, frame }), keys)
        if (++frames % FRAMES_PER_EPOCH === 0) await this.#commit()
        // A lane takes messages one turn after the other, and a flush goes on between them.
        await setImmediate()
      })
      await this.#look()
      from = to
    }
    if (this.#case.isEnded) this.#take(await this.#ask({ op: 'end', ...TASK, epoch: this.#epoch }), 0)
    await this.#timed(async () => {
      await this.#commit()
      await this.#flushing
      await this.#flush()
    })
    await this.#look()
    this.run.problem = this.#case.problem()
  }

  close(): Promise<unknown> {
    return this.#ask({ op: 'close', ...TASK })
  }

  stats(): LaneStats['tasks'][number] {
    return (this.#lane.handle({ op: 'stats' }) as LaneStats).tasks[0]!
  }

  async #timed(work: () => Promise<void>): Promise<void> {
    const startMs = performance.now()
    await work()
    this.run.seconds += (performance.now() - startMs) / 1_000
  }

  /** The rows of an answer. Looking at them is not timed. */
  #take(answer: LaneProcessed, keys: number): void {
    const startMs = performance.now()
    if (answer.out !== undefined) this.#case.take(answer.out)
    this.run.seconds -= (performance.now() - startMs) / 1_000
    this.run.rows += answer.counts.results
    this.#touchedKeys += keys
  }

  async #commit(): Promise<void> {
    const epoch = this.#epoch++
    const { out } = await this.#ask({ op: 'seal', epoch, attempt: 0 })
    await this.#ask({ op: 'committed', epoch, attempt: 0 })
    this.#sealedBytes += out === undefined ? 0 : new FrameView(out).usedBytes
    const isDue = ++this.#epochsSinceFlush >= EPOCHS_PER_FLUSH || this.#sealedBytes >= this.#limits.unflushedBytesMax
    if (isDue && this.#flushing === undefined) this.#flushing = this.#flush()
  }

  async #flush(): Promise<void> {
    this.#sealedBytes = 0
    this.#epochsSinceFlush = 0
    this.#touchedBefore = this.#touchedKeys
    this.#touchedKeys = 0
    await this.#ask({ op: 'flush', ...TASK, changelogOffset: 0, changelogTopicId: 'c' })
    this.#flushing = undefined
    this.#touchedBefore = 0
    this.run.flushes++
    this.run.flushedStateBytesMax = Math.max(this.run.flushedStateBytesMax, this.stats().stateBytes)
  }

  async #look(): Promise<void> {
    const { run } = this
    const { stateBytes, unflushedBytes, evictedRowCount, keyCount } = this.stats()
    if (keyCount > 0) this.#keyBytes = Math.max(this.#keyBytes, stateBytes / keyCount)
    const allowedBytes = this.#limits.stateMemoryBytesMax + (this.#touchedKeys + this.#touchedBefore) * this.#keyBytes
    run.excessBytesMax = Math.max(run.excessBytesMax, Math.round(stateBytes - allowedBytes))
    run.stateBytesMax = Math.max(run.stateBytesMax, stateBytes)
    run.unflushedBytesMax = Math.max(run.unflushedBytesMax, unflushedBytes)
    run.isFlushedInTime &&= unflushedBytes <= UNFLUSHED_FACTOR_MAX * this.#limits.unflushedBytesMax
    run.anonymousBytesMax = Math.max(run.anonymousBytesMax, anonymousBytes())
    run.rssBytesMax = Math.max(run.rssBytesMax, process.memoryUsage.rss())
    run.evictedRows = evictedRowCount
  }

  async #ask(request: ProcessedRequest): Promise<LaneProcessed>
  async #ask(request: Extract<LaneRequest, { op: 'seal' }>): Promise<LaneSealed>
  async #ask(request: LaneRequest): Promise<LaneAnswer>
  async #ask(request: LaneRequest): Promise<LaneAnswer> {
    const answer = await this.#lane.handle(request)
    if (answer.op !== request.op) throw new Error(JSON.stringify(answer))
    return answer
  }
}

/** Of this process; 0 where the system does not tell. */
function anonymousBytes(): number {
  if (!existsSync(STATUS)) return 0
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(readFileSync(STATUS, 'utf8'))?.[1] ?? 0) * 1024
}

/** Runs one case. Making frames, and reading rows back, is not timed. */
export async function runStateCase(one: StateCase, limits: LaneLimits): Promise<StateRun> {
  const stateDir = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  try {
    const lane = new MeasuredLane(one, limits, stateDir)
    await lane.open()
    await lane.readAll()
    await lane.close()
    return lane.run
  } finally {
    await rm(stateDir, { recursive: true, force: true })
  }
}
