// Keys that come and go by the million: what each operator with state has left of them in memory and in the store is nothing.
// Holds SPEC: STATE-4 (no live window, no entry), DEDUP-2, WIN-5 (deadlines too are gone), PROCESS-6, TOPN-4.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type KeyedRecord, KeyedRecords, type RecordNumbers } from '../../bench/lib/keyed-records.ts'
import { FrameView, FrameWriter } from '../../src/core/frame.ts'
import {
  calendar,
  count,
  countWindow,
  cumulate,
  hopping,
  job,
  kafka,
  last,
  msgpack,
  type ProcessContext,
  session,
  sliding,
  sum,
  tumbling,
  type WindowSpec,
} from '../../src/index.ts'
import type { CompiledJob } from '../../src/job/plan.ts'
import { compilePipelines, type Pipeline } from '../../src/lane/compile.ts'
import type { FrameRun } from '../../src/lane/frame-run.ts'
import { Task } from '../../src/lane/task.ts'
import type { TaskStore } from '../../src/state/contract.ts'
import { MemoryBudget } from '../../src/state/memory-budget.ts'
import { openStore } from '../../src/state/open-store.ts'
import { LIMITS } from '../lane/lane-driver.ts'
import { tempFolder } from '../state/temp-folder.ts'

const MILLION = 1_000_000
const FRAME_RECORDS = 5_000
/** A row lives for two of these, about: some are gone before they are sealed, some are in the store. */
const FRAMES_PER_COMMIT = 2
const COMMITS_PER_FLUSH = 5
/** Of so many records the last is of a key that has begun some keys before; the others begin keys. */
const AGAIN_EVERY = 11
const AGAIN_AFTER = 500
const RECORDS_PER_MS = 100
const TASK_ID = '0_0'

interface Churn {
  name: string
  job: CompiledJob
  keys: number
  /** On disk, and of what is there nothing stays in memory. */
  isOnDisk?: boolean
}

const keyed = () =>
  job('churn')
    .from(kafka('in', { value: msgpack<KeyedRecord>(), key: 'key', eventTime: 'ts', outOfOrder: '10ms' }))
    .keyBy('key')
const aggregates = { n: count(), total: sum('value'), newest: last('value') }

type Emission = 'final' | 'updates' | { every: '50ms' }

function windowed(window: WindowSpec, emit: Emission = 'final'): CompiledJob {
  return keyed()
    .window('w', window)
    .aggregate(aggregates)
    .to(kafka('out', { value: msgpack() }), { emit })
    .build()
}

const filled = (): CompiledJob =>
  keyed()
    .window('w', tumbling('20ms'))
    .aggregate(aggregates, { gapFill: { for: '40ms', fill: { newest: 'last' } } })
    .to(kafka('out', { value: msgpack() }))
    .build()

const deduplicated = (): CompiledJob =>
  keyed()
    .dedup('value', { within: '100ms' })
    .to(kafka('out', { value: msgpack() }))
    .build()

/** A timer of each key deletes its state; where a second one is set, that is cancelled. */
const timed = (): CompiledJob =>
  keyed()
    .process('p', {
      onRecord(record, ctx: ProcessContext<number | undefined, number>) {
        if (ctx.state.get() === undefined) ctx.timers.at(ctx.timeMs + 70)
        ctx.timers.cancel(ctx.timeMs + 90)
        ctx.timers.at(ctx.timeMs + 90)
        ctx.timers.cancel(ctx.timeMs + 90)
        ctx.state.set(record.value)
      },
      onTimer(_, ctx) {
        ctx.emit(ctx.state.get() ?? 0)
        ctx.state.delete()
      },
    })
    .to(kafka('out', { value: msgpack() }))
    .build()

const forgotten = (): CompiledJob =>
  keyed()
    .process('p', {
      ttl: '50ms',
      onRecord: (record, ctx: ProcessContext<number, number>) => ctx.state.set(record.value),
    })
    .to(kafka('out', { value: msgpack() }))
    .build()

const ranked = (): CompiledJob =>
  keyed()
    .topN('best', { n: 1, by: 'value', rowKey: 'value', ttl: '50ms' })
    .to(kafka('out', { value: msgpack<unknown>() }))
    .build()

const CASES: Churn[] = [
  { name: 'tumbling', job: windowed(tumbling('100ms')), keys: MILLION },
  { name: 'session', job: windowed(session('50ms')), keys: MILLION / 10 },
  ...[
    { name: 'hopping, in panes', job: windowed(hopping('100ms', '20ms')) },
    { name: 'hopping, in rows of its own', job: windowed(hopping('100ms', '50ms'), 'updates') },
    { name: 'cumulate', job: windowed(cumulate('100ms', '20ms')) },
    { name: 'calendar', job: windowed(calendar('day', { timeZone: 'UTC', offset: '500ms' })) },
    { name: 'gapFill', job: filled() },
    { name: 'sliding', job: windowed(sliding('50ms')) },
    { name: 'sliding, with rows by the clock', job: windowed(sliding('50ms'), { every: '50ms' }) },
    { name: 'count, ended by the input', job: windowed(countWindow(4, { hop: 2 })) },
    { name: 'dedup', job: deduplicated() },
    { name: 'process, with timers', job: timed() },
    { name: 'process, with a ttl', job: forgotten() },
    { name: 'topN', job: ranked() },
    { name: 'process, with timers, on disk', job: timed(), isOnDisk: true },
    { name: 'session, on disk', job: windowed(session('50ms')), isOnDisk: true },
    { name: 'dedup, on disk', job: deduplicated(), isOnDisk: true },
  ].map((one) => ({ ...one, keys: MILLION / 10 })),
]

/** One task as a lane runs it, with its tables and its store in reach. */
class ChurnedTask {
  readonly #pipeline: Pipeline
  readonly task: Task
  readonly #run: FrameRun
  readonly #store: TaskStore
  readonly #out = new FrameWriter(1 << 16)
  readonly #changelog = new FrameWriter(1 << 16)
  #epoch = 0

  private constructor(pipeline: Pipeline, task: Task, store: TaskStore) {
    this.#pipeline = pipeline
    this.task = task
    this.#store = store
    this.#run = { task, view: undefined as unknown as FrameView, out: this.#out, samplesMs: [] }
  }

  static async open(churn: Churn, folder: string | undefined): Promise<ChurnedTask> {
    const [pipeline] = compilePipelines(churn.job, {
      limits: LIMITS,
      messageBytesMax: [],
      writtenPartitions: [],
      nowMs: () => 0,
    }).all
    const opened = await openStore({
      folder,
      taskId: TASK_ID,
      planHash: 'p',
      changelogTopicId: 'c',
      changelogLow: 0,
      nowMs: () => 0,
      restoreBytesMax: () => 1 << 20,
    })
    const { store } = opened
    store.restored(undefined)
    const task = new Task({
      ...{ taskId: TASK_ID, sub: 0, partition: 0, attempt: 0, instanceId: 'i', source: 'in', planHash: 'p', store },
      sourcePartitionCount: undefined,
    })
    task.chains = pipeline!.newChains(TASK_ID, 0)
    task.start(undefined, 0)
    const budget = new MemoryBudget(churn.isOnDisk ? 1 : LIMITS.stateMemoryBytesMax)
    task.openTables(pipeline!.stateful!.tables, budget)
    pipeline!.bind(task, task)
    return new ChurnedTask(pipeline!, task, store)
  }

  send(frame: ArrayBuffer): void {
    this.#run.view = new FrameView(frame)
    this.task.beginRequest()
    this.#pipeline.process(this.task, this.#run)
    this.task.endRequest()
    this.#out.take()
  }

  end(): void {
    this.task.isEnded = true
    this.task.watermarkMs = Number.POSITIVE_INFINITY
    this.task.beginRequest()
    this.#pipeline.advance(this.task, this.#run)
    this.task.endRequest()
    this.#out.take()
  }

  commit(): void {
    const epoch = this.#epoch++
    for (const table of this.task.tables) table.seal(epoch, this.#changelog, 0, 0)
    this.#changelog.take()
    this.#store.sealed(epoch, this.task.position(epoch))
    this.#store.committed(epoch)
  }

  async flush(): Promise<void> {
    await this.#store.flush(0, 'c')
    for (const table of this.task.tables.toReversed()) table.evict()
  }

  /** What is there of keys and rows, wherever it may be. */
  left() {
    const { tables } = this.task
    return {
      rows: tables.map(({ rowCount }) => rowCount),
      keys: tables.map(({ keyCount }) => keyCount),
      // Tombstones and what an operator keeps beside its rows are in the bytes.
      bytes: tables.map(({ bytes }) => bytes),
      firstWindows: tables.map(({ windowEndMin }) => windowEndMin),
      unflushedBytes: this.#store.unflushedBytes,
      stored: [...this.#store.range(Uint8Array.of(0), Uint8Array.of(0xff, 0xff))].length,
    }
  }

  async close(): Promise<void> {
    await this.#store.close()
  }
}

function fill(n: number, record: RecordNumbers): void {
  const next = n - Math.floor(n / AGAIN_EVERY)
  record.key = n % AGAIN_EVERY === AGAIN_EVERY - 1 ? Math.max(0, next - AGAIN_AFTER) : next
  record.ts = n / RECORDS_PER_MS
  record.value = 1
}

test.each(CASES.map((one) => [one.name, one] as const))('%s leaves nothing of its keys', async (_, churn) => {
  const folder = churn.isOnDisk ? join(tempFolder(), TASK_ID) : undefined
  const churned = await ChurnedTask.open(churn, folder)
  const base = churned.left()
  const records = new KeyedRecords()
  const count = Math.ceil((churn.keys * AGAIN_EVERY) / (AGAIN_EVERY - 1))
  let commits = 0
  for (let from = 0; from < count; from += FRAME_RECORDS) {
    churned.send(records.frame(from, Math.min(count, from + FRAME_RECORDS), fill))
    if ((from / FRAME_RECORDS) % FRAMES_PER_COMMIT !== FRAMES_PER_COMMIT - 1) continue
    churned.commit()
    if (++commits % COMMITS_PER_FLUSH === 0) await churned.flush()
  }
  const { counts } = churned.task.position(0)
  expect([counts.in, counts.accepted + counts.filtered - counts.expanded]).toEqual([count, count])
  churned.end()
  churned.commit()
  await churned.flush()
  expect(churned.left()).toEqual(base)
  await churned.close()
})
